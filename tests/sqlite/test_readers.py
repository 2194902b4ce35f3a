"""The reader pool: bounded, one snapshot each, clean for the next one, and telling how long it holds up the log."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_store import Database, Plan, Step, StoreBackend, StoreClosed, StoreReadOnly
from lash_store.sqlite.readers import MAX_READERS

# How long anything may take before a test calls it a hang, in seconds.
PATIENCE_S = 20.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "x.db") as opened:
        opened.call(lambda raw: raw.execute("CREATE TABLE t(a); INSERT INTO t VALUES (1)").fetchall())
        yield opened


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


class Gate:
    """Lets readers in, counts how many are inside, and keeps them until it opens."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = self.most = 0
        self.arrivals = threading.Semaphore(0)
        self.opened = threading.Event()

    def __call__(self, reader: apsw.Connection) -> list[Any]:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        rows = reader.execute("SELECT a FROM t").fetchall()  # from here on there is a snapshot
        self.arrivals.release()
        assert self.opened.wait(PATIENCE_S)
        with self.lock:
            self.inside -= 1
        return rows

    def await_arrivals(self, count: int) -> None:
        for _ in range(count):
            assert self.arrivals.acquire(timeout=PATIENCE_S)


@pytest.fixture
def gate(threads: ThreadPoolExecutor) -> Iterator[Gate]:
    """A gate that is open in the end, whatever the test did: its readers must not keep the pool waiting."""
    made = Gate()
    yield made
    made.opened.set()


def test_four_read_at_a_time_and_no_more(database: Database, threads: ThreadPoolExecutor, gate: Gate) -> None:
    assert MAX_READERS == 4
    reads = [threads.submit(database.read, gate) for _ in range(12)]
    gate.await_arrivals(4)
    assert database.stats().readers_open == 4
    assert not wait(reads, 0.05).done
    assert gate.most == 4
    gate.opened.set()
    assert [read.result(PATIENCE_S) for read in reads] == [[(1,)]] * 12
    assert gate.most == 4
    assert database.stats().readers_open == 4
    assert database.stats().oldest_read_ms == 0


def test_connections_are_kept_and_used_again(database: Database) -> None:
    seen = {id(database.read(lambda reader: reader)) for _ in range(20)}
    assert len(seen) == 1
    assert database.stats().readers_open == 1


def test_a_snapshot_begins_with_the_first_look_and_lasts(database: Database) -> None:
    def look(reader: apsw.Connection) -> list[Any]:
        counts = [reader.execute("SELECT count(*) FROM t").fetchall()]
        database.run(Plan([Step("INSERT INTO t VALUES (2)")]))
        return [*counts, reader.execute("SELECT count(*) FROM t").fetchall(), reader.in_transaction]

    assert database.read(look) == [[(1,)], [(1,)], True]
    assert database.read(lambda reader: reader.execute("SELECT count(*) FROM t").fetchall()) == [(2,)]


@pytest.mark.parametrize(
    "sql", ["INSERT INTO t VALUES (2)", "CREATE TABLE u(a)", "PRAGMA user_version = 5", "DROP TABLE t"]
)
def test_writing_is_refused_and_leaves_the_reader_usable(database: Database, sql: str) -> None:
    with pytest.raises(StoreReadOnly) as caught:
        database.read(lambda reader: reader.execute(sql).fetchall())
    assert caught.value.path == database.path
    assert isinstance(caught.value.__cause__, apsw.ReadOnlyError)
    assert database.read(lambda reader: reader.execute("SELECT a FROM t").fetchall()) == [(1,)]
    assert database.stats().readers_open == 1


@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK", "COMMIT; BEGIN", "SAVEPOINT s"])
def test_a_reader_that_ends_its_transaction_harms_nobody(database: Database, ending: str) -> None:
    database.read(lambda reader: reader.execute(ending).fetchall())
    database.run(Plan([Step("INSERT INTO t VALUES (2)")]))
    assert database.read(
        lambda reader: (reader.in_transaction, reader.execute("SELECT count(*) FROM t").fetchall())
    ) == (
        True,
        [(2,)],
    )


def test_a_reader_left_in_the_middle_of_a_statement_harms_nobody(database: Database) -> None:
    kept = []

    def leave(reader: apsw.Connection) -> None:
        cursor = reader.execute("SELECT 1 UNION ALL SELECT 2")
        next(cursor)
        kept.append(cursor)

    for _ in range(MAX_READERS + 1):
        database.read(leave)
    database.run(Plan([Step("INSERT INTO t VALUES (2)")]))
    assert database.read(lambda reader: reader.execute("SELECT count(*) FROM t").fetchall()) == [(2,)]


def test_a_reader_whose_connection_was_closed_is_replaced(database: Database) -> None:
    for _ in range(MAX_READERS + 2):
        try:
            database.read(lambda reader: reader.close())
        except (StoreBackend, StoreClosed):
            continue
    assert database.read(lambda reader: reader.execute("SELECT a FROM t").fetchall()) == [(1,)]
    assert database.stats().readers_open <= MAX_READERS


def test_a_long_reader_pins_the_log_and_the_statistics_say_so(
    database: Database, threads: ThreadPoolExecutor, gate: Gate
) -> None:
    reading = threads.submit(database.read, gate)
    gate.await_arrivals(1)
    for n in range(20):
        database.run(Plan([Step("INSERT INTO t VALUES (zeroblob(20000))"), Step("SELECT ?", (n,))]))
    database.call(lambda raw: raw.wal_checkpoint())
    stats = database.stats()
    assert stats.wal_pages_pending > 20
    assert stats.wal_pages >= stats.wal_pages_pending
    first = stats.oldest_read_ms
    threading.Event().wait(0.02)
    assert database.stats().oldest_read_ms >= first + 20
    gate.opened.set()
    reading.result(PATIENCE_S)
    assert database.stats().oldest_read_ms == 0


def test_close_waits_for_reads_and_refuses_those_that_come_later(
    tmp_path: Path, threads: ThreadPoolExecutor, gate: Gate
) -> None:
    database = Database.open(tmp_path / "x.db")
    database.call(lambda raw: raw.execute("CREATE TABLE t(a)").fetchall())
    inside = [threads.submit(database.read, gate) for _ in range(MAX_READERS)]
    gate.await_arrivals(MAX_READERS)
    late = threads.submit(database.read, gate)
    closing = threads.submit(database.close)
    with pytest.raises(StoreClosed):
        late.result(PATIENCE_S)
    assert not wait([closing], 0.02).done
    gate.opened.set()
    closing.result(PATIENCE_S)
    assert [read.result(PATIENCE_S) for read in inside] == [[]] * MAX_READERS
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]
