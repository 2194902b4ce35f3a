"""The stored form of values that the store does not interpret: which Python values have one, and in which key order.

Free JSON is None, bool, int, float, str, list (or tuple) and dict with str keys. Rules (specification 3.1):

* integers lie in -2^63 ... 2^64-1, doubles are finite, strings hold no lone surrogates: whatever breaks one of these
  could be written, and then not be read back by every reader of the file, so it is refused before anything is written;
* the keys of an object are sorted by their UTF-8 bytes, which is the order of their code points. Content addresses are
  taken over the written bytes, so an object in another order would be another blob;
* some uninterpreted values are structs to their owner (a tool state, a prompt layer). A `Layout` says which keys keep
  the declared order; what it does not describe stays in the order given.
"""

import enum
import math
from collections.abc import Mapping
from typing import Any, Final

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1
WIDE: Final = 1e16
"""From this magnitude on the text of a double needs an exponent with a sign, which msgspec does not write."""
DEEPEST_JSON: Final = 127
"""Levels of arrays and objects, in all, that every JSON reader of the file accepts (specification 3.1)."""
DEEPEST_MESSAGEPACK: Final = 1023
"""The same for MessagePack; the interpreter's recursion limit may end it earlier, with the same error."""


class Unfit(Exception):
    """Inside this package only: a value that cannot be read or written; the path grows as the error travels outwards.

    `free` is True where the value lies in free JSON. `refusal` may name another public error to raise.
    """

    def __init__(self, reason: str, *, free: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.free = free
        self.steps: list[str | int] = []

    def at(self, step: str | int) -> "Unfit":
        """The same error seen from one level further out; `step` is a key or an index."""
        self.steps.append(step)
        return self

    @property
    def path(self) -> str:
        """Where the value is, for example `$.parts[0].content`."""
        return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in reversed(self.steps))


class WideFloat(float):
    """A finite double of magnitude 1e16 or more. The JSON encoder has a text of its own for it (json_text)."""

    __slots__ = ()


class Plain(enum.Enum):
    """Layouts without keys of their own."""

    SORTED = "free JSON: the keys of every object are sorted"
    AS_GIVEN = "a struct whose keys are not known here: the given order is the declared one"
    BYTES = "a byte string: a list of integers 0 ... 255"


class MapOf:
    """An object keyed by name: keys sorted, each value laid out as `value`."""

    __slots__ = ("value",)

    def __init__(self, value: "Layout") -> None:
        self.value = value


class Key:
    """One key of a struct: the layout of its value, and when the owner's own writer writes it.

    `absent` is what a missing key means (None: nothing); `always` says whether that default is written out; an object
    that is worth nothing without one of its keys `needs` it. All three count only in the form that is hashed
    (specification 4.8 step 2); stored values keep what they were given.
    """

    __slots__ = ("absent", "always", "needs", "value")

    def __init__(
        self, value: "Layout" = Plain.SORTED, *, absent: Any = None, always: bool = False, needs: str = ""
    ) -> None:
        self.value = value
        self.absent = absent
        self.always = always
        self.needs = needs

    def written(self, value: Any) -> bool:
        """Whether the owner's writer would write this key with this value."""
        if self.needs and isinstance(value, Mapping) and not value.get(self.needs):
            return False
        return self.always or not (type(value) is type(self.absent) and value == self.absent)


class Fields:
    """A struct: the keys in declared order. Keys that are not among them follow in the given order."""

    __slots__ = ("keys",)

    def __init__(self, **keys: Key) -> None:
        self.keys = keys


Layout = Plain | MapOf | Fields


def stored_form(value: Any, layout: Layout = Plain.SORTED, *, hashed: bool = False, levels: int = DEEPEST_JSON) -> Any:
    """A copy of `value` made of plain lists and dicts, keys in the order in which they are written.

    With `hashed` the struct parts come in the form that their owner would write: unknown keys dropped, defaults added
    or left out. `levels` is the number of nested arrays and objects allowed.
    Raises Unfit where a value has no stored form.
    """
    try:
        return _form(value, layout, hashed, levels)
    except RecursionError:
        raise Unfit("nested too deeply", free=True) from None


def _form(value: Any, layout: Layout, hashed: bool, levels: int) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return text_form(value)
    if isinstance(value, int):
        return _int_form(value)
    if isinstance(value, float):
        return _float_form(value)
    if layout is Plain.BYTES and isinstance(value, (bytes, bytearray, memoryview)):
        return list(value)
    if levels == 0:
        raise Unfit("nested too deeply", free=True)
    if isinstance(value, (list, tuple)):
        return _list_form(value, layout, hashed, levels - 1)
    if isinstance(value, Mapping):
        return _object_form(value, layout, hashed, levels - 1)
    raise Unfit(f"a {type(value).__name__} has no JSON form", free=True)


def text_form(value: str) -> str:
    """The string as it is written. Raises Unfit if it holds lone surrogates, which UTF-8 cannot say."""
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unfit("the text holds a lone surrogate", free=True) from None
    return value if type(value) is str else str.__str__(value)


def _int_form(value: int) -> int:
    if not INT_MIN <= value <= UINT_MAX:
        raise Unfit("the integer lies outside -2^63 ... 2^64-1", free=True)
    return int(value)


def _float_form(value: float) -> float:
    if not math.isfinite(value):
        raise Unfit("NaN and infinities have no JSON form", free=True)
    return WideFloat(value) if abs(value) >= WIDE else float(value)


def _list_form(value: "list[Any] | tuple[Any, ...]", layout: Layout, hashed: bool, levels: int) -> list[Any]:
    if layout is Plain.BYTES and not all(type(item) is int and 0 <= item <= 255 for item in value):
        raise Unfit("a byte string is a list of integers 0 ... 255", free=True)
    items: list[Any] = []
    try:
        items.extend(_form(item, layout, hashed, levels) for item in value)
    except Unfit as unfit:
        raise unfit.at(len(items)) from None
    return items


def _object_form(value: Mapping[Any, Any], layout: Layout, hashed: bool, levels: int) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise Unfit("a key is not a string", free=True).at(repr(key))
    form: dict[str, Any] = {}
    key = ""
    try:
        for key, item, inner in _in_order(value, layout, hashed):
            form[text_form(key)] = _form(item, inner, hashed, levels)
    except Unfit as unfit:
        raise unfit.at(key) from None
    return form


def _in_order(value: Mapping[str, Any], layout: Layout, hashed: bool) -> list[tuple[str, Any, Layout]]:
    """The (key, value, layout of the value) of an object, in the order in which they are written."""
    if isinstance(layout, Fields):
        return _fields_in_order(value, layout, hashed)
    if isinstance(layout, MapOf):
        return [(key, value[key], layout.value) for key in sorted(value)]
    if layout is Plain.AS_GIVEN:
        return [(key, item, layout) for key, item in value.items()]
    return [(key, value[key], Plain.SORTED) for key in sorted(value)]


def _fields_in_order(value: Mapping[str, Any], layout: Fields, hashed: bool) -> list[tuple[str, Any, Layout]]:
    found: list[tuple[str, Any, Layout]] = []
    for name, key in layout.keys.items():
        if name in value:
            if not hashed or key.written(value[name]):
                found.append((name, value[name], key.value))
        elif hashed and key.always:
            found.append((name, key.absent, key.value))
    if not hashed:
        found.extend((name, item, Plain.AS_GIVEN) for name, item in value.items() if name not in layout.keys)
    return found
