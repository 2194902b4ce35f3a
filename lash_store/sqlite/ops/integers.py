"""Integers of records that go into columns: a column holds 63 bits of a uint, a record's JSON 64 (specification 2)."""

from typing import Final

from lash_store.errors import InvalidRecord

COLUMN_MAX: Final = 2**63 - 1
"""The largest integer of a column."""


def column_integer(kind: str, field: str, value: int) -> int:
    """`value`, if a column holds it. Raises InvalidRecord for the `field` of a `kind` if not."""
    if type(value) is not int or not 0 <= value <= COLUMN_MAX:
        raise InvalidRecord(kind, f"$.{field}", f"expected an integer 0 ... {COLUMN_MAX}, got {value!r}")
    return value
