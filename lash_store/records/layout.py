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

import msgspec

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


class Octets(list[int]):
    """A byte string's list of integers. A class of its own, so that nobody need look through it for something else."""

    __slots__ = ()


class Plain(enum.Enum):
    """Layouts without keys of their own."""

    SORTED = "free JSON: the keys of every object are sorted"
    AS_GIVEN = "a struct whose keys are not known here: the given order is the declared one"
    BYTES = "a byte string: a list of integers 0 ... 255"


# Members under names of this module: to look one up in its class takes several times as long.
_SORTED: Final = Plain.SORTED
_AS_GIVEN: Final = Plain.AS_GIVEN
_BYTES: Final = Plain.BYTES


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

    def __init__(self, value: "Layout" = _SORTED, *, absent: Any = None, always: bool = False, needs: str = "") -> None:
        self.value = value
        self.absent = absent
        self.always = always
        self.needs = needs

    def written(self, value: Any, hashed: Any) -> bool:
        """Whether the owner's writer would write this key; of a struct counts what is `hashed` of the value."""
        if isinstance(self.value, Fields):
            value = hashed
        if self.needs and isinstance(value, Mapping) and not value.get(self.needs):
            return False
        return self.always or type(value) is not type(self.absent) or bool(value != self.absent)


class Fields:
    """A struct: the keys in declared order. Keys that are not among them follow in the given order."""

    __slots__ = ("keys",)

    def __init__(self, **keys: Key) -> None:
        self.keys = keys


Layout = Plain | MapOf | Fields


def stored_form(value: Any, layout: Layout = _SORTED, *, hashed: bool = False, levels: int = DEEPEST_JSON) -> Any:
    """A copy of `value` made of plain lists and dicts, keys in the order in which they are written.

    With `hashed` the struct parts come in the form that their owner would write: unknown keys dropped, defaults added
    or left out. `levels` is the number of nested arrays and objects allowed.
    Raises Unfit where a value has no stored form.
    """
    try:
        copy = _plain_copy(value, layout, levels)
        if copy is None:
            return _form(value, layout, hashed, levels)
        if layout is _SORTED:
            return copy
        try:
            return _arranged(value, copy, layout, hashed)
        except Unfit:
            return _form(value, layout, hashed, levels)  # which says where
    except RecursionError:
        raise Unfit("nested too deeply", free=True) from None


_ENCODE: Final = msgspec.json.Encoder().encode
_ENCODE_SORTED: Final = msgspec.json.Encoder(order="deterministic").encode
_DECODE: Final = msgspec.json.Decoder(float_hook=lambda digits: _float_form(float(digits))).decode


def _plain_copy(value: Any, layout: Layout, levels: int) -> Any:
    """A plain copy of an object or list, made by the codec in C: sorted if that is the layout, else in the given order.

    None if `_form` must look at every piece. The codec takes more than has a stored form (NaN, bytes, dates, keys that
    are numbers, ...) and writes it as something else: what comes back is then not equal to what was given. Only
    integers of any size survive both ways; MessagePack refuses them.
    """
    if type(value) is not dict and type(value) is not list:
        return None
    try:
        text = _ENCODE_SORTED(value) if layout is _SORTED else _ENCODE(value)
        copy = _DECODE(text)
        msgspec.msgpack.encode(value)
        faithful = copy == value
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError):
        return None
    if not faithful or (text.count(b"[") + text.count(b"{") > levels and _deeper_than(levels, copy)):
        return None
    return copy


def _deeper_than(levels: int, value: Any) -> bool:
    """Whether a plain value nests more than this many arrays and objects."""
    row = [value]
    for _ in range(levels):
        inner = (item.values() if type(item) is dict else item for item in row)
        row = [item for items in inner for item in items if type(item) is dict or type(item) is list]
        if not row:
            return False
    return True


