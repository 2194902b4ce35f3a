"""How soon those who wait learn of a commit, and what it costs that they wait: rows for 1 and for 1,000 waiters.

Alone: `python -m bench.waiting_rows`.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw
import msgspec

from bench.measure import Waits, summarise_waits
from bench.report import align
from lash_store import Database, Plan, SqliteConnection, Step
from lash_store.sqlite.waiting import WaitingRoom

WAITERS: Final = (1, 1_000)
WAKE_UPS: Final = 300
IDLE_S: Final = 3.0
LIMITS_MS: Final = {"this process": 1, "another": 10}
IDLE_LIMIT_PERCENT: Final = 1
_SPACING_S: Final = 0.01  # a waiter has sat down and all is quiet before the next commit
_TABLE: Final = "CREATE TABLE done (id INTEGER PRIMARY KEY)"
_FIND: Final = "SELECT id FROM done WHERE id IN (SELECT value FROM json_each(?1))"
_FINISH: Final = "INSERT INTO done VALUES (?1)"


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


def waiting_rows(wake_ups: int = WAKE_UPS, idle_s: float = IDLE_S) -> Iterator[WaitingRow]:
    """Measure row by row; each takes about `wake_ups` times 10 ms, and `idle_s`."""
    for waiters in WAITERS:
        for committer in ("this process", "another"):
            with tempfile.TemporaryDirectory(prefix="lash_store-bench-") as folder:
                path = str(Path(folder, "waiting.db"))
                with Database.open(path) as database:
                    database.run(Plan([Step(_TABLE)]))
                yield asyncio.run(_measure(path, waiters, committer, wake_ups, idle_s))


async def _measure(path: str, waiters: int, committer: str, wake_ups: int, idle_s: float) -> WaitingRow:
    looks = 0

    def look(connection: apsw.Connection, keys: Collection[int]) -> dict[int, bool]:
        nonlocal looks
        looks += 1
        return {key: True for (key,) in connection.execute(_FIND, (json.dumps(list(keys)),))}

    async with await SqliteConnection.open(path) as connection:
        room = WaitingRoom[int, bool](connection, look)
        crowd = [asyncio.create_task(room.wait(-number)) for number in range(1, waiters)]
        await asyncio.sleep(0.5)
        looks = 0
        if committer == "another":
            waits = await _distant_commits(path, room, wake_ups)
        else:
            waits = await _own_commits(connection, room, wake_ups)
        looks -= wake_ups
        last = asyncio.create_task(room.wait(0))
        await asyncio.sleep(0.5)
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
        await connection.run(Plan([Step(_FINISH, (number,))]))
        committed = time.monotonic()
        room.changed()
        waits.append(await waiter - committed)
    return waits


async def _distant_commits(path: str, room: WaitingRoom[int, bool], wake_ups: int) -> "array[float]":
    waits = array("d")
    with _committer(path) as ask:
        for number in range(1, wake_ups + 1):
            waiter = asyncio.create_task(_woken_at(room, number))
            await asyncio.sleep(_SPACING_S)
            answer = asyncio.create_task(asyncio.to_thread(ask, number))
            waits.append(await waiter - await answer)
    return waits


async def _woken_at(room: WaitingRoom[int, bool], number: int) -> float:
    await room.wait(number)
    return time.monotonic()


@contextmanager
def _committer(path: str) -> Iterator["_Ask"]:
    program = subprocess.Popen(
        [sys.executable, "-m", "bench.waiting_rows", path],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with program:
        yield _Ask(program)


class _Ask:
    """Has another process commit a number; when it was done (monotonic seconds, the same clock in all processes)."""

    def __init__(self, program: "subprocess.Popen[str]") -> None:
        self._program = program

    def __call__(self, number: int) -> float:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(f"{number}\n")
        self._program.stdin.flush()
        return float(self._program.stdout.readline())


def _commit_what_is_asked(path: str) -> None:
    with Database.open(path) as database:
        for line in sys.stdin:
            database.run(Plan([Step(_FINISH, (int(line),))]))
            print(time.monotonic(), flush=True)


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
    if len(sys.argv) > 1:
        _commit_what_is_asked(sys.argv[1])
    else:
        for line in describe_waiting(list(waiting_rows())):
            print(line)
