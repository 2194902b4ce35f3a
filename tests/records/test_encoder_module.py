"""The compiled encoder: one for each interpreter, its tables, and what it does without memory (Linux)."""

import gc
import importlib
import sys
import tracemalloc
import weakref
from typing import Any

import pytest

from lash_store.records import encoder
from lash_store.records.record import Record
from tests import compiled
from tests.records.examples import RECORDS

pytestmark = compiled.in_c_on_linux


@pytest.fixture
def module() -> Any:
    return importlib.import_module(compiled.ENCODER)


def test_each_interpreter_gets_a_module_of_its_own(module: Any) -> None:
    """Multi-phase initialisation: the writers of a second module are none of the first's."""
    other = compiled.loaded_again(module)
    assert other.Writer is not module.Writer
    with pytest.raises(TypeError):
        other.Writer().define(("record", ((int, module.Writer(), ""),)))


def test_a_writer_without_a_table_declines(module: Any) -> None:
    writer = module.Writer()
    assert writer.compact("x") is writer.hashed("x") is writer.packed("x") is None


def test_a_table_is_given_once(module: Any) -> None:
    writer = module.Writer()
    writer.define(("text",))
    assert (writer.compact("é"), writer.packed("é")) == ('"é"'.encode(), b"\xa2\xc3\xa9")
    with pytest.raises(ValueError, match="already"):
        writer.define(("boolean",))
    assert writer.compact("x") == b'"x"'


DEEP: Any = ("text",)
for _ in range(100_000):
    DEEP = ("list", DEEP)


@pytest.mark.parametrize(
    "table",
    [
        None, (), [], "text", (1,), ("novelty",), ("list",), ("list", "text"), ("integer", 0), ("integer", "a", 1),
        ("fields", "", "", ()), ("fields", "", "", ((None, None),)), ("fields", "", "", (1,)),
        ("fields", "", "", ((None, (("a", False, ("text",), "sometimes"),)),)),
        ("fields", "", "", ((None, (("a", False, ("text",), "hollow"),)),)),
        ("fields", "", "", ((None, (('"', False, ("text",), "never"),)),)),
        ("fields", "\ud800", "", ((None, ()),)), ("fields", 1, "", ((None, ()),)), ("struct", 1), ("struct", (1,)),
        ("struct", (("a", ("sorted",), None, True, None),)), ("member", ((1, 1),)), ("member", 1), ("record", (1,)),
        ("record", ((int, None, ""),)), ("wrapped", ((int, int, ""),)), ("constant", "\n"), ("constant", 1),
        ("constant", "x" * 40 + '"'), DEEP,
    ],
    ids=lambda table: str(table)[:60] if table is not DEEP else "deep",
)  # fmt: skip
def test_what_is_no_table_is_refused(module: Any, table: Any) -> None:
    """And leaves a writer that writes nothing."""
    writer = module.Writer()
    with pytest.raises((TypeError, RecursionError)):
        writer.define(table)
    assert writer.compact("x") is None


def test_writers_that_name_each_other_are_collected(module: Any) -> None:
    class Known:
        pass

    first, second = module.Writer(), module.Writer()
    known = type("Known", (Known,), {})
    first.define(("record", ((known, second, ""),)))
    second.define(("list", ("record", ((known, first, ""),))))
    watched = weakref.ref(known)
    del first, second, known
    gc.collect()
    assert watched() is None


def test_no_memory_leaks(module: Any) -> None:
    """What a writer takes for one value it gives back, whether it writes it or not."""
    wide = {f"{number}": number for number in range(100)}
    values = [wide, {**wide, "odd": object()}, {**wide, "\ud800": 1}, "x" * 5000, ["\ud800"], [1.5], 2**70, *RECORDS]
    writers = [module.Writer() for _ in range(3)]
    for writer, layout in zip(writers, ("sorted", "as given", "octets"), strict=True):
        writer.define(("free", (layout,)))

    def write_all() -> None:
        for value in values:
            for function in (encoder.compact, encoder.hashed, encoder.packed) if isinstance(value, Record) else ():
                function(value)
            for writer in writers:
                for method in (writer.compact, writer.hashed, writer.packed):
                    method(value)
        with pytest.raises(TypeError):
            module.Writer().define(("list", ("struct", (("a", ("sorted",), None, True, ""), 1))))

    write_all()
    gc.collect()
    counts = [sys.getrefcount(value) for value in values]
    tracemalloc.start()
    try:
        write_all()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(100):
            write_all()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 100 * 16  # one small block of each round would be more
    assert [sys.getrefcount(value) for value in values] == counts


NO_MEMORY = """
import resource
from lash_store.records import _encoder as module

def writer(*table):
    made = module.Writer()
    made.define(table)
    return made

data = bytes(range(256)) * (1 << 17)
text = "x" * (1 << 25)
wide = {str(number): 1 for number in range(1 << 20)}
octets, free, blob = writer("bytes"), writer("free", ("sorted",)), writer("free", ("octets",))
numbers = list(data[:1 << 25])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 22), resource.RLIM_INFINITY))
for made, value in ((octets, data), (free, text), (free, wide), (blob, numbers)):
    for write in (made.compact, made.hashed, made.packed):
        try:
            write(value)
        except MemoryError:
            print("MemoryError")
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(free.compact(text) == b'"' + text.encode() + b'"')
"""


@pytest.mark.skipif(compiled.SANITIZED, reason="AddressSanitizer reserves more address space than any limit allows")
def test_no_memory_is_a_memory_error() -> None:
    run = compiled.python(NO_MEMORY, "c")
    assert (run.stdout.split(), run.returncode) == (["MemoryError"] * 12 + ["True"], 0), run.stderr
