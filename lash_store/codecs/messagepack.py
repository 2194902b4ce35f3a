"""MessagePack as the blobs hold it (specification 3.1).

Writing is the C encoder's (records.encoder), and msgspec's where that declines: shortest integers, 64-bit floats,
shortest strings, maps in the order given. What is handed to msgspec has been through `stored_form` or a record's
writer, which decide the order and refuse what has no stored form.

Reading is done here where it must be strict, because msgspec lets the last of two equal keys win: a value is decoded
with msgspec and encoded again, and only if other bytes come out (foreign encodings, repeated keys) read once more by
`Reader`.
"""

import struct
from collections.abc import Callable
from typing import Any, Final

import msgspec

from lash_store.codecs import intarrays
from lash_store.records import encoder
from lash_store.records.json_text import RepeatedKeys
from lash_store.records.layout import DEEPEST_MESSAGEPACK, Layout, Unfit, WideFloat, stored_form
from lash_store.records.record import Record, raise_public

_NOT_WHOLE: Final = "not a whole MessagePack value"
_FIXED: Final[dict[int, tuple[str, int]]] = {
    0xCA: (">f", 4),
    0xCB: (">d", 8),
    0xCC: (">B", 1),
    0xCD: (">H", 2),
    0xCE: (">I", 4),
    0xCF: (">Q", 8),
    0xD0: (">b", 1),
    0xD1: (">h", 2),
    0xD2: (">i", 4),
    0xD3: (">q", 8),
}
_LITERALS: Final[dict[int, bool | None]] = {0xC0: None, 0xC2: False, 0xC3: True}
_TEXT: Final = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_BINARY: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_ARRAY: Final = {0xDC: 2, 0xDD: 4}
_MAP: Final = {0xDE: 2, 0xDF: 4}


def pack(value: Any) -> bytes:
    """The MessagePack bytes of a plain value. Raises Unfit if it is nested too deeply."""
    try:
        return _ENCODER.encode(value)
    except RecursionError:
        raise Unfit("nested too deeply", free=True) from None


def pack_record(record: Record) -> bytes:
    """The MessagePack bytes of a record. Raises InvalidRecord or InvalidJsonValue as its `to_json` does."""
    packed = encoder.packed(record)
    if packed is not None:
        return packed
    try:
        return pack(record.write_plain(False))
    except Unfit as unfit:
        raise_public(type(record).__name__, unfit)


def packer(layout: Layout) -> Callable[[Any], bytes]:
    """The function that packs values which the store does not interpret, laid out as `layout`. It raises Unfit."""
    writer = encoder.free_writer(layout)

    def packed(value: Any) -> bytes:
        written = None if writer is None else writer.packed(value)
        return pack(stored_form(value, layout, levels=DEEPEST_MESSAGEPACK)) if written is None else written

    return packed


def _double(value: Any) -> float:
    """JSON writes wide doubles in a way of its own; here they are doubles like any other."""
    if not isinstance(value, WideFloat):
        raise TypeError(f"a {type(value).__name__} has no MessagePack form")
    return float(value)


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_double)


def unpack(data: bytes) -> Any:
    """The one value that `data` holds, as plain lists and dicts; `RepeatedKeys` where a key stood twice.

    Raises Unfit if `data` is anything else: cut short, with bytes behind the value, with text that is not UTF-8. What
    JSON does not know (extension types, keys that are no strings, byte strings), and nesting too deep to be read by
    others though not by msgspec on this interpreter, is for `stored_form` to refuse.
    """
    try:
        value = msgspec.msgpack.decode(data)
        if msgspec.msgpack.encode(value) == data:
            return value
    except (msgspec.DecodeError, msgspec.EncodeError, UnicodeError, RecursionError, TypeError, ValueError):
        pass
    reader = Reader(data)
    value = reader.value()
    reader.end()
    return value


class Reader:
    """Reads MessagePack from the front to the back. Every method raises Unfit for what it cannot read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def end(self) -> None:
        """Nothing may follow."""
        if self.at != len(self.data):
            raise Unfit("bytes follow the MessagePack value")

    def value(self, levels: int = DEEPEST_MESSAGEPACK) -> Any:
        """Any value; `levels` more arrays and maps may be nested in it."""
        try:
            return self._value(levels)
        except RecursionError:
            raise Unfit("nested too deeply") from None

    def map_size(self) -> int:
        """The number of pairs of the map that begins here."""
        return self._size(self._byte(), _MAP, 0x80, "a map")

    def text(self) -> str:
        """A string."""
        first = self._byte()
        if 0xA0 <= first <= 0xBF:
            return self._text(first & 0x1F)
        if first not in _TEXT:
            raise Unfit("expected a string")
        return self._text(self._number(_TEXT[first]))

    def byte_string(self) -> bytes:
        """A byte string: an array of integers as this package writes it, or the `bin` family."""
        if self.at < len(self.data) and self.data[self.at] in _BINARY:
            return self._take(self._number(_BINARY[self._byte()]))
        try:
            content, self.at = intarrays.decode(self.data, self.at)
        except ValueError as cause:
            raise Unfit(str(cause)) from None
        return content

    def _value(self, levels: int) -> Any:
        first = self._byte()
        if first < 0x80:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first in _LITERALS:
            return _LITERALS[first]
        if first in _FIXED:
            form, size = _FIXED[first]
            return struct.unpack(form, self._take(size))[0]
        if first in _BINARY:
            return self._take(self._number(_BINARY[first]))
        if first in _TEXT or 0xA0 <= first <= 0xBF:
            self.at -= 1
            return self.text()
        if levels == 0:
            raise Unfit("nested too deeply")
        if first in _ARRAY or first & 0xF0 == 0x90:
            return self._array(self._size(first, _ARRAY, 0x90, "an array"), levels - 1)
        return self._map(self._size(first, _MAP, 0x80, "a value that is no extension"), levels - 1)

    def _array(self, size: int, levels: int) -> list[Any]:
        items = []
        for index in range(size):
            try:
                items.append(self._value(levels))
            except Unfit as unfit:
                raise unfit.at(index) from None
        return items

    def _map(self, size: int, levels: int) -> dict[str, Any]:
        pairs = []
        for _ in range(size):
            key = self.text()
            try:
                pairs.append((key, self._value(levels)))
            except Unfit as unfit:
                raise unfit.at(key) from None
        value = dict(pairs)
        return value if len(value) == size else RepeatedKeys(pairs)

    def _size(self, first: int, wide: dict[int, int], fixed: int, name: str) -> int:
        if first & 0xF0 == fixed:
            return first & 0x0F
        if first not in wide:
            raise Unfit(f"expected {name}")
        return self._number(wide[first])

    def _text(self, size: int) -> str:
        try:
            return self._take(size).decode()
        except UnicodeDecodeError:
            raise Unfit("the text is not UTF-8") from None

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, size: int) -> bytes:
        taken = self.data[self.at : self.at + size]
        if len(taken) != size:
            raise Unfit(_NOT_WHOLE)
        self.at += size
        return taken
