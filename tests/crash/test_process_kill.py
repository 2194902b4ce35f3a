"""Workers of the registry killed in the middle: logs without holes or doubles, no fencing token for two."""

import json
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import apsw
import pytest
import pytest_asyncio

from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.process_examples import plain_type, register
from tests.programs import process_worker as program
from tests.watchdog import LIMIT_S

KILLS = 200
WORKERS = 4
KILLS_AT_ONCE = 2
KILLS_BETWEEN_CHECKS = 50


class Worker:
    """A process that works, and all that it said: (number, sequence) of events, fencing tokens of leases."""

    def __init__(self, context: Any, path: Path, number: int) -> None:
        self.number = number
        self.events: list[tuple[int, int]] = []
        self.leases: list[int] = []
        self.receiving: Connection
        self.receiving, sending = context.Pipe(duplex=False)
        self._process = context.Process(target=program.work, args=(str(path), number, sending), daemon=True)
        self._process.start()
        sending.close()

    def hear(self) -> bool:
        """Take one message; False when it is gone, and all is heard."""
        try:
            kind, number, place = self.receiving.recv()
        except (EOFError, OSError):
            return False
        if kind == "event":
            self.events.append((number, place))
        else:
            self.leases.append(number)
        return True

    def kill(self) -> None:
        """End it on the spot, and hear its last words."""
        self._process.kill()
        while self.hear():
            pass
        self._process.join(LIMIT_S)
        assert self._process.exitcode is not None
        assert self._process.exitcode < 0, "it has ended by itself"
        self.receiving.close()
        self._process.close()


class Crew:
    """Workers on one registry, the dead among them remembered."""

    def __init__(self, path: Path) -> None:
        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        self._context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            self._context.set_forkserver_preload(["tests.programs.process_worker"])
        self._path = path
        self.dead: list[Worker] = []
        self.alive: list[Worker] = []

    def fill(self) -> None:
        """Start workers until there are enough."""
        while len(self.alive) < WORKERS:
            self.alive.append(Worker(self._context, self._path, len(self.alive) + len(self.dead)))

    def listen(self, span_s: float) -> None:
        """Take what is said for `span_s`, and then until everybody has appended something."""
        ends, gives_up = time.monotonic() + span_s, time.monotonic() + LIMIT_S
        while time.monotonic() < ends or not all(worker.events for worker in self.alive):
            assert time.monotonic() < gives_up, "somebody appends nothing"
            for receiving in wait([worker.receiving for worker in self.alive], 0.01):
                (worker,) = [worker for worker in self.alive if worker.receiving is receiving]
                assert worker.hear(), f"worker {worker.number} ended by itself"

    def kill_one(self) -> None:
        """Kill any of them."""
        worker = self.alive.pop(random.randrange(len(self.alive)))
        worker.kill()
        self.dead.append(worker)

    def kill_all(self) -> None:
        """Kill everybody."""
        while self.alive:
            self.kill_one()


@pytest_asyncio.fixture
async def path(tmp_path: Path) -> Path:
    path = tmp_path / "processes.db"
    async with await SqliteProcessRegistry.open(path) as registry:
        for process_id in (*program.LOGS, program.LEASED):
            await register(registry, process_id, plain_type("line"))
    return path


@pytest.fixture
def crew(path: Path) -> Iterator[Crew]:
    crew = Crew(path)
    yield crew
    crew.kill_all()


def payloads(connection: apsw.Connection, process_id: str) -> list[dict[str, int]]:
    """The payloads of a log in order; what says where it is in the log must be right, and all times must be there."""
    sql = "SELECT sequence, occurred_at_ms, event_json FROM process_events WHERE process_id = ? ORDER BY sequence"
    found = []
    for place, (sequence, occurred_at_ms, text) in enumerate(connection.execute(sql, (process_id,)), 1):
        event = json.loads(text)
        assert sequence == event["sequence"] == event["invocation"]["subject"]["sequence"] == place
        assert event["occurred_at"]["secs_since_epoch"] == occurred_at_ms // 1000
        found.append(event["payload"])
    return found


def check(crew: Crew, path: Path) -> None:
    """After all were killed."""
    connection = apsw.Connection(str(path))
    try:
        appended: dict[tuple[int, int], int] = {}
        for process_id in program.LOGS:
            for sequence, payload in enumerate(payloads(connection, process_id), 1):
                key = (payload["worker"], payload["number"])
                assert key not in appended, "an event stands twice in the logs"
                appended[key] = sequence
        for worker in crew.dead:
            for number, sequence in worker.events:
                assert appended[worker.number, number] == sequence, "an acknowledged event is lost, or moved"
        signed = [payload["fencing"] for payload in payloads(connection, program.LEASED)]
        claimed = Counter(token for worker in crew.dead for token in worker.leases)
        highest = int(connection.execute("SELECT lease_fencing_token FROM process_leases").get)
        assert max(Counter(signed).values()) == 1, "two have signed with one fencing token"
        assert max(claimed.values()) == 1, "two were given one fencing token"
        assert max(claimed) <= highest
        assert all(worker.leases == sorted(worker.leases) for worker in crew.dead)
        assert connection.pragma("integrity_check") == "ok"
    finally:
        connection.close()


@pytest.mark.timeout(600)
def test_killed_workers_leave_whole_logs_and_single_leases(crew: Crew, path: Path) -> None:
    crew.fill()
    for kill in range(KILLS_AT_ONCE, KILLS + 1, KILLS_AT_ONCE):
        crew.listen(random.uniform(0, 0.02))
        for _ in range(KILLS_AT_ONCE):
            crew.kill_one()
        if kill % KILLS_BETWEEN_CHECKS == 0:
            crew.kill_all()
            check(crew, path)
        crew.fill()
    crew.kill_all()
    check(crew, path)
    assert sum(len(worker.events) for worker in crew.dead) > KILLS
    assert len({worker.number for worker in crew.dead if worker.leases}) > WORKERS
