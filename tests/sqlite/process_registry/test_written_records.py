"""Whatever was written can be read again, here and by upstream, and is what was registered."""

import json
from typing import Any

import pytest

from lash_store.errors import InvalidRecord, ProcessLeaseConflict, StoreCorrupt
from lash_store.records.process import ProcessExternalRef, ProcessRegistration, ProcessScope
from lash_store.records.process_input import ProcessInputExternal
from lash_store.records.process_output import ProcessAwaitOutputSuccess
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.process_examples import append, plain_type, register, wake_type
from tests.process_registries import Registries
from tests.sqlite.process_registry.rows import rows

DEEPEST = 127
"""Levels that upstream reads, in all (3.1)."""
KNOWN = [
    *("id", "registration_hash", "input", "event_types", "provenance", "created_at_ms", "updated_at_ms"),
    *("external_ref", "status"),
]


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def with_keys(process_id: str, **keys: Any) -> ProcessRegistration:
    plain = json.loads(ProcessRegistration(process_id, ProcessInputExternal()).to_json())
    return ProcessRegistration.from_json(json.dumps(plain | keys))


async def keys_of(registries: Registries, process_id: str) -> list[str]:
    ((text,),) = rows(registries.path, "SELECT record_json FROM processes WHERE process_id = ?", process_id)
    return list(json.loads(text))


