"""The synchronous handle: its verbs, its statistics after known work, and who waits for whom."""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lash_store import (
    Commit,
    ConstraintViolation,
    Database,
    DatabaseStats,
    Expect,
    GuardFailed,
    InvalidPlan,
    Plan,
    Step,
    StoreClosed,
    StoreError,
    StoreReadOnly,
    Transaction,
)
from lash_store.sqlite import native
from lash_store.sqlite.plan import SqlValue

# How long anything may take before a test calls it a hang, in seconds.
PATIENCE_S = 20.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "x.db") as opened:
        opened.call(lambda raw: raw.execute("CREATE TABLE t(a UNIQUE, b)").fetchall())
        yield opened


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def insert(value: SqlValue) -> Plan:
    return Plan([Step("INSERT INTO t(a) VALUES (?)", (value,))])


def fail(tx: Transaction) -> None:
    raise LookupError


def column(database: Database) -> list[Any]:
    return [row[0] for row in database.read(lambda reader: reader.execute("SELECT a FROM t ORDER BY rowid").fetchall())]


# -- handles ---------------------------------------------------------------------------------------------------------


def test_a_handle_of_each_kind(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with ExitStack() as opened:
        handles = [
            opened.enter_context(Database.open(path)),
            opened.enter_context(Database.open_in_memory()),
            opened.enter_context(Database.open_readonly(path)),
        ]
        assert [handle.path for handle in handles] == [str(path), ":memory:", str(path)]
        assert [handle.read_only for handle in handles] == [False, False, True]
        assert [handle.closed for handle in handles] == [False] * 3
        assert {handle.stats().implementation for handle in handles} == {native.IMPLEMENTATION}
    assert [handle.closed for handle in handles] == [True] * 3


def test_memory_databases_are_private() -> None:
    with Database.open_in_memory() as one, Database.open_in_memory() as other:
        one.call(lambda raw: raw.execute("CREATE TABLE t(a)").fetchall())
        assert other.read(lambda reader: reader.execute("SELECT * FROM sqlite_schema").fetchall()) == []


@pytest.mark.parametrize("kind", ["file", "memory", "readonly"])
def test_closing_twice_does_nothing_and_everything_else_is_refused(tmp_path: Path, kind: str) -> None:
    handle = Database.open(tmp_path / "x.db") if kind != "memory" else Database.open_in_memory()
    if kind == "readonly":
        handle.close()
        handle = Database.open_readonly(tmp_path / "x.db")
    handle.close()
    handle.close()
    verbs: list[Callable[[], object]] = [
        lambda: handle.run(insert(1)),
        lambda: handle.write(lambda tx: None),
        lambda: handle.write_flow(lambda tx: Commit(None)),
        lambda: handle.call(lambda raw: None),
        lambda: handle.read(lambda reader: None),
        handle.stats,
    ]
    for verb in verbs:
        with pytest.raises(StoreClosed) as caught:
            verb()
        assert caught.value.path == handle.path


def test_with_closes_when_its_block_raises(tmp_path: Path) -> None:
    with pytest.raises(LookupError), Database.open(tmp_path / "x.db") as handle:
        raise LookupError
    assert handle.closed
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


# -- the verbs of a read-only handle ---------------------------------------------------------------------------------


def test_a_read_only_handle_reads_and_refuses_to_write(database: Database) -> None:
    database.run(insert(1))
    with Database.open_readonly(database.path) as readonly:
        assert column(readonly) == [1]
        writes: list[Callable[[], object]] = [
            lambda: readonly.run(insert(2)),
            lambda: readonly.write(lambda tx: tx.execute("INSERT INTO t(a) VALUES (2)")),
            lambda: readonly.write_flow(lambda tx: Commit(None)),
            lambda: readonly.call(lambda raw: raw.execute("DELETE FROM t").fetchall()),
            lambda: readonly.read(lambda raw: raw.execute("DELETE FROM t").fetchall()),
        ]
        for write in writes:
            with pytest.raises(StoreReadOnly) as caught:
                write()
            assert caught.value.path == database.path
        database.run(insert(2))
        assert column(readonly) == [1, 2]
        assert readonly.call(lambda raw: raw.in_transaction) is False
        assert readonly.stats() == msgspec.structs.replace(
            EMPTY_STATS, readers_open=1, wal_bytes=readonly.stats().wal_bytes
        )


# -- statistics ------------------------------------------------------------------------------------------------------

EMPTY_STATS = DatabaseStats(
    **dict.fromkeys(set(DatabaseStats.__struct_fields__) - {"implementation"}, 0), implementation=native.IMPLEMENTATION
)


def counted(stats: DatabaseStats) -> tuple[int, int, int, int]:
    return stats.commits, stats.batches, stats.largest_batch, stats.conflicts


def test_a_new_handle_has_done_nothing() -> None:
    with Database.open_in_memory() as database:
        assert database.stats() == EMPTY_STATS


def test_statistics_after_known_work(database: Database) -> None:
    assert counted(database.stats()) == (0, 0, 0, 0)
    for n in range(3):
        database.run(insert(n))
    database.write(lambda tx: tx.execute("INSERT INTO t(a) VALUES (3)"))
    assert counted(database.stats()) == (4, 4, 1, 0)
    refused: list[tuple[type[StoreError], Plan]] = [
        (GuardFailed, Plan([Step("SELECT 1", expect=Expect.NO_ROW)])),
        (InvalidPlan, Plan([Step("COMMIT")])),
        (StoreError, insert(0)),
    ]
    for kind, plan in refused:
        with pytest.raises(kind):
            database.run(plan)
    with pytest.raises(LookupError):
        database.write(fail)
    stats = database.stats()
    assert counted(stats) == (4, 4, 1, 1)
    assert (stats.busy_waits, stats.busy_wait_ms, stats.queued, stats.readers_open) == (0, 0, 0, 0)
    pages = database.call(lambda raw: raw.wal_checkpoint()[0])
    assert 0 < stats.wal_pages == pages
    assert stats.wal_bytes == 32 + pages * (24 + 4096)
    assert stats.wal_pages_pending == pages


def test_what_waits_together_shares_a_commit(database: Database, threads: ThreadPoolExecutor) -> None:
    entered, leave = threading.Event(), threading.Event()

    def hold(tx: Transaction) -> None:
        entered.set()
        assert leave.wait(PATIENCE_S)

    holder = threads.submit(database.write, hold)
    assert entered.wait(PATIENCE_S)
    waiting = [threads.submit(database.run, insert(n)) for n in range(8)]
    while database.stats().queued < len(waiting):
        threading.Event().wait(0.001)
    before = database.stats()
    leave.set()
    assert [job.result(PATIENCE_S).changes for job in [*waiting]] == [1] * 8
    holder.result(PATIENCE_S)
    stats = database.stats()
    assert sorted(column(database)) == list(range(8))
    assert (stats.commits - before.commits, stats.queued) == (9, 0)
    assert 2 <= stats.batches - before.batches <= 3
    assert stats.largest_batch >= 7


# -- who waits for whom ----------------------------------------------------------------------------------------------


def test_a_read_does_not_wait_for_a_writer_that_holds_the_lock(database: Database, threads: ThreadPoolExecutor) -> None:
    database.run(insert(1))

    def write(tx: Transaction) -> list[Any]:
        tx.execute("INSERT INTO t(a) VALUES (2)")
        return threads.submit(column, database).result(PATIENCE_S)

    assert database.write(write) == [1]
    assert column(database) == [1, 2]


def test_a_writer_does_not_wait_for_a_read_which_sees_one_snapshot(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    database.run(insert(1))

    def read(reader: Any) -> list[list[Any]]:
        seen = []
        for n in (2, 3, 4):
            seen.append([row[0] for row in reader.execute("SELECT a FROM t ORDER BY a")])
            assert threads.submit(database.run, insert(n)).result(PATIENCE_S).changes == 1
        return seen

    assert database.read(read) == [[1], [1], [1]]
    assert column(database) == [1, 2, 3, 4]


def test_memory_reads_and_writes_take_turns(threads: ThreadPoolExecutor) -> None:
    with Database.open_in_memory() as database:
        database.call(lambda raw: raw.execute("CREATE TABLE t(a UNIQUE, b)").fetchall())
        jobs = [threads.submit(database.run, insert(n)) for n in range(50)]
        reads = [threads.submit(column, database) for _ in range(50)]
        assert [job.result(PATIENCE_S).changes for job in jobs] == [1] * 50
        for read in reads:
            assert len(read.result(PATIENCE_S)) in range(51)
        with pytest.raises(StoreReadOnly):
            database.read(lambda reader: reader.execute("DELETE FROM t").fetchall())
        assert len(column(database)) == 50


def test_errors_of_one_thread_do_not_touch_the_others(database: Database, threads: ThreadPoolExecutor) -> None:
    def work(number: int) -> int:
        refused = 0
        for n in range(25):
            key = f"{n % 5} of {number}"
            try:
                if number % 2:
                    database.run(insert(key))
                else:
                    database.write(partial(put, key))
            except ConstraintViolation:
                refused += 1
        return refused

    def put(key: str, tx: Transaction) -> None:
        tx.execute("INSERT INTO t(a) VALUES (?)", (key,))

    assert list(threads.map(work, range(8), timeout=PATIENCE_S)) == [20] * 8
    expected = [f"{n} of {number}" for n, number in itertools.product(range(5), range(8))]
    assert sorted(column(database)) == sorted(expected)
    assert database.stats().commits == 40
