"""`Database`: one SQLite file in WAL mode, shared by all threads of a process, and by any number of processes.

Writes go through one writer: whoever calls while it is free takes its role on the spot and carries along what else is
queued; whoever calls while it is taken waits in line, and shares the next commit. Reads go to a pool of read-only
connections and never wait for a writer.
"""

import atexit
import os
import threading
import warnings
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeVar

import apsw
import msgspec

from lash_store.clock import SYSTEM_CLOCK, Clock
from lash_store.errors import StoreClosed, StoreForked, StoreReadOnly
from lash_store.sqlite import forks, native
from lash_store.sqlite.closures import Call, RawCall, WriteCall
from lash_store.sqlite.connection import (
    BUSY_TIMEOUT_MS,
    Durability,
    lasting_name,
    open_in_memory,
    open_reader,
    open_writer,
)
from lash_store.sqlite.native import Mailbox, Ticket
from lash_store.sqlite.plan import Plan, PlanResult, Step, result_of
from lash_store.sqlite.readers import Readers, release_statements
from lash_store.sqlite.schema import Schema
from lash_store.sqlite.transaction import Flow, Transaction
from lash_store.sqlite.writer import Writer

T = TypeVar("T")

MEMORY: Final = ":memory:"
_EXIT_JOIN_S = 2.0
_open_databases: "weakref.WeakSet[Database]" = weakref.WeakSet()


class DatabaseStats(msgspec.Struct, frozen=True):
    """What a handle has done since it was opened, and how things stand.

    `commits` counts plans and closures that were committed, `batches` the transactions they shared and `largest_batch`
    the most of them in one; `conflicts` the guards that failed. `busy_waits` transactions had to wait for another
    process, `busy_wait_ms` in all; `handoffs` times the lock was passed on to one that waited. `checkpoints` and
    `restarts` of the log were made by this handle, `checkpoint_errors` failed. `wal_pages` are in the log now,
    `wal_pages_pending` of them not copied back, and its file takes `wal_bytes`. `queued` jobs wait for the writer,
    `readers_open` connections read, the oldest snapshot is `oldest_read_ms` old. `implementation` is "c" or "python".
    """

    commits: int
    batches: int
    largest_batch: int
    conflicts: int
    busy_waits: int
    busy_wait_ms: int
    handoffs: int
    checkpoints: int
    restarts: int
    checkpoint_errors: int
    wal_pages: int
    wal_pages_pending: int
    wal_bytes: int
    queued: int
    readers_open: int
    oldest_read_ms: int
    implementation: str


