"""Processes killed or halted in the middle of effects that others wait for: each effect ends once.

Who is killed is followed after its lease. Who is halted for longer than that finds the effect taken when it goes on.
"""

import multiprocessing
import os
import random
import signal
import time
from collections import defaultdict
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pytest

from lash_store.records.effect_outcome import RuntimeEffectOutcome
from lash_store.records.record import read_json
from lash_store.sqlite.database import Database
from lash_store.sqlite.ops.effects import EFFECT_SCHEMA
from tests.programs import effect_runner as program
from tests.watchdog import LIMIT_S

KILLS = 200
RUNNERS = 3
HALT_S = 3 * program.LEASE_TTL_MS / 1000
STOP = getattr(signal, "SIGSTOP", None)  # not on every platform

LOG_ENDS = """
CREATE TABLE test_ends (replay_key);
CREATE TRIGGER test_end AFTER UPDATE ON runtime_effect_replay
    WHEN OLD.status <> 'in_progress' OR NEW.status <> 'in_progress'
    BEGIN INSERT INTO test_ends VALUES (NEW.replay_key); END;
"""
RECORDED = """
SELECT replay_key, status, outcome_json, attempts
FROM runtime_effect_replay JOIN lash_effect_attempts USING (scope_id, replay_key)
"""


class Runner:
    """A process that executes effects."""

    def __init__(self, context: Any, path: Path, first: int) -> None:
        self.receiving, sending = context.Pipe(duplex=False)
        self.process = context.Process(target=program.work, args=(str(path), first, sending), daemon=True)
        self.process.start()
        sending.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.join(LIMIT_S)
        assert self.process.exitcode != 0
        self.process.close()


class Crowd:
    """Runners on one file, and all that they have said."""

    def __init__(self, path: Path) -> None:
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        self._context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            self._context.set_forkserver_preload(["tests.programs.effect_runner"])
        self._path = path
        self.runs: dict[int, int] = defaultdict(int)
        self.ends: dict[int, set[str]] = defaultdict(set)
        self._runners: dict[Connection, Runner] = {}
        self._halted: dict[Connection, float] = {}  # and when they go on
        for _ in range(RUNNERS):
            self.start()

    def start(self) -> None:
        runner = Runner(self._context, self._path, max(self.runs, default=0))
        self._runners[runner.receiving] = runner

    def taken_over(self) -> int:
        """How many effects were run again."""
        return sum(times > 1 for times in self.runs.values())

    def hear(self) -> list[Connection]:
        """Take what was said; return who is in the middle of an effect, and those of the others who are out of luck."""
        ready = wait(list(self._runners), HALT_S if self._halted else LIMIT_S)
        assert ready or self._halted, "all runners are stuck"
        self._let_go_on(time.monotonic())
        doomed = []
        for connection in ready:
            assert isinstance(connection, Connection)
            kind = self._take(connection)
            assert kind is not None, "a runner has died by itself"
            if kind == program.HANG or random.random() < 0.02:
                doomed.append(connection)
            elif kind == program.RUN and random.random() < 0.1 and connection not in self._halted:
                self._halt(connection)
        return doomed

    def kill(self, connection: Connection) -> None:
        """End a runner on the spot, and hear its last words."""
        self._halted.pop(connection, None)
        self._runners.pop(connection).kill()
        while self._take(connection):
            pass
        connection.close()

    def leave(self) -> None:
        for connection in list(self._runners):
            self.kill(connection)

    def _halt(self, connection: Connection) -> None:
        if STOP is not None:
            os.kill(self._runners[connection].process.pid, STOP)
            self._halted[connection] = time.monotonic() + HALT_S

    def _let_go_on(self, now: float) -> None:
        for connection, until in list(self._halted.items()):
            if until <= now:
                os.kill(self._runners[connection].process.pid, signal.SIGCONT)
                del self._halted[connection]

    def _take(self, connection: Connection) -> str | None:
        try:
            kind, number, marker = connection.recv()
        except EOFError:
            return None
        if kind == program.END:
            self.ends[number].add(marker)
        else:
            self.runs[number] += 1
        return str(kind)


@pytest.mark.timeout(600)
def test_killed_runners(tmp_path: Path) -> None:
    path = tmp_path / "effects.db"
    with Database.open(path, schema=EFFECT_SCHEMA) as database:
        database.call(lambda connection: connection.execute(LOG_ENDS).fetchall())
    crowd, kills = Crowd(path), 0
    try:
        while kills < KILLS or crowd.taken_over() <= KILLS / 4:
            for connection in crowd.hear():
                crowd.kill(connection)
                crowd.start()
                kills += 1
        last = max(crowd.runs)
        deadline = time.monotonic() + LIMIT_S
        while not any(number > last for number in crowd.ends):
            for connection in crowd.hear():
                crowd.kill(connection)
                crowd.start()
            assert time.monotonic() < deadline, "nobody took over what the dead had begun"
    finally:
        crowd.leave()
    _check(path, crowd)


def _check(path: Path, crowd: Crowd) -> None:
    with Database.open_readonly(path, schema=EFFECT_SCHEMA) as database:
        recorded = _rows(database, RECORDED)
        ended = [key for (key,) in _rows(database, "SELECT replay_key FROM test_ends")]
    assert len(ended) == len(set(ended)), "an outcome was recorded twice"
    attempts = {}
    for key, status, outcome, tried in recorded:
        attempts[int(key)] = tried
        assert (status == "completed") == (key in ended)
        if status == "completed":
            marker = program.marker(read_json(RuntimeEffectOutcome, outcome))
            assert crowd.ends.get(int(key), {marker}) == {marker}, "two outcomes of one effect were given out"
    assert crowd.ends.keys() <= {int(key) for key in ended}
    assert all(crowd.runs[number] <= attempts[number] for number in crowd.runs), "an effect was run without a claim"


def _rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    return database.read(lambda connection: connection.execute(query).fetchall())
