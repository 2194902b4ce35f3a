"""A file of alpha.40: made without the extra indexes, and written by it while this package has it open."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from lash_store.errors import AnotherKindOfDatabase, ProcessLeaseConflict
from lash_store.records.process_output import ProcessAwaitOutputSuccess
from lash_store.sqlite.process_registry.store import SCHEMA, SqliteProcessRegistry
from tests.golden import vectors
from tests.process_examples import OK, append, registration
from tests.process_registries import Registries

NOW_MS = 1_700_000_000_456
HASH = "ebe6678046ad84685b7c30136ba951d5b8d59a8579033343cc28eea029a9b4f0"
CORE = vectors.text("process_registration_r1.json")
RECORD = (
    CORE.replace('"input"', f'"registration_hash":"{HASH}","input"', 1).removesuffix("}")
    + f',"created_at_ms":{NOW_MS},"updated_at_ms":{NOW_MS},"status":{{"state":"running"}}}}'
)
EVENT = (
    '{"process_id":"proc-idempotent","sequence":1,"event_type":"process.cancel_requested","payload":{"reason":"stop"},'
    '"invocation":{"scope":{"session_id":"root"},"subject":{"type":"process_event","process_id":"proc-idempotent",'
    '"sequence":1,"event_type":"process.cancel_requested"},"caused_by":{"type":"process",'
    '"process_id":"proc-idempotent"},"replay":{"key":"key"}},"semantics":{},'
    '"occurred_at":{"secs_since_epoch":1700000000,"nanos_since_epoch":456000000}}'
)


@pytest.fixture
def upstream(registries: Registries) -> Iterator[apsw.Connection]:
    """The connection of alpha.40 on a file that it has just made, with one process, event, handle and lease."""
    registries.clock.now = NOW_MS
    connection = apsw.Connection(str(registries.path))
    connection.set_busy_timeout(30_000)
    connection.pragma("journal_mode", "wal")
    connection.pragma("foreign_keys", True)
    for name, statement in SCHEMA.objects.items():
        if not name.startswith("lash_store_"):
            connection.execute(statement)
    connection.pragma("user_version", 6)
    process = ("proc-idempotent", HASH, "session:root", "default", NOW_MS, NOW_MS, "running", RECORD)
    connection.execute("INSERT INTO processes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", process)
    insert_event(connection, 1, "key", EVENT)
    grant = ("s", "session:s", "proc-idempotent", '{"kind":"k"}')
    connection.execute("INSERT INTO process_handle_grants VALUES (?, ?, ?, ?)", grant)
    lease = ("proc-idempotent", "process-recovery-1", "t", 7, NOW_MS, NOW_MS + 900_000)
    connection.execute("INSERT INTO process_leases VALUES (?, ?, ?, ?, ?, ?)", lease)
    yield connection
    connection.close()


def insert_event(connection: apsw.Connection, sequence: int, key: str | None, text: str) -> None:
    payload_hash = "85a6238fa9840bc3105d1a06ca03df61803080fefa838ab687d36662275be019"
    event = ("proc-idempotent", sequence, "process.cancel_requested", payload_hash, key, NOW_MS, text)
    connection.execute("INSERT INTO process_events VALUES (?, ?, ?, ?, ?, ?, ?)", event)


async def test_its_rows_are_read_and_its_texts_are_ours(upstream: apsw.Connection, registries: Registries) -> None:
    registry = await registries.file()
    record = await registry.register_process(registration("proc-idempotent"))
    assert record.to_json().decode() == RECORD
    (event,) = await registry.events_after("proc-idempotent", 0)
    assert event.to_json().decode() == EVENT
    replay = await append(registry, "proc-idempotent", event.event_type, {"reason": "stop"}, key="key")
    assert replay.event == event
    with pytest.raises(ProcessLeaseConflict):
        await registry.claim_process_lease("proc-idempotent", "other", 1)
    registries.clock.advance(900_000)
    assert (await registry.claim_process_lease("proc-idempotent", "other", 1)).fencing_token == 8


async def test_its_open_connection_goes_on_writing(upstream: apsw.Connection, registries: Registries) -> None:
    registry = await registries.file()
    text = EVENT.replace('"sequence":1', '"sequence":2').replace(',"replay":{"key":"key"}', "")
    insert_event(upstream, 2, None, text)
    assert [event.sequence for event in await registry.events_after("proc-idempotent", 0)] == [1, 2]
    assert (await registry.wait_event_after("proc-idempotent", "process.cancel_requested", 1)).sequence == 2
    third = await append(registry, "proc-idempotent", "process.cancel_requested", {"reason": None}, key="other")
    assert third.event.sequence == 3
    ended = RECORD.replace('"running"}', '"completed","await_output":{"type":"success","value":{"ok":true}}}')
    upstream.execute("UPDATE processes SET status = 'completed', record_json = ?", (ended,))
    assert await registry.await_process("proc-idempotent") == OK
    assert await registry.list_non_terminal() == []
    assert upstream.pragma("integrity_check") == "ok"


async def test_what_is_written_here_is_whole_there(upstream: apsw.Connection, registries: Registries) -> None:
    registry = await registries.file()
    await registry.complete_process("proc-idempotent", ProcessAwaitOutputSuccess(None))
    record, status = upstream.execute("SELECT record_json, status FROM processes").fetchall()[0]
    done = '"status":{"state":"completed","await_output":{"type":"success","value":null}}'
    assert (record, status) == (RECORD.replace('"status":{"state":"running"}', done), "completed")


async def test_another_kind_of_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "session.db"
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE session_head (a)")
    other.pragma("user_version", 3)
    before = path.read_bytes()
    with pytest.raises(AnotherKindOfDatabase) as refused:
        await SqliteProcessRegistry.open(path)
    other.close()
    assert refused.value.path == str(path)
    assert path.read_bytes() == before
