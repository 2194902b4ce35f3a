"""Processes killed while they write: nothing acknowledged is lost, nothing is torn, nobody waits for the dead."""

import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_store import Database, Plan, Step
from tests.programs import writer as program
from tests.watchdog import LIMIT_S, bounded

KILLS = 200
KILLS_BETWEEN_CHECKS = 25
NO_HANG_S = 10.0  # on a slow machine; who waits for the dead does so for 15 s

TORN = """
    SELECT writer FROM (SELECT writer, number FROM credit EXCEPT SELECT writer, number FROM debit)
    UNION ALL SELECT writer FROM (SELECT writer, number FROM debit EXCEPT SELECT writer, number FROM credit)
    UNION ALL SELECT writer FROM total JOIN (SELECT writer, count(*) AS n FROM credit GROUP BY writer) USING (writer)
        WHERE n <> commits
    UNION ALL SELECT writer FROM credit WHERE writer NOT IN (SELECT writer FROM total)
"""


def _start(path: str, way: str, number: int, sending: Connection) -> None:
    program.write(path, way, number, sending.fileno())


class Writer:
    """A process that writes, and what it has acknowledged so far."""

    def __init__(self, context: Any, path: Path, way: str, number: int) -> None:
        self.way = way
        self.number = number
        self.acknowledged: set[int] = set()
        self._torn = b""
        self.receiving, sending = context.Pipe(duplex=False)
        self.process: BaseProcess = context.Process(target=_start, args=(str(path), way, number, sending), daemon=True)
        self.process.start()
        sending.close()

    def hear(self) -> bool:
        """Take what it has said; False when it is gone and all is heard."""
        said = self._torn + os.read(self.receiving.fileno(), 65536)
        whole = len(said) - len(said) % program.NUMBER.size
        self.acknowledged.update(number for (number,) in program.NUMBER.iter_unpack(said[:whole]))
        self._torn = said[whole:]
        return bool(said)

    def kill(self) -> None:
        """End it on the spot, and hear its last words."""
        self.process.kill()
        self.process.join(LIMIT_S)
        assert self.process.exitcode != 0
        while self.hear():
            pass
        self.receiving.close()
        self.process.close()


class Crowd:
    """Writers on one file, and the memory of all that was acknowledged by those who are gone."""

    def __init__(self, path: Path, ways: list[str]) -> None:
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        self._context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            self._context.set_forkserver_preload(["tests.programs.writer", "tests.programs.session_worker"])
        self._path = path
        self._ways = ways
        self.gone: dict[int, tuple[str, set[int]]] = {}
        self._next = 0
        self.alive = [self._start(way) for way in ways]

    def _start(self, way: str) -> Writer:
        self._next += 1
        return Writer(self._context, self._path, way, self._next)

    def listen(self, span_s: float) -> None:
        """Take what is said for `span_s`."""
        ends = time.monotonic() + span_s
        while (left := ends - time.monotonic()) > 0:
            self._take(left)

    def _take(self, limit_s: float) -> None:
        for receiving in wait([writer.receiving for writer in self.alive], limit_s):
            [writer] = [writer for writer in self.alive if writer.receiving is receiving]
            assert writer.hear(), f"writer {writer.number} ({writer.way}) ended by itself"

    def everybody_commits(self, limit_s: float) -> None:
        """Wait until every writer has acknowledged something new; fails after `limit_s`."""
        before = {writer: len(writer.acknowledged) for writer in self.alive}
        ends = time.monotonic() + limit_s
        while stuck := [writer for writer, number in before.items() if len(writer.acknowledged) == number]:
            left = ends - time.monotonic()
            assert left > 0, f"no commit for {limit_s} s: {[(writer.number, writer.way) for writer in stuck]}"
            self._take(left)

    def kill(self, place: int) -> None:
        """Kill one writer."""
        writer = self.alive.pop(place)
        writer.kill()
        self.gone[writer.number] = (writer.way, writer.acknowledged)

    def replace(self, place: int) -> None:
        """Start another one in the place of one that was killed."""
        self.alive.insert(place, self._start(self._ways[place]))

    def kill_all(self) -> None:
        for writer in self.alive:
            writer.process.kill()  # all at once, before anybody hears of it
        while self.alive:
            self.kill(0)

    def replace_all(self) -> None:
        self.alive = [self._start(way) for way in self._ways]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Database.open(tmp_path / "store.db") as database:
        database.run(Plan([Step(table) for table in program.TABLES]))
    return tmp_path / "store.db"


@pytest.fixture
def crowd(path: Path, request: pytest.FixtureRequest) -> Iterator[Crowd]:
    crowd = Crowd(path, request.param)
    yield crowd
    crowd.kill_all()


def stored(connection: apsw.Connection) -> dict[int, set[int]]:
    numbers: dict[int, set[int]] = {}
    for writer, number in connection.execute("SELECT writer, number FROM credit"):
        numbers.setdefault(writer, set()).add(number)
    return numbers


def check(crowd: Crowd, connection: apsw.Connection) -> None:
    """In one snapshot: all that was acknowledged is there, little more than that, and nothing is torn."""
    acknowledged = {number: (way, set(heard)) for number, (way, heard) in crowd.gone.items()}
    acknowledged |= {writer.number: (writer.way, set(writer.acknowledged)) for writer in crowd.alive}
    assert connection.execute(TORN).fetchall() == []
    there = stored(connection)
    for number, (way, heard) in acknowledged.items():
        assert heard <= there.get(number, set()), f"writer {number} ({way}): acknowledged commits are lost"
        if number in crowd.gone:
            assert len(there.get(number, set()) - heard) <= program.UNDER_WAY[way]
    assert connection.pragma("integrity_check") == "ok"


def check_without_writers(crowd: Crowd, path: Path) -> None:
    """Kill all at once; the next open finds everything in order, and writes at once."""
    crowd.kill_all()
    began = time.monotonic()
    with bounded(lambda: Database.open(path)) as database:
        database.run(program.commit_of(-1, len(crowd.gone)))
        assert time.monotonic() - began < NO_HANG_S
        database.read(lambda connection: check(crowd, connection))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("crowd", [["blocking", "tasks", "closures", "tasks"]], indirect=True)
def test_killed_writers_lose_nothing_acknowledged_and_hold_up_nobody(crowd: Crowd, path: Path) -> None:
    crowd.everybody_commits(LIMIT_S)
    for kill in range(1, KILLS + 1):
        crowd.listen(random.uniform(0, 0.04))
        place = random.randrange(len(crowd.alive))
        crowd.kill(place)
        crowd.everybody_commits(NO_HANG_S)
        crowd.replace(place)
        if kill % KILLS_BETWEEN_CHECKS == 0:
            with Database.open_readonly(path) as database:
                database.read(lambda connection: check(crowd, connection))
            check_without_writers(crowd, path)
            crowd.replace_all()
            crowd.everybody_commits(LIMIT_S)
    assert sum(len(heard) for _, heard in crowd.gone.values()) > KILLS
