"""What callers hand in, looked at before anything else: a record where one is wanted, a list where one is."""

from collections.abc import Sequence
from typing import Any, TypeVar

from lash_store.errors import InvalidRecord

R = TypeVar("R")


def record_of(kind: type[R], value: Any) -> R:
    """`value`, if it is a `kind`. Raises InvalidRecord if not."""
    if not isinstance(value, kind):
        raise InvalidRecord(kind.__name__, "$", f"expected a {kind.__name__}, got a {type(value).__name__}")
    return value


def records_of(kind: type[R], values: Any) -> Sequence[R]:
    """`values`, if they are a list of `kind`. Raises InvalidRecord if not."""
    if not isinstance(values, list | tuple):
        raise InvalidRecord(kind.__name__, "$", f"expected a list, got a {type(values).__name__}")
    for value in values:
        record_of(kind, value)
    return values
