"""Each compiled module shows its entry points and nothing else, and takes no SQLite from the linker (Linux)."""

import pytest

from tests import compiled

# Some linkers show these of every library.
OF_THE_LINKER = {"_init", "_fini", "_edata", "_end", "__bss_start"}
ENTRY_POINTS = {
    compiled.EXECUTOR: {"PyInit__native", "sqlite3_lashnative_init"},
    compiled.INTARRAYS: {"PyInit__intarrays"},
    compiled.ENCODER: {"PyInit__encoder"},
}

each_module = pytest.mark.parametrize("module", compiled.CHOOSERS)


@each_module
def test_only_the_entry_points_are_shown(module: str) -> None:
    shown = compiled.dynamic_symbols("--defined-only", module) - OF_THE_LINKER
    assert shown == ENTRY_POINTS[module]


@each_module
def test_no_sqlite_is_linked(module: str) -> None:
    """A second SQLite library in the process would break the POSIX locks of the first."""
    taken = compiled.dynamic_symbols("--undefined-only", module)
    assert {name for name in taken if name.startswith("sqlite3")} == set()


@each_module
def test_the_module_is_of_the_stable_abi(module: str) -> None:
    assert compiled.path(module).name == f"{module.rpartition('.')[2]}.abi3.so"
