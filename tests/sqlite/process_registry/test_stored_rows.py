"""What stands in the file: columns and texts as specification 1.2, 2.1 and 2.6 say, byte for byte."""

import json
from typing import Any

import pytest

from lash_store.records.invocation import RuntimeReplay
from lash_store.records.process import ProcessExternalRef, ProcessProvenance, ProcessRegistration, ProcessScope
from lash_store.records.process_event import ProcessEventAppendRequest
from lash_store.records.process_event_type import (
    LashSchema,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessTerminalSpec,
)
from lash_store.records.process_grant import ProcessHandleDescriptor
from lash_store.records.process_input import ProcessInputExternal
from lash_store.records.process_lease import ProcessLeaseCompletion
from lash_store.records.process_output import ProcessAwaitOutputSuccess
from tests.clocks import ManualClock
from tests.process_examples import OK, append, plain_type, register, wake_type
from tests.process_registries import Registries
from tests.sqlite.process_registry.rows import rows

UPSTREAM_TABLES = {
    "processes": [
        ("process_id", "TEXT", 0, None, 1),
        ("registration_hash", "TEXT", 1, None, 0),
        ("owner_scope_id", "TEXT", 1, None, 0),
        ("host_profile_id", "TEXT", 1, None, 0),
        ("created_at_ms", "INTEGER", 1, None, 0),
        ("updated_at_ms", "INTEGER", 1, None, 0),
        ("status", "TEXT", 1, None, 0),
        ("record_json", "TEXT", 1, None, 0),
    ],
    "process_events": [
        ("process_id", "TEXT", 1, None, 1),
        ("sequence", "INTEGER", 1, None, 2),
        ("event_type", "TEXT", 1, None, 0),
        ("payload_hash", "TEXT", 1, None, 0),
        ("idempotency_key", "TEXT", 0, None, 0),
        ("occurred_at_ms", "INTEGER", 1, None, 0),
        ("event_json", "TEXT", 1, None, 0),
    ],
    "process_wake_acks": [("process_id", "TEXT", 1, None, 1), ("sequence", "INTEGER", 1, None, 2)],
    "process_handle_grants": [
        ("session_id", "TEXT", 1, None, 0),
        ("scope_id", "TEXT", 1, None, 1),
        ("process_id", "TEXT", 1, None, 2),
        ("descriptor_json", "TEXT", 1, None, 0),
    ],
    "process_leases": [
        ("process_id", "TEXT", 0, None, 1),
        ("lease_owner_id", "TEXT", 0, None, 0),
        ("lease_token", "TEXT", 0, None, 0),
        ("lease_fencing_token", "INTEGER", 1, "0", 0),
        ("lease_claimed_at_ms", "INTEGER", 1, "0", 0),
        ("lease_expires_at_ms", "INTEGER", 1, "0", 0),
    ],
}
UPSTREAM_INDEXES = {
    "idx_processes_status",
    "idx_process_events_key",
    "idx_process_handle_grants_session",
    "idx_process_handle_grants_process",
}


async def test_the_tables_are_upstream_s(registries: Registries) -> None:
    await registries.file()
    found = {name: [row[1:] for row in rows(registries.path, f"PRAGMA table_info({name})")] for name in UPSTREAM_TABLES}
    assert found == UPSTREAM_TABLES
    objects = {row[0] for row in rows(registries.path, "SELECT name FROM sqlite_schema WHERE sql IS NOT NULL")}
    assert objects == {
        *UPSTREAM_TABLES,
        *UPSTREAM_INDEXES,
        "lash_store_processes_status",
        "lash_store_process_events_type",
    }
    for name in UPSTREAM_TABLES.keys() - {"processes"}:
        keys = rows(registries.path, f"PRAGMA foreign_key_list({name})")
        assert [key[2:7] for key in keys] == [("processes", "process_id", "process_id", "NO ACTION", "CASCADE")]
    assert rows(registries.path, "PRAGMA user_version") == [(6,)]


async def test_a_registered_process(registries: Registries, clock: ManualClock) -> None:
    registry = await registries.file()
    provenance = ProcessProvenance(ProcessScope("s", "f"), "host")
    record = await registry.register_process(
        ProcessRegistration('p \u00e9"', ProcessInputExternal({"b": 1, "a": 1e16}), provenance=provenance)
    )
    ((*columns, text),) = rows(registries.path, "SELECT * FROM processes")
    assert columns == ['p \u00e9"', record.registration_hash, "session:s/frame:f", "host", *[clock.now] * 2, "running"]
    core = json.dumps(json.loads(text)["event_types"], separators=(",", ":"))
    assert text == (
        f'{{"id":"p \u00e9\\"","registration_hash":"{record.registration_hash}",'
        '"input":{"type":"external","metadata":{"a":1e+16,"b":1}},'
        f'"event_types":{core},'
        '"provenance":{"owner_scope":{"session_id":"s","agent_frame_id":"f"},"host_profile_id":"host"},'
        f'"created_at_ms":{clock.now},"updated_at_ms":{clock.now},"status":{{"state":"running"}}}}'
    )
    assert record.to_json().decode() == text


