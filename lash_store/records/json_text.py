"""JSON text as the files hold it: strict reading, compact writing (specification 3.1 and the text form of 4.8).

Python's own readers are not strict enough: `json` takes NaN and lone surrogates, msgspec takes `-0` for the integer 0
and lets the last of two equal keys win without a sign. So a text is read with msgspec, at its speed, and written again:
if the same bytes come out, the text held nothing of the kind. Only when they differ (foreign white space, escapes,
repeated keys, wide doubles) is it read a second time with the slow rules.
"""

import json
import re
from collections import Counter
from typing import Any, Final

import msgspec

from lash_store.records.layout import DEEPEST_JSON, INT_MIN, UINT_MAX, Unfit, WideFloat

_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_LONGEST_INTEGER: Final = len(str(INT_MIN))


class RepeatedKeys(dict[str, Any]):
    """An object in whose text a key stood more than once; the last value won. `repeated` holds these keys."""

    __slots__ = ("repeated",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(key for key, _ in pairs)
        self.repeated = {key for key, count in counts.items() if count > 1}


def parse(text: str | bytes) -> Any:
    """The value of a JSON text: plain lists and dicts, `RepeatedKeys` where a key stood twice.

    Integers outside -2^63 ... 2^64-1 and `-0` come back as doubles, as every reader of the file takes them.
    Raises Unfit for everything else: no text, not UTF-8, not JSON, trailing text, NaN, out-of-range doubles, lone
    surrogates, more than 127 nested levels.
    """
    if not isinstance(text, (str, bytes, bytearray, memoryview)):
        raise Unfit(f"expected a JSON text, got a {type(text).__name__}")
    try:
        data = text.encode() if isinstance(text, str) else bytes(text)
    except UnicodeEncodeError:
        raise Unfit("the text holds a lone surrogate") from None
    require_depth(data)
    try:
        value = msgspec.json.decode(data)
        if msgspec.json.encode(value) == data:
            # MessagePack has no integers outside -2^63 ... 2^64-1: the quickest way to know that there is none.
            msgspec.msgpack.encode(value)
            return value
    except (msgspec.DecodeError, OverflowError, UnicodeError, RecursionError):
        pass
    return _parse_strictly(data)


def compact(value: Any) -> bytes:
    """The compact text of a value made by `stored_form` or by a record's writer; key order as in the value."""
    return _COMPACT.encode(value)


def canonical(value: Any) -> bytes:
    """The same with the keys of every object sorted by their UTF-8 bytes: the text that is hashed."""
    return _CANONICAL.encode(value)


def require_depth(data: bytes) -> None:
    """Raises Unfit if a JSON text nests more than 127 arrays and objects, which upstream's reader refuses."""
    if data.count(b"[") + data.count(b"{") <= DEEPEST_JSON:
        return
    depth = 0
    for mark in re.findall(rb"[\[\]{}]", _STRING.sub(b"", data)):
        if mark in b"[{":
            depth += 1
            if depth > DEEPEST_JSON:
                raise Unfit(f"nested more than {DEEPEST_JSON} levels deep")
        else:
            depth -= 1


def _wide_text(value: Any) -> msgspec.Raw:
    """`repr` has the shortest digits and, from 1e16 on, the exponent with its sign: the very text wanted."""
    if not isinstance(value, WideFloat):
        raise TypeError(f"a {type(value).__name__} has no JSON form")
    return msgspec.Raw(float.__repr__(value).encode())


_COMPACT: Final = msgspec.json.Encoder(enc_hook=_wide_text)
_CANONICAL: Final = msgspec.json.Encoder(enc_hook=_wide_text, order="deterministic")


def _parse_strictly(data: bytes) -> Any:
    try:
        text = data.decode()
        value = _STRICT.decode(text)
    except (ValueError, RecursionError) as cause:
        raise Unfit(f"not JSON: {cause}") from None
    if "\\u" in text:
        _refuse_surrogates(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    return value if len(value) == len(pairs) else RepeatedKeys(pairs)


def _integer(digits: str) -> int | float:
    if digits == "-0":
        return -0.0
    if len(digits) <= _LONGEST_INTEGER:
        value = int(digits)
        if INT_MIN <= value <= UINT_MAX:
            return value
    return _double(digits)


def _double(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number is out of range")
    return value


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_double, parse_constant=_constant
)


def _refuse_surrogates(value: Any) -> None:
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        raise Unfit("the text holds a lone surrogate escape") from None


def last_wins(value: Any) -> Any:
    """The value with every repeated key settled: plain dicts, in which the last value stands."""
    if isinstance(value, dict):
        return {key: last_wins(item) for key, item in value.items()}
    if isinstance(value, list):
        return [last_wins(item) for item in value]
    return value
