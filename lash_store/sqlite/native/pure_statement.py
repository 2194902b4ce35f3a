"""Running one plan's steps on the writer connection, inside a transaction that somebody else opens and ends."""

import re
import threading
from collections import deque
from typing import Any, Final, NamedTuple

import apsw
import apsw.ext

from lash_store.sqlite.native.pure_job import DONE, GUARD, INVALID, Outcome, failure
from lash_store.sqlite.native.pure_plan import FAIL, NO_ROW, ROW, CompiledPlan, CompiledStep, Row

# What SQLite's tokenizer skips between statements. A leading semicolon counts: SQLite compiles ";COMMIT" as COMMIT.
# "/*" as the very last characters is a division sign to SQLite, not a comment.
_NOTHING: Final = re.compile(r"(?:[ \t\n\v\f\r;\ufeff]++|--[^\n]*+|/\*(?!\Z).*?(?:\*/|\Z))*+", re.DOTALL)
_WORD: Final = re.compile(r"[A-Za-z0-9_]*")
_CONTROL: Final = frozenset({"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"})
_WRITES: Final = frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE"})
_SHAPES_KEPT: Final = 1024


class _Shape(NamedTuple):
    """What does not change about a statement's text."""

    parameters: int
    counts_changes: bool


class _Unrunnable(Exception):
    """The step cannot be run as written; the message says why."""


class Statements:
    """Runs plans on `connection`; used only by the thread that holds the writer role."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._cursor = apsw.Cursor(connection)
        self._shapes: dict[str, _Shape] = {}

    def control(self, sql: str) -> None:
        """Run one BEGIN, COMMIT, ROLLBACK, SAVEPOINT or RELEASE."""
        self._cursor.execute(sql)

    def run_plan(self, plan: CompiledPlan) -> Outcome:
        """Run the steps until one misses or fails. Nothing is undone here, whatever the outcome."""
        rows: list[list[Row]] = []
        changes = 0
        for index, step in enumerate(plan):
            try:
                first, found, changed = self._run_step(step)
            except _Unrunnable as refusal:
                return (INVALID, index, str(refusal))
            except BaseException as error:
                # KeyboardInterrupt comes out of nowhere, but only on the main thread, and is its caller's. Anywhere
                # else such a thing can only come out of a Python function of this plan's own, and fails it.
                if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
                    raise
                return failure(index, error)
            changes += changed
            if step.rows:
                rows.append(found)
            if _missed(step.expect, first, changed):
                seen = first if step.expect == NO_ROW else None
                if step.otherwise == FAIL:
                    return (GUARD, index, seen, changed)
                rows.extend([] for later in plan[index + 1 :] if later.rows)
                return (DONE, index, seen, tuple(rows), changes)
        return (DONE, None, None, tuple(rows), changes)

    def _run_step(self, step: CompiledStep) -> tuple[Row | None, list[Row], int]:
        """The first row seen, all rows if the step is marked, and the number of changes, over all runs."""
        shape = self._shapes.get(step.sql) or self._inspect(step.sql)
        first: Row | None = None
        found: list[Row] = []
        changed = 0
        for values in step.runs:
            if len(values) != shape.parameters:
                raise _Unrunnable(f"the statement takes {shape.parameters} values and was given {len(values)}")
            cursor: Any = self._cursor.execute(step.sql, values)
            if step.rows:
                found += cursor
            elif first is None:
                first = _first_row(cursor, must_read=step.expect == NO_ROW)
            # To the end in any case: a statement left half-way would keep its locks and block the savepoint's end.
            while not _ran_out(cursor):
                pass
            if shape.counts_changes:
                changed += self._connection.changes()
        return (found[0] if found else first), found, changed

    def _inspect(self, sql: str) -> _Shape:
        """Compile a text without running it: it must be one statement, and none that controls the transaction."""
        start = _end_of_nothing(sql, 0)
        if start == len(sql):
            raise _Unrunnable("the text holds no statement")
        word = _word_at(sql, start)
        if word in _CONTROL:
            raise _Unrunnable(f"{word} controls the transaction, and a plan runs inside one that is not its own")
        details = apsw.ext.query_info(self._connection, sql)
        rest = details.query_remaining or ""
        if _end_of_nothing(rest, 0) != len(rest):
            raise _Unrunnable("the text holds more than one statement")
        counts = word in _WRITES or (word == "WITH" and not details.is_readonly)
        if len(self._shapes) >= _SHAPES_KEPT:
            # Texts that vary without end (values written into the SQL) must not grow the table without end.
            self._shapes.clear()
        shape = self._shapes[sql] = _Shape(details.bindings_count, counts)
        return shape

    def close(self) -> None:
        """Give the statement in use back to apsw."""
        self._cursor.close(True)


def _first_row(cursor: Any, *, must_read: bool) -> Row | None:
    """The first row, if there is one; an empty tuple for one with text that is not UTF-8 and need not be read."""
    try:
        row: Row | None = next(cursor, None)
        return row
    except UnicodeDecodeError:
        if must_read:
            raise
        return ()


def _ran_out(cursor: Any) -> bool:
    """Run on to the end, or to behind the next row that apsw cannot decode and nobody asked for."""
    try:
        deque(cursor, maxlen=0)
        return True
    except UnicodeDecodeError:
        return False


def _missed(expect: int, first: Row | None, changed: int) -> bool:
    if expect >= 0:
        return changed != expect
    if expect == ROW:
        return first is None
    return expect == NO_ROW and first is not None


def _end_of_nothing(sql: str, start: int) -> int:
    match = _NOTHING.match(sql, start)
    return match.end() if match else start


def _word_at(sql: str, start: int) -> str:
    match = _WORD.match(sql, start)
    return match.group().upper() if match else ""
