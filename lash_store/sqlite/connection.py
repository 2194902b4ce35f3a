"""apsw connections as this package wants them: opened, checked, put into WAL mode; and apsw's errors translated.

Everything that is said about pragmas, the order of steps and the WAL conversion is section 1 of the session store's
specification.
"""

import ctypes
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, TypeAlias

import apsw

from lash_store.clock import SYSTEM_CLOCK, Clock
from lash_store.errors import (
    ConstraintViolation,
    NotADatabase,
    StoreBackend,
    StoreBusy,
    StoreClosed,
    StoreCorrupt,
    StoreError,
    StoreForked,
    StoreFull,
    StoreInUse,
    StoreMisuse,
    StoreOpenFailed,
    StoreReadOnly,
    WalUnavailable,
)
from lash_store.sqlite import forks, native
from lash_store.sqlite import schema as schemas
from lash_store.sqlite.schema import Schema

BUSY_TIMEOUT_MS: Final = 15_000
"""How long a writer waits for the write lock, and an open for the WAL conversion, unless it says otherwise (ms)."""
READONLY_BUSY_TIMEOUT_MS: Final = 1_000
WAL_SIZE_LIMIT: Final = 64 * 1024 * 1024
"""A log that grew beyond this many bytes is cut back to it when it starts over."""

Durability: TypeAlias = Literal["normal", "full"]
"""What a commit survives: "normal" a crash of the process, "full" also one of the machine (synchronous=FULL)."""

_OLDEST_SQLITE = (3, 51, 3)  # before it a log that starts over can corrupt the database ("WAL-reset bug")
_CONVERSION_PAUSE_S = 0.001
_CONVERSION_LONGEST_PAUSE_S = 0.05
_NEARLY_FULL_BYTES = 1024 * 1024

if tuple(map(int, apsw.sqlite_lib_version().split("."))) < _OLDEST_SQLITE:
    raise ImportError(
        f"apsw brings SQLite {apsw.sqlite_lib_version()}, which can corrupt databases in WAL mode; upgrade apsw to a "
        f"version with SQLite {'.'.join(map(str, _OLDEST_SQLITE))} or later"
    )


def open_writer(path: str, *, durability: str, busy_timeout_ms: int, schema: Schema | None = None) -> apsw.Connection:
    """Open or create the database at `path` for writing, in WAL mode, and give it `schema`.

    Raises StoreOpenFailed (its parts NotADatabase, WalUnavailable and UnsupportedSchemaVersion included),
    StoreReadOnly, StoreFull, StoreCorrupt, and StoreBusy when the conversion to WAL, or the lock to create the schema,
    was not to be had within `busy_timeout_ms`. A refused file is left alone.
    """
    _check_options(path, durability, busy_timeout_ms)
    _check_place(path)
    return _in_place(lambda: _open_writer(path, durability, busy_timeout_ms, schema))