async def test_an_external_reference_has_its_place(registries: Registries, clock: ManualClock) -> None:
    registry = await registries.file()
    registered = await register(registry, "p")
    clock.advance(5)
    for reference in (ProcessExternalRef("w", "1", {"b": 2, "a": 1}), ProcessExternalRef("w", "2")):
        record = await registry.set_external_ref("p", reference)
        ((created, updated, text),) = rows(
            registries.path, "SELECT created_at_ms, updated_at_ms, record_json FROM processes"
        )
        assert (created, updated) == (registered.created_at_ms, clock.now)
        assert record.to_json().decode() == text
        assert list(json.loads(text))[-3:] == ["updated_at_ms", "external_ref", "status"]


async def test_the_status_is_in_column_and_record(registries: Registries, clock: ManualClock) -> None:
    registry = await registries.file()
    await register(registry, "p")
    clock.advance(7)
    record = await registry.complete_process("p", OK)
    ((updated, status, text),) = rows(registries.path, "SELECT updated_at_ms, status, record_json FROM processes")
    assert (updated, status) == (clock.now, "completed")
    assert text.endswith('"status":{"state":"completed","await_output":{"type":"success","value":{"ok":true}}}}')
    assert record.to_json().decode() == text
    assert record.updated_at_ms == clock.now


async def test_the_event_of_the_specification(registries: Registries, clock: ManualClock) -> None:
    registry = await registries.file()
    clock.now = 1_700_000_000_456
    await register(registry, "p-tool")
    await registry.complete_process("p-tool", OK)
    ((*columns, text),) = rows(registries.path, "SELECT * FROM process_events")
    key = "process:p-tool:terminal:process.completed"
    assert columns == [
        "p-tool",
        1,
        "process.completed",
        "282694fb3712c6d722645255f06498f6d8b14b9430973659f0352313744662ed",
        key,
        1_700_000_000_456,
    ]
    output = '{"type":"success","value":{"ok":true}}'
    assert text == (
        '{"process_id":"p-tool","sequence":1,"event_type":"process.completed",'
        f'"payload":{{"await_output":{output}}},'
        '"invocation":{"scope":{"session_id":"root"},"subject":{"type":"process_event","process_id":"p-tool",'
        '"sequence":1,"event_type":"process.completed"},"caused_by":{"type":"process","process_id":"p-tool"},'
        f'"replay":{{"key":"{key}"}}}},'
        f'"semantics":{{"terminal":{{"state":"completed","await_output":{output}}}}},'
        '"occurred_at":{"secs_since_epoch":1700000000,"nanos_since_epoch":456000000}}'
    )


@pytest.mark.parametrize("key", [None, "", 'k\u00e9"\n'])
@pytest.mark.parametrize(
    "payload", [None, {"wake_input": 'w \u2028\u0001"', "b": [1, 1.0, -0.0, 1e300]}, {"wake_input": [], "a": "x" * 200}]
)
async def test_an_event_s_text_is_that_of_its_record(
    registries: Registries, clock: ManualClock, key: str | None, payload: Any
) -> None:
    registry = await registries.file()
    await register(registry, 'p"\u00e9\\', wake_type("wakes"), plain_type("line"))
    events = []
    for n in range(12):
        clock.advance(1)
        result = await append(
            registry, 'p"\u00e9\\', "wakes", payload, key=f"{key}{n}" if key else None, target=ProcessScope("s")
        )
        ((text, at),) = rows(
            registries.path,
            "SELECT event_json, occurred_at_ms FROM process_events WHERE sequence = ?",
            result.event.sequence,
        )
        assert result.event.to_json().decode() == text
        assert (result.event.occurred_at.epoch_ms, at) == (clock.now, clock.now)
        events.append(result.event)
    assert await registry.events_after('p"\u00e9\\', 0) == events


async def test_an_empty_key_is_a_key(registries: Registries) -> None:
    registry = await registries.file()
    await register(registry, "p", plain_type("line"))
    first = await append(registry, "p", "line", 1, key="")
    assert await append(registry, "p", "line", 1, key="") == first
    assert first.event.invocation.replay == RuntimeReplay("")
    assert rows(registries.path, "SELECT idempotency_key FROM process_events") == [("",)]


