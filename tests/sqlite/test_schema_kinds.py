"""Databases of several kinds have the same version; none is taken for another."""

from pathlib import Path
from typing import Any

import pytest

from lash_store import (
    AnotherKindOfDatabase,
    Database,
    Schema,
    SqliteEffectHost,
    SqliteHostEventStore,
    SqliteProcessRegistry,
    Store,
    UnsupportedSchemaVersion,
)
from tests.sqlite.session_store.samples import as_lash_does

ONE = Schema("one", 1, {"a": "CREATE TABLE IF NOT EXISTS a (x)", "b": "CREATE TABLE IF NOT EXISTS b (x)"})
TWO = Schema("two", 1, {"c": "CREATE TABLE IF NOT EXISTS c (x)"})
STORES: list[type[Any]] = [Store, SqliteProcessRegistry, SqliteEffectHost, SqliteHostEventStore]


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


@pytest.mark.parametrize("opened", STORES)
@pytest.mark.parametrize("made", STORES)
async def test_no_store_takes_the_file_of_another_whatever_their_versions(
    tmp_path: Path, made: type[Any], opened: type[Any]
) -> None:
    path = tmp_path / "one.db"
    await (await made.open(path)).close()
    before = path.read_bytes()
    if made is opened:
        await (await opened.open(path)).close()
        return
    with pytest.raises(AnotherKindOfDatabase) as caught:
        await opened.open(path)
    assert caught.value.path == str(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("made", STORES[1:])
async def test_nor_is_it_read(tmp_path: Path, made: type[Any]) -> None:
    await (await made.open(tmp_path / "one.db")).close()
    with pytest.raises(AnotherKindOfDatabase):
        await Store.open_readonly(tmp_path / "one.db")


@pytest.mark.parametrize("made", STORES)
async def test_a_file_of_its_kind_in_another_version_is_no_other_kind(tmp_path: Path, made: type[Any]) -> None:
    path = tmp_path / "one.db"
    await (await made.open(path)).close()
    as_lash_does(path, "PRAGMA user_version = 99")
    with pytest.raises(UnsupportedSchemaVersion) as caught:
        await made.open(path)
    assert caught.value.found == 99
