"""The log stays bounded while writing goes on, a long reader only holds it up, and the thread ends with the handle."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_store import Database, DatabaseStats, Plan, Step
from lash_store.sqlite.connection import WAL_SIZE_LIMIT

# How long anything may take before a test calls it a hang, in seconds.
PATIENCE_S = 20.0
MIB = 1024 * 1024
# What the checkpointer may be late: it learns of a long log at a commit, and commits go on while it copies.
SLACK = 8 * MIB


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def create(path: Path, page_size: int) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("page_size", page_size)
    connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    connection.close()


def overwrite(size: int) -> Plan:
    """A commit of about `size` bytes of log, which needs no more room in the file when it is repeated."""
    return Plan([Step("REPLACE INTO t VALUES (1, randomblob(?))", (size,))])


def checkpointers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("lash_store checkpointer")]


def await_true(condition: Callable[[], bool]) -> None:
    """Wait for what no event announces."""
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends, "what was waited for did not happen"
        threading.Event().wait(0.002)


def write(database: Database, total: int, each: int) -> tuple[int, DatabaseStats]:
    """Commit `total` bytes in pieces of `each`; the most that the log's file ever took, and the statistics."""
    most = 0
    for _ in range(total // each):
        database.run(overwrite(each))
        most = max(most, database.stats().wal_bytes)
    return most, database.stats()


@pytest.mark.parametrize(("page_size", "each"), [(512, 40_000), (4096, 100_000), (4096, 2_000_000), (65536, 300_000)])
def test_the_log_stays_bounded_under_steady_writing(tmp_path: Path, page_size: int, each: int) -> None:
    assert WAL_SIZE_LIMIT == 64 * MIB
    create(tmp_path / "x.db", page_size)
    with Database.open(tmp_path / "x.db") as database:
        most, stats = write(database, 160 * MIB, each)
        assert most < WAL_SIZE_LIMIT + SLACK
        assert stats.checkpoints > 0
        assert stats.checkpoint_errors == 0
        assert len(checkpointers()) == 1
    assert checkpointers() == []
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]
    assert (tmp_path / "x.db").stat().st_size < 2 * each + 3 * 65536