def _open_writer(path: str, durability: str, busy_timeout_ms: int, schema: Schema | None) -> apsw.Connection:
    connection = _open(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    with _closed_on_error(connection, path):
        if connection.readonly("main"):
            raise StoreReadOnly(path)
        connection.set_busy_timeout(busy_timeout_ms)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # a file of another kind fails here
        if schema is not None:
            schemas.is_complete(connection, path, schema)  # before the conversion: it alters the file
        _require_in_place(connection)
        _convert_to_wal(connection, path, busy_timeout_ms)
        _require_in_place(connection)
        _apply_pragmas(connection, durability)
        if schema is not None:
            schemas.complete(connection, path, schema)
        connection.wal_autocheckpoint(0)
        connection.pragma("journal_size_limit", WAL_SIZE_LIMIT)
    return connection


def open_helper(path: str) -> apsw.Connection:
    """Open one more read-write connection to a database that `open_writer` has opened, for the checkpointer."""
    connection = _open(path, apsw.SQLITE_OPEN_READWRITE)
    with _closed_on_error(connection, path):
        connection.wal_autocheckpoint(0)
        connection.pragma("journal_size_limit", WAL_SIZE_LIMIT)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    return connection


def open_in_memory(*, busy_timeout_ms: int, schema: Schema | None = None) -> apsw.Connection:
    """Open a private database in memory, with `schema`; WAL is skipped, memory has none."""
    _check_options(":memory:", "normal", busy_timeout_ms)
    connection = _with_stable_plans(apsw.Connection(":memory:"))
    with _closed_on_error(connection, ":memory:"):
        connection.set_busy_timeout(busy_timeout_ms)
        _apply_pragmas(connection, "normal")
        if schema is not None:
            schemas.complete(connection, ":memory:", schema)
    return connection


def open_reader(path: str, schema: Schema | None = None) -> apsw.Connection:
    """Open the database at `path` for reading only; it is never created. Raises as `open_writer` does."""
    if not path.startswith("file:") and not os.path.lexists(path):
        raise StoreOpenFailed(path, "there is no such file; a read-only open creates none")
    _check_place(path)
    return _in_place(lambda: _open_reader(path, schema))


def _open_reader(path: str, schema: Schema | None) -> apsw.Connection:
    connection = _open(path, apsw.SQLITE_OPEN_READONLY)
    with _closed_on_error(connection, path):
        connection.set_busy_timeout(READONLY_BUSY_TIMEOUT_MS)
        connection.pragma("cache_size", -500)
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        if schema is not None:
            schemas.require_version(connection, path, schema)
        _require_in_place(connection)
    return connection


def open_for_removal(path: str) -> apsw.Connection:
    """Open the database at `path`, or an empty one, alone: nobody else has it open, or can before this one closes.

    Raises StoreInUse, and NotADatabase, StoreReadOnly, StoreForked, StoreOpenFailed as `open_writer` does.
    """
    _check_place(path)
    return _in_place(lambda: _open_for_removal(path))


def _open_for_removal(path: str) -> apsw.Connection:
    connection = _open(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    with _closed_on_error(connection, path):
        if connection.readonly("main"):
            raise StoreReadOnly(path)
        connection.set_busy_timeout(0)
        try:
            connection.pragma("locking_mode", "exclusive")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
        except (apsw.BusyError, apsw.LockedError) as error:
            raise StoreInUse(path) from error
        _require_in_place(connection)
    return connection


def lasting_name(connection: apsw.Connection, path: str) -> str:
    """By which name to open the file of `connection` again, also after the process has changed its folder."""
    return path if path.startswith("file:") else connection.filename


def add_clock_function(connection: apsw.Connection, clock: Clock) -> None:
    """Register `lash_now_ms()`: the clock's epoch milliseconds, read when the statement runs, so under the lock."""
    if clock is SYSTEM_CLOCK:
        native.register_clock(connection)  # in C, it needs no interpreter under the lock
    else:
        connection.create_scalar_function("lash_now_ms", lambda *_: now_ms_of(clock), 0)


def now_ms_of(clock: Clock) -> int:
    """What `clock` shows. Raises StoreMisuse if that is no time: a row that held it could not be read again."""
    now_ms = clock.now_ms()
    if type(now_ms) is not int or not 0 <= now_ms < 2**63:
        raise StoreMisuse(f"the clock shows {now_ms!r}; now_ms() must return epoch milliseconds, an int 0 ... 2^63 - 1")
    return now_ms


def failure(path: str, code: int, extended_code: int, message: str, *, step: int | None = None) -> StoreError:
    """The error of the tree for an SQLite result code: the one place where codes get their meaning."""
    primary = code & 0xFF
    if primary in (apsw.SQLITE_BUSY, apsw.SQLITE_LOCKED):
        return StoreBusy(0)
    if primary in (apsw.SQLITE_READONLY, apsw.SQLITE_PERM):
        return StoreReadOnly(path)
    if primary == apsw.SQLITE_FULL or (primary == apsw.SQLITE_IOERR and _is_full(path)):
        return StoreFull(path)
    if primary == apsw.SQLITE_CORRUPT:
        return StoreCorrupt("database", path)
    if primary == apsw.SQLITE_NOTADB:
        return NotADatabase(path)
    if primary == apsw.SQLITE_CANTOPEN:
        return StoreOpenFailed(path, message)
    if primary == apsw.SQLITE_CONSTRAINT:
        return ConstraintViolation(code, extended_code, message, step)
    return StoreBackend(code, extended_code, message, step)


def translate(error: apsw.Error, path: str, *, waited_ms: int = 0) -> StoreError:
    """The error of the tree for an exception of apsw's; raise it `from` that one."""
    if isinstance(error, apsw.ConnectionClosedError):
        return StoreClosed(path)
    if isinstance(error, apsw.ThreadingViolationError | apsw.ConnectionNotClosedError):
        return StoreMisuse(f"the connection to {path!r} is used by two threads at once: {error}")
    code = getattr(error, "result", apsw.SQLITE_ERROR)
    if code & 0xFF in (apsw.SQLITE_BUSY, apsw.SQLITE_LOCKED):
        return StoreBusy(waited_ms)
    return failure(path, code & 0xFF, _extended(error), str(error))


def _extended(error: apsw.Error) -> int:
    """The extended result code, where SQLite gave one."""
    return int(getattr(error, "extendedresult", apsw.SQLITE_ERROR))


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raise apsw's errors of the block as errors of the tree."""
    try:
        yield
    except apsw.Error as error:
        raise translate(error, path) from error


def _check_options(path: str, durability: str, busy_timeout_ms: int) -> None:
    if durability not in ("normal", "full"):
        raise StoreOpenFailed(path, f"durability is {durability!r}; it must be 'normal' or 'full'")
    if not 0 <= busy_timeout_ms < 2**31:
        raise StoreOpenFailed(path, f"busy_timeout_ms is {busy_timeout_ms}; it must be from 0 to 2147483647")


def _check_place(path: str) -> None:
    if "\0" in path or path == "":
        raise StoreOpenFailed(path, "this is no file name")
    if path.startswith("file:") or path == ":memory:":
        return  # an SQLite URI: only SQLite knows what it names
    folder = os.path.dirname(path) or "."  # noqa: PTH120  a Path would normalise what SQLite must see as it is
    try:
        if not os.path.isdir(folder):  # noqa: PTH112
            raise StoreOpenFailed(path, f"there is no folder {folder!r}; create it first")
        if os.path.isdir(path):  # noqa: PTH112
            raise StoreOpenFailed(path, "this is a folder; name a file")
    except UnicodeEncodeError as error:
        raise StoreOpenFailed(path, "this is no file name: it holds lone surrogates") from error


def _open(path: str, flags: int) -> apsw.Connection:
    try:
        connection = apsw.Connection(path, flags=flags | apsw.SQLITE_OPEN_URI, vfs=native.VFS)
    except apsw.Error as error:
        raise _opening_error(error, path, 0) from error
    except UnicodeEncodeError as error:
        raise StoreOpenFailed(path, "this is no file name: it holds lone surrogates") from error
    if forks.is_inherited(connection.filename):
        connection.close()  # it has locked nothing yet
        raise StoreForked(path)
    return _with_stable_plans(connection)


def _with_stable_plans(connection: apsw.Connection) -> apsw.Connection:
    """Have a statement compiled once, and not again for each value bound to a LIMIT or compared with an index.

    SQLite's "query planner stability guarantee". Without it, a statement with `LIMIT ?`, or with a parameter where an
    index is on an expression or partial, is compiled anew at every execution: inside the write lock, in a plan.
    """
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, True)
    return connection


def _opening_error(error: apsw.Error, path: str, waited_ms: int) -> StoreError:
    found = translate(error, path, waited_ms=waited_ms)
    return StoreOpenFailed(path, found.message) if type(found) is StoreBackend else found


@contextmanager
def _closed_on_error(connection: apsw.Connection, path: str) -> Iterator[None]:
    began = time.monotonic()
    moved = False
    had_log = os.path.exists(connection.filename_wal)  # noqa: PTH110  nothing was read yet: it is somebody else's
    try:
        yield
    except apsw.Error as error:
        moved = _has_moved(connection)
        _leave(connection, had_log=had_log or moved)
        if moved:
            raise _RemovedMeanwhileError from error
        raise _opening_error(error, path, int((time.monotonic() - began) * 1000)) from error
    except BaseException as error:
        moved = _has_moved(connection)
        _leave(connection, had_log=had_log or moved)
        if moved:
            raise _RemovedMeanwhileError from error
        raise


class _RemovedMeanwhileError(Exception):
    """The file that was opened is no longer the one at its path: a removal has overtaken the open."""


def _in_place(opening: Callable[[], apsw.Connection]) -> apsw.Connection:
    """Open what is at the path when the opening has ended; each further try means that somebody has removed a file."""
    while True:
        try:
            return opening()
        except _RemovedMeanwhileError:
            continue


def _require_in_place(connection: apsw.Connection) -> None:
    """Raise if the file was removed since it was opened: a log is found by name, and would be somebody else's."""
    if _has_moved(connection):
        raise _RemovedMeanwhileError


def _has_moved(connection: apsw.Connection) -> bool:
    moved = ctypes.c_int(0)
    answered = connection.file_control("main", apsw.SQLITE_FCNTL_HAS_MOVED, ctypes.addressof(moved))
    return answered and moved.value != 0


def _leave(connection: apsw.Connection, *, had_log: bool) -> None:
    """Close a connection to a refused file. A log that was there stays: the last to close would write it back."""
    if had_log:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.close()


def _convert_to_wal(connection: apsw.Connection, path: str, busy_timeout_ms: int) -> None:
    """Put the file into WAL mode. SQLite asks no busy handler about a writer in the way, so this waits by itself."""
    began = time.monotonic()
    deadline = began + busy_timeout_ms / 1000
    pause = _CONVERSION_PAUSE_S
    connection.set_busy_timeout(0)
    mode: object = None
    while mode is None:
        try:
            mode = connection.pragma("journal_mode", "wal")
        except (apsw.BusyError, apsw.LockedError, apsw.IOError) as error:
            if isinstance(error, apsw.IOError) and _extended(error) != apsw.SQLITE_IOERR_DELETE_NOENT:
                raise  # that one comes where others open and close the file at the same time
            if time.monotonic() >= deadline:
                raise StoreBusy(int((time.monotonic() - began) * 1000)) from error
                # Half of the pause is drawn by lot: openers that meet must not meet again at every try.
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, _CONVERSION_LONGEST_PAUSE_S)
    connection.set_busy_timeout(busy_timeout_ms)
    if mode != "wal":
        raise WalUnavailable(path, str(mode))


def _apply_pragmas(connection: apsw.Connection, durability: str) -> None:
    connection.pragma("synchronous", durability)
    connection.pragma("foreign_keys", True)
    connection.pragma("cache_size", -2000)


def _is_full(path: str) -> bool:
    """Whether an I/O error on `path` is due to a full device: shared memory and sidecar files fail with other codes."""
    try:
        space = os.statvfs(os.path.dirname(os.path.abspath(path)))  # noqa: PTH100, PTH120
    except (AttributeError, OSError):
        return False
    return space.f_bavail * space.f_frsize < _NEARLY_FULL_BYTES
