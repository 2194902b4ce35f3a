"""Executors under test, and connections of somebody else's."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from lash_store.sqlite import native
from tests.sqlite.native.rig import Rig, open_connection

# What a signal, a defect in Python code and a pipe do to the Python implementation has no like in C.
# And without C, nothing is written while the interpreter is held.
collect_ignore = ["test_executor_c_only.py" if native.IMPLEMENTATION == "python" else "test_executor_python_only.py"]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "x.db")
    yield made
    made.close()


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "x.db", busy_timeout_ms=300)
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[apsw.Connection]:
    """A connection of somebody else's to the same file; it exists once the rig does."""
    request.getfixturevalue("rig" if "rig" in request.fixturenames else "impatient")
    connection = open_connection(tmp_path / "x.db")
    yield connection
    connection.close()