async def test_a_null_raw_is_written_once(registries: Registries) -> None:
    registry = await registries.file()
    failing = ProcessEventType(
        "fails", LashSchema({}), ProcessEventSemanticsSpec(ProcessTerminalSpec("failed", {"pointer": "/x"}))
    )
    await register(registry, "p", failing)
    result = await append(registry, "p", "fails", {"x": None}, key="k")
    output = '{"type":"failure","class":"execution","code":"process_failed","message":"null","raw":null}'
    ((event,),) = rows(registries.path, "SELECT event_json FROM process_events")
    assert f'"semantics":{{"terminal":{{"state":"failed","await_output":{output}}}}}' in event
    ((record,),) = rows(registries.path, "SELECT record_json FROM processes")
    assert record.endswith(f'"status":{{"state":"failed","await_output":{output}}}}}')
    assert await registry.events_after("p", 0) == [result.event]


async def test_what_a_rewrite_leaves_alone(registries: Registries) -> None:
    """Weakness 17: unknown keys, and numbers as they were written, outlive every change of a record."""
    registry = await registries.file()
    await register(registry, "p", plain_type("line"))
    strange = '{"known":9007199254740993.0,"number":1.10}'
    rows(registries.path, "UPDATE processes SET record_json = json_set(record_json, '$.later', json(?))", strange)
    await append(registry, "p", "line", {})
    await registry.set_external_ref("p", ProcessExternalRef("b", "i"))
    await registry.complete_process("p", ProcessAwaitOutputSuccess(None))
    ((text,),) = rows(registries.path, "SELECT record_json FROM processes")
    assert f'"later":{strange}' in text


async def test_handles_and_leases(registries: Registries, clock: ManualClock) -> None:
    registry = await registries.file()
    await register(registry, "p")
    await registry.grant_handle(ProcessScope("s", "f"), "p", ProcessHandleDescriptor(label="l"))
    assert rows(registries.path, "SELECT * FROM process_handle_grants") == [
        ("s", "session:s/frame:f", "p", '{"label":"l"}')
    ]
    lease = await registry.claim_process_lease("p", "o", 10)
    held = ("p", "o", lease.lease_token, 1, clock.now, clock.now + 10)
    assert rows(registries.path, "SELECT * FROM process_leases") == [held]
    await registry.complete_process_lease(ProcessLeaseCompletion.from_lease(lease))
    assert rows(registries.path, "SELECT * FROM process_leases") == [("p", None, None, 1, 0, 0)]
    await registry.ack_wake("p", 77)
    assert rows(registries.path, "SELECT * FROM process_wake_acks") == [("p", 77)]


async def test_the_clock_is_read_once_for_each_event(registries: Registries) -> None:
    registries.clock = Ticking()
    registry = await registries.file()
    await register(registry, "p", plain_type("line"))
    for _ in range(3):
        event = (await append(registry, "p", "line", {})).event
        ((column, updated, text),) = rows(
            registries.path,
            "SELECT e.occurred_at_ms, p.updated_at_ms, p.record_json FROM process_events AS e, processes AS p "
            "WHERE e.sequence = ?",
            event.sequence,
        )
        assert {column, updated, json.loads(text)["updated_at_ms"], event.occurred_at.epoch_ms} == {column}
    record = await registry.set_external_ref("p", ProcessExternalRef("b", "i"))
    assert rows(registries.path, "SELECT updated_at_ms FROM processes") == [(record.updated_at_ms,)]
    created = await register(registry, "q")
    assert rows(registries.path, "SELECT created_at_ms, updated_at_ms FROM processes WHERE process_id = 'q'") == [
        (created.created_at_ms, created.updated_at_ms)
    ]
    assert created.created_at_ms == created.updated_at_ms
    lease = await registry.claim_process_lease("p", "o", 5)
    assert lease.expires_at_epoch_ms == lease.claimed_at_epoch_ms + 5


class Ticking(ManualClock):
    """Goes on by one at every look."""

    def now_ms(self) -> int:
        self.advance(1)
        return self.now


async def test_the_request_of_a_cancel(registries: Registries) -> None:
    registry = await registries.file()
    await register(registry, "p")
    for reason in ("stop", None, "stop"):
        await registry.append_event("p", ProcessEventAppendRequest.cancel_requested("p", reason))
    stored = rows(registries.path, "SELECT sequence, payload_hash, idempotency_key FROM process_events")
    hashes = (
        "85a6238fa9840bc3105d1a06ca03df61803080fefa838ab687d36662275be019",
        "5532b5f3befaa3efc27b125b501ee870e6405e058b099410f23165e543d2a782",
    )
    assert stored == [(n, h, f"process:p:cancel_requested:{h}") for n, h in enumerate(hashes, 1)]
