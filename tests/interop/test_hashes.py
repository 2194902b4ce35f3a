"""Hashes and ids that both programs derive: a retry by the other one must be known again."""

from typing import Any

import msgspec
import pytest

from lash_store import (
    EffectScope,
    HostEventOccurrenceRequest,
    ProcessEventAppendRequest,
    ProcessRegistration,
    ProcessScope,
    ProcessWakeDelivery,
    RuntimeCommit,
    RuntimeEffectCommand,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeInvocation,
    RuntimeScope,
    default_host_event_source_key,
    deterministic_delivery_process_id,
    deterministic_occurrence_id,
    empty_host_event_source_key,
    host_event_occurrence_request_hash,
    prepare_process_registration,
    process_event_payload_hash,
    process_wake_turn_cause,
)
from tests.host_event_examples import BUTTON, pressed
from tests.interop.driver import Alpha40
from tests.interop.examples import COMMITS, ENVELOPES, EVERYTHING, RECORDS, kind_of
from tests.process_examples import registration, wake_type

VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    2**64 - 1,
    -(2**63),
    1.0,
    1.5,
    -0.0,
    1e16,
    1e-7,
    1e300,
    12345678.9,
    "",
    'ä€😀\u0000\u001f\u007f\u2028"\\/',
    [],
    {},
    {"b": [1, {"z": None, "a": ""}], "a": {}, "é": 1, "Z": 2, "😀": 3, "\uffff": 4},
]
"""Opaque values whose canonical text is easily got wrong; no double has more than 15 digits (specification 3.1)."""


@pytest.mark.parametrize("commit", [*COMMITS, EVERYTHING])
async def test_turn_commits(commit: RuntimeCommit, records: Alpha40) -> None:
    assert commit.turn_commit_hash() == await records("turn_commit_hash", text=commit.to_json().decode())


@pytest.mark.parametrize("value", VALUES, ids=repr)
async def test_turn_commits_with_opaque_values(value: Any, records: Alpha40) -> None:
    """`id`, `timestamp` and the like are left out of the hash inside opaque values, too."""
    part = {"id": "p", "kind": "k", "content": 2, "prune_state": value}
    whole = {"x": value, "id": "i", "timestamp": value, "role": 1, "parts": [part], "node_id": "n"}
    lesser = [
        {name: item for name, item in every.items() if name != key}
        for every in (whole, part)
        for key in ("role", "parts", "kind", "content", "prune_state")
    ]
    inside = {**whole, "lesser": lesser, "y": {"leaf_node_id": 1, "parent_node_id": None, "id": "kept"}}
    options = msgspec.structs.replace(COMMITS[0].checkpoint.turn_state.protocol_turn_options, payload=inside)
    turn_state = msgspec.structs.replace(COMMITS[0].checkpoint.turn_state, protocol_turn_options=options)
    checkpoint = msgspec.structs.replace(COMMITS[0].checkpoint, turn_state=turn_state)
    commit = msgspec.structs.replace(COMMITS[0], checkpoint=checkpoint)
    assert commit.turn_commit_hash() == await records("turn_commit_hash", text=commit.to_json().decode())


@pytest.mark.parametrize("envelope", ENVELOPES)
async def test_envelopes(envelope: RuntimeEffectEnvelope, records: Alpha40) -> None:
    assert envelope.stable_hash() == await records("envelope_hash", text=envelope.to_json().decode())


@pytest.mark.parametrize("command", [r for r in RECORDS if isinstance(r, RuntimeEffectCommand)], ids=kind_of)
async def test_envelopes_of_every_kind(command: RuntimeEffectCommand, records: Alpha40) -> None:
    kind = RuntimeEffectKind(command.kind)
    invocation = RuntimeInvocation.effect(RuntimeScope.for_turn("s", "t", 1, 0), "e", kind, "k")
    envelope = RuntimeEffectEnvelope(invocation, command)
    assert envelope.stable_hash() == await records("envelope_hash", text=envelope.to_json().decode())


@pytest.mark.parametrize(
    "registered",
    [*(r for r in RECORDS if isinstance(r, ProcessRegistration)), registration("p"), registration("q", wake_type("w"))],
)
async def test_registrations(registered: ProcessRegistration, records: Alpha40) -> None:
    complete, stored_hash = prepare_process_registration(registered)
    there = await records("registration", text=registered.to_json().decode())
    assert (complete.to_json().decode(), stored_hash) == (there["text"], there["hash"])


@pytest.mark.parametrize("payload", VALUES, ids=repr)
async def test_event_payloads(payload: Any, records: Alpha40) -> None:
    text = msgspec.json.encode(payload).decode()
    assert process_event_payload_hash("t", payload) == await records("payload_hash", event_type="t", text=text)


@pytest.mark.parametrize("reason", [None, "", "stop", 'ä\n"'])
async def test_cancel_requests(reason: str | None, records: Alpha40) -> None:
    ours = ProcessEventAppendRequest.cancel_requested("p", reason)
    assert ours.to_json().decode() == await records("cancel_request", process_id="p", reason=reason)


@pytest.mark.parametrize("delivery", [r for r in RECORDS if isinstance(r, ProcessWakeDelivery)])
async def test_what_a_woken_model_reads(delivery: ProcessWakeDelivery, records: Alpha40) -> None:
    ours = process_wake_turn_cause(delivery)
    assert ours.to_json().decode() == await records("turn_cause", text=delivery.to_json().decode())


@pytest.mark.parametrize("scope", [r for r in RECORDS if isinstance(r, EffectScope)], ids=kind_of)
async def test_effect_scopes(scope: EffectScope, records: Alpha40) -> None:
    assert scope.scope_id == await records("scope_id", text=scope.to_json().decode())


@pytest.mark.parametrize("scope", [ProcessScope("s"), ProcessScope("s", ""), ProcessScope("s", "f"), ProcessScope("")])
async def test_process_scopes(scope: ProcessScope, records: Alpha40) -> None:
    assert scope.id == await records("process_scope_id", text=scope.to_json().decode())


@pytest.mark.parametrize("source", VALUES, ids=repr)
async def test_host_events(source: Any, records: Alpha40) -> None:
    text = msgspec.json.encode(source).decode()
    assert default_host_event_source_key(BUTTON, source) == await records("source_key", source_type=BUTTON, text=text)
    request = pressed(source=source, payload={"x": source})
    assert request == HostEventOccurrenceRequest.from_json(request.to_json())
    requested = request.to_json().decode()
    assert host_event_occurrence_request_hash(request) == await records("request_hash", text=requested)
    assert deterministic_occurrence_id(request) == await records("occurrence_id", text=requested)


async def test_empty_sources_and_deliveries(records: Alpha40) -> None:
    assert empty_host_event_source_key(BUTTON) == await records("source_key", source_type=BUTTON, text="{}")
    there = await records("delivery_process_id", occurrence_id="o", subscription_id="s")
    assert deterministic_delivery_process_id("o", "s") == there