# Byte 121 of the -shm file is SQLite's lock for whoever does a checkpoint.
OTHER_CHECKPOINT = """
import fcntl, sys
with open(sys.argv[1], "r+b") as shared:
    fcntl.lockf(shared, fcntl.LOCK_EX, 1, 121)
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def others() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that end with the test."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.communicate(timeout=PATIENCE_S)


def hold_checkpoints(others: list[subprocess.Popen[bytes]], path: Path) -> None:
    """Another process is at a checkpoint from now on, until its input ends: a disk that is long at its fsync."""
    arguments = [sys.executable, "-c", OTHER_CHECKPOINT, f"{path}-shm"]
    others.append(subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    assert others[0].stdout is not None
    assert others[0].stdout.readline() == b"held\n"


@pytest.mark.skipif(sys.platform == "win32", reason="the lock of the other process is a POSIX one")
@pytest.mark.parametrize("writers", [1, 3])
def test_writers_wait_for_a_checkpoint_that_takes_long(
    tmp_path: Path, threads: ThreadPoolExecutor, others: list[subprocess.Popen[bytes]], writers: int
) -> None:
    create(tmp_path / "x.db", 4096)
    with Database.open(tmp_path / "x.db") as database:
        database.run(overwrite(100))
        hold_checkpoints(others, tmp_path / "x.db")
        writing = [threads.submit(write, database, 160 * MIB // writers, 300_000) for _ in range(writers)]
        await_true(lambda: database.stats().wal_bytes > 40 * MIB)
        await_true(lambda: not _grows(database))
        others[0].communicate(timeout=PATIENCE_S)
        most = max(one.result(PATIENCE_S)[0] for one in writing)
        assert most < WAL_SIZE_LIMIT + SLACK


@pytest.mark.skipif(sys.platform == "win32", reason="the lock of the other process is a POSIX one")
def test_a_process_that_stopped_at_its_checkpoint_does_not_stop_the_others(
    tmp_path: Path, others: list[subprocess.Popen[bytes]]
) -> None:
    create(tmp_path / "x.db", 4096)
    with Database.open(tmp_path / "x.db") as database:
        database.run(overwrite(100))
        hold_checkpoints(others, tmp_path / "x.db")
        most, stats = write(database, 80 * MIB, 300_000)
        assert most > WAL_SIZE_LIMIT + SLACK
        assert stats.checkpoints == stats.checkpoint_errors == 0


def _grows(database: Database) -> bool:
    """Whether anything is committed in a tenth of a second."""
    before = database.stats().commits
    threading.Event().wait(0.1)
    return database.stats().commits > before


def test_short_writing_starts_no_checkpointer(tmp_path: Path) -> None:
    create(tmp_path / "x.db", 4096)
    with Database.open(tmp_path / "x.db") as database:
        _, stats = write(database, MIB, 10_000)
        assert (stats.checkpoints, stats.restarts, checkpointers()) == (0, 0, [])
        assert stats.wal_pages == stats.wal_pages_pending > 256


def test_memory_needs_no_checkpoints() -> None:
    with Database.open_in_memory() as database:
        database.write(lambda tx: tx.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)"))
        _, stats = write(database, 16 * MIB, MIB)
        assert (stats.checkpoints, stats.wal_bytes, stats.wal_pages, checkpointers()) == (0, 0, 0, [])


def test_a_long_reader_holds_the_log_up_and_afterwards_it_starts_over(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    create(tmp_path / "x.db", 4096)
    inside, leave = threading.Event(), threading.Event()

    def look(reader: apsw.Connection) -> Any:
        rows = reader.execute("SELECT count(*) FROM t").fetchall()
        inside.set()
        assert leave.wait(PATIENCE_S)
        assert reader.execute("SELECT count(*) FROM t").fetchall() == rows
        return rows

    with Database.open(tmp_path / "x.db") as database:
        database.run(overwrite(100))
        reading = threads.submit(database.read, look)
        assert inside.wait(PATIENCE_S)
        _, pinned = write(database, 48 * MIB, 500_000)
        leave.set()
        assert pinned.wal_pages_pending > 40 * MIB // 4096
        assert pinned.wal_bytes > 40 * MIB
        assert pinned.oldest_read_ms > 0
        assert pinned.restarts == 0
        assert pinned.busy_waits == 0, "the checkpointer took the write lock though a reader kept it from copying"
        assert reading.result(PATIENCE_S) == [(1,)]
        assert database.stats().oldest_read_ms == 0
        # Whoever copied the last page of it, the checkpointer or a writer: the log begins at the front again.
        await_true(lambda: _written(database).wal_pages < pinned.wal_pages // 2)
        await_true(lambda: _written(database).wal_pages < 8_000)
        assert database.stats().wal_bytes <= WAL_SIZE_LIMIT + SLACK


def _written(database: Database) -> DatabaseStats:
    """One more small commit, and the statistics after it."""
    database.run(overwrite(5_000))
    return database.stats()


def test_a_log_that_grew_beyond_the_limit_is_cut_back_when_it_starts_over(
    tmp_path: Path, threads: ThreadPoolExecutor
) -> None:
    create(tmp_path / "x.db", 4096)
    inside, leave = threading.Event(), threading.Event()

    def look(reader: apsw.Connection) -> None:
        reader.execute("SELECT count(*) FROM t").fetchall()
        inside.set()
        assert leave.wait(PATIENCE_S)

    with Database.open(tmp_path / "x.db") as database:
        reading = threads.submit(database.read, look)
        assert inside.wait(PATIENCE_S)
        most, _ = write(database, 80 * MIB, 4 * MIB)
        leave.set()
        assert most > WAL_SIZE_LIMIT + SLACK
        reading.result(PATIENCE_S)
        await_true(lambda: _written(database).wal_bytes <= WAL_SIZE_LIMIT)


def test_nothing_is_lost_when_the_handle_closes_in_the_middle_of_a_checkpoint(tmp_path: Path) -> None:
    for turn in range(1, 6):
        with Database.open(tmp_path / "x.db") as database:
            database.write(lambda tx: tx.execute("CREATE TABLE IF NOT EXISTS u(a, b)"))
            while database.stats().wal_pages < 900:
                database.run(Plan([Step("INSERT INTO u VALUES (?, zeroblob(100000))", (turn,))]))
            for _ in range(8):
                database.run(Plan([Step("INSERT INTO u VALUES (?, zeroblob(100000))", (turn,))]))
            before = database.read(lambda reader: reader.execute("SELECT a, count(*) FROM u GROUP BY a").fetchall())
        assert checkpointers() == []
        with Database.open_readonly(tmp_path / "x.db") as database:
            after = database.read(lambda reader: reader.execute("SELECT a, count(*) FROM u GROUP BY a").fetchall())
            assert after == before
            assert len(after) == turn
            check = database.read(lambda reader: reader.execute("PRAGMA integrity_check").fetchall())
            assert check == [("ok",)]
