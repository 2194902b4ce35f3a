"""Scenarios 45 and 55: which files are opened, and which tables they have."""

from pathlib import Path

import apsw
import pytest

from lash_store import Store, UnsupportedSchemaVersion
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import root_commit
from tests.conformance.session_store.rows import TABLES, change, names_in, query


def foreign(path: Path, table: str, version: int) -> bytes:
    """A database of another program at `path`; the bytes of its file."""
    connection = apsw.Connection(str(path))
    connection.execute(f"CREATE TABLE {table}(a); PRAGMA user_version = {version}")
    connection.close()
    return path.read_bytes()


@pytest.mark.parametrize("readonly", [False, True])
async def test_scenario_45_a_file_of_another_version_is_refused(tmp_path: Path, readonly: bool) -> None:
    """Other than upstream's, the refused file keeps every byte, and a read-only open looks too (weaknesses 35, 38)."""
    path = tmp_path / "legacy.db"
    before = foreign(path, "legacy", 99)
    with pytest.raises(UnsupportedSchemaVersion) as caught:
        await (Store.open_readonly(path) if readonly else Store.open(path))
    assert "99" in str(caught.value)
    assert "version 3" in str(caught.value)
    assert (caught.value.kind, caught.value.expected, caught.value.found) == ("session", 3, 99)
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["legacy.db"]


@pytest.mark.parametrize("table", ["legacy", "sqlite2x", "SQLitedata"])
async def test_a_file_without_version_that_holds_something_is_refused(tmp_path: Path, table: str) -> None:
    """Weakness 46: upstream's pattern overlooks names that only look like SQLite's own."""
    path = tmp_path / "foreign.db"
    before = foreign(path, table, 0)
    with pytest.raises(UnsupportedSchemaVersion) as caught:
        await Store.open(path)
    assert (caught.value.expected, caught.value.found) == (3, 0)
    assert path.read_bytes() == before


async def test_scenario_55_the_tables_of_a_new_file(stores: Stores) -> None:
    async with await stores.file():
        pass
    tables = [name for (name,) in query(stores.path, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    assert tables.count("runtime_turn_commits") == 1
    assert "runtime_turn_checkpoints" not in tables
    assert "runtime_effect_journal" not in tables
    assert set(TABLES) <= set(tables)
    assert query(stores.path, "PRAGMA user_version") == [(3,)]
    assert query(stores.path, "PRAGMA journal_mode") == [("wal",)]


@pytest.mark.parametrize("name", ["a?mode=memory.db", "a#b.db", "a%20b.db", "é ' \" %.db", "file"])
async def test_a_path_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    """Section 1.1: the characters that mean something in a URI occur in paths."""
    path = tmp_path / name
    async with await Store.open(path) as store:
        await store.commit_runtime_state(root_commit())
    assert names_in(tmp_path) == [name]
    async with await Store.open_readonly(path) as store:
        read = await store.load_session()
    assert read is not None
    assert set(names_in(tmp_path)) <= {name, f"{name}-wal", f"{name}-shm"}


async def test_a_path_that_begins_with_file_is_a_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 1.1, for the normal open."""
    monkeypatch.chdir(tmp_path)
    async with await Store.open(f"file:{tmp_path}/by%20uri.db") as store:
        await store.commit_runtime_state(root_commit())
    assert names_in(tmp_path) == ["by uri.db"]


async def test_a_file_that_lacks_an_index_gets_it(stores: Stores) -> None:
    """Section 1.2: at version 3 every table and index is created if missing."""
    async with await stores.file() as store:
        await store.commit_runtime_state(root_commit())
    change(stores.path, "DROP INDEX idx_queued_work_ready")
    change(stores.path, "DROP TABLE artifact_refs")
    async with await stores.file() as store:
        assert await store.load_session() is not None
    names = [name for (name,) in query(stores.path, "SELECT name FROM sqlite_master")]
    assert {"idx_queued_work_ready", "artifact_refs"} <= set(names)


async def test_the_pragmas_of_a_handle(stores: Stores) -> None:
    """Section 1.1; durability "full" is this package's answer to weakness 39."""

    def pragmas(connection: apsw.Connection) -> tuple[object, ...]:
        return connection.pragma("synchronous"), connection.pragma("foreign_keys"), connection.pragma("journal_mode")

    for durability, synchronous in (("normal", 1), ("full", 2)):
        async with await stores.file(durability=durability) as store:
            assert await store._connection.call(pragmas) == (synchronous, 1, "wal")
