"""Noticing that somebody has committed to a database file, without reading it again and again.

`PRAGMA data_version` on a connection that never writes says for some microseconds of work whether any other connection,
of this process or another, has committed. On Linux inotify says when it is worth asking: every commit writes to the log
with `pwrite`, whoever makes it. The event comes a moment before the commit can be seen, and nothing depends on it.

Neither opens the log: a descriptor on a file of SQLite's that is closed again takes the process' POSIX locks with it.
"""

import ctypes
import io
import os
import sys
import threading
from typing import Final

import apsw

from lash_store.errors import StoreClosed, StoreForked
from lash_store.sqlite import forks
from lash_store.sqlite.connection import open_reader, translated

_DATA_VERSION: Final = "PRAGMA data_version"
_IN_MODIFY: Final = 0x2
_EVENT_BYTES: Final = 4096


class ChangeSignal:
    """A read-only connection of its own that tells commits of all others. Opened on any thread, used on one.

    While it is open nobody can delete the log: its connection counts as a user of the file.
    """

    def __init__(self) -> None:
        self._path = ""
        self._lock = threading.Lock()  # `close` may meet `open` on another thread
        self._closed = False
        self._connection: apsw.Connection | None = None
        self._announcements: io.FileIO | None = None
        self._version = 0
        self._generation = forks.generation

    def open(self, path: str) -> None:
        """Tell changes of the database at `path` from now on; does nothing after `close`. Raises as `open_reader`."""
        with self._lock:
            if self._closed:
                return
            self._path = path
            connection = open_reader(path)
            try:
                with translated(path):
                    # It is asked on an event loop: who is in the way is asked again later, not waited for.
                    connection.set_busy_timeout(0)
                    self._announcements = _announcements_of(connection.filename_wal)
                    self._version = _version_of(connection)
            except BaseException:
                self._silence()
                connection.close()
                raise
            self._connection = connection
            forks.protect(self, connection.filename)

    @property
    def is_open(self) -> bool:
        """Whether `open` has succeeded and `close` was not called."""
        return self._connection is not None

    @property
    def descriptor(self) -> int | None:
        """Readable when the log was written to; None where the system does not tell."""
        return None if self._announcements is None else self._announcements.fileno()

    def drain(self) -> bool:
        """Forget what was announced; whether there was something."""
        if self._announcements is None or self._generation != forks.generation:
            return False
        return bool(self._announcements.read(_EVENT_BYTES))

    def changed(self) -> bool:
        """Whether another connection has committed since this was asked last; True also if that cannot be told now.

        Raises StoreClosed, StoreForked, and what a read may raise.
        """
        if self._generation != forks.generation:
            raise StoreForked(self._path)
        if self._connection is None:
            raise StoreClosed(self._path)
        with translated(self._path):
            try:
                version = _version_of(self._connection)
            except apsw.BusyError:  # somebody recovers the log
                return True
        changed, self._version = version != self._version, version
        return changed

    def close(self) -> None:
        """Give back descriptors and connection, on any thread; a second call, or one in a child process, does nothing.

        If `open` is under way on another thread, this waits for it.
        """
        if self._generation != forks.generation:
            return
        with self._lock:
            self._closed = True
            self._silence()
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
            forks.release(self)

    def _silence(self) -> None:
        announcements, self._announcements = self._announcements, None
        if announcements is not None:
            # The kernel takes some 10 ms to close it: too long for an event loop.
            threading.Thread(target=announcements.close, name="lash_store unwatch", daemon=True).start()


def _version_of(connection: apsw.Connection) -> int:
    version: int
    ((version,),) = connection.execute(_DATA_VERSION).fetchall()  # type: ignore[assignment]
    return version


def _announcements_of(log: str) -> io.FileIO | None:
    """A descriptor that is readable once somebody has written to `log`; None if the system has none to give."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    if not hasattr(library, "inotify_init1"):
        return None
    descriptor = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        return None  # the limit of such descriptors is reached (128 for each user is usual), or a sandbox forbids them
    announcements = io.FileIO(descriptor)
    if library.inotify_add_watch(descriptor, os.fsencode(log), _IN_MODIFY) < 0:
        announcements.close()
        return None
    return announcements
