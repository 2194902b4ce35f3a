"""The executor does what its stub says, in C and in Python alike: the write-ahead log."""

import time
from typing import Any

import apsw
import pytest

from lash_store.sqlite.native import Executor
from tests.sqlite.native.rig import DONE, PATIENCE_S, Rig, Step, await_true, insert

PAGE = 4096


def grow(rig: Rig, pages: int) -> None:
    assert rig.run(Step("INSERT INTO t(b) VALUES (zeroblob(?))", (pages * PAGE,)))[0] == DONE


@pytest.mark.parametrize("has_read", [True, False])
def test_the_log_is_copied_back_by_the_checkpointer(rig: Rig, has_read: bool) -> None:
    # A connection that has not read yet does not know that there is a log.
    rig.checkpointer_has_read = has_read
    grow(rig, 500)
    counters = rig.executor.counters()
    assert 500 <= counters["wal_pages"] == counters["wal_pages_pending"] < 600
    assert rig.checkpointers_wanted == 0
    grow(rig, 600)
    await_true(lambda: rig.executor.counters()["wal_pages_pending"] == 0)
    grow(rig, 1100)
    await_true(lambda: rig.executor.counters()["wal_pages_pending"] == 0)
    assert rig.checkpointers_wanted == 1
    counters = rig.executor.counters()
    assert counters["checkpoints"] >= 2
    assert counters["restarts"] == counters["checkpoint_errors"] == 0


def test_a_commit_of_the_roles_holder_counts_as_well(rig: Rig) -> None:
    rig.executor.acquire()
    rig.connection.execute("INSERT INTO t(b) VALUES (zeroblob(?))", (1100 * PAGE,))
    assert rig.checkpointers_wanted == 0
    rig.executor.release()
    await_true(lambda: rig.executor.counters()["checkpoints"] == 1)


def test_a_long_log_is_started_over(rig: Rig) -> None:
    grow(rig, 4200)
    await_true(lambda: rig.executor.counters()["restarts"] == 1)
    assert rig.executor.counters()["wal_pages_pending"] == 0
    assert rig.run(insert(1))[0] == DONE
    assert rig.executor.counters()["wal_pages"] < 100


def test_a_reader_delays_the_checkpoint_and_harms_no_writer(rig: Rig, other: apsw.Connection) -> None:
    assert rig.run(insert(1))[0] == DONE
    other.execute("BEGIN; SELECT * FROM t")
    grow(rig, 1100)
    began = time.monotonic()
    await_true(lambda: rig.executor.counters()["checkpoints"] >= 4)
    assert time.monotonic() - began > 0.02, "it tries again and again without a pause"
    assert rig.executor.counters()["wal_pages_pending"] >= 1000
    assert rig.run(insert(2))[0] == DONE
    other.execute("ROLLBACK")
    await_true(lambda: rig.executor.counters()["wal_pages_pending"] == 0)
    assert rig.executor.counters()["checkpoint_errors"] == 0


def test_a_checkpointer_that_cannot_get_the_write_lock_goes_on_without(rig: Rig, other: apsw.Connection) -> None:
    rig.may_checkpoint.clear()
    grow(rig, 4200)
    other.execute("BEGIN IMMEDIATE")
    rig.may_checkpoint.set()
    await_true(lambda: rig.executor.counters()["wal_pages_pending"] == 0)
    time.sleep(1.2)  # longer than it waits for the lock
    assert rig.executor.counters()["restarts"] == 0
    other.execute("ROLLBACK")
    grow(rig, 1100)
    await_true(lambda: rig.executor.counters()["wal_pages_pending"] == 0)
    assert rig.executor.counters()["checkpoint_errors"] == 0


class BrokenDisk(apsw.VFS):
    """A file system on which the database file itself cannot be written."""

    def __init__(self) -> None:
        super().__init__("broken_disk", base="")

    def xOpen(self, name: Any, flags: Any) -> Any:  # noqa: N802 - SQLite's name
        return BrokenFile(name, flags)


class BrokenFile(apsw.VFSFile):
    """A file of that file system."""

    def __init__(self, name: Any, flags: list[int]) -> None:
        self.broken = bool(flags[0] & apsw.SQLITE_OPEN_MAIN_DB)
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - SQLite's name
        if self.broken:
            raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE)
        super().xWrite(data, offset)


def test_a_failing_checkpoint_is_counted_and_harms_no_writer(rig: Rig) -> None:
    disk = BrokenDisk()
    rig.checkpoint_vfs = "broken_disk"
    grow(rig, 1100)
    await_true(lambda: rig.executor.counters()["checkpoint_errors"] >= 2)
    assert rig.run(insert(1))[0] == DONE
    counters = rig.executor.counters()
    assert counters["checkpoints"] == 0
    assert counters["wal_pages_pending"] >= 1000
    rig.executor.stop()
    for thread in rig.threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    disk.unregister()


def test_a_checkpointer_that_cannot_be_started_is_asked_for_again(rig: Rig) -> None:
    wanted: list[int] = []

    def start_checkpointer() -> None:
        wanted.append(1)
        raise RuntimeError("can't start new thread")

    own = Executor(rig.connection, busy_timeout_ms=1000, start_worker=int, start_checkpointer=start_checkpointer)
    for number in (1, 2):
        assert own.run([Step("INSERT INTO t(b) VALUES (zeroblob(?))", (1100 * PAGE,))])[0] == DONE
        assert len(wanted) == own.counters()["checkpoint_errors"] == number
    own.close()
