"""A cancelled await: what was not started is withdrawn; what was started ends first, then the cancellation goes on."""

import asyncio
import gc
import random
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_store import Commit, Database, Plan, SqliteConnection, Step, Transaction
from lash_store.sqlite.readers import MAX_READERS
from tests.watchdog import LIMIT_S, Program, await_true, bounded

PLAN = Plan([Step("INSERT INTO item VALUES (1)")])
GATED = Plan([Step("INSERT INTO item VALUES (gate())")])


class Gate:
    """Holds whoever passes through it until it is opened; says when the first has come."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._opened = threading.Event()

    def pass_through(self, *_: object) -> int:
        self._entered.set()
        assert self._opened.wait(LIMIT_S)
        return 1

    async def entered(self) -> None:
        """Wait until somebody stands at the gate."""
        assert await asyncio.to_thread(self._entered.wait, LIMIT_S)

    def open(self) -> None:
        self._opened.set()

    def inserting(self, transaction: Transaction) -> None:
        self.pass_through()
        transaction.execute("INSERT INTO item VALUES (1)")

    def flowing(self, transaction: Transaction) -> Commit[None]:
        self.inserting(transaction)
        return Commit(None)

    def raw(self, connection: apsw.Connection) -> None:
        self.pass_through()
        connection.execute("INSERT INTO item VALUES (1)")


def insert(transaction: Transaction) -> None:
    transaction.execute("INSERT INTO item VALUES (1)")


def insert_flow(transaction: Transaction) -> Commit[None]:
    insert(transaction)
    return Commit(None)


def insert_raw(connection: apsw.Connection) -> None:
    connection.execute("INSERT INTO item VALUES (1)")


def count(connection: apsw.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM item").get)


PASSING: dict[str, Callable[[SqliteConnection], Coroutine[Any, Any, object]]] = {
    "run": lambda connection: connection.run(PLAN),
    "write": lambda connection: connection.write(insert),
    "write_flow": lambda connection: connection.write_flow(insert_flow),
    "call": lambda connection: connection.call(insert_raw),
}
HELD: dict[str, Callable[[SqliteConnection, Gate], Coroutine[Any, Any, object]]] = {
    "run": lambda connection, gate: connection.run(GATED),
    "write": lambda connection, gate: connection.write(gate.inserting),
    "write_flow": lambda connection, gate: connection.write_flow(gate.flowing),
    "call": lambda connection, gate: connection.call(gate.raw),
}


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def connection(tmp_path: Path, gate: Gate) -> AsyncIterator[SqliteConnection]:
    async with await SqliteConnection.open(tmp_path / "store.db") as connection, asyncio.timeout(LIMIT_S):
        await connection.run(Plan([Step("CREATE TABLE item (a)")]))
        await connection.call(lambda c: c.create_scalar_function("gate", gate.pass_through, 0))
        yield connection
        gate.open()


async def cancelled(task: "asyncio.Task[object]") -> None:
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


def spawn(call: Coroutine[Any, Any, object]) -> "asyncio.Task[object]":
    return asyncio.create_task(call)


async def still_waits(task: "asyncio.Task[object]") -> bool:
    """Whether the task has not ended although its loop has had many a chance to end it."""
    for _ in range(20):
        await asyncio.sleep(0.001)
    return not task.done()


@pytest.mark.parametrize("verb", PASSING)
async def test_what_is_queued_is_withdrawn(verb: str, connection: SqliteConnection, gate: Gate) -> None:
    holder = spawn(connection.write(gate.inserting))
    await gate.entered()
    before, doomed, after = (spawn(PASSING[verb](connection)) for _ in range(3))
    await asyncio.sleep(0)
    doomed.cancel()
    await cancelled(doomed)  # at once: the gate is closed still
    assert not holder.done()
    gate.open()
    await asyncio.gather(holder, before, after)
    assert await connection.read(count) == 3


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("verb", HELD)
async def test_what_is_started_is_completed_before_the_cancellation_goes_on(
    verb: str, times: int, connection: SqliteConnection, gate: Gate
) -> None:
    doomed = spawn(HELD[verb](connection, gate))
    await gate.entered()
    for _ in range(times):
        doomed.cancel()
        assert await still_waits(doomed)
    gate.open()
    await cancelled(doomed)
    assert await connection.read(count) == 1
    await PASSING[verb](connection)
    assert await connection.read(count) == 2


@pytest.mark.parametrize("verb", ["run", "write"])
async def test_a_failure_of_what_was_cancelled_after_its_start_is_nobodys_problem(
    verb: str, connection: SqliteConnection, gate: Gate
) -> None:
    def fail(transaction: Transaction) -> None:
        gate.inserting(transaction)
        raise ValueError

    plan = Plan([*GATED.steps, Step("INSERT INTO nowhere VALUES (1)")])
    doomed = spawn(connection.run(plan) if verb == "run" else connection.write(fail))
    await gate.entered()
    doomed.cancel()
    gate.open()
    await cancelled(doomed)
    assert await connection.read(count) == 0


@pytest.mark.parametrize("verb", PASSING)
async def test_a_cancellation_before_the_call_has_begun_calls_nothing(verb: str, connection: SqliteConnection) -> None:
    doomed = spawn(PASSING[verb](connection))
    doomed.cancel()
    await cancelled(doomed)
    assert await connection.read(count) == 0


# Where the cancellation stands in the loop's round that delivers the outcome: the task's turn comes after all of them.
MOMENTS: dict[str, Callable[[asyncio.AbstractEventLoop, Callable[[], object]], object]] = {
    "in a round before": lambda loop, cancel: cancel(),
    "in its round, before it": lambda loop, cancel: loop.call_soon(cancel),
    "in its round, after it": lambda loop, cancel: loop.call_later(0, cancel),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("verb", ["run", "write", "write_flow"])
def test_a_cancellation_about_the_moment_of_delivery_leaves_the_commit(verb: str, moment: str, tmp_path: Path) -> None:
    async def cancel_then() -> tuple[bool, int]:
        async with await SqliteConnection.open(tmp_path / "store.db") as connection:
            await connection.run(Plan([Step("CREATE TABLE item (a)")]))
            doomed = spawn(PASSING[verb](connection))
            await asyncio.sleep(0)  # it is queued
            await_true(lambda: connection.stats().commits == 2)  # and committed, while the loop sees nothing
            MOMENTS[moment](asyncio.get_running_loop(), doomed.cancel)
            await asyncio.wait([doomed])
            await connection.run(PLAN)
            return doomed.cancelled(), await connection.read(count)

    # In a loop of its own: a task that hangs on its way out cannot be cancelled.
    assert bounded(lambda: asyncio.run(cancel_then()), limit_s=10) == (True, 2)


async def test_a_read_that_waits_for_its_turn_is_withdrawn(connection: SqliteConnection, gate: Gate) -> None:
    called: list[int] = []
    holders = [spawn(connection.read(lambda _: gate.pass_through())) for _ in range(MAX_READERS)]
    await gate.entered()
    await asyncio.to_thread(await_true, lambda: connection.stats().readers_open == MAX_READERS)
    doomed = [spawn(connection.read(lambda _, number=number: called.append(number))) for number in range(4)]  # type: ignore[misc]
    await still_waits(doomed[0])
    for task in doomed:
        task.cancel()
    done, _ = await asyncio.wait(doomed, timeout=5)
    prompt = len(done)
    gate.open()
    await asyncio.gather(*holders)
    await asyncio.wait(doomed)
    assert called == []
    assert prompt == len(doomed), "a cancelled read waited for the reads of others"
    assert await connection.read(count) == 0


@pytest.mark.parametrize("times", [1, 3])
async def test_a_read_that_has_begun_ends_before_the_cancellation_goes_on(
    times: int, connection: SqliteConnection, gate: Gate
) -> None:
    doomed = spawn(connection.read(lambda c: (gate.pass_through(), count(c))))
    await gate.entered()
    for _ in range(times):
        doomed.cancel()
        assert await still_waits(doomed)
    gate.open()
    await cancelled(doomed)
    assert await connection.read(count) == 0
    assert connection.stats().oldest_read_ms == 0


@pytest.mark.parametrize("times", [1, 3])
async def test_a_cancelled_close_closes(times: int, connection: SqliteConnection, gate: Gate, tmp_path: Path) -> None:
    holder = spawn(connection.write(gate.inserting))
    await gate.entered()
    queued = spawn(connection.run(PLAN))
    await asyncio.sleep(0)
    closing = spawn(connection.close())
    await asyncio.sleep(0)
    for _ in range(times):
        closing.cancel()
        assert await still_waits(closing)
    gate.open()
    await cancelled(closing)
    assert connection.closed
    await asyncio.gather(holder, queued)
    with Database.open(tmp_path / "store.db") as database:
        assert database.read(count) == 2


@pytest.mark.parametrize("times", [1, 3])
async def test_a_cancelled_open_leaves_nothing_open(times: int, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Program("stranger", path) as stranger:  # in rollback mode, in the way of the conversion
        stranger.ask("CREATE TABLE item (a)")
        stranger.ask("BEGIN IMMEDIATE")
        doomed = spawn(SqliteConnection.open(path))
        assert await still_waits(doomed)
        for _ in range(times):
            doomed.cancel()
            assert await still_waits(doomed)
        stranger.ask("COMMIT")
        await cancelled(doomed)
        gc.collect()
        assert stranger.ask("PRAGMA locking_mode = EXCLUSIVE") == "('exclusive',)"
        assert stranger.ask("PRAGMA wal_checkpoint(TRUNCATE)").startswith("(0,")
        assert stranger.ask("INSERT INTO item VALUES (1)") == "done"  # nobody else has it open


def test_a_storm_of_cancellations_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    def write(connection: SqliteConnection, number: int) -> Coroutine[Any, Any, object]:
        step = Step("INSERT INTO number VALUES (?)", (number,))
        if number % 3:
            return connection.run(Plan([step]))
        return connection.write(lambda transaction: transaction.execute(step.sql, (number,)))

    async def storm() -> tuple[set[int], set[int]]:
        async with await SqliteConnection.open(tmp_path / "store.db") as connection:
            await connection.run(Plan([Step("CREATE TABLE number (n PRIMARY KEY)")]))
            tasks = []
            for number in range(600):
                tasks.append(spawn(write(connection, number)))
                if number % 20 == 0:
                    await asyncio.sleep(0)
                if random.random() < 0.5:
                    random.choice(tasks).cancel()
            await asyncio.wait(tasks)
            stored = await connection.read(lambda c: {int(n) for (n,) in c.execute("SELECT n FROM number")})
            assert connection.stats().queued == 0
            return {number for number, task in enumerate(tasks) if not task.cancelled()}, stored

    answered, stored = bounded(lambda: asyncio.run(storm()))
    assert 0 < len(answered) < 600
    assert answered <= stored
