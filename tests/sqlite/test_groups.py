"""Who shares a commit stands and falls alone: a failing member leaves the others committed, and itself no trace."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_store import (
    ConstraintViolation,
    Database,
    Expect,
    GuardFailed,
    InvalidPlan,
    Plan,
    SqliteConnection,
    Step,
    StoreBackend,
    StoreError,
    Transaction,
)
from tests.watchdog import LIMIT_S, bounded

Call = Callable[[SqliteConnection, int], Coroutine[Any, Any, object]]

INSERT = "INSERT INTO item VALUES (?)"
TABLES = Plan(
    [
        Step("CREATE TABLE item (n INTEGER PRIMARY KEY)"),
        Step("CREATE TABLE forbidden (n)"),
        Step("CREATE TRIGGER ends_all BEFORE INSERT ON forbidden BEGIN SELECT RAISE(ROLLBACK, 'no'); END"),
        Step("CREATE TABLE parent (n INTEGER PRIMARY KEY)"),
        Step("CREATE TABLE child (n REFERENCES parent DEFERRABLE INITIALLY DEFERRED)"),
        Step(INSERT, (0,)),
    ]
)


class WrongError(Exception):
    """A closure's own."""


def failing_plan(*steps: Step) -> Call:
    """A plan that first writes row `number` and then fails."""
    return lambda connection, number: connection.run(Plan([Step(INSERT, (number,)), *steps]))


def failing_closure(sql: str) -> Call:
    def write(transaction: Transaction, number: int) -> None:
        transaction.execute(INSERT, (number,))
        transaction.execute(sql)

    return lambda connection, number: connection.write(lambda transaction: write(transaction, number))


def raising_closure(connection: SqliteConnection, number: int) -> Coroutine[Any, Any, object]:
    def write(transaction: Transaction) -> None:
        transaction.execute(INSERT, (number,))
        raise WrongError

    return connection.write(write)


def stubborn_closure(connection: SqliteConnection, number: int) -> Coroutine[Any, Any, object]:
    """It goes on after SQLite has ended its transaction."""

    def write(transaction: Transaction) -> None:
        with suppress(ConstraintViolation):
            transaction.execute("INSERT OR ROLLBACK INTO item VALUES (0)")
        transaction.execute(INSERT, (number,))

    return connection.write(write)


FAILURES: dict[str, tuple[Call, type[Exception]]] = {
    "plan: constraint": (failing_plan(Step(INSERT, (0,))), ConstraintViolation),
    "plan: guard": (failing_plan(Step("SELECT 1 FROM item WHERE n = 0", expect=Expect.NO_ROW)), GuardFailed),
    "plan: changes": (failing_plan(Step("DELETE FROM item WHERE n < 0", expect=1)), GuardFailed),
    "plan: no such table": (failing_plan(Step("INSERT INTO nowhere VALUES (1)")), StoreBackend),
    "plan: wrong values": (failing_plan(Step(INSERT, (1, 2))), InvalidPlan),
    "plan: OR ROLLBACK": (failing_plan(Step("INSERT OR ROLLBACK INTO item VALUES (0)")), ConstraintViolation),
    "plan: RAISE(ROLLBACK)": (failing_plan(Step("INSERT INTO forbidden VALUES (1)")), ConstraintViolation),
    "plan: deferred foreign key": (failing_plan(Step("INSERT INTO child VALUES (7)")), ConstraintViolation),
    "closure: constraint": (failing_closure("INSERT INTO item VALUES (0)"), ConstraintViolation),
    "closure: exception": (raising_closure, WrongError),
    "closure: OR ROLLBACK": (failing_closure("INSERT OR ROLLBACK INTO item VALUES (0)"), ConstraintViolation),
    "closure: RAISE(ROLLBACK)": (failing_closure("INSERT INTO forbidden VALUES (1)"), ConstraintViolation),
    "closure: deferred foreign key": (failing_closure("INSERT INTO child VALUES (7)"), ConstraintViolation),
    "closure: goes on": (stubborn_closure, StoreError),
}


