"""The compiled encoder: its symbols, its sanitizers, its tables, and what it does without memory (Linux)."""

import gc
import os
import subprocess
import sys
import tracemalloc
import weakref
from pathlib import Path
from typing import Any

import pytest

from lash_store.records import encoder
from lash_store.records.record import Record
from tests.records.examples import RECORDS

pytestmark = pytest.mark.skipif(
    encoder.IMPLEMENTATION != "c" or sys.platform != "linux", reason="reads the ELF file of the C module"
)
EXPECTED = os.environ.get("LASH_STORE_EXPECT_SANITIZERS") == "1"
OF_THE_LINKER = {"_init", "_fini", "_edata", "_end", "__bss_start"}


@pytest.fixture
def module() -> Any:
    from lash_store.records import _encoder  # noqa: PLC0415 - it need not be there where these tests do not run

    return _encoder


def symbols(module: Any, which: str) -> set[str]:
    listed = subprocess.run(
        ["nm", "-D", which, module.__file__], capture_output=True, text=True, timeout=60, check=True
    )
    return {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()}


def test_only_the_entry_point_is_shown(module: Any) -> None:
    assert symbols(module, "--defined-only") - OF_THE_LINKER == {"PyInit__encoder"}
    assert Path(module.__file__).name == "_encoder.abi3.so"


def test_the_sanitizers_are_on_when_they_should_be(module: Any) -> None:
    assert ("address,undefined" if EXPECTED else "") == module.SANITIZERS
    taken = symbols(module, "--undefined-only")
    assert any(name.startswith("__asan_report_") for name in taken) == EXPECTED
    assert any(name.startswith("__ubsan_handle_") for name in taken) == EXPECTED


def test_each_interpreter_gets_a_module_of_its_own(module: Any) -> None:
    """Multi-phase initialisation: the writers of a second module are none of the first's."""
    spec = module.__spec__
    other = spec.loader.create_module(spec)
    spec.loader.exec_module(other)
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


@pytest.mark.skipif(EXPECTED, reason="AddressSanitizer reserves more address space than any limit allows")
def test_no_memory_is_a_memory_error(module: Any) -> None:
    run = subprocess.run([sys.executable, "-c", NO_MEMORY], capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout.split(), run.returncode) == (["MemoryError"] * 12 + ["True"], 0), run.stderr
