"""One run of bench.commit inside a worker process: tasks that commit turns, all starting together."""

import asyncio
import gc
import itertools
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.turn_writers import WRITERS, Put
from bench.turns import Turn, claim_of, claim_plan, make_turns
from lash_store import Database, Store

WARM_UPS: Final = 12  # more than one change of the tool state
_IO_COUNTERS: Final = Path("/proc/self/io")

WaitForStart = Callable[[], None]
"""Says that the worker is ready, and returns at the common start."""


@dataclass(frozen=True, slots=True)
class Run:
    """`tasks` tasks in each of `processes` processes, on `files` session files, that commit `turns` turns each."""

    writer: str
    files: int
    tasks: int
    processes: int
    turns: int

    def sessions(self, folder: Path) -> list[tuple[str, Path]]:
        """The sessions of the run, each in a file of its own."""
        return [(f"session-{number}", folder / f"session-{number}.db") for number in range(self.files)]

    def seat(self, process: int, task: int) -> int:
        """Which session a task commits to."""
        return (process * self.tasks + task) % self.files

    def turns_on(self, session: int) -> int:
        """How many turns a session must have been committed when the run has ended, those before the clock too."""
        return (self.turns + WARM_UPS) * len(self.talks_on(session))

    def talks_on(self, session: int) -> list[str]:
        """The names of the tasks that commit to a session."""
        return [
            talk_name(process, task)
            for process in range(self.processes)
            for task in range(self.tasks)
            if self.seat(process, task) == session
        ]


@dataclass(frozen=True, slots=True)
class WorkerLog:
    """What a process lived through, in seconds: the wait of each turn, and the common clock when its last one ended.

    `cpu_s` is what all its threads took between start and end; `written` are the bytes that it wrote from the start
    until everything was closed, None where the system does not count them.
    """

    waits: "array[float]"
    ended: float
    cpu_s: float
    written: int | None


def prepare(run: Run, folder: Path) -> None:
    """Make the files of a run, with a claim in them for each turn that completes one."""
    folder.mkdir()
    if not WRITERS[run.writer].claims:
        return
    for place, (session_id, path) in enumerate(run.sessions(folder)):
        asyncio.run(_create(path))
        turns = itertools.product(range(run.turns + WARM_UPS), run.talks_on(place))
        with Database.open(path) as database:
            database.run(claim_plan(claim_of(session_id, talk, number) for number, talk in turns))


async def _create(path: Path) -> None:
    async with await Store.open(path):
        pass


async def commit_turns(run: Run, process: int, folder: Path, wait_for_start: WaitForStart) -> WorkerLog:
    """Open the files, warm up, wait for the others, commit, close."""
    shared = run.tasks * run.processes > run.files
    async with AsyncExitStack() as closing:
        writer, sessions = WRITERS[run.writer], run.sessions(folder)
        mine = sorted({run.seat(process, task) for task in range(run.tasks)})
        sits = {place: await writer.open(sessions[place][1], closing) for place in mine}
        talks: list[tuple[Put, list[Turn]]] = []
        for task in range(run.tasks):
            place = run.seat(process, task)
            session_id = sessions[place][0]
            turns = make_turns(session_id, talk_name(process, task), run.turns + WARM_UPS)
            talks.append((sits[place](session_id, shared), turns))
        await _all([(put, turns[:WARM_UPS]) for put, turns in talks])
        gc.collect()
        gc.freeze()  # collections must not go through what the bench has prepared
        wait_for_start()
        written, cpu = _bytes_written(), time.process_time()
        waits = await _all([(put, turns[WARM_UPS:]) for put, turns in talks])
        ended, cpu = time.monotonic(), time.process_time() - cpu
        gc.unfreeze()
    written_now = _bytes_written()
    return WorkerLog(waits, ended, cpu, None if written is None or written_now is None else written_now - written)


async def _all(talks: Sequence[tuple[Put, Sequence[Turn]]]) -> "array[float]":
    logs = await asyncio.gather(*(_talk(put, turns) for put, turns in talks))
    return array("d", itertools.chain.from_iterable(logs))


async def _talk(put: Put, turns: Iterable[Turn]) -> "array[float]":
    waits = array("d")
    clock = time.perf_counter
    for turn in turns:
        began = clock()
        await put(turn)
        waits.append(clock() - began)
    return waits


def lost_turns(run: Run, folder: Path) -> str:
    """What is wrong between what was acknowledged and the files, or nothing; after every process has closed them."""
    writer = WRITERS[run.writer]
    found = (writer.lost(path, run.turns_on(place)) for place, (_, path) in enumerate(run.sessions(folder)))
    return next(filter(None, found), "")


def talk_name(process: int, task: int) -> str:
    """The name of a task, which its turns bear too."""
    return f"w{process}.{task}"


def _bytes_written() -> int | None:
    """What this process has handed to write calls so far, which only Linux tells."""
    if not _IO_COUNTERS.exists():
        return None
    counters = dict(line.split(": ") for line in _IO_COUNTERS.read_text().splitlines())
    return int(counters["wchar"])
