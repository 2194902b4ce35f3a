"""The worker processes of bench.commit: kept from run to run, so that imports are paid once; none can hang it."""

import asyncio
import gc
import itertools
import multiprocessing
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from bench.measure import NO_WAITS, Waits, summarise_waits
from bench.turn_runs import Run, WorkerLog, commit_turns, lost_turns, prepare
from bench.turn_writers import WRITERS

PATIENCE_S: Final = 60.0
_HEAD_START_S: Final = 0.02
_READY: Final = "ready"


class WorkerFailedError(Exception):
    """A worker hung or died, or a turn failed in it; the text says which and why."""


@dataclass(frozen=True, slots=True)
class TurnSample:
    """The figures of one run. `cpu_us` of all processes and `written` bytes are per turn; `error` is why it failed."""

    turns_per_s: float
    waits: Waits
    cpu_us: float
    written: float | None
    error: str = ""


class Crew:
    """Runs runs."""

    def __init__(self) -> None:
        self._workers: dict[tuple[str, int], _Worker] = {}

    def measure(self, run: Run, folder: Path) -> TurnSample:
        """Do a run on new files in `folder`, and check that they hold what was acknowledged."""
        prepare(run, folder)
        workers = [self._worker(run.writer, process) for process in range(run.processes)]
        try:
            start, logs = _work_together(workers, run, folder)
        except WorkerFailedError as reason:
            self._dismiss(workers)  # whatever they are doing; the next run gets new ones
            return TurnSample(0.0, NO_WAITS, 0.0, None, str(reason))
        return summarise(start, logs, lost_turns(run, folder))

    def _worker(self, writer: str, process: int) -> "_Worker":
        # A worker never meets two libraries: what one leaves behind would be the other's burden.
        key = (WRITERS[writer].distribution, process)
        if key not in self._workers:
            self._workers[key] = _Worker(process)
        return self._workers[key]

    def _dismiss(self, workers: Sequence["_Worker"]) -> None:
        for key, worker in list(self._workers.items()):
            if worker in workers:
                worker.dismiss()
                del self._workers[key]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._dismiss(list(self._workers.values()))


class _Worker:
    """One worker process and the pipe to it."""

    def __init__(self, process: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._name = f"worker {process}"
        self._place = process
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()  # so that its end is seen when it dies

    def begin(self, run: Run, folder: Path) -> None:
        self.send((run, self._place, folder))

    def send(self, message: object) -> None:
        try:
            self._pipe.send(message)
        except OSError:
            raise WorkerFailedError(f"{self._name} is gone") from None

    def receive(self) -> Any:
        try:
            if not self._pipe.poll(PATIENCE_S):
                raise WorkerFailedError(f"{self._name} gave no answer in {PATIENCE_S:g} s")
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise WorkerFailedError(f"{self._name} died") from None
        if isinstance(answer, _Failure):
            raise WorkerFailedError(f"{self._name}: {answer.reason}")
        return answer

    def dismiss(self) -> None:
        self._pipe.close()
        self._process.terminate()
        self._process.join()
        self._process.close()


@dataclass(frozen=True, slots=True)
class _Failure:
    reason: str


def _work_together(workers: Sequence[_Worker], run: Run, folder: Path) -> tuple[float, list[WorkerLog]]:
    for worker in workers:
        worker.begin(run, folder)
    for worker in workers:
        worker.receive()
    start = time.monotonic() + _HEAD_START_S
    for worker in workers:
        worker.send(start)
    return start, [worker.receive() for worker in workers]


def _serve(pipe: Connection) -> None:
    """The worker's side: run after run, until the pipe is closed."""

    def wait_for_start() -> None:
        pipe.send(_READY)
        start: float = pipe.recv()
        time.sleep(max(0.0, start - time.monotonic()))

    while True:
        try:
            run, place, folder = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(asyncio.run(commit_turns(run, place, folder, wait_for_start)))
        except Exception as error:  # noqa: BLE001 - whatever a writer raises, this run failed
            pipe.send(_Failure(f"{type(error).__name__}: {error}"))
        gc.collect()


def summarise(start: float, logs: Sequence[WorkerLog], lost: str) -> TurnSample:
    """The figures of a run whose processes started together at `start` (time.monotonic)."""
    waits = array("d", itertools.chain.from_iterable(log.waits for log in logs))
    written = [log.written for log in logs if log.written is not None]
    return TurnSample(
        turns_per_s=len(waits) / (max(log.ended for log in logs) - start),
        waits=summarise_waits([waits]),
        cpu_us=sum(log.cpu_s for log in logs) / len(waits) * 1e6,
        written=sum(written) / len(waits) if len(written) == len(logs) else None,
        error=lost,
    )
