"""Plans: transactions written down beforehand, so that they run without the interpreter.

A plan is a list of steps. Each step is one SQL statement, the values bound to it, and what it must find; the first
step that does not find it decides how the plan ends. The executor runs a plan from BEGIN IMMEDIATE to COMMIT without
the GIL, often together with others that were waiting at the same time.

    revision = Step("SELECT head_revision FROM session_head WHERE head_revision <> ?1", (7,),
                    expect=Expect.NO_ROW, name="revision")
    head = Step("UPDATE session_head SET head_revision = 8", expect=1)
    result = database.run(Plan([revision, head]))
"""

import enum
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from lash_store.errors import GuardFailed, InvalidPlan, StoreBusy, StoreClosed, StoreError
from lash_store.sqlite import native
from lash_store.sqlite.connection import failure

SqlValue: TypeAlias = int | float | str | bytes | bytearray | memoryview | None


class Expect(enum.IntEnum):
    """What a step must find. A plain integer from 0 on means: exactly that many changes."""

    ANYTHING = -1
    ROW = -2
    NO_ROW = -3


class Otherwise(enum.IntEnum):
    """What a step that does not find it does: roll the plan back and raise, or end it there with success."""

    FAIL = 0
    STOP = 1


class Step(msgspec.Struct, frozen=True):
    """One statement of a plan.

    `sql` holds one statement with positional parameters (`?`, `?1`); `values` are bound to them. With `many` the
    statement is run once for each of the value sequences in `values`, and its changes add up. `expect` and `otherwise`
    say what it must find and what happens if it does not. `rows`: its rows come back. `name` appears in GuardFailed.
    """

    sql: str
    values: Sequence[SqlValue] | Sequence[Sequence[SqlValue]] = ()
    expect: int = Expect.ANYTHING
    otherwise: Otherwise = Otherwise.FAIL
    rows: bool = False
    many: bool = False
    name: str = ""


class Plan(msgspec.Struct, frozen=True):
    """A transaction: its steps in order. It is committed as a whole or not at all."""

    steps: Sequence[Step]


class PlanResult(msgspec.Struct, frozen=True, gc=False):
    """What a committed plan found.

    `stopped` is the index of the step whose miss ended the plan early (Otherwise.STOP), None if it ran to its end;
    `row` is the row which that step met where it expected none. `rows` holds one list for each step marked `rows`, in
    order, empty for steps that were not reached. `changes` is the number of rows inserted, updated and deleted.
    """

    stopped: int | None
    row: tuple[Any, ...] | None
    rows: tuple[list[tuple[Any, ...]], ...]
    changes: int


def result_of(outcome: native.Outcome, steps: Sequence[Step], path: str) -> PlanResult:
    """The result of a plan of `steps`, or its error raised (see `lash_store.errors`)."""
    if outcome[0] == native.DONE:
        return PlanResult(outcome[1], outcome[2], outcome[3], outcome[4])
    raise _error_of(outcome, steps, path)


def _error_of(outcome: native.Outcome, steps: Sequence[Step], path: str) -> StoreError:
    kind = outcome[0]
    if kind == native.GUARD:
        _, number, row, changes = outcome
        step = steps[number]
        return GuardFailed(number, step.name, _wording(step.expect), row, changes)
    if kind == native.FAILED:
        _, number, code, extended_code, message = outcome
        return failure(path, code, extended_code, message, step=None if number < 0 else number)
    if kind == native.BUSY:
        return StoreBusy(outcome[1])
    if kind == native.INVALID:
        return InvalidPlan(outcome[1], outcome[2])
    return StoreClosed(path)


def _wording(expect: int) -> str:
    if expect == Expect.ROW:
        return "a row"
    if expect == Expect.NO_ROW:
        return "no row"
    return f"{expect} changes"
