"""A wait for the write lock ends after its budget, for everybody who waits, and leaves the handle as good as before."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import apsw
import pytest

from lash_store import Commit, Database, Plan, SqliteConnection, Step, StoreBusy, Transaction
from tests.watchdog import LIMIT_S, Background, bounded

BUDGET_MS = 250
THREADS = 80
SLACK_MS = 20_000  # for a slow machine; a budget is only exceeded if it is waited out again and again

PLAN = Plan([Step("INSERT INTO item VALUES (1)")])


def insert(transaction: Transaction) -> None:
    transaction.execute("INSERT INTO item VALUES (1)")


def insert_flow(transaction: Transaction) -> Commit[None]:
    insert(transaction)
    return Commit(None)


def insert_raw(connection: apsw.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE; INSERT INTO item VALUES (1); COMMIT")


def insert_bare(connection: apsw.Connection) -> None:
    connection.execute("INSERT INTO item VALUES (1)")


BLOCKING: dict[str, Callable[[Database], object]] = {
    "run": lambda database: database.run(PLAN),
    "write": lambda database: database.write(insert),
    "write_flow": lambda database: database.write_flow(insert_flow),
    "call, BEGIN": lambda database: database.call(insert_raw),
    "call, bare": lambda database: database.call(insert_bare),
}
ASYNCHRONOUS: dict[str, Callable[[SqliteConnection], Awaitable[object]]] = {
    "run": lambda connection: connection.run(PLAN),
    "write": lambda connection: connection.write(insert),
    "write_flow": lambda connection: connection.write_flow(insert_flow),
    "call, BEGIN": lambda connection: connection.call(insert_raw),
    "call, bare": lambda connection: connection.call(insert_bare),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Database.open(tmp_path / "store.db") as database:
        database.call(lambda connection: connection.execute("CREATE TABLE item (a)").fetchall())
    return tmp_path / "store.db"


class Rival:
    """Another connection, which can hold the write lock."""

    def __init__(self, path: Path) -> None:
        self.connection = apsw.Connection(str(path))
        self.connection.set_busy_timeout(int(LIMIT_S * 1000))

    def hold(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")

    def let_go(self) -> None:
        self.connection.execute("ROLLBACK")

    def items(self) -> int:
        return int(self.connection.execute("SELECT count(*) FROM item").get)


@pytest.fixture
def rival(path: Path) -> Iterator[Rival]:
    rival = Rival(path)
    yield rival
    rival.connection.close()


def check_wait(error: StoreBusy, began: float) -> None:
    assert BUDGET_MS * 0.9 <= error.waited_ms <= (time.monotonic() - began) * 1000 + 1
    assert (time.monotonic() - began) * 1000 < BUDGET_MS + SLACK_MS


@pytest.mark.parametrize("verb", BLOCKING)
def test_a_blocking_write_gives_up_after_its_budget_and_works_once_the_lock_is_free(
    verb: str, path: Path, rival: Rival
) -> None:
    with Database.open(path, busy_timeout_ms=BUDGET_MS) as database:
        rival.hold()
        began = time.monotonic()
        with pytest.raises(StoreBusy) as caught:
            bounded(lambda: BLOCKING[verb](database))
        check_wait(caught.value, began)
        assert caught.value.retryable
        rival.let_go()
        assert rival.items() == 0
        BLOCKING[verb](database)
        assert rival.items() == 1


@pytest.mark.parametrize("verb", ASYNCHRONOUS)
async def test_an_awaited_write_gives_up_after_its_budget_and_works_once_the_lock_is_free(
    verb: str, path: Path, rival: Rival
) -> None:
    async with await SqliteConnection.open(path, busy_timeout_ms=BUDGET_MS) as connection, asyncio.timeout(LIMIT_S):
        rival.hold()
        began = time.monotonic()
        with pytest.raises(StoreBusy) as caught:
            await ASYNCHRONOUS[verb](connection)
        check_wait(caught.value, began)
        rival.let_go()
        assert rival.items() == 0
        await ASYNCHRONOUS[verb](connection)
        assert rival.items() == 1


@pytest.mark.parametrize("verb", ["run", "write"])
async def test_a_write_that_gets_the_lock_in_time_succeeds_and_the_wait_is_counted(
    verb: str, path: Path, rival: Rival
) -> None:
    async with await SqliteConnection.open(path) as connection, asyncio.timeout(LIMIT_S):
        began = time.monotonic()
        for held_s in (0.1, 1.0, 10.0):  # longer, if the writer came too late to wait
            rival.hold()
            writing = asyncio.ensure_future(ASYNCHRONOUS[verb](connection))
            done, _ = await asyncio.wait([writing], timeout=held_s)
            assert not done
            rival.let_go()
            await writing
            if connection.stats().busy_waits:
                break
        stats = connection.stats()
        assert stats.commits == rival.items()
        assert stats.busy_waits == 1
        assert 0 < stats.busy_wait_ms <= (time.monotonic() - began) * 1000 + 1


@pytest.mark.parametrize("verb", ["run", "write", "write_flow"])
async def test_everybody_in_the_queue_gives_up_after_a_budget_of_his_own(verb: str, path: Path, rival: Rival) -> None:
    async with await SqliteConnection.open(path, busy_timeout_ms=BUDGET_MS) as connection, asyncio.timeout(LIMIT_S):
        rival.hold()
        began = time.monotonic()
        outcomes = await asyncio.gather(*(ASYNCHRONOUS[verb](connection) for _ in range(200)), return_exceptions=True)
        took_ms = (time.monotonic() - began) * 1000
        assert [type(outcome) for outcome in outcomes] == [StoreBusy] * 200
        assert all(isinstance(outcome, StoreBusy) and outcome.waited_ms >= BUDGET_MS * 0.9 for outcome in outcomes)
        assert took_ms < BUDGET_MS + SLACK_MS, "those behind waited for the budgets of those before them"
        rival.let_go()
        await ASYNCHRONOUS[verb](connection)
        assert rival.items() == 1


@pytest.mark.parametrize("verb", ["run", "write"])
def test_every_waiting_thread_gives_up_after_a_budget_of_its_own(verb: str, path: Path, rival: Rival) -> None:
    def outcome() -> object:
        try:
            return BLOCKING[verb](database)
        except StoreBusy as error:
            return error

    with Database.open(path, busy_timeout_ms=BUDGET_MS) as database:
        rival.hold()
        began = time.monotonic()
        threads = [Background(outcome) for _ in range(THREADS)]
        errors = [thread.result() for thread in threads]
        for error in errors:
            assert isinstance(error, StoreBusy)
            assert error.waited_ms >= BUDGET_MS * 0.9
        assert (time.monotonic() - began) * 1000 < THREADS * BUDGET_MS, "they waited one after another"
        rival.let_go()
        BLOCKING[verb](database)
        assert rival.items() == 1


def test_a_member_that_came_later_outlasts_those_before_it(path: Path, rival: Rival) -> None:
    with Database.open(path, busy_timeout_ms=BUDGET_MS * 2) as database:
        rival.hold()
        early = Background(lambda: database.run(PLAN))
        assert not early.done(BUDGET_MS / 1000)
        late = Background(lambda: database.run(PLAN))
        with pytest.raises(StoreBusy):
            early.result()
        rival.let_go()
        late.result()
        assert rival.items() == 1


def test_without_a_budget_nobody_waits(path: Path, rival: Rival) -> None:
    with Database.open(path, busy_timeout_ms=0) as database:
        rival.hold()
        for verb in BLOCKING.values():
            with pytest.raises(StoreBusy) as caught:
                bounded(partial(verb, database))
            assert caught.value.waited_ms < SLACK_MS
        rival.let_go()
        database.run(PLAN)
        assert rival.items() == 1


def test_a_read_waits_for_no_writer(path: Path, rival: Rival) -> None:
    with Database.open(path) as database:
        rival.hold()
        rival.connection.execute("INSERT INTO item VALUES (2)")

        def count(connection: apsw.Connection) -> int:
            return int(connection.execute("SELECT count(*) FROM item").get)

        assert bounded(lambda: database.read(count)) == 0
        writing = Background(lambda: database.run(PLAN))
        assert bounded(lambda: database.read(count)) == 0
        rival.connection.execute("COMMIT")
        writing.result()
        assert database.read(count) == 2
