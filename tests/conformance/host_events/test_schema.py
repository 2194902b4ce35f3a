"""Scenarios 35 and 36: which files are opened, and which tables they have."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

from lash_store import Database, UnsupportedSchemaVersion
from lash_store.sqlite.host_event_store.store import SCHEMA, SqliteHostEventStore

COLUMNS = {
    "host_event_subscription_seq": ["id"],
    "host_event_trigger_subscriptions": [
        *("subscription_id", "session_id", "handle", "source_type", "source_key", "enabled"),
        *("created_at_ms", "updated_at_ms", "record_json"),
    ],
    "host_event_occurrences": [
        *("occurrence_id", "idempotency_key", "request_hash", "source_type", "source_key", "occurred_at_ms"),
        "record_json",
    ],
    "host_event_deliveries": ["occurrence_id", "subscription_id", "process_id", "created_at_ms"],
}
INDEXES = {
    "idx_host_event_trigger_subscriptions_session": ["session_id", "handle"],
    "idx_host_event_trigger_subscriptions_source": ["source_type", "source_key", "enabled"],
    "idx_host_event_occurrences_source": ["source_type", "source_key", "occurred_at_ms"],
    "idx_host_event_deliveries_process": ["process_id"],
}


async def test_scenario_35_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "host-events.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE legacy(a); PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(UnsupportedSchemaVersion) as refused:
        await SqliteHostEventStore.open(path)
    assert (refused.value.kind, refused.value.expected, refused.value.found) == ("host event router", 1, 99)
    assert path.read_bytes() == before


def test_scenario_35_sixteen_first_openers(tmp_path: Path) -> None:
    path = tmp_path / "host-events.db"
    with ThreadPoolExecutor(16) as threads:
        for database in threads.map(lambda _: Database.open(path, schema=SCHEMA), range(16)):
            database.close()
    with Database.open_readonly(path, schema=SCHEMA) as database:
        assert database.read(lambda connection: connection.pragma("user_version")) == 1


async def test_scenario_36_the_tables_of_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "host-events.db"
    await (await SqliteHostEventStore.open(path)).close()
    connection = apsw.Connection(str(path))
    for table, columns in COLUMNS.items():
        assert [row[1] for row in connection.execute(f"PRAGMA table_info({table})")] == columns
    for index, columns in INDEXES.items():
        assert [row[2] for row in connection.execute(f"PRAGMA index_info({index})")] == columns
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert {name for name in tables if not name.startswith(("lash_", "sqlite_"))} == COLUMNS.keys()
    foreign = sorted(row[2:7] for row in connection.execute("PRAGMA foreign_key_list(host_event_deliveries)"))
    assert foreign == [
        ("host_event_occurrences", "occurrence_id", "occurrence_id", "NO ACTION", "CASCADE"),
        ("host_event_trigger_subscriptions", "subscription_id", "subscription_id", "NO ACTION", "CASCADE"),
    ]
    connection.close()
