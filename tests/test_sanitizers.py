"""When the sanitizer leg says that AddressSanitizer and UBSan watch, they do; in any other run they are off (Linux)."""

import importlib
from pathlib import Path

import pytest

from tests import compiled

BOTH = {"address", "undefined"}

each_module = pytest.mark.parametrize("module", compiled.CHOOSERS)


@each_module
def test_the_module_says_what_watches_it(module: str) -> None:
    assert compiled.sanitizers(module) == ("address,undefined" if compiled.SANITIZED else "")


@each_module
def test_the_module_calls_what_it_says(module: str) -> None:
    calls = {"address": "__asan_report_", "undefined": "__ubsan_handle_"}
    taken = compiled.dynamic_symbols("--undefined-only", module)
    found = {name for name, prefix in calls.items() if any(symbol.startswith(prefix) for symbol in taken)}
    assert found == (BOTH if compiled.SANITIZED else set())


def test_the_libraries_are_loaded() -> None:
    libraries = {"address": "/libasan.so", "undefined": "/libubsan.so"}
    maps = Path("/proc/self/maps").read_text("utf-8")
    found = {name for name, library in libraries.items() if library in maps}
    assert found == (BOTH if compiled.SANITIZED else set())


@each_module
def test_what_is_watched_is_what_runs(module: str) -> None:
    chooser = importlib.import_module(compiled.CHOOSERS[module])
    assert chooser.IMPLEMENTATION == "c" or not compiled.SANITIZED
