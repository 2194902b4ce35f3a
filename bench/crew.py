"""Runs the worker processes of one run: starts them, lets them go together, and never waits for one that hangs."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bench.drivers.catalogue import DRIVERS
from bench.jobs import Job, JobResult, Probe
from bench.worker import READY

_ROOT = Path(__file__).resolve().parent.parent
_START_TIMEOUT_S = 40.0
# After the measured time a commit may still be waiting: as long as the busy timeout, then closing the file.
_FINISH_TIMEOUT_S = 25.0
_HEAD_START_S = 0.02


class CrewFailedError(Exception):
    """A worker hung or died; the text says which and what its last words were."""


class _Worker:
    """One worker process; a thread reads its lines, so that waiting for them can be given up on any platform."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._errors_path = Path(job.waits_path).with_suffix(".err")
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        environment = os.environ | {"PYTHONPATH": path}
        if job.driver in DRIVERS:
            environment |= DRIVERS[job.driver].environment
        with self._errors_path.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
            )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self.send(job.encode())

    def send(self, line: str) -> None:
        """Give the worker a line; one that has died is found out when its answer is missing."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def receive(self, deadline: float) -> str:
        """The worker's next line, or CrewFailedError at its end or at `deadline` (time.monotonic)."""
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise CrewFailedError(f"worker {self.job.prefix} gave no answer in time") from None
        if not line:
            raise CrewFailedError(f"worker {self.job.prefix} died: {self._last_words()}")
        return line

    def dismiss(self, timeout_s: float) -> None:
        """Wait for the process to end, and end it if it does not."""
        assert self._process.stdin is not None
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.put(line)
        self._lines.put("")

    def _last_words(self) -> str:
        lines = self._errors_path.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def run_crew(jobs: Sequence[Job]) -> list[JobResult]:
    """Run one job in a process each, all starting at the same moment, and return their answers in order."""
    workers: list[_Worker] = []
    patience = 0.0
    try:
        workers.extend(_Worker(job) for job in jobs)
        ready_by = time.monotonic() + _START_TIMEOUT_S
        for worker in workers:
            if worker.receive(ready_by).strip() != READY:
                raise CrewFailedError(f"worker {worker.job.prefix} did not say {READY!r}")
        start = time.monotonic() + _HEAD_START_S
        for worker in workers:
            worker.send(f"{start}\n")
        done_by = start + max(job.seconds for job in jobs) + _FINISH_TIMEOUT_S
        results = [JobResult.load(worker.receive(done_by), worker.job.waits_path) for worker in workers]
        patience = _FINISH_TIMEOUT_S
        return results
    finally:
        for worker in workers:
            worker.dismiss(patience)


def probe_driver(name: str, folder: Path) -> Probe:
    """Ask a driver, in a process of its own, for its versions and pragmas; CrewFailedError if it cannot run here."""
    job = Job(name, "probe", "", str(folder / f"probe-{name}"), f"probe-{name}", 0.0)
    worker = _Worker(job)
    try:
        return Probe(**json.loads(worker.receive(time.monotonic() + _START_TIMEOUT_S)))
    finally:
        worker.dismiss(1.0)
