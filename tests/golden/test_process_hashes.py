"""Process specification 3.2 to 3.4, 2.6, 2.8 and 4.4: hashes, keys, and stored texts."""

import hashlib
from typing import Any

import msgspec
import pytest

from lash_store.records.causal import CausalRefHostEvent
from lash_store.records.process import ProcessProvenance, ProcessRegistration, ProcessScope
from lash_store.records.process_event import (
    ProcessEvent,
    ProcessEventAppendRequest,
    ProcessEventSemantics,
    ProcessWakeDelivery,
)
from lash_store.records.process_event_type import (
    LashSchema,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessTerminalSpec,
    ProcessWakeSpec,
    lashlang_process_event_types,
)
from lash_store.records.process_ids import event_identity, process_event_payload_hash, terminal_replay_key, wake_id
from lash_store.records.process_input import ProcessInputExternal, ProcessInputLashlangProcess, ProcessRef
from lash_store.records.process_output import AWAIT_OUTPUT
from lash_store.rules.process_registration import prepare_process_registration
from lash_store.rules.process_semantics import materialize_process_event_semantics
from tests.golden import vectors

R1 = ProcessRegistration("proc-idempotent", ProcessInputExternal())
WAKE = ProcessEventType(
    "producer.wake",
    LashSchema({}),
    ProcessEventSemanticsSpec(wake=ProcessWakeSpec(when={"present": "/wake_input"}, input={"pointer": "/wake_input"})),
)
R3 = ProcessRegistration(
    "p-1",
    ProcessInputLashlangProcess(
        "lashlang:v1:sha256:module",
        ProcessRef("process", 1),
        "lashlang-surface:v1:sha256:surface",
        "on_button",
        {"event": {"button": "Blue"}, "alpha": 1.5},
    ),
    lashlang_process_event_types(),
    ProcessProvenance(ProcessScope("s1", "f1"), "host-profile", CausalRefHostEvent("host_event:abc")),
)


@pytest.mark.parametrize(
    ("registration", "name", "length", "digest"),
    [
        (R1, "r1", 689, "ebe6678046ad84685b7c30136ba951d5b8d59a8579033343cc28eea029a9b4f0"),
        (R3, "r3", 1261, "b2a4d1f7601c8f33b71228b72506e05d8995c5abfddd26b9c5641bbeacc034c2"),
    ],
)
def test_a_registration_has_this_text_and_hash(
    registration: ProcessRegistration, name: str, length: int, digest: str
) -> None:
    complete, registration_hash = prepare_process_registration(registration)
    text = vectors.text(f"process_registration_{name}.json")
    assert complete.to_json().decode() == text
    assert (len(text.encode()), hashlib.sha256(text.encode()).hexdigest()) == (length, digest)
    assert registration_hash == digest
    assert ProcessRegistration.from_json(text) == complete


def test_a_fifth_event_type_changes_the_hash() -> None:
    complete, _ = prepare_process_registration(R1)
    with_wake = msgspec.structs.replace(R1, event_types=[*complete.event_types, WAKE])
    prepared, registration_hash = prepare_process_registration(with_wake)
    assert len(prepared.to_json()) == 865
    assert registration_hash == "b5138d91cae38b98cd767c2f3441630e9518019a3116f0da932f910f1a286e5a"


P4 = {
    "await_output": {
        "type": "failure",
        "class": "execution",
        "code": "boom",
        "message": "m \u00e9",
        "raw": {"z": 1, "a": 2.0},
        "control": {"type": "finish", "value": "x"},
    }
}
P5 = {"b": [1, 1.0, 1e-7, 1e16, -0.0, True, None], "a": "tab\t\u00e9\u0001"}


@pytest.mark.parametrize(
    ("event_type", "payload", "digest"),
    [
        (
            "process.cancel_requested",
            {"reason": "stop"},
            "85a6238fa9840bc3105d1a06ca03df61803080fefa838ab687d36662275be019",
        ),
        (
            "process.cancel_requested",
            {"reason": None},
            "5532b5f3befaa3efc27b125b501ee870e6405e058b099410f23165e543d2a782",
        ),
        (
            "process.completed",
            {"await_output": {"type": "success", "value": {"ok": True}}},
            "282694fb3712c6d722645255f06498f6d8b14b9430973659f0352313744662ed",
        ),
        ("process.failed", P4, "62b93cf48cbb670c6782ac022871c921c1d5b68fb97c1fadd94f8eb506e70bcf"),
        ("producer.line", P5, "4c5d17ec0d496a74f49377ad6f5c635aac1387adba8d149596d5470b11139004"),
    ],
    ids=["P1", "P2", "P3", "P4", "P5"],
)
def test_a_payload_has_this_hash(event_type: str, payload: Any, digest: str) -> None:
    assert process_event_payload_hash(event_type, payload) == digest


