"""The reader pool: a bounded number of read-only connections, one snapshot at a time each.

In WAL mode a reader neither waits for a writer nor lets one wait. What a reader does hold up is the log: no checkpoint
gets past the oldest snapshot, so the age of that one is told in the statistics.
"""

import threading
import time
import traceback
from collections.abc import Callable
from typing import Final, TypeVar

import apsw

from lash_store.errors import StoreClosed, StoreForked, StoreReentered
from lash_store.sqlite import forks
from lash_store.sqlite.connection import open_reader, translated

T = TypeVar("T")

MAX_READERS: Final = 4
"""How many snapshots of one handle may be open at a time; further reads wait for one to end."""


def release_statements(connection: apsw.Connection, error: BaseException) -> None:
    """Let go of statements that are half read in the frames of `error`: they would keep the snapshot as long as it."""
    chain: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in chain and connection.txn_state("main") != apsw.SQLITE_TXN_NONE:
        chain.append(at)
        traceback.clear_frames(at.__traceback__)
        at = at.__cause__ or at.__context__


class Readers:
    """Read-only connections to one file, opened when needed and kept. All methods are thread-safe."""

    def __init__(self, path: str, file: str, *connections: apsw.Connection) -> None:
        """`path` is what to open, `file` the file behind it; `connections` to it are open already."""
        self.path = path
        self._idle = list(connections)
        self._busy: dict[apsw.Connection, float] = {}  # since when, monotonic seconds
        self._opening = 0
        self._closed = False
        self._changed = threading.Condition()
        self._mine = threading.local()  # .connection: what the running thread reads on
        self._generation = forks.generation
        forks.protect(self, file)

    def read(self, f: Callable[[apsw.Connection], T], *, snapshot: bool = True) -> T:
        """Run `f` on a pooled connection, in one read transaction if `snapshot`.

        A read within a read of the same thread sees the same snapshot: with a connection of its own it might wait for
        one that the outer read keeps.
        """
        if self._generation != forks.generation:
            raise StoreForked(self.path)
        outer: apsw.Connection | None = getattr(self._mine, "connection", None)
        if outer is not None:
            with translated(self.path):
                return f(outer)
        taken: list[apsw.Connection] = []  # filled by _take: an interrupt between its end and ours must not lose it
        try:
            self._take(taken)
            connection = self._mine.connection = taken[0]
            with translated(self.path):
                if not snapshot:
                    return f(connection)
                connection.execute("BEGIN")
                return f(connection)
        except BaseException as error:
            for connection in taken:
                release_statements(connection, error)
            raise
        finally:
            self._mine.connection = None
            for connection in taken:
                self._give_back(connection)

    def check_closable(self) -> None:
        """Raise StoreReentered within a read, whose end the closing would wait for."""
        if getattr(self._mine, "connection", None) is not None:
            raise StoreReentered(self.path)

    def close(self) -> None:
        """Wait for the reads under way, then close all connections."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            while self._busy or self._opening:
                self._changed.wait()
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        forks.release(self)

    def abandon(self) -> None:
        """Close what is idle; a connection in use closes when its read ends."""
        if self._generation != forks.generation:
            return
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def open_count(self) -> int:
        """How many connections are open."""
        with self._changed:
            return len(self._idle) + len(self._busy)

    def oldest_ms(self) -> int:
        """For how long the oldest snapshot has been open (ms); 0 without one."""
        with self._changed:
            began = min(self._busy.values(), default=None)
        return 0 if began is None else int((time.monotonic() - began) * 1000)

    def _take(self, taken: list[apsw.Connection]) -> None:
        """Put a connection that is now in use into `taken`, opened or waited for."""
        with self._changed:
            while not self._closed and not self._idle and len(self._busy) + self._opening >= MAX_READERS:
                self._changed.wait()
            if self._closed:
                raise StoreClosed(self.path)
            if self._idle:
                taken.append(self._idle.pop())
                self._busy[taken[0]] = time.monotonic()
                return
            self._opening += 1
        try:
            taken.append(open_reader(self.path))
        finally:
            with self._changed:
                self._opening -= 1
                if taken:
                    self._busy[taken[0]] = time.monotonic()
                self._changed.notify_all()

    def _give_back(self, connection: apsw.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            # A statement that somebody still holds half read keeps the snapshot, and the next read would see that.
            reusable = connection.txn_state("main") == apsw.SQLITE_TXN_NONE
        except apsw.Error:
            reusable = False  # whatever state it is in, nobody else shall meet it
        with self._changed:
            self._busy.pop(connection, None)
            kept = reusable and not self._closed
            if kept:
                self._idle.append(connection)
            self._changed.notify_all()
        if not kept:
            connection.close(True)
