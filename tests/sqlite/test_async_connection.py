"""The asynchronous handle: the verbs of `Database`, awaited; one future for each call, whatever else goes on."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
import pytest_asyncio

from lash_store import (
    BUSY_TIMEOUT_MS,
    Commit,
    ConstraintViolation,
    Database,
    Expect,
    GuardFailed,
    InvalidPlan,
    Plan,
    PlanResult,
    Rollback,
    SqliteConnection,
    Step,
    StoreClosed,
    StoreOpenFailed,
    StoreReadOnly,
    Transaction,
)
from lash_store.sqlite import native
from lash_store.sqlite.plan import SqlValue

# How long anything may take before a test calls it a hang, in seconds.
PATIENCE_S = 20.0


@pytest_asyncio.fixture
async def connection(tmp_path: Path) -> AsyncIterator[SqliteConnection]:
    async with await SqliteConnection.open(tmp_path / "x.db") as opened:
        await opened.call(lambda raw: raw.execute("CREATE TABLE t(a UNIQUE, b)").fetchall())
        yield opened


def insert(value: SqlValue) -> Plan:
    return Plan([Step("INSERT INTO t(a) VALUES (?)", (value,))])


def listing(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def column(connection: SqliteConnection) -> list[Any]:
    rows = await connection.read(lambda reader: reader.execute("SELECT a FROM t ORDER BY rowid").fetchall())
    return [row[0] for row in rows]


async def test_every_verb(connection: SqliteConnection) -> None:
    assert await connection.run(insert(1)) == PlanResult(None, None, (), 1)
    assert await connection.write(lambda tx: tx.executemany("INSERT INTO t(a) VALUES (?)", [(2,), (3,)])) == 2
    assert await connection.write_flow(lambda tx: Commit(tx.execute("DELETE FROM t WHERE a = 3 RETURNING a"))) == [(3,)]
    assert await connection.write_flow(lambda tx: Rollback(tx.execute("DELETE FROM t RETURNING a"))) == [(1,), (2,)]
    assert await connection.call(lambda raw: raw.pragma("user_version", 9)) is None
    assert await connection.read(lambda reader: reader.pragma("user_version")) == 9
    assert await column(connection) == [1, 2]
    assert connection.stats().commits == 3
    assert connection.stats().implementation == native.IMPLEMENTATION


async def test_errors_are_those_of_the_synchronous_handle(connection: SqliteConnection) -> None:
    await connection.run(insert(1))
    with pytest.raises(ConstraintViolation) as refused:
        await connection.run(insert(1))
    assert refused.value.step == 0
    with pytest.raises(ConstraintViolation) as translated:
        await connection.write(lambda tx: tx.execute("INSERT INTO t(a) VALUES (1)"))
    assert isinstance(translated.value.__cause__, apsw.ConstraintError)
    with pytest.raises(GuardFailed) as missed:
        await connection.run(Plan([Step("SELECT a FROM t", expect=Expect.NO_ROW, name="empty")]))
    assert (missed.value.name, missed.value.row) == ("empty", (1,))
    with pytest.raises(InvalidPlan):
        await connection.run(Plan([]))
    with pytest.raises(StoreReadOnly):
        await connection.read(lambda reader: reader.execute("DELETE FROM t").fetchall())
    error = LookupError("mine")

    def fail(_: object) -> Any:
        raise error

    verbs: list[Callable[[Callable[[Any], Any]], Any]] = [
        connection.write,
        connection.write_flow,
        connection.call,
        connection.read,
    ]
    for verb in verbs:
        with pytest.raises(LookupError) as passed:
            await verb(fail)
        assert passed.value is error
    assert await column(connection) == [1]


async def test_many_tasks_share_commits_and_each_gets_its_own_answer(connection: SqliteConnection) -> None:
    async def work(number: int) -> list[int]:
        seen = []
        for n in range(20):
            plan = Plan([Step("INSERT INTO t VALUES (?1, ?2) RETURNING a", (number * 100 + n, "b"), rows=True)])
            seen.append((await connection.run(plan)).rows[0][0][0])
        return seen

    answers = await asyncio.wait_for(asyncio.gather(*map(work, range(40))), PATIENCE_S)
    assert answers == [[number * 100 + n for n in range(20)] for number in range(40)]
    assert sorted(await column(connection)) == sorted(key for keys in answers for key in keys)
    stats = connection.stats()
    assert (stats.commits, stats.queued) == (800, 0)
    assert stats.batches < 400
    assert stats.largest_batch > 4


async def test_closures_plans_and_reads_side_by_side(connection: SqliteConnection) -> None:
    def put(value: int) -> Callable[[Transaction], object]:
        return lambda tx: tx.execute("INSERT INTO t(a) VALUES (?)", (value,))

    jobs: list[Any] = [connection.run(insert(n)) if n % 2 else connection.write(put(n)) for n in range(60)]
    reads = [column(connection) for _ in range(20)]
    results = await asyncio.wait_for(
        asyncio.gather(*jobs, *reads, connection.write(put(3)), return_exceptions=True), PATIENCE_S
    )
    assert sorted(await column(connection)) == list(range(60))
    assert [type(result) for result in results if isinstance(result, Exception)] == [ConstraintViolation]


async def test_closures_that_share_a_commit_stand_or_fall_each_for_itself(connection: SqliteConnection) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        entered.set()
        assert leave.wait(PATIENCE_S)

    def put(value: int) -> Callable[[Transaction], Commit[int] | Rollback[int]]:
        def work(tx: Transaction) -> Commit[int] | Rollback[int]:
            tx.execute("INSERT INTO t(a) VALUES (?)", (value,))
            if value % 3 == 1:
                raise LookupError(value)
            return Commit(value) if value % 3 else Rollback(value)

        return work

    holding = asyncio.create_task(connection.write(hold))
    assert await asyncio.to_thread(entered.wait, PATIENCE_S)
    before = connection.stats()
    jobs = [asyncio.create_task(connection.write_flow(put(n))) for n in range(12)]
    await asyncio.sleep(0)
    leave.set()
    await holding
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert [repr(result) for result in results] == [f"LookupError({n})" if n % 3 == 1 else str(n) for n in range(12)]
    assert await column(connection) == [2, 5, 8, 11]
    stats = connection.stats()
    assert (stats.commits - before.commits, stats.largest_batch) == (5, 4)


async def test_what_is_submitted_first_runs_first(connection: SqliteConnection) -> None:
    await asyncio.gather(*(connection.run(insert(n)) for n in range(300)))
    assert await column(connection) == list(range(300))


async def test_a_read_does_not_wait_for_a_writer_that_holds_the_lock(connection: SqliteConnection) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        tx.execute("INSERT INTO t(a) VALUES (1)")
        entered.set()
        assert leave.wait(PATIENCE_S)

    holding = asyncio.create_task(connection.write(hold))
    assert await asyncio.to_thread(entered.wait, PATIENCE_S)
    assert await asyncio.wait_for(column(connection), PATIENCE_S) == []
    leave.set()
    await holding
    assert await column(connection) == [1]


async def test_the_loop_goes_on_while_closures_run(connection: SqliteConnection) -> None:
    ticked = threading.Event()
    asyncio.get_running_loop().call_soon(ticked.set)
    assert await connection.write(lambda tx: ticked.wait(PATIENCE_S))
    ticked.clear()
    asyncio.get_running_loop().call_soon(ticked.set)
    assert await connection.read(lambda reader: ticked.wait(PATIENCE_S))


async def test_closures_run_on_one_thread_that_is_not_the_loops(connection: SqliteConnection) -> None:
    writers = {await connection.write(lambda tx: threading.get_ident()) for _ in range(5)}
    writers |= {await connection.call(lambda raw: threading.get_ident())}
    assert len(writers) == 1
    assert threading.get_ident() not in writers
    assert await connection.read(lambda reader: threading.get_ident()) not in {*writers, threading.get_ident()}


async def test_a_read_only_handle(connection: SqliteConnection, tmp_path: Path) -> None:
    await connection.run(insert(1))
    async with await SqliteConnection.open_readonly(tmp_path / "x.db") as readonly:
        assert await column(readonly) == [1]
        assert await readonly.call(lambda raw: raw.execute("SELECT a FROM t").fetchall()) == [(1,)]
        with pytest.raises(StoreReadOnly):
            await readonly.run(insert(2))
        with pytest.raises(StoreReadOnly):
            await readonly.write(lambda tx: None)
        with pytest.raises(StoreReadOnly):
            await readonly.write_flow(lambda tx: Commit(None))
        with pytest.raises(StoreReadOnly):
            await readonly.call(lambda raw: raw.execute("DELETE FROM t").fetchall())
    assert await column(connection) == [1]


async def test_memory() -> None:
    async with await SqliteConnection.open_in_memory() as connection:
        await connection.call(lambda raw: raw.execute("CREATE TABLE t(a)").fetchall())
        await asyncio.gather(*(connection.run(insert(n)) for n in range(10)))
        assert await column(connection) == list(range(10))
        with pytest.raises(StoreReadOnly):
            await connection.read(lambda reader: reader.execute("DELETE FROM t").fetchall())
        assert connection.path == ":memory:"


async def test_opening_what_cannot_be_opened(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "x.db"
    for opening in (SqliteConnection.open, SqliteConnection.open_readonly):
        with pytest.raises(StoreOpenFailed) as caught:
            await opening(missing)
        assert caught.value.path == str(missing)
    assert listing(tmp_path) == []


async def test_options_are_passed_on(tmp_path: Path) -> None:
    class Stopped:
        def now_ms(self) -> int:
            return 42

    opened = await SqliteConnection.open(
        tmp_path / "x.db", durability="full", busy_timeout_ms=BUSY_TIMEOUT_MS, clock=Stopped()
    )
    async with opened as connection:
        assert await connection.call(lambda raw: raw.pragma("synchronous")) == 2
        assert await connection.write(lambda tx: tx.now_ms()) == 42
        assert (await connection.run(Plan([Step("SELECT lash_now_ms()", rows=True)]))).rows == ([(42,)],)


async def test_close_finishes_what_is_queued_and_refuses_the_rest(tmp_path: Path) -> None:
    connection = await SqliteConnection.open(tmp_path / "x.db")
    await connection.call(lambda raw: raw.execute("CREATE TABLE t(a UNIQUE, b)").fetchall())
    jobs = [asyncio.create_task(connection.run(insert(n))) for n in range(50)]
    await asyncio.sleep(0)
    await connection.close()
    await connection.close()
    assert connection.closed
    assert [result.changes for result in await asyncio.gather(*jobs)] == [1] * 50
    for refused in (connection.run(insert(99)), connection.write(lambda tx: None), column(connection)):
        with pytest.raises(StoreClosed):
            await refused
    with pytest.raises(StoreClosed):
        connection.stats()
    assert listing(tmp_path) == ["x.db"]
    with Database.open_readonly(tmp_path / "x.db") as database:
        assert database.read(lambda reader: reader.execute("SELECT count(*) FROM t").fetchall()) == [(50,)]
