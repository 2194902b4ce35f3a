"""How soon those who wait learn of a commit, and what it costs that they wait: rows for 1 and for 1,000 waiters.

Alone: `python -m bench.waiting_rows`; `bench.processes` has the same rows at its end.
"""

import asyncio
import json
import sys
import time
from array import array
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import apsw
import msgspec

from bench.command_line import make_parser
from bench.committer import FIND, create_file, plan_commit, start_committer
from bench.measure import Waits, median_waits, summarise_waits
from bench.progress import show_progress
from bench.report import align
from bench.rounds import scratch_folder
from lash_store import SqliteConnection
from lash_store.sqlite.waiting import WaitingRoom

WAITERS: Final = (1, 1_000)
LIMITS_MS: Final = {"this process": 1, "another": 10}
IDLE_LIMIT_PERCENT: Final = 1
_THOROUGH: Final = (300, 3.0)
_QUICK: Final = (20, 0.3)
"""How many commits are waited for, and how many seconds nothing happens."""
_SETTLING_S: Final = 0.5  # all have sat down
_SPACING_S: Final = 0.01  # a waiter has sat down and all is quiet before the next commit


class WaitingRow(msgspec.Struct, frozen=True):
    """What one of `waiters` waits from the return of a commit, of "this process" or "another", until it runs again.

    `looks` is how many reads a commit cost, beyond the one with which each wait begins; `idle_percent` the share of a
    core that all take while nobody commits.
    """

    waiters: int
    committer: str
    waits: Waits
    looks: float
    idle_percent: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit code."""
    description = "How soon those who wait learn of a commit, and what it costs that they wait."
    options = make_parser("bench.waiting_rows", description, "fewer commits, under 15 seconds").parse_args(arguments)
    with show_progress(options.repeat) as progress:
        rounds: list[list[WaitingRow]] = []
        for number in range(options.repeat):
            progress.begin(f"round {number + 1}/{options.repeat}")
            rounds.append(list(waiting_rows(quick=options.quick)))
    rows = [combine(samples) for samples in zip(*rounds, strict=True)]
    for line in describe_waiting(rows):
        print(line)
    if options.json:
        document = {"waiting": msgspec.to_builtins(rows)}
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


def combine(samples: Sequence[WaitingRow]) -> WaitingRow:
    """Medians over the rounds of one row."""
    return WaitingRow(
        samples[0].waiters,
        samples[0].committer,
        median_waits([sample.waits for sample in samples]),
        median(sample.looks for sample in samples),
        median(sample.idle_percent for sample in samples),
    )


def waiting_rows(*, quick: bool) -> Iterator[WaitingRow]:
    """Measure row by row; each takes about as many times 10 ms as there are commits, and the idle seconds."""
    wake_ups, idle_s = _QUICK if quick else _THOROUGH
    for waiters in WAITERS:
        for committer in ("this process", "another"):
            with scratch_folder() as folder:
                path = folder / "waiting.db"
                create_file(path)
                yield asyncio.run(_measure(path, waiters, committer, wake_ups, idle_s))


async def _measure(path: Path, waiters: int, committer: str, wake_ups: int, idle_s: float) -> WaitingRow:
    looks = 0

    def look(connection: apsw.Connection, keys: Collection[int]) -> dict[int, bool]:
        nonlocal looks
        looks += 1
        return {key: True for (key,) in connection.execute(FIND, (json.dumps(list(keys)),))}

    async with await SqliteConnection.open(path) as connection:
        room = WaitingRoom[int, bool](connection, look)
        crowd = [asyncio.create_task(room.wait(-number)) for number in range(1, waiters)]
        await asyncio.sleep(_SETTLING_S)
        looks = 0
        if committer == "another":
            waits = await _distant_commits(path, room, wake_ups)
        else:
            waits = await _own_commits(connection, room, wake_ups)
        looks -= wake_ups
        last = asyncio.create_task(room.wait(0))
        await asyncio.sleep(_SETTLING_S)
        before = time.process_time()
        await asyncio.sleep(idle_s)
        idle = (time.process_time() - before) / idle_s
        for task in [*crowd, last]:
            task.cancel()
        await asyncio.gather(*crowd, last, return_exceptions=True)
        room.close()
    return WaitingRow(waiters, committer, summarise_waits([waits]), looks / wake_ups, idle * 100)


async def _own_commits(connection: SqliteConnection, room: WaitingRoom[int, bool], wake_ups: int) -> "array[float]":
    waits = array("d")
    for number in range(1, wake_ups + 1):
        waiter = asyncio.create_task(_woken_at(room, number))
        await asyncio.sleep(_SPACING_S)
        await connection.run(plan_commit(number))
        committed = time.monotonic()
        room.changed()
        waits.append(await waiter - committed)
    return waits


async def _distant_commits(path: Path, room: WaitingRoom[int, bool], wake_ups: int) -> "array[float]":
    waits = array("d")
    with start_committer(path) as commit:
        for number in range(1, wake_ups + 1):
            waiter = asyncio.create_task(_woken_at(room, number))
            await asyncio.sleep(_SPACING_S)
            answer = asyncio.create_task(asyncio.to_thread(commit, number))
            committed = await answer  # first, as nobody wakes the waiter of a committer that has died
            waits.append(await waiter - committed)
    return waits


async def _woken_at(room: WaitingRoom[int, bool], number: int) -> float:
    await room.wait(number)
    return time.monotonic()


def describe_waiting(rows: Sequence[WaitingRow]) -> Iterator[str]:
    """The table of the rows, and how they stand against the targets."""
    heading = ("waiters", "commits of", "p50 ms", "p99 ms", "max ms", "looks", "idle, % of a core")
    lines = [
        (
            str(row.waiters),
            row.committer,
            *(f"{value:.2f}" for value in (row.waits.p50_ms, row.waits.p99_ms, row.waits.max_ms)),
            f"{row.looks:.2f}",
            f"{row.idle_percent:.2f}",
        )
        for row in rows
    ]
    yield from align([heading, *lines], 2)
    for committer, limit_ms in LIMITS_MS.items():
        worst = max(row.waits.p99_ms for row in rows if row.committer == committer)
        yield f"  target: woken by {committer}, p99 <= {limit_ms} ms: {_verdict(worst <= limit_ms)} ({worst:.2f})"
    idle = max(row.idle_percent for row in rows)
    yield f"  target: idle <= {IDLE_LIMIT_PERCENT} % of a core: {_verdict(idle <= IDLE_LIMIT_PERCENT)} ({idle:.2f})"


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


if __name__ == "__main__":
    sys.exit(main())