async def test_a_reference_as_deep_as_a_record_may_be(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p")
    around = 2  # the record, and the reference in it
    deepest = ProcessExternalRef("b", "i", nested(DEEPEST - around))
    assert (await registry.set_external_ref("p", deepest)).external_ref == deepest
    with pytest.raises(InvalidRecord, match="127"):
        await registry.set_external_ref("p", ProcessExternalRef("b", "j", nested(DEEPEST - around + 1)))
    record = await registry.get_process("p")
    assert record is not None
    assert record.external_ref == deepest
    assert await registry.list_non_terminal() == [record]


@pytest.mark.parametrize(
    "keys",
    [
        {"external_ref": 5},
        {"external_ref": {"backend": "x", "id": "y"}},
        {"status": {"state": "failed"}},
        {"created_at_ms": "x", "updated_at_ms": -1, "registration_hash": 7},
    ],
    ids=str,
)
async def test_keys_of_a_record_in_a_registration(registry: SqliteProcessRegistry, keys: dict[str, Any]) -> None:
    """They are unknown to a registration, so they are no part of its hash: nothing of them may come into the record."""
    plain = await registry.register_process(with_keys("p"))
    record = await registry.register_process(with_keys("q", zz=1, **keys))
    assert (record.external_ref, record.status, record.other_keys) == (None, plain.status, {"zz": 1})
    assert [each.id for each in await registry.list_non_terminal()] == ["p", "q"]


async def test_unknown_keys_stay_behind_the_known_ones(registries: Registries) -> None:
    registry = await registries.file()
    await registry.register_process(with_keys("p", zz=1.50, aa={"status": "status"}))
    assert await keys_of(registries, "p") == [*KNOWN[:7], "status", "zz", "aa"]
    for number in (1, 2):
        ref = ProcessExternalRef("b", f"{number}", {"status": "x"})
        assert (await registry.set_external_ref("p", ref)).external_ref == ref
        assert await keys_of(registries, "p") == [*KNOWN, "zz", "aa"]
    ended = await registry.complete_process("p", ProcessAwaitOutputSuccess('"status":"x"'))
    assert (await registry.set_external_ref("p", ProcessExternalRef("c", "3"))).status == ended.status
    assert await keys_of(registries, "p") == [*KNOWN, "zz", "aa"]
    ((text,),) = rows(registries.path, "SELECT record_json FROM processes")
    assert text.endswith(',"zz":1.5,"aa":{"status":"status"}}')


async def test_definitions_hold_no_inputs(registries: Registries) -> None:
    registry = await registries.file()
    told = "only in the input"
    for process_id in ("p", "q"):
        await registry.register_process(ProcessRegistration(process_id, ProcessInputExternal({"blob": told})))
    other = await registries.file()
    await append(other, "p", "process.cancel_requested", {}, key="k")
    for definitions in (registry._definitions, other._definitions):
        assert definitions
        for definition in definitions.values():
            held = {name: getattr(definition, name) for name in definition.__slots__}
            assert set(held) == {"_declared", "caused_by", "frame", "process_id", "registration_hash", "session_id"}
            assert told not in repr(held)


async def test_a_returned_record_is_not_what_events_are_judged_by(registry: SqliteProcessRegistry) -> None:
    schema = {"type": "object", "required": ["a"]}
    record = await register(registry, "p", plain_type("line", schema), wake_type("wakes", input={"pointer": "/a"}))
    *_, line, wakes = record.event_types
    line.payload_schema.schema.clear()
    assert wakes.semantics.wake is not None
    wakes.semantics.wake.input["pointer"] = "/b"
    with pytest.raises(Exception, match="the property is missing"):
        await append(registry, "p", "line", {})
    appended = await append(registry, "p", "wakes", {"a": "up", "b": "other"}, target=ProcessScope("s"))
    assert appended.wake_delivery is not None
    assert appended.wake_delivery.input == "up"


@pytest.mark.parametrize(
    "damage",
    ["{}", "[]", '{"semantics":{}}', '{"process_id":"p","sequence":2,"semantics":{}}', "{", '{"semantics":null}'],
)
async def test_a_damaged_event_of_a_type_that_wakes_is_no_silent_wake(registries: Registries, damage: str) -> None:
    registry = await registries.file()
    await register(registry, "p", wake_type("wakes"), plain_type("line"))
    await append(registry, "p", "wakes", {"wake_input": "up"}, target=ProcessScope("s"))
    await append(registry, "p", "wakes", {})
    await append(registry, "p", "line", {})
    assert [event.sequence for event in await registry.wake_events_after("p", 0)] == [1]
    for sequence in (1, 2):
        ((text,),) = rows(registries.path, "SELECT event_json FROM process_events WHERE sequence = ?", sequence)
        rows(registries.path, "UPDATE process_events SET event_json = ? WHERE sequence = ?", damage, sequence)
        if '"sequence":2' not in damage or sequence == 1:
            with pytest.raises(StoreCorrupt) as corrupt:
                await registry.wake_events_after("p", 0)
            assert (corrupt.value.kind, corrupt.value.key) == ("process event", f"p:{sequence}")
        rows(registries.path, "UPDATE process_events SET event_json = ? WHERE sequence = ?", text, sequence)


@pytest.mark.parametrize("expiry", ["abc", b"\xff", ""])
async def test_a_lease_without_a_readable_end(registries: Registries, expiry: str | bytes) -> None:
    registry = await registries.file()
    await register(registry, "p")
    await registry.claim_process_lease("p", "o", 1000)
    rows(registries.path, "UPDATE process_leases SET lease_expires_at_ms = ?", expiry)
    with pytest.raises(StoreCorrupt) as corrupt:
        await registry.claim_process_lease("p", "other", 1000)
    assert (corrupt.value.kind, corrupt.value.key) == ("process lease", "p")


@pytest.mark.parametrize("fence", [-1, "abc", b"\xff"])
async def test_no_fencing_token_is_given_twice(registries: Registries, fence: Any) -> None:
    """2^64 - 1, stored as -1, is the last; what is no number cannot be counted on from."""
    registry = await registries.file()
    await register(registry, "p")
    await registry.claim_process_lease("p", "o", 1000)
    rows(registries.path, "UPDATE process_leases SET lease_fencing_token = ?", fence)
    with pytest.raises(StoreCorrupt) as corrupt:
        await registry.claim_process_lease("p", "o", 1000)
    assert (corrupt.value.kind, corrupt.value.key) == ("process lease", "p")
    with pytest.raises(ProcessLeaseConflict):
        await registry.claim_process_lease("p", "other", 1000)
    rows(registries.path, "UPDATE process_leases SET lease_fencing_token = -2")
    assert (await registry.claim_process_lease("p", "o", 1000)).fencing_token == 2**64 - 1
