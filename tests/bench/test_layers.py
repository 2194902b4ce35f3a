"""lash_store, bench and tests import each other in one direction; what stands beside the package stays short, too."""

from pathlib import Path

import pytest

import lash_store
from tests import layering

ROOT = Path(__file__).parents[2]
PACKAGE = Path(lash_store.__file__).parent
BENCH = ROOT / "bench"


@pytest.mark.parametrize(
    ("package", "other"),
    [(PACKAGE, "bench"), (PACKAGE, "tests"), (BENCH, "tests")],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_nothing_is_imported_from_above(package: Path, other: str) -> None:
    assert layering.imports_of(package, other) == []


def test_the_benchmarks_import_in_no_circle() -> None:
    assert layering.circles(BENCH) == []


def test_no_file_is_too_long() -> None:
    assert layering.long_files(BENCH) == layering.long_files(ROOT / "tests") == []


def test_no_function_of_the_benchmarks_is_too_long() -> None:
    assert layering.long_functions(BENCH) == []


def tree(folder: Path, files: dict[str, str]) -> Path:
    package = folder / "bench"
    package.mkdir()
    for name, text in {"__init__.py": "", **files}.items():
        (package / name).write_text(text, "utf-8")
    return package


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import tests", ["bench.pool:1: imports tests"]),
        ("def f():\n    from tests.clocks import Clock", ["bench.pool:2: imports tests.clocks"]),
        ("from tests import clocks", ["bench.pool:1: imports tests"]),
        ("import importlib\nimportlib.import_module('tests.clocks')", ["bench.pool:2: imports tests.clocks"]),
        ("import testsuite, bench.tests", []),
    ],
)
def test_an_import_from_above_is_seen(text: str, expected: list[str], tmp_path: Path) -> None:
    assert layering.imports_of(tree(tmp_path, {"pool.py": text}), "tests") == expected


def test_a_circle_is_seen(tmp_path: Path) -> None:
    package = tree(tmp_path, {"pool.py": "from bench import queue", "queue.py": "import bench.pool"})
    assert layering.circles(package) == ["bench: imports go round: bench.pool, bench.queue"]