class Database:
    """A handle on one database. Open it with `open`, `open_in_memory` or `open_readonly`; close it, or use `with`.

    All methods are thread-safe. A closure given to `call`, `write` or `write_flow` must not call the same handle's
    writer again (StoreReentered). Any method raises StoreClosed after `close` and StoreForked in a child process.
    """

    def __init__(self, path: str, writer: Writer | None, readers: Readers | None, log: str) -> None:
        self._path = path
        self._log = log
        self._writer = writer
        self._readers = readers
        self._closed = False
        self._ended = False
        self._closing = threading.RLock()
        self._generation = forks.generation
        _open_databases.add(self)

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "normal",
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
        clock: Clock = SYSTEM_CLOCK,
        schema: Schema | None = None,
    ) -> Self:
        """Open the database at `path`, or create it; its folder must exist.

        `durability`: "normal" survives a crash of the process, "full" also a crash of the machine. `busy_timeout_ms` is
        how long a write waits for other processes. `schema` is what the file must hold; a new one gets it. Raises
        StoreOpenFailed (NotADatabase, WalUnavailable, UnsupportedSchemaVersion), StoreReadOnly, StoreFull,
        StoreCorrupt, or StoreBusy if others kept the file from being put into WAL mode or getting the schema.
        """
        name = os.fspath(path)
        connection = open_writer(name, durability=durability, busy_timeout_ms=busy_timeout_ms, schema=schema)
        writer = _writer(connection, lasting_name(connection, name), clock, busy_timeout_ms, checkpoints=True)
        return cls(name, writer, Readers(writer.path, connection.filename), connection.filename_wal)

    @classmethod
    def open_in_memory(
        cls, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS, clock: Clock = SYSTEM_CLOCK, schema: Schema | None = None
    ) -> Self:
        """Open a private database in memory. It has no log, and reads wait for the writer."""
        connection = open_in_memory(busy_timeout_ms=busy_timeout_ms, schema=schema)
        return cls(MEMORY, _writer(connection, MEMORY, clock, busy_timeout_ms, checkpoints=False), None, "")

    @classmethod
    def open_readonly(cls, path: str | os.PathLike[str], *, schema: Schema | None = None) -> Self:
        """Open an existing database for reading only; writes raise StoreReadOnly. Raises as `open` does.

        The database file is neither created nor changed. If it is in WAL mode and nobody has it open, SQLite puts an
        index and an empty log beside it (`-shm`, `-wal`), which the next writer removes.
        """
        name = os.fspath(path)
        connection = open_reader(name, schema)  # a file that cannot be read is refused now, not at the first read
        readers = Readers(lasting_name(connection, name), connection.filename, connection)
        return cls(name, None, readers, connection.filename_wal)

    @property
    def path(self) -> str:
        """The path as it was given; ":memory:" for a database in memory."""
        return self._path

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def read_only(self) -> bool:
        """Whether the handle was opened with `open_readonly`."""
        return self._writer is None

    def run(self, plan: Plan) -> PlanResult:
        """Run `plan` in a transaction, often in one with others that wait at the same time; see `lash_store.Plan`.

        Raises InvalidPlan, GuardFailed, StoreBusy, StoreFull, ConstraintViolation, StoreBackend, StoreCorrupt; nothing
        of the plan is written then. When it returns, the plan is committed.
        """
        steps = tuple(plan.steps)
        return result_of(self._writable().executor.run(steps), steps, self._path)

    def write(self, f: Callable[[Transaction], T]) -> T:
        """Run `f` in a BEGIN IMMEDIATE transaction: committed when it returns, rolled back when it raises.

        `f` may be called again if something ended a transaction that it shared (see `lash_store.sqlite.closures`). Its
        own exceptions pass through; SQLite's come as errors of this package, among them StoreBusy and StoreFull.
        """
        value: T = self._writable().run_call(WriteCall(f, flow=False))
        return value

    def write_flow(self, f: Flow[T]) -> T:
        """Run `f` as `write` does; it returns Commit(value) or Rollback(value), and the caller gets the value."""
        value: T = self._writable().run_call(WriteCall(f, flow=True))
        return value

    def call(self, f: Callable[[apsw.Connection], T]) -> T:
        """Run `f` on the writer's connection, without a transaction: for pragmas, VACUUM and the like.

        A transaction that `f` leaves open is rolled back and StoreMisuse raised. On a read-only handle `f` gets a
        read-only connection.
        """
        self._check()
        if self._writer is None and self._readers is not None:
            return self._readers.read(f, snapshot=False)
        value: T = self._writable().run_call(RawCall(f))
        return value

    def read(self, f: Callable[[apsw.Connection], T]) -> T:
        """Run `f` on a read-only connection, in one snapshot; writers neither wait for it nor let it wait.

        At most four run at a time on one handle. Writing raises StoreReadOnly. In memory, reads take turns with writes.
        """
        self._check()
        if self._readers is not None:
            return self._readers.read(f)
        value: T = self._writable().run_call(RawCall(_in_snapshot(f)))
        return value

    def stats(self) -> DatabaseStats:
        """How things stand; cheap enough to be asked every second."""
        self._check()
        counters = dict.fromkeys(_COUNTERS, 0)
        if self._writer is not None:
            counters |= self._writer.executor.counters()
            counters["checkpoint_errors"] += self._writer.checkpointer_failures
        return DatabaseStats(
            **counters,
            wal_bytes=self._wal_bytes(),
            readers_open=self._readers.open_count() if self._readers else 0,
            oldest_read_ms=self._readers.oldest_ms() if self._readers else 0,
            implementation=native.IMPLEMENTATION,
        )

    def close(self) -> None:
        """Finish what is queued, then close; the last handle on a file removes its log. A second call does nothing.

        If it is interrupted (Ctrl-C), nothing new is taken any more, and calling it again goes on.
        """
        if self._ended:
            return
        if self._inherited():
            raise StoreForked(self._path)
        for part in (self._readers, self._writer):
            if part is not None:
                part.check_closable()
        self._closed = True
        with self._closing:
            if self._readers is not None:
                self._readers.close()
            if self._writer is not None:
                self._writer.close()
            self._ended = True
        _open_databases.discard(self)

    def _submit(self, steps: tuple[Step, ...], mailbox: Mailbox, token: object) -> Ticket:
        """Queue a plan for the writer thread; (token, outcome) arrives in `mailbox`. For asynchronous facades."""
        return self._writable().executor.submit(steps, mailbox, token)

    def _submit_call(self, call: Call, mailbox: Mailbox, token: object) -> Ticket:
        """Queue a closure for the writer thread; (token, call) arrives in `mailbox`. For asynchronous facades."""
        return self._writable().executor.submit_call(call, mailbox, token)

    def _check(self) -> None:
        """Raise StoreClosed or StoreForked if the handle cannot be used any more."""
        if self._closed:
            raise StoreClosed(self._path)
        if self._inherited():
            raise StoreForked(self._path)

    def _kick(self) -> None:
        """Have the writer thread run what was submitted without waiting for more. For asynchronous facades."""
        if self._writer is not None and not self._inherited():
            self._writer.executor.kick()

    def _abandon(self, join_s: float = 0.0) -> None:
        """Close without finishing what is queued; wait at most `join_s` for what runs. For handles that are dropped."""
        if self._closed:
            return
        self._closed = self._ended = True
        if self._readers is not None:
            self._readers.abandon()
        if self._writer is not None:
            self._writer.abandon(join_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_closed", True) or self._inherited():
            return
        _warn_unclosed(self)
        self._abandon()

    def _inherited(self) -> bool:
        """Whether this process is a child of the one that opened the handle."""
        return self._generation != forks.generation

    def _writable(self) -> Writer:
        writer = self._writer
        if (
            writer is None or self._closed or self._generation != forks.generation
        ):  # spelt out: on the way of each write
            self._check()
            raise StoreReadOnly(self._path)
        return writer

    def _wal_bytes(self) -> int:
        try:
            return os.stat(self._log).st_size  # noqa: PTH116  stat opens nothing: no lock is lost
        except OSError:
            return 0


_COUNTERS = (
    "commits",
    "batches",
    "largest_batch",
    "conflicts",
    "busy_waits",
    "busy_wait_ms",
    "handoffs",
    "checkpoints",
    "restarts",
    "checkpoint_errors",
    "wal_pages",
    "wal_pages_pending",
    "queued",
)


def _writer(connection: apsw.Connection, path: str, clock: Clock, busy_timeout_ms: int, *, checkpoints: bool) -> Writer:
    try:
        return Writer(connection, path, clock=clock, busy_timeout_ms=busy_timeout_ms, checkpoints=checkpoints)
    except BaseException:
        connection.close()
        raise


def _in_snapshot(f: Callable[[apsw.Connection], T]) -> Callable[[apsw.Connection], T]:
    """`f` in a transaction that cannot write, on the one connection of a database in memory."""

    def snapshot(connection: apsw.Connection) -> T:
        try:
            connection.pragma("query_only", True)
            connection.execute("BEGIN")
            return f(connection)
        except BaseException as error:
            release_statements(connection, error)
            raise
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            connection.pragma("query_only", False)

    return snapshot


def _warn_unclosed(database: Database) -> None:
    warnings.warn(
        f"the handle on {database.path!r} was never closed; use 'with', or call close()",
        ResourceWarning,
        stacklevel=2,
        source=database,
    )


@atexit.register
def _close_at_exit() -> None:
    """End what callers left open: the writer threads are daemons, and must not run into a dying interpreter."""
    for database in list(_open_databases):
        if not database.closed and not database._inherited():  # noqa: SLF001  this module's own
            _warn_unclosed(database)
            database._abandon(_EXIT_JOIN_S)  # noqa: SLF001
