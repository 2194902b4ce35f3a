"""The compiled module shows its two entry points and nothing else, and takes no SQLite from the linker (Linux)."""

from tests import compiled

# Some linkers show these of every library.
OF_THE_LINKER = {"_init", "_fini", "_edata", "_end", "__bss_start"}


def test_only_the_entry_points_are_shown() -> None:
    shown = compiled.dynamic_symbols("--defined-only") - OF_THE_LINKER
    assert shown == {"PyInit__native", "sqlite3_lashnative_init"}


def test_no_sqlite_is_linked() -> None:
    """A second SQLite library in the process would break the POSIX locks of the first."""
    taken = compiled.dynamic_symbols("--undefined-only")
    assert {name for name in taken if name.startswith("sqlite3")} == set()


def test_the_module_is_of_the_stable_abi() -> None:
    assert compiled.path().name == "_native.abi3.so"
