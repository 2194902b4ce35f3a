"""Imports only go down the ranks of the architecture's table, and files and functions stay short."""

from pathlib import Path

import pytest

import lash_store
from tests import layering

PACKAGE = Path(lash_store.__file__).parent


def test_the_package_is_where_the_checker_looks() -> None:
    assert (PACKAGE / "sqlite" / "native" / "pure.py").is_file()


def test_imports_only_go_down_the_ranks() -> None:
    assert layering.violations(PACKAGE) == []


def test_no_file_is_too_long() -> None:
    assert layering.long_files(PACKAGE) == []


def test_no_function_is_too_long() -> None:
    assert layering.long_functions(PACKAGE) == []


def tree(folder: Path, files: dict[str, str]) -> Path:
    """Write a small package "pkg" with `files` (name to text), every folder an importable one, and return its path."""
    package = folder / "pkg"
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for path in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        (path / "__init__.py").touch()
    return package


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param(
            {"errors.py": "import pkg.clock", "clock.py": ""},
            ["pkg.errors:1: rank 0 imports pkg.clock of rank 0"],
            id="sideways",
        ),
        pytest.param(
            {"sqlite/plan.py": "from pkg.sqlite.database import Database", "sqlite/database.py": ""},
            ["pkg.sqlite.plan:1: rank 6a imports pkg.sqlite.database of rank 7b"],
            id="up",
        ),
        pytest.param(
            {"sqlite/readers.py": "def f():\n    from pkg.sqlite import database", "sqlite/database.py": ""},
            ["pkg.sqlite.readers:2: rank 7a imports pkg.sqlite.database of rank 7b"],
            id="inside a function, from the folder",
        ),
        pytest.param(
            {"sqlite/plan.py": "import typing\nif typing.TYPE_CHECKING:\n    import pkg.cli", "cli.py": ""},
            ["pkg.sqlite.plan:3: rank 6a imports pkg.cli of rank 11b"],
            id="for the type checker",
        ),
        pytest.param(
            {"sqlite/connection.py": "from ..records import head", "records/head.py": ""},
            ["pkg.sqlite.connection:1: rank 5 may not use pkg.records.head of rank 1"],
            id="relative, and not in the table's third column",
        ),
        pytest.param(
            {"sqlite/native/__init__.py": "from . import pure", "sqlite/native/pure.py": "import pkg.sqlite.native"},
            ["pkg: imports go round: pkg.sqlite.native, pkg.sqlite.native.pure"],
            id="the twin imports its chooser",
        ),
        pytest.param(
            {"sqlite/database.py": "from pkg import Database"},
            ["pkg.sqlite.database:1: rank 7b imports pkg of rank 11a"],
            id="the package's public names",
        ),
        pytest.param(
            {"sqlite/database.py": "import importlib\nimportlib.import_module('pkg.sqlite.session_factory')"},
            ["pkg.sqlite.database:2: rank 7b imports pkg.sqlite.session_factory of rank 10"],
            id="by import_module",
        ),
        pytest.param(
            {"sqlite/database.py": "from importlib import import_module\nimport_module('pkg.' + 'x')"},
            ["pkg.sqlite.database:2: imports pkg.<computed name>, which has no rank"],
            id="by a computed name",
        ),
        pytest.param(
            {"helpers.py": "", "sqlite/plan.py": "import pkg.helpers"},
            [
                "pkg.helpers: has no rank; give it one in tests/layering.py",
                "pkg.sqlite.plan:1: imports pkg.helpers, which has no rank",
            ],
            id="a module without a rank",
        ),
        pytest.param(
            {"records/head.py": "import pkg.records.node", "records/node.py": "from . import head"},
            ["pkg: imports go round: pkg.records.head, pkg.records.node"],
            id="a circle within a room",
        ),
        pytest.param(
            {"sqlite/__init__.py": "from pkg import errors", "errors.py": ""},
            ["pkg.sqlite:1: only holds other modules, yet imports pkg.errors"],
            id="a folder that imports",
        ),
        pytest.param(
            {"sqlite/database.py": "import asyncio.events"},
            ["pkg.sqlite.database:1: asyncio has no place in rank 7b"],
            id="asyncio below the facades",
        ),
        pytest.param(
            {"sqlite/ops/queue.py": "from apsw.ext import thing"},
            ["pkg.sqlite.ops.queue:1: apsw has no place in rank 8"],
            id="apsw above the database",
        ),
        pytest.param(
            {"sqlite/connection.py": "import sqlite3"},
            ["pkg.sqlite.connection:1: sqlite3 has no place in rank 5"],
            id="a second SQLite",
        ),
    ],
)
def test_a_breach_is_seen(tmp_path: Path, files: dict[str, str], expected: list[str]) -> None:
    assert layering.violations(tree(tmp_path, files)) == expected


def test_what_the_table_allows_passes(tmp_path: Path) -> None:
    files = {
        "__init__.py": "from pkg.sqlite.database import Database",
        "errors.py": "",
        "records/head.py": "import pkg.records.node",
        "records/node.py": "",
        "sqlite/native/__init__.py": "from pkg.sqlite.native import pure\nimport apsw",
        "sqlite/native/pure.py": "import pkg.errors",
        "sqlite/native/_native.pyi": "import apsw",
        "sqlite/connection.py": "import apsw\nfrom pkg.sqlite.native import Executor\nfrom pkg import errors",
        "sqlite/plan.py": "from pkg.sqlite import connection",
        "sqlite/readers.py": "from . import connection, plan",
        "sqlite/database.py": "from pkg.sqlite.readers import Readers",
        "sqlite/async_connection.py": "import asyncio, typing\nif typing.TYPE_CHECKING:\n    import apsw",
        "cli.py": "from pkg import Database",
    }
    assert layering.violations(tree(tmp_path, files)) == []


def test_long_files_are_seen(tmp_path: Path) -> None:
    package = tree(tmp_path, {"clock.py": "x = 1\n" * 4, "native/src/a.c": "\n" * 3, "errors.py": "x = 1\n" * 2})
    expected = {"pkg/clock.py": 4, "pkg/native/src/a.c": 3}
    assert layering.long_files(package, 2) == [f"{Path(name)}: {count} lines" for name, count in expected.items()]


def test_long_functions_are_seen(tmp_path: Path) -> None:
    text = '@cache\ndef f():\n    """A.\n\n    B.\n    """\n    x = 1\n    return x\n\nasync def g():\n    return 1\n'
    package = tree(tmp_path, {"clock.py": text})
    assert layering.long_functions(package, 2) == [f"{Path('pkg/clock.py')}:2: f has 3 lines"]
