"""What a plan becomes before it is queued: every step checked, every value copied into a form that cannot change.

All of this runs on the caller's thread and outside any lock, so a plan that could never run costs nobody else anything.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from lash_store.errors import InvalidPlan

ROW: Final = -2
NO_ROW: Final = -3
FAIL: Final = 0
STOP: Final = 1

_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**63 - 1

Row = tuple[Any, ...]


class StepLike(Protocol):
    """What is read of a step; `lash_store.sqlite.plan.Step` is the public form."""

    @property
    def sql(self) -> str:
        """Exactly one statement."""

    @property
    def values(self) -> Sequence[Any]:
        """Values, or with `many` rows of values."""

    @property
    def expect(self) -> int:
        """What it must find: -1 anything, -2 a row, -3 no row, N >= 0 exactly N changes."""

    @property
    def otherwise(self) -> int:
        """What a miss does: 0 fails the plan, 1 ends it with success."""

    @property
    def rows(self) -> bool:
        """Whether all rows come back."""

    @property
    def many(self) -> bool:
        """Whether the statement runs once for each row of `values`."""


class CompiledStep(NamedTuple):
    """A step ready to run: `runs` holds one tuple of values for each time the statement is to run."""

    sql: str
    runs: tuple[Row, ...]
    expect: int
    otherwise: int
    rows: bool


CompiledPlan = tuple[CompiledStep, ...]


def compile_steps(steps: Sequence[StepLike]) -> CompiledPlan:
    """Check and copy `steps`; InvalidPlan says which step (None: the plan as a whole) cannot be run and why."""
    try:
        items = iter(steps)
    except TypeError as error:
        raise InvalidPlan(step=None, reason=f"its steps are a {_type_name(steps)}; pass a sequence") from error
    plan = tuple(_compile_step(index, step) for index, step in enumerate(items))
    if not plan:
        raise InvalidPlan(step=None, reason="it has no steps")
    return plan


def _compile_step(index: int, step: StepLike) -> CompiledStep:
    try:
        return CompiledStep(
            sql=_sql(step.sql),
            runs=_runs(step.values) if step.many else (_row(step.values),),
            expect=_whole(step.expect, "expect", -3, _INT_MAX),
            otherwise=_whole(step.otherwise, "otherwise", FAIL, STOP),
            rows=bool(step.rows),
        )
    except _Refused as refusal:
        raise InvalidPlan(step=index, reason=str(refusal)) from refusal.__cause__


class _Refused(Exception):
    """Why a step cannot be compiled; becomes an InvalidPlan once the step's number is known."""


def _sql(sql: object) -> str:
    if not isinstance(sql, str):
        raise _Refused(f"its SQL is a {_type_name(sql)}; pass a str")
    if "\0" in sql:
        raise _Refused("its SQL holds a NUL character; bind such text as a value")
    return _text(sql, "its SQL")


def _whole(value: object, name: str, low: int, high: int) -> int:
    if not isinstance(value, int):
        raise _Refused(f"{name} is a {_type_name(value)}; pass an int")
    if not low <= value <= high:
        raise _Refused(f"{name} is {int(value)}; pass one from {low} to {high}")
    return int(value)


def _runs(rows: Sequence[object]) -> tuple[Row, ...]:
    if not isinstance(rows, (tuple, list)):
        raise _Refused(f"its values are a {_type_name(rows)}; with many=True pass a tuple or list of rows")
    runs = tuple(map(_row, rows))
    for number, run in enumerate(runs):
        if len(run) != len(runs[0]):
            raise _Refused(f"row {number} has {len(run)} values, the rows before it have {len(runs[0])}")
    return runs


def _row(values: object) -> Row:
    if not isinstance(values, (tuple, list)):
        raise _Refused(f"its values are a {_type_name(values)}; pass a tuple or a list")
    return tuple(_values(values))


def _values(values: Iterable[object]) -> Iterable[object]:
    for position, value in enumerate(values, 1):
        # Exact types first: almost every value is one of these and needs nothing but a look.
        kind = type(value)
        if value is None or kind is float or kind is bytes:
            yield value
        else:
            yield _value(value, f"value {position}")


def _value(value: object, where: str) -> object:
    # Subclasses (an IntEnum, a str Enum) are reduced to their base, which no override of theirs can colour.
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        if not _INT_MIN <= value <= _INT_MAX:
            raise _Refused(f"{where} is an integer beyond 64 bits")
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        try:
            return memoryview(value).tobytes()
        except ValueError as error:
            raise _Refused(f"{where} is a {_type_name(value)} that cannot be read: {error}") from error
    raise _Refused(f"{where} is a {_type_name(value)}; pass None, int, float, str or bytes")


def _text(value: str, where: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise _Refused(f"{where} is a text with lone surrogates, which UTF-8 cannot hold") from error
    return str.__str__(value)


def _type_name(value: object) -> str:
    return type(value).__name__
