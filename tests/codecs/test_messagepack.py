"""Strict reading of MessagePack."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_store.codecs import messagepack
from lash_store.records.json_text import RepeatedKeys
from lash_store.records.layout import DEEPEST_MESSAGEPACK, Unfit, stored_form

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=40), inner), max_leaves=40
)


def strictly(data: bytes) -> Any:
    """Return the value that the slow reader finds."""
    reader = messagepack.Reader(data)
    value = reader.value()
    reader.end()
    return value


@given(VALUES)
def test_a_value_comes_back(value: Any) -> None:
    packed = messagepack.pack(stored_form(value))
    assert messagepack.unpack(packed) == value
    assert strictly(packed) == value
    assert messagepack.pack(stored_form(messagepack.unpack(packed))) == packed


@given(VALUES)
def test_the_slow_reader_agrees_with_another_one(value: Any) -> None:
    packed = msgspec.msgpack.encode(value)
    assert strictly(packed) == msgspec.msgpack.decode(packed)


@pytest.mark.parametrize("size", [31, 32, 255, 256, 65_535, 65_536])
def test_the_slow_reader_knows_every_size(size: int) -> None:
    values: list[Any] = ["x" * size, b"x" * size, [None] * size, {str(index): index for index in range(size)}]
    for value in values:
        assert strictly(msgspec.msgpack.encode(value)) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing but Unfit comes out, above all no RecursionError and no MemoryError; what is read can be packed again."""
    try:
        value = messagepack.unpack(data)
        form = stored_form(value)
    except Unfit:
        return
    packed = messagepack.pack(form)
    assert repr(messagepack.unpack(packed)) == repr(value)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("cd0005", 5),
        ("d3ffffffffffffffff", -1),
        ("ca3fc00000", 1.5),
        ("ff", -1),
        ("e0", -32),
        ("d90161", "a"),
        ("db0000000161", "a"),
        ("dc000107", [7]),
        ("df00000001a16101", {"a": 1}),
        ("c403010203", b"\x01\x02\x03"),
    ],
)
def test_longer_forms_than_needed_are_read(data: str, value: Any) -> None:
    assert messagepack.unpack(bytes.fromhex(data)) == strictly(bytes.fromhex(data)) == value


def test_a_repeated_key_is_seen() -> None:
    value = messagepack.unpack(bytes.fromhex("83a16101a16202a16103"))
    assert isinstance(value, RepeatedKeys)
    assert (value, value.repeated) == ({"a": 3, "b": 2}, {"a"})


@pytest.mark.parametrize(
    "data",
    ["", "92c0", "a261", "c0c0", "81", "81a161", "8101c0cc", "d9", "a1ff", "c1", "d40101ff", "cb00", "dd00000001"],
)
def test_what_is_no_whole_value_is_refused(data: str) -> None:
    with pytest.raises(Unfit):
        messagepack.unpack(bytes.fromhex(data))


@pytest.mark.parametrize("levels", [1_024, 5_000, 200_000])
def test_deep_nesting_is_refused(levels: int) -> None:
    """Some interpreters let msgspec go that deep; then the stored form is where it ends."""
    deep = b"\x91" * levels + b"\xc0"
    with pytest.raises(Unfit, match="nested too deeply"):
        stored_form(messagepack.unpack(deep), levels=DEEPEST_MESSAGEPACK)
    with pytest.raises(Unfit, match="nested too deeply"):
        messagepack.Reader(deep).value()


def test_the_error_says_where() -> None:
    with pytest.raises(Unfit) as caught:
        messagepack.unpack(bytes.fromhex("81a16192a178c1"))
    assert caught.value.path == "$.a[1]"


def test_only_plain_values_are_packed() -> None:
    with pytest.raises(TypeError, match="object"):
        messagepack.pack(object())


def test_wide_doubles_are_doubles() -> None:
    packed = messagepack.pack(stored_form([1e300]))
    assert packed == b"\x91\xcb" + bytes.fromhex("7e37e43c8800759c")
    assert math.isclose(messagepack.unpack(packed)[0], 1e300)
