"""The compiled module of byte strings: its symbols, its sanitizers, and what it does without memory (Linux)."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lash_store.codecs import intarrays

pytestmark = pytest.mark.skipif(
    intarrays.IMPLEMENTATION != "c" or sys.platform != "linux", reason="reads the ELF file of the C module"
)
EXPECTED = os.environ.get("LASH_STORE_EXPECT_SANITIZERS") == "1"
OF_THE_LINKER = {"_init", "_fini", "_edata", "_end", "__bss_start"}


@pytest.fixture
def module() -> Any:
    from lash_store.codecs import _intarrays  # noqa: PLC0415 - it need not be there where these tests do not run

    return _intarrays


def symbols(module: Any, which: str) -> set[str]:
    listed = subprocess.run(
        ["nm", "-D", which, module.__file__], capture_output=True, text=True, timeout=60, check=True
    )
    return {line.split()[-1].partition("@")[0] for line in listed.stdout.splitlines()}


def test_only_the_entry_point_is_shown(module: Any) -> None:
    assert symbols(module, "--defined-only") - OF_THE_LINKER == {"PyInit__intarrays"}
    assert Path(module.__file__).name == "_intarrays.abi3.so"


def test_the_sanitizers_are_on_when_they_should_be(module: Any) -> None:
    assert ("address,undefined" if EXPECTED else "") == module.SANITIZERS
    taken = symbols(module, "--undefined-only")
    assert any(name.startswith("__asan_report_") for name in taken) == EXPECTED
    assert any(name.startswith("__ubsan_handle_") for name in taken) == EXPECTED


def test_each_interpreter_gets_a_module_of_its_own(module: Any) -> None:
    """Multi-phase initialisation: a second load gives a second module, whose choice of kernel is its own."""
    spec = module.__spec__
    other = spec.loader.create_module(spec)
    spec.loader.exec_module(other)
    assert other is not module
    other.use_kernel("portable")
    assert other.encode(b"\xcc" * 100) == module.encode(b"\xcc" * 100)


NO_MEMORY = """
import resource
from lash_store.codecs import _intarrays as module

data = bytes(range(256)) * (1 << 17)
array = module.encode(data)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 22), resource.RLIM_INFINITY))
for call, argument in ((module.encode, data), (module.decode, array)):
    try:
        call(argument)
    except MemoryError:
        print("MemoryError")
try:
    module.decode(b"\\xdd\\xff\\xff\\xff\\xff\\x01")
except ValueError:
    print("ValueError")
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(module.decode(array)[0] == data)
"""


@pytest.mark.skipif(EXPECTED, reason="AddressSanitizer reserves more address space than any limit allows")
def test_no_memory_is_a_memory_error(module: Any) -> None:
    """And a header that promises more than there is costs none."""
    run = subprocess.run([sys.executable, "-c", NO_MEMORY], capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout.split(), run.returncode) == (["MemoryError", "MemoryError", "ValueError", "True"], 0), run.stderr
