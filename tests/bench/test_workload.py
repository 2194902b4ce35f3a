"""The one transaction, on the connections of both libraries that block: committed whole, or not at all."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from bench import workload
from bench.workload import Counted


@pytest.fixture(
    params=[lambda path: sqlite3.connect(path, isolation_level=None), apsw.Connection], ids=["sqlite3", "apsw"]
)
def connect(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_commit_is_whole_or_leaves_nothing(connect: Callable[[str], Any], tmp_path: Path) -> None:
    path = str(tmp_path / "bench.db")
    workload.create_file(path)
    with closing(connect(path)) as db:
        workload.run_transaction(db, "a", workload.node_json("a"))
        with pytest.raises((sqlite3.IntegrityError, apsw.ConstraintError)):
            workload.run_transaction(db, "a", workload.node_json("a"))
        assert not db.in_transaction
        workload.run_transaction(db, "b", workload.node_json("b"))
    assert workload.count_commits(path) == Counted(2, 2)
