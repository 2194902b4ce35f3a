"""What a closure sees of the transaction that it runs in, and how it says how the transaction ends."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import apsw
import msgspec

from lash_store.clock import Clock
from lash_store.errors import StoreBackend, StoreMisuse
from lash_store.sqlite.connection import translated
from lash_store.sqlite.plan import SqlValue

T = TypeVar("T")

# Past what SQLite passes over: white space, semicolons, byte order marks, comments. Possessive, so that a long run of
# comments is read once and not in every way it could be cut.
_CONTROL = re.compile(
    r"(?:[\s;\ufeff]|--[^\n]*+|/\*.*?(?:\*/|\Z))*+(BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE)\b",
    re.IGNORECASE | re.DOTALL,
)


class Commit(msgspec.Struct, Generic[T], frozen=True):
    """What a `write_flow` closure returns to keep its writes; `value` is handed to the caller."""

    value: T


class Rollback(msgspec.Struct, Generic[T], frozen=True):
    """What a `write_flow` closure returns to undo its writes; `value` is handed to the caller all the same."""

    value: T


class Transaction:
    """A transaction that already holds the write lock. It is good only inside the closure that was given it.

    The transaction ends when the closure does. Inside it, BEGIN, COMMIT, END, ROLLBACK, SAVEPOINT and RELEASE are
    refused (StoreMisuse), because other closures may share the commit.
    """

    def __init__(self, connection: apsw.Connection, clock: Clock, path: str) -> None:
        self._connection: apsw.Connection | None = connection
        self._clock = clock
        self._path = path

    def execute(self, sql: str, values: Sequence[SqlValue] = ()) -> list[tuple[Any, ...]]:
        """Run `sql` with `values` bound to its parameters and return all its rows.

        Raises SQLite's refusal as an error of `lash_store.errors`; that statement is undone, the transaction goes on.
        """
        with translated(self._path):
            return list(self._cursor().execute(sql, tuple(values)))

    def executemany(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> int:
        """Run `sql` once for each of `rows` and return how many rows that changed."""
        cursor = self._cursor()
        before = cursor.connection.total_changes()
        with translated(self._path):
            for _ in cursor.executemany(sql, (tuple(row) for row in rows)):
                pass
        return int(cursor.connection.total_changes() - before)

    @property
    def changes(self) -> int:
        """How many rows the last INSERT, UPDATE or DELETE changed."""
        return int(self._live().changes())

    @property
    def last_insert_rowid(self) -> int:
        """The rowid of the last row inserted."""
        return int(self._live().last_insert_rowid())

    def now_ms(self) -> int:
        """The clock's time in epoch milliseconds, read now, with the write lock held."""
        self._live()
        return self._clock.now_ms()

    def _live(self) -> apsw.Connection:
        if self._connection is None:
            raise StoreMisuse("the transaction is over; its closure has returned")
        return self._connection

    def _cursor(self) -> apsw.Cursor:
        cursor = self._live().cursor()
        cursor.exec_trace = _check_statement
        return cursor

    def end(self) -> None:
        """Cut the closure off from the connection."""
        self._connection = None


def _check_statement(cursor: apsw.Cursor, sql: str, _bindings: object) -> bool:
    """Called by apsw before each statement of a text."""
    if not cursor.connection.in_transaction:
        # Out of a transaction each statement would be committed on the spot.
        raise StoreBackend(apsw.SQLITE_ABORT, apsw.SQLITE_ABORT, "an earlier error has ended the whole transaction")
    word = _CONTROL.match(sql)
    if word:
        raise StoreMisuse(f"{word[1].upper()} inside a closure; return to commit, raise to roll back")
    return True


Flow = Callable[[Transaction], Commit[T] | Rollback[T]]