@pytest.mark.parametrize(
    ("reason", "digest"),
    [
        ("stop", "85a6238fa9840bc3105d1a06ca03df61803080fefa838ab687d36662275be019"),
        (None, "5532b5f3befaa3efc27b125b501ee870e6405e058b099410f23165e543d2a782"),
        ("session deleted", "fea2f95ada94768e9255316ee7db56f2a17b8e79b93723b5804487e8c916d841"),
    ],
)
def test_a_cancel_request_has_this_key(reason: str | None, digest: str) -> None:
    request = ProcessEventAppendRequest.cancel_requested("proc-terminal", reason)
    assert request.replay is not None
    assert request.replay.key == f"process:proc-terminal:cancel_requested:{digest}"


def test_other_keys() -> None:
    assert terminal_replay_key("p-tool", "process.completed") == "process:p-tool:terminal:process.completed"
    assert event_identity("proc-provenance", 1) == "proc-provenance:1"


@pytest.mark.parametrize(
    ("scope", "key", "digest"),
    [
        (ProcessScope("root"), "group-a", "47638cea38923830386dd823b3b19b9ddc3dfdf6b2ac798f1be01f2400b61634"),
        (
            ProcessScope("target-session", "target-frame"),
            "proc-provenance:1",
            "46cb109adef9ba0513a94be3a54c1a0adf5e05fcbbe38b46ba57e14f546b1e00",
        ),
    ],
)
def test_a_wake_has_this_id(scope: ProcessScope, key: str, digest: str) -> None:
    assert wake_id(scope.id, key) == f"wake:{digest}"


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        (ProcessScope("s"), "session:s"),
        (ProcessScope("s", ""), "session:s"),
        (ProcessScope("s", "f"), "session:s/frame:f"),
    ],
)
def test_a_scope_has_this_text(scope: ProcessScope, text: str) -> None:
    assert scope.id == text


@pytest.mark.parametrize(
    ("record", "name"), [(ProcessEvent, "process_event.json"), (ProcessWakeDelivery, "process_wake_delivery.json")]
)
def test_a_record_is_written_as_it_was_read(record: Any, name: str) -> None:
    assert record.from_json(vectors.text(name)).to_json().decode() == vectors.text(name)


@pytest.mark.parametrize(
    ("state", "selected", "stored"),
    [
        (
            "completed",
            {"zz": 2, "type": "success", "value": 1, "control": {"x": 1, "type": "finish", "value": {"b": 1, "a": 2}}},
            (
                '{"state":"completed","await_output":{"type":"success","value":1,'
                '"control":{"type":"finish","value":{"a":2,"b":1}}}}'
            ),
        ),
        (
            "completed",
            {"type": "success", "value": 1, "control": {"type": "nope"}},
            (
                '{"state":"completed","await_output":{"type":"success",'
                '"value":{"control":{"type":"nope"},"type":"success","value":1}}}'
            ),
        ),
        (
            "failed",
            None,
            (
                '{"state":"failed","await_output":{"type":"failure","class":"execution","code":"process_failed",'
                '"message":"null","raw":null}}'
            ),
        ),
        (
            "failed",
            {"code": 7},
            (
                '{"state":"failed","await_output":{"type":"failure","class":"execution","code":"process_failed",'
                '"message":"{\\"code\\":7}","raw":{"code":7}}}'
            ),
        ),
        (
            "cancelled",
            {"type": "success", "value": 1},
            '{"state":"cancelled","await_output":{"type":"success","value":1}}',
        ),
        ("completed", ["success", 1], '{"state":"completed","await_output":{"type":"success","value":["success",1]}}'),
        (
            "cancelled",
            None,
            '{"state":"cancelled","await_output":{"type":"cancelled","message":"null","raw":null}}',
        ),
    ],
)
def test_what_ends_a_process_is_stored_as_this_text(state: str, selected: Any, stored: str) -> None:
    spec = ProcessEventSemanticsSpec(ProcessTerminalSpec(state, "payload"))
    semantics = materialize_process_event_semantics("p", 1, selected, spec)
    assert semantics.to_json().decode() == f'{{"terminal":{stored}}}'
    read = ProcessEventSemantics.from_json(semantics.to_json()).terminal
    assert read is not None
    assert AWAIT_OUTPUT.read(AWAIT_OUTPUT.write(read.await_output, False)) == read.await_output
