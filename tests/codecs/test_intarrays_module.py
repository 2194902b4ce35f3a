"""The compiled module of byte strings: one for each interpreter, and what it does without memory (Linux)."""

import importlib
from typing import Any

import pytest

from tests import compiled

pytestmark = compiled.in_c_on_linux


@pytest.fixture
def module() -> Any:
    return importlib.import_module(compiled.INTARRAYS)


def test_each_interpreter_gets_a_module_of_its_own(module: Any) -> None:
    """Multi-phase initialisation: a second load gives a second module, whose choice of kernel is its own."""
    other = compiled.loaded_again(module)
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


@pytest.mark.skipif(compiled.SANITIZED, reason="AddressSanitizer reserves more address space than any limit allows")
def test_no_memory_is_a_memory_error() -> None:
    """And a header that promises more than there is costs none."""
    run = compiled.python(NO_MEMORY, "c")
    assert (run.stdout.split(), run.returncode) == (["MemoryError", "MemoryError", "ValueError", "True"], 0), run.stderr