def _arranged(value: Any, copy: Any, layout: Layout, hashed: bool) -> Any:
    """What `_form` makes of `value`, out of its plain copy in the given order."""
    if layout is _AS_GIVEN or not isinstance(copy, (dict, list)):
        return copy
    if layout is _SORTED:
        return _DECODE(_ENCODE_SORTED(value))
    if isinstance(copy, list):
        if layout is _BYTES:
            return _octets(value)
        return [_arranged(item, its_copy, layout, hashed) for item, its_copy in zip(value, copy, strict=True)]
    if isinstance(layout, MapOf):
        return {key: _arranged(value[key], copy[key], layout.value, hashed) for key in sorted(copy)}
    if isinstance(layout, Fields):
        return _arranged_fields(value, copy, layout, hashed)
    return _DECODE(_ENCODE_SORTED(value))


def _arranged_fields(value: dict[str, Any], copy: dict[str, Any], layout: Fields, hashed: bool) -> dict[str, Any]:
    form: dict[str, Any] = {}
    for name, key in layout.keys.items():
        if name not in copy:
            if hashed and key.always:
                form[name] = _form(key.absent, key.value, hashed, DEEPEST_JSON)
            continue
        inner = copy[name] if key.value is _AS_GIVEN else _arranged(value[name], copy[name], key.value, hashed)
        if not hashed or key.written(value[name], inner):
            form[name] = inner
    if not hashed and len(form) < len(copy):
        form.update((name, item) for name, item in copy.items() if name not in form)
    return form


def _form(value: Any, layout: Layout, hashed: bool, levels: int) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return text_form(value)
    if isinstance(value, int):
        return _int_form(value)
    if isinstance(value, float):
        return _float_form(value)
    if layout is _BYTES and isinstance(value, (bytes, bytearray, memoryview)):
        return Octets(value)
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
    if layout is _BYTES:
        return _octets(value)
    items: list[Any] = []
    try:
        items.extend(_form(item, layout, hashed, levels) for item in value)
    except Unfit as unfit:
        raise unfit.at(len(items)) from None
    return items


def _octets(value: "list[Any] | tuple[Any, ...]") -> Octets:
    try:
        if set(map(type, value)) <= {int}:
            return Octets(bytes(value))
    except ValueError:
        pass
    raise Unfit("a byte string is a list of integers 0 ... 255", free=True)


def _object_form(value: Mapping[Any, Any], layout: Layout, hashed: bool, levels: int) -> dict[str, Any]:
    for key in value:
        if not isinstance(key, str):
            raise Unfit("a key is not a string", free=True).at(repr(key))
    form: dict[str, Any] = {}
    key = ""
    try:
        for key, item, inner in _in_order(value, layout, hashed):
            formed = _form(item, inner, hashed, levels)
            if not hashed or not isinstance(layout, Fields) or layout.keys[key].written(item, formed):
                form[text_form(key)] = formed
    except Unfit as unfit:
        raise unfit.at(key) from None
    return form


def _in_order(value: Mapping[str, Any], layout: Layout, hashed: bool) -> list[tuple[str, Any, Layout]]:
    """The (key, value, layout of the value) of an object, in the order in which they are written."""
    if isinstance(layout, Fields):
        return _fields_in_order(value, layout, hashed)
    if isinstance(layout, MapOf):
        return [(key, value[key], layout.value) for key in sorted(value)]
    if layout is _AS_GIVEN:
        return [(key, item, layout) for key, item in value.items()]
    return [(key, value[key], _SORTED) for key in sorted(value)]


def _fields_in_order(value: Mapping[str, Any], layout: Fields, hashed: bool) -> list[tuple[str, Any, Layout]]:
    if not hashed:
        known = [(name, value[name], key.value) for name, key in layout.keys.items() if name in value]
        if len(known) == len(value):
            return known
        return known + [(name, item, _AS_GIVEN) for name, item in value.items() if name not in layout.keys]
    found: list[tuple[str, Any, Layout]] = []
    for name, key in layout.keys.items():
        if name in value:
            found.append((name, value[name], key.value))
        elif key.always:
            found.append((name, key.absent, key.value))
    return found
