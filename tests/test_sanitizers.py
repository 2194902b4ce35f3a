"""When the sanitizer leg says that AddressSanitizer and UBSan watch, they do; in any other run they are off (Linux)."""

import os
from pathlib import Path

from lash_store.sqlite import native
from tests import compiled

EXPECTED = os.environ.get("LASH_STORE_EXPECT_SANITIZERS") == "1"
BOTH = {"address", "undefined"}


def test_the_module_says_what_watches_it() -> None:
    assert compiled.sanitizers() == ("address,undefined" if EXPECTED else "")


def test_the_module_calls_what_it_says() -> None:
    calls = {"address": "__asan_report_", "undefined": "__ubsan_handle_"}
    taken = compiled.dynamic_symbols("--undefined-only")
    found = {name for name, prefix in calls.items() if any(symbol.startswith(prefix) for symbol in taken)}
    assert found == (BOTH if EXPECTED else set())


def test_the_libraries_are_loaded() -> None:
    libraries = {"address": "/libasan.so", "undefined": "/libubsan.so"}
    maps = Path("/proc/self/maps").read_text("utf-8")
    found = {name for name, library in libraries.items() if library in maps}
    assert found == (BOTH if EXPECTED else set())


def test_what_is_watched_is_what_runs() -> None:
    assert native.IMPLEMENTATION == "c" or not EXPECTED
