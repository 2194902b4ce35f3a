"""Byte strings as arrays of integers: every kernel of the C module, and the twin, against the wire format."""

import contextlib
import importlib
import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_store.codecs import _intarrays_python, intarrays
from tests import compiled


def ways() -> dict[str, Any]:
    """Return a module for each way that runs here, by name; each C module has a choice of kernel of its own."""
    found: dict[str, Any] = {"python": _intarrays_python}
    if intarrays.IMPLEMENTATION == "c":
        module = importlib.import_module(compiled.INTARRAYS)
        for kernel in module.kernels():
            found[kernel] = compiled.loaded_again(module)
            found[kernel].use_kernel(kernel)
    return found


WAYS = ways()


@pytest.fixture(params=WAYS, scope="module")
def way(request: pytest.FixtureRequest) -> Any:
    return WAYS[request.param]


def elements(data: bytes) -> bytes:
    """Return the array of `data`, element by element as the MessagePack format describes it."""
    size = len(data)
    if size < 16:
        header = bytes([0x90 | size])
    else:
        header = b"\xdc" + size.to_bytes(2, "big") if size < 65536 else b"\xdd" + size.to_bytes(4, "big")
    return header + b"".join(bytes([byte]) if byte < 128 else bytes([0xCC, byte]) for byte in data)


SIZES = [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200, 16_320, 16_321, 65_535, 65_536, 70_001]
PATTERNS = [b"a", b"\x7f\x80", b"\xcc", b"\xcc\x00", b"a\xcc\xcc", bytes(range(256)), b"\xff" * 63 + b"z"]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.hex()[:12])
@pytest.mark.parametrize("size", SIZES)
def test_both_ways(way: Any, size: int, pattern: bytes) -> None:
    data = (pattern * (size // len(pattern) + 1))[:size]
    array = elements(data)
    assert way.encode(data) == array
    assert way.encode(data, b"before") == b"before" + array
    assert way.decode(array) == (data, len(array))
    assert way.decode(b"xy" + array + b"\xccz", 2) == (data, 2 + len(array))


@given(data=st.lists(st.sampled_from(PATTERNS), max_size=400).map(b"".join) | st.binary(max_size=700))
def test_any_bytes(way: Any, data: bytes) -> None:
    assert way.encode(data) == elements(data)
    assert way.decode(elements(data)) == (data, len(elements(data)))


@pytest.mark.parametrize("place", [0, 1, 63, 64, 65, 127, 128, 199])
@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("cc05", 5),
        ("cd00ff", 255),
        ("ce00000080", 128),
        ("cf0000000000000001", 1),
        ("d07f", 127),
        ("d100c8", 200),
        ("d2000000ff", 255),
        ("d30000000000000000", 0),
    ],
)
def test_every_integer_form_is_read(way: Any, place: int, form: str, value: int) -> None:
    before, after = b"\x81" * place, b"\xcc" * (200 - place)
    array = b"\xdc\x00\xc9" + elements(before)[1 if place < 16 else 3 :] + bytes.fromhex(form)
    array += elements(after)[1 if len(after) < 16 else 3 :]
    for behind in (b"", b"\xc0"):
        assert way.decode(array + behind) == (before + bytes([value]) + after, len(array))


@pytest.mark.parametrize("place", [0, 1, 63, 64, 127, 150])
@pytest.mark.parametrize(
    "form",
    [
        *("c0", "c2", "c3", "c401ff", "c705", "a161", "90", "80", "cd0100", "ff", "e0", "d0ff", "d1ff7f"),
        *("d405", "d500", "d905", "dc0005", "de0005", "cb" + "0" * 16, "cbbf" + "0" * 14),
    ],
)
def test_what_is_no_byte_is_refused(way: Any, place: int, form: str) -> None:
    array = b"\xdc\x00\xc9" + b"\xcc\x90" * place + bytes.fromhex(form) + b"\x01" * (200 - place)
    with pytest.raises(ValueError, match="no array of integers"):
        way.decode(array)


@pytest.mark.parametrize("data", ["", "01", "a161", "80", "c40161", "dc", "dc00", "dd000000", "de0000", "c0", "ff"])
def test_what_is_no_array_is_refused(way: Any, data: str) -> None:
    with pytest.raises(ValueError, match="no array of integers"):
        way.decode(bytes.fromhex(data))


@pytest.mark.parametrize("data", [bytes(range(256)), b"\xcc" * 300, b"a" * 70])
def test_input_cut_short_is_refused(way: Any, data: bytes) -> None:
    array = elements(data)
    for size in range(len(array)):
        with pytest.raises(ValueError, match="no array of integers"):
            way.decode(array[:size])


@pytest.mark.parametrize("start", [-1, 3, 4, sys.maxsize])
def test_a_start_outside_is_refused(way: Any, start: int) -> None:
    with pytest.raises(ValueError, match="no array of integers"):
        way.decode(b"\x91\x01\x90"[:3], start)


def test_a_header_that_promises_too_much_allocates_nothing(way: Any) -> None:
    with pytest.raises(ValueError, match="no array of integers"):
        way.decode(b"\xdd\xff\xff\xff\xff\x01")


def test_buffers_of_every_kind(way: Any) -> None:
    for data in (bytearray(b"a\xcc"), memoryview(b"a\xcc")):
        assert way.encode(data) == b"\x92a\xcc\xcc"
        assert way.decode(memoryview(b"\x92a\xcc\xcc")) == (b"a\xcc", 4)


@pytest.mark.parametrize("argument", ["text", None, 3, [1]])
def test_other_arguments_are_refused(way: Any, argument: Any) -> None:
    with pytest.raises(TypeError):
        way.encode(argument)
    with pytest.raises(TypeError):
        way.decode(argument)


def test_wider_items_are_taken_as_their_bytes(way: Any) -> None:
    """Both take the bytes of any contiguous buffer, whatever its items are."""
    items = memoryview(bytearray(b"\x01\x00\xff\x00")).cast("H")
    assert way.encode(items) == b"\x94\x01\x00\xcc\xff\x00"


@pytest.mark.skipif(intarrays.IMPLEMENTATION != "c", reason="the twin has no kernels")
def test_an_unknown_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="no kernel abacus"):
        importlib.import_module(compiled.INTARRAYS).use_kernel("abacus")


def test_a_buffer_that_changes_meanwhile_harms_nobody(way: Any) -> None:
    """The lock is given away for long inputs: a writer in another thread may see to it that sizes do not fit.

    What comes out then is an array all the same, or the refusal.
    """
    size = 1 << 16 if way is _intarrays_python else 1 << 24
    data, stop = bytearray(b"\x01" * size), threading.Event()
    tails = [bytes([byte]) * (size // 4) for byte in (0x01, 0xFF)]

    def disturb() -> None:
        while not stop.is_set():
            for tail in tails:
                data[-len(tail) :] = tail

    writer = threading.Thread(target=disturb)
    writer.start()
    try:
        for _ in range(10):
            with contextlib.suppress(ValueError):
                array = way.encode(data)
                assert way.decode(array)[1] == len(array)
    finally:
        stop.set()
        writer.join()
