"""Keeping the write-ahead log bounded without making a commit pay for it.

The writer only notes how long the log is. The checkpointer, a thread with two connections of its own, copies the log
back into the database file; when the log has become long it also holds the write lock for one pass, so that the log is
copied whole and the next writer starts it over.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

import apsw

from lash_store.sqlite.native.pure_busy import BusyWait

_CHECKPOINT_BYTES: Final = 4 * 1024 * 1024  # of pages not copied back
_RESTART_BYTES: Final = 16 * 1024 * 1024  # of pages in the log
_LIMIT_BYTES: Final = 48 * 1024 * 1024  # of pages in the log: writers must not go on so fast
_HAND_PAUSE_NS: Final = 5_000_000
_GIVE_WAY_S: Final = 0.002
_PATIENCE_S: Final = 5.0  # with somebody else's checkpoint: a slow disk's fsync may take seconds
_LOCK_BUDGET_MS: Final = 1000
_RETRY_MIN_S: Final = 0.02
_RETRY_MAX_S: Final = 1.0


class WalWatch:
    """The log of one database as its writer sees it, and the loop that copies it back."""

    def __init__(self, start_checkpointer: Callable[[], object], page_size: int, budget_s: float) -> None:
        self._checkpoint_pages = _CHECKPOINT_BYTES // page_size
        self._restart_pages = _RESTART_BYTES // page_size
        self._limit_pages = _LIMIT_BYTES // page_size
        self._hand_due_ns = 0
        self._longest_s = min(_PATIENCE_S, budget_s)
        self._patience_s = self._longest_s
        self._start_checkpointer = start_checkpointer
        self._due = threading.Condition(threading.Lock())
        self._commits = 0
        self._copied = 0
        self._started = False
        self._stopped = False
        self.pages = 0
        self.checkpoints = 0
        self.restarts = 0
        self.errors = 0

    @property
    def pending(self) -> int:
        """Pages of the log that are not in the database file yet, as far as this process knows."""
        return max(0, self.pages - self._copied)

    def on_commit(self, _connection: apsw.Connection, name: str, pages: int) -> int:
        """SQLite's WAL hook: the log of database `name` holds `pages` pages after a commit."""
        if name == "main":
            with self._due:
                if pages <= self.pages:
                    # Every commit makes the log longer, so it was started over, and nothing of the new one is copied.
                    self._copied = 0
                self.pages = pages
                self._commits += 1
        return apsw.SQLITE_OK

    def after_commits(self) -> None:
        """Start or wake the checkpointer if the log has become long; called with no lock held, SQLite's or ours."""
        if self.pages < self._checkpoint_pages:
            return
        with self._due:
            start = not self._started and not self._stopped
            self._started = True
            if self.pending >= self._checkpoint_pages:
                self._due.notify_all()
        if start:
            try:
                self._start_checkpointer()
            except Exception:  # noqa: BLE001 - counted
                # The commits stand, and a long log harms none of them: count it, and ask again after the next batch.
                self.errors += 1
                self._started = False

    def ended(self) -> None:
        """The checkpointer's thread is gone: the next commit that finds the log long asks for another."""
        self._started = False

    def hold_back(self, writer: apsw.Connection) -> int:
        """Before a transaction of `writer`, with the role held: keep to the pace of the disk; nanoseconds waited.

        If the log outgrows the checkpointer, which on a crowded machine may get no processor, or be long at its fsync,
        the writer does a checkpoint itself or waits for the one that is under way. A log that a reader pins cannot be
        helped this way, so it is not tried all the time; and a process that was stopped in the middle of its checkpoint
        must not stop the others for ever: whoever waited for it in vain waits half as long the next time.
        """
        began_ns = time.monotonic_ns()
        if self.pages <= self._limit_pages or began_ns < self._hand_due_ns:
            return 0
        while not self._stopped:
            if self._lend_a_hand(writer):
                self._hand_due_ns = time.monotonic_ns() + _HAND_PAUSE_NS
                self._patience_s = self._longest_s
                break
            time.sleep(_GIVE_WAY_S)
            if time.monotonic_ns() - began_ns >= self._patience_s * 1e9:
                self._patience_s /= 2
                break
        return time.monotonic_ns() - began_ns

    def serve(self, locker: apsw.Connection, checkpointer: apsw.Connection) -> None:
        """The checkpointer's loop, until `stop`."""
        wait = BusyWait(_LOCK_BUDGET_MS)
        locker.set_busy_handler(wait.on_busy)
        try:
            retry_s = 0.0
            while self._await_work(retry_s):
                try:
                    complete = self._pass(locker, checkpointer)
                except apsw.BusyError:
                    # Another process is at one, or writes: soon again, or the log would grow meanwhile.
                    retry_s = _RETRY_MIN_S
                    continue
                retry_s = 0.0 if complete else min(max(2 * retry_s, _RETRY_MIN_S), _RETRY_MAX_S)
        finally:
            locker.set_busy_handler(None)

    def stop(self) -> None:
        """Make `serve` return."""
        with self._due:
            self._stopped = True
            self._due.notify_all()

    def _await_work(self, retry_s: float) -> bool:
        """True when a checkpoint is due, `retry_s` after one that could not copy everything; False after `stop`."""
        with self._due:
            self._due.wait_for(lambda: self._stopped, retry_s)
            self._due.wait_for(lambda: self._stopped or self.pending >= self._checkpoint_pages)
            return not self._stopped

    def _pass(self, locker: apsw.Connection, checkpointer: apsw.Connection) -> bool:
        """Copy what can be copied; True if that was the whole log. Raises apsw.BusyError."""
        try:
            if locker.in_transaction:
                locker.execute("ROLLBACK")  # it failed last time, and the write lock must not stay taken
            copied_before = self._copied
            complete = self._checkpoint(checkpointer)
            # Not a page further than the last time: a reader holds the log, and the write lock would not help.
            if self.pages > self._restart_pages and (complete or self._copied != copied_before):
                complete = self._restart(locker, checkpointer)
            return complete
        except apsw.BusyError:
            raise
        except Exception:  # noqa: BLE001 - counted
            self.errors += 1
            return False

    def _restart(self, locker: apsw.Connection, checkpointer: apsw.Connection) -> bool:
        """Copy the whole log while nobody can write: the next writer then finds all of it copied and starts it over."""
        locker.execute("BEGIN IMMEDIATE")
        try:
            complete = self._checkpoint(checkpointer)
            self.restarts += complete
            return complete
        finally:
            locker.execute("ROLLBACK")

    def _lend_a_hand(self, writer: apsw.Connection) -> bool:
        """A checkpoint by the writer; False if somebody else is at one."""
        try:
            self._checkpoint(writer)
        except apsw.BusyError:
            return False
        except apsw.Error:
            self.errors += 1
        return True

    def _checkpoint(self, checkpointer: apsw.Connection) -> bool:
        # A connection that has not read since the file became WAL does not know of the log, and would copy nothing.
        checkpointer.pragma("schema_version")
        seen = self._commits
        pages, copied = checkpointer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        with self._due:
            # Our writer's last word counts if it was spoken meanwhile. If not, this is newer: another process may have
            # made the log longer, or started it over.
            if seen == self._commits:
                self.pages = max(0, pages)
            self._copied = min(max(0, copied), self.pages)
            self.checkpoints += 1
        return copied >= pages
