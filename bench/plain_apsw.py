"""The statements of a plan on a plain apsw connection, one after the other: what any program would pay for them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import apsw

from lash_store import SYSTEM_CLOCK, Expect, Otherwise, Plan, Step
from lash_store.sqlite.connection import add_clock_function


@contextmanager
def open_plain(path: Path) -> Iterator[apsw.Connection]:
    """A connection with the store's pragmas. It makes no checkpoints, as the store makes none in a commit."""
    connection = apsw.Connection(str(path))
    try:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-2000"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.wal_autocheckpoint(0)
        add_clock_function(connection, SYSTEM_CLOCK)
        yield connection
    finally:
        connection.close()


def run_plain(connection: apsw.Connection, plan: Plan) -> int:
    """Run a plan in a transaction and return how many statements that took, BEGIN and COMMIT among them."""
    execute = connection.execute
    execute("BEGIN IMMEDIATE")
    statements = 2
    for step in plan.steps:
        rows: list[Any] = []
        changes = connection.total_changes()
        if step.many:
            sets = cast("Sequence[tuple[Any, ...]]", step.values)
            connection.executemany(step.sql, sets)
            statements += len(sets)
        else:
            rows = execute(step.sql, cast("tuple[Any, ...]", step.values)).fetchall()
            statements += 1
        if not _is_met(step, bool(rows), connection.total_changes() - changes):
            if step.otherwise != Otherwise.STOP:
                raise AssertionError(f"the step {step.name!r} of the plan found something else than it did before")
            break
    execute("COMMIT")
    return statements


def _is_met(step: Step, found: bool, changes: int) -> bool:
    if step.expect == Expect.ANYTHING:
        return True
    if step.expect in (Expect.ROW, Expect.NO_ROW):
        return found == (step.expect == Expect.ROW)
    # Rows that went by a cascade are in this count, and not in the plan's.
    return changes >= step.expect
