"""The twin of the C module: the same results, at the price of an integer object for every byte."""

from typing import Final

import msgspec

SANITIZERS: Final = ""
_NO_ARRAY: Final = "there is no array of integers 0 ... 255 at this place"
_WIDTHS: Final = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}


def encode(data: bytes | bytearray | memoryview, prefix: bytes | bytearray | memoryview = b"") -> bytes:
    """`prefix` followed by the array of the bytes of `data`: header, then one integer each in its shortest form.

    Raises OverflowError from 2^32 bytes on.
    """
    return bytes(memoryview(prefix)) + msgspec.msgpack.encode(list(memoryview(data).cast("B")))


def decode(data: bytes | bytearray | memoryview, start: int = 0) -> tuple[bytes, int]:
    """The bytes of the array that begins at offset `start`, and the offset behind it.

    Elements may have any integer form. Raises ValueError if there is no array, if an element is no integer 0 ... 255,
    or if `data` ends early.
    """
    whole = bytes(memoryview(data))
    at, count = _header(whole, start)
    try:
        # In most blobs the array is the last thing: then the whole rest is read at once.
        return bytes(msgspec.msgpack.decode(whole[start:], type=list[int])), len(whole)
    except (msgspec.DecodeError, ValueError):
        return _elements(whole, at, count)


def _header(data: bytes, start: int) -> tuple[int, int]:
    """Offset of the first element, number of elements."""
    first = data[start : start + 1] if start >= 0 else b""
    width = {b"\xdc": 2, b"\xdd": 4}.get(first, 0)
    if not first or (width == 0 and first[0] & 0xF0 != 0x90) or len(data) < start + 1 + width:
        raise ValueError(_NO_ARRAY)
    at = start + 1 + width
    count = int.from_bytes(data[start + 1 : at], "big") if width else first[0] & 0x0F
    if count > len(data) - at:
        raise ValueError(_NO_ARRAY)
    return at, count


def _elements(data: bytes, at: int, count: int) -> tuple[bytes, int]:
    found = bytearray()
    while len(found) < count:
        first = data[at] if at < len(data) else 0xC0
        width = 0 if first < 0x80 else _WIDTHS.get(first)
        if width is None or at + 1 + width > len(data):
            raise ValueError(_NO_ARRAY)
        value = int.from_bytes(data[at + 1 : at + 1 + width], "big", signed=first >= 0xD0) if width else first
        if not 0 <= value <= 255:
            raise ValueError(_NO_ARRAY)
        found.append(value)
        at += 1 + width
    return bytes(found), at