def items(connection: apsw.Connection) -> list[int]:
    return [int(n) for (n,) in connection.execute("SELECT n FROM item ORDER BY n")]


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[SqliteConnection]:
    async with await SqliteConnection.open(tmp_path / "store.db") as connection:
        await connection.run(TABLES)
        yield connection


async def together(connection: SqliteConnection, calls: list[Call]) -> list[object]:
    """Let all calls wait for the writer at the same time; return their outcomes. Call number i is given i + 1."""
    entered, gate = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        entered.set()
        assert gate.wait(LIMIT_S)

    holder = asyncio.ensure_future(connection.write(hold))
    assert await asyncio.to_thread(entered.wait, LIMIT_S)
    tasks = [asyncio.ensure_future(call(connection, number)) for number, call in enumerate(calls, 1)]
    await asyncio.sleep(0)  # all are queued
    gate.set()
    async with asyncio.timeout(LIMIT_S):
        await holder
        return await asyncio.gather(*tasks, return_exceptions=True)


def plan(connection: SqliteConnection, number: int) -> Coroutine[Any, Any, object]:
    return connection.run(Plan([Step(INSERT, (number,), expect=1)]))


def closure(connection: SqliteConnection, number: int) -> Coroutine[Any, Any, object]:
    return connection.write(lambda transaction: transaction.execute(INSERT, (number,)))


@pytest.mark.parametrize("place", [0, 3, 7])
@pytest.mark.parametrize("others", [plan, closure], ids=["among plans", "among closures"])
@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failing_member_leaves_the_others_committed(
    failure: str, others: Call, place: int, connection: SqliteConnection, tmp_path: Path
) -> None:
    failing, expected = FAILURES[failure]
    calls = [others] * 7
    calls.insert(place, failing)
    outcomes = await together(connection, calls)
    assert isinstance(outcomes[place], expected)
    survivors = [number for number in range(9) if number != place + 1]
    assert [outcome for outcome in outcomes if isinstance(outcome, BaseException)] == [outcomes[place]]
    assert await connection.read(items) == survivors
    await connection.close()
    with Database.open(tmp_path / "store.db") as database:
        assert database.read(items) == survivors


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_failing_member_alone_leaves_no_trace(failure: str, connection: SqliteConnection) -> None:
    failing, expected = FAILURES[failure]
    with pytest.raises(expected):
        await failing(connection, 1)
    assert await connection.read(items) == [0]
    await plan(connection, 1)
    assert await connection.read(items) == [0, 1]


async def test_any_number_of_members_may_fail(connection: SqliteConnection) -> None:
    kinds = list(FAILURES.values())
    calls: list[Call] = []
    for failing, _ in kinds:
        calls += [plan, failing, closure, failing]
    outcomes = await together(connection, calls)
    failed = {number for number, outcome in enumerate(outcomes, 1) if isinstance(outcome, BaseException)}
    assert failed == set(range(2, len(calls) + 1, 2))
    assert await connection.read(items) == [0, *range(1, len(calls) + 1, 2)]


async def test_plans_that_waited_together_share_a_commit(connection: SqliteConnection) -> None:
    before = connection.stats()
    await together(connection, [plan] * 30)
    after = connection.stats()
    assert after.largest_batch == 30
    assert (after.commits - before.commits, after.batches - before.batches) == (31, 2)


def test_a_blocking_closure_that_goes_on_after_its_transaction_leaves_no_trace(tmp_path: Path) -> None:
    def write(transaction: Transaction) -> None:
        with suppress(ConstraintViolation):
            transaction.execute("INSERT OR ROLLBACK INTO item VALUES (0)")
        transaction.execute(INSERT, (1,))

    with Database.open(tmp_path / "store.db") as database:
        database.run(TABLES)
        with pytest.raises(StoreError):
            bounded(lambda: database.write(write))
        assert database.read(items) == [0]
