"""Scenarios 35 and 36, and the tables of an effect database (specification 1.1, 1.2)."""

import threading
from pathlib import Path

import apsw
import pytest

from lash_store.errors import UnsupportedSchemaVersion
from lash_store.sqlite.database import Database
from lash_store.sqlite.effect_host.host import SqliteEffectHost
from lash_store.sqlite.ops.effects import EFFECT_SCHEMA
from lash_store.sqlite.ops.session_schema import SESSION_SCHEMA
from tests.conformance.effects.conftest import Effects, rows

COLUMNS = [
    ("scope_id", "TEXT", 1, None, 1),
    ("replay_key", "TEXT", 1, None, 2),
    ("envelope_hash", "TEXT", 1, None, 0),
    ("status", "TEXT", 1, None, 0),
    ("outcome_json", "TEXT", 0, None, 0),
    ("error_json", "TEXT", 0, None, 0),
    ("lease_owner_id", "TEXT", 0, None, 0),
    ("lease_token", "TEXT", 0, None, 0),
    ("lease_expires_at_ms", "INTEGER", 1, "0", 0),
    ("due_at_ms", "INTEGER", 0, None, 0),
    ("created_at_ms", "INTEGER", 1, None, 0),
    ("updated_at_ms", "INTEGER", 1, None, 0),
]


async def test_the_table(effects: Effects) -> None:
    host = await effects.host()
    table = await rows(host, 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', TABLE)
    assert table == COLUMNS
    index = await rows(host, "SELECT name FROM pragma_index_info('idx_runtime_effect_replay_lease')")
    assert index == [("status",), ("lease_expires_at_ms",)]
    assert await rows(host, "SELECT user_version FROM pragma_user_version") == [(1,)]


TABLE = "runtime_effect_replay"


async def test_what_is_added_has_a_name_of_its_own(effects: Effects) -> None:
    """So that lash passes it over."""
    names = await rows(await effects.host(), "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite%'")
    added = {name for (name,) in names} - {TABLE, "idx_runtime_effect_replay_lease"}
    assert all(name.startswith("lash_") for name in added)


async def test_a_file_of_lash_gets_what_is_missing(file_effects: Effects) -> None:
    assert file_effects.path is not None
    connection = apsw.Connection(str(file_effects.path))
    connection.execute(EFFECT_SCHEMA.objects[TABLE])
    connection.execute(EFFECT_SCHEMA.objects["idx_runtime_effect_replay_lease"])
    connection.pragma("user_version", 1)
    connection.close()
    host = await file_effects.host()
    names = await rows(host, "SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite%'")
    assert {name for (name,) in names} == EFFECT_SCHEMA.objects.keys()


async def test_scenario_35_another_version(tmp_path: Path) -> None:
    path = tmp_path / "effects.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE t (a); PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(UnsupportedSchemaVersion) as refused:
        await SqliteEffectHost.open(path)
    assert (refused.value.kind, refused.value.expected, refused.value.found) == ("effect replay", 1, 99)
    assert path.read_bytes() == before


def test_scenario_35_many_first_openers(tmp_path: Path) -> None:
    path, failures = tmp_path / "effects.db", []

    def open_it() -> None:
        try:
            Database.open(path, schema=EFFECT_SCHEMA).close()
        except Exception as error:  # noqa: BLE001  shown below
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with Database.open_readonly(path) as database:
        assert database.read(lambda connection: connection.pragma("user_version")) == 1


def test_scenario_36_the_session_database_has_no_effects() -> None:
    assert "runtime_turn_commits" in SESSION_SCHEMA.objects
    for name in ("runtime_turn_checkpoints", "runtime_effect_journal", TABLE):
        assert name not in SESSION_SCHEMA.objects
