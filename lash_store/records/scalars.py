"""How single values are read from their plain JSON form and written to it."""

import enum
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from lash_store.records.encoder import Form
from lash_store.records.layout import Fields, MapOf, Octets, Plain, Unfit, stored_form, text_form

Read = Callable[[Any], Any]
Write = Callable[[Any, bool], Any]
"""(value, hashed) -> plain value; `hashed` leaves out whatever upstream's own records do not hold (4.8 step 2)."""


class Codec(NamedTuple):
    """How one value is read from its plain form, and written to it; `form` says the latter to the C encoder.

    Without a form, records that hold such a value are written in Python.
    """

    read: Read
    write: Write
    form: Form | None = None


class Range(NamedTuple):
    """The integers low ... high."""

    low: int
    high: int


def named(value: Any) -> str:
    """What an error calls a value of the wrong type."""
    return "null" if value is None else f"a {type(value).__name__}"


def _scalar(wanted: type, name: str, form: Form) -> Codec:
    def check(value: Any) -> Any:
        if type(value) is not wanted:
            raise Unfit(f"expected {name}, got {named(value)}")
        return value

    return Codec(check, lambda value, hashed: check(value), form)


def _write_text(value: Any, _hashed: bool) -> str:
    if type(value) is str and value.isascii():
        return value
    if not isinstance(value, str) or isinstance(value, enum.Enum):
        raise Unfit(f"expected a string, got {named(value)}")
    return text_form(value)


def _read_bytes(value: Any) -> bytes:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if not isinstance(value, (list, tuple)) or not set(map(type, value)) <= {int}:
        raise Unfit(f"expected a list of integers 0 ... 255, got {named(value)}")
    try:
        return bytes(value)
    except ValueError:
        raise Unfit("a byte lies outside 0 ... 255") from None


def _write_bytes(value: Any, _hashed: bool) -> Octets:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise Unfit(f"expected bytes, got {named(value)}")
    return Octets(value)


SCALARS: Final[dict[Any, Codec]] = {
    bool: _scalar(bool, "a boolean", ("boolean",)),
    bytes: Codec(_read_bytes, _write_bytes, ("bytes",)),
    str: _scalar(str, "a string", ("text",))._replace(write=_write_text),
}


def integer(limits: Range) -> Codec:
    """An integer in the given range; booleans and doubles are none."""

    def check(value: Any) -> int:
        if type(value) is not int:
            raise Unfit(f"expected an integer, got {named(value)}")
        if not limits.low <= value <= limits.high:
            raise Unfit(f"the integer lies outside {limits.low} ... {limits.high}")
        return value

    return Codec(check, lambda value, hashed: check(value), ("integer", *limits))


def free(layout: Plain | MapOf | Fields) -> Codec:
    """A value that the store does not interpret; an object if its layout says so."""
    objects_only = not isinstance(layout, Plain)

    def read(value: Any) -> Any:
        if objects_only and not isinstance(value, Mapping):
            raise Unfit(f"expected an object, got {named(value)}")
        return value

    def write(value: Any, hashed: bool) -> Any:
        return stored_form(read(value), layout, hashed=hashed)

    return Codec(read, write, ("free", layout))


def enumeration(members: type[enum.Enum]) -> Codec:
    """A member by its text; written only from a member, so that a misspelt text cannot be stored."""
    by_text = {member.value: member for member in members}

    def read(value: Any) -> enum.Enum:
        if not isinstance(value, str) or value not in by_text:
            raise Unfit(f"expected one of {', '.join(by_text)}, got {value!r}")
        return by_text[value]

    def write(value: Any) -> str:
        if not isinstance(value, members):
            raise Unfit(f"expected a {members.__name__}, got {named(value)}")
        return str(value.value)

    texts = tuple((member, str(text)) for text, member in by_text.items())
    return Codec(read, lambda value, hashed: write(value), ("member", texts))
