"""Databases of several kinds have the same version; none is taken for another."""

from pathlib import Path

import pytest

from lash_store import AnotherKindOfDatabase, Database, Schema

ONE = Schema("one", 1, {"a": "CREATE TABLE IF NOT EXISTS a (x)", "b": "CREATE TABLE IF NOT EXISTS b (x)"})
TWO = Schema("two", 1, {"c": "CREATE TABLE IF NOT EXISTS c (x)"})


def test_a_database_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    with Database.open(path, schema=ONE):
        pass
    before = path.read_bytes()
    for opening in (Database.open, Database.open_readonly):
        with pytest.raises(AnotherKindOfDatabase) as caught:
            opening(path, schema=TWO)
        assert caught.value.kind == "two"
    assert path.read_bytes() == before
    with Database.open(path, schema=ONE), Database.open_readonly(path, schema=ONE):
        pass


def test_a_file_that_lacks_some_of_its_own_tables_is_completed(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    with Database.open(path, schema=ONE) as database:
        database.call(lambda connection: connection.execute("DROP TABLE b").fetchall())
    with Database.open(path, schema=ONE) as database:
        assert database.read(lambda reader: reader.execute("SELECT count(*) FROM b").fetchall()) == [(0,)]
