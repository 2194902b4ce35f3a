"""Process records: what is read, what is refused, and in which order keys are written (process specification 2)."""

import json
from typing import Any

import msgspec
import pytest

from lash_store.errors import InvalidJsonValue, InvalidRecord
from lash_store.records.process import ProcessRecord, ProcessRegistration
from lash_store.records.process_event import ProcessEvent, ProcessWakeDelivery, SystemTime
from lash_store.records.process_event_type import (
    ProcessEventType,
    ProcessTerminalSpec,
    ProcessWakeSpec,
    default_process_event_types,
    lashlang_process_event_types,
)
from lash_store.records.process_input import ProcessInputSessionTurn, ProcessInputToolCall
from lash_store.records.process_output import (
    ProcessAwaitOutputFailure,
    ProcessAwaitOutputSuccess,
    ProcessStatusCompleted,
)
from lash_store.records.process_work import ProcessListFilter
from tests.golden import vectors

RECORD = {
    "id": "p",
    "registration_hash": "h",
    "input": {"type": "external", "metadata": None},
    "event_types": [],
    "provenance": {"owner_scope": {"session_id": "s"}, "host_profile_id": "d"},
    "created_at_ms": 1,
    "updated_at_ms": 2,
    "status": {"state": "running"},
}
FAILURE = {
    "code": "c",
    "message": "m",
    "class": "timeout",
    "source": "tool",
    "retry": {"attempts": 3, "type": "exhausted"},
    "raw": {"b": 1, "a": {"$lash_tool_value": "object", "entries": {"x": 1}}},
}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in RECORD.items() if name != key}


def text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def test_defaults_of_a_record() -> None:
    short = {key: RECORD[key] for key in ("id", "registration_hash", "provenance")} | {"input": {"type": "external"}}
    record = ProcessRecord.from_json(short)
    assert (record.created_at_ms, record.updated_at_ms, record.external_ref, record.is_terminal) == (0, 0, None, False)
    assert record.to_json().decode() == text({**RECORD, "created_at_ms": 0, "updated_at_ms": 0})


@pytest.mark.parametrize(
    "broken",
    [
        without("id"),
        without("registration_hash"),
        without("input"),
        without("provenance"),
        {**RECORD, "created_at_ms": 1.0},
        {**RECORD, "created_at_ms": -1},
        {**RECORD, "created_at_ms": True},
        {**RECORD, "event_types": None},
        {**RECORD, "status": {"state": "unheard-of"}},
        {**RECORD, "status": {"state": "completed"}},
        {**RECORD, "status": None},
        {**RECORD, "input": {"type": "tool_call", "call": {"call_id": "c"}}},
        {**RECORD, "input": ["external", None]},
        {**RECORD, "external_ref": {"backend": "b"}},
    ],
)
def test_records_that_cannot_be_read(broken: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord):
        ProcessRecord.from_json(text(broken))


def test_a_known_key_twice_and_an_unknown_key() -> None:
    with pytest.raises(InvalidRecord):
        ProcessRecord.from_json(text(RECORD)[:-1] + ',"id":"q"}')
    kept = text(RECORD)[:-1] + ',"later":{"b":1,"a":[2.50]}}'
    assert ProcessRecord.from_json(kept).to_json().decode() == kept.replace("2.50", "2.5")


def test_the_tag_may_stand_anywhere_and_is_written_first() -> None:
    status = ProcessStatusCompleted.from_json('{"await_output":{"value":1,"type":"success"},"state":"completed"}')
    assert status.to_json() == b'{"state":"completed","await_output":{"type":"success","value":1}}'


def test_a_key_that_python_reserves() -> None:
    stored = '{"type":"failure","class":"timeout","code":"c","message":"m","later":1}'
    output = ProcessAwaitOutputFailure.from_json(stored)
    assert output.class_ == "timeout"
    assert output.to_json().decode() == stored
    for broken in (
        '{"type":"failure","class_":"timeout","code":"c","message":"m"}',
        '{"type":"failure","class":"unheard-of","code":"c","message":"m"}',
        '{"type":"failure","class":"timeout","code":"c","message":"m","class":"timeout"}',
        '{"type":"failure","code":"c","message":"m"}',
    ):
        with pytest.raises(InvalidRecord):
            ProcessAwaitOutputFailure.from_json(broken)
    with pytest.raises(InvalidRecord):
        ProcessAwaitOutputFailure("unheard-of", "c", "m").to_json()


@pytest.mark.parametrize(
    ("control", "written"),
    [
        (
            {"task": "t", "type": "switch_agent_frame", "initial_nodes": [{"b": 1, "a": 2}], "frame_id": "f"},
            '{"type":"switch_agent_frame","frame_id":"f","initial_nodes":[{"a":2,"b":1}],"task":"t"}',
        ),
        (
            {"type": "switch_agent_frame", "frame_id": "f", "initial_nodes": []},
            '{"type":"switch_agent_frame","frame_id":"f"}',
        ),
        ({"value": {"b": 1, "a": 2}, "type": "finish"}, '{"type":"finish","value":{"a":2,"b":1}}'),
        ({"type": "finish", "value": None}, '{"type":"finish","value":null}'),
        (
            {"type": "fail", "failure": FAILURE},
            (
                '{"type":"fail","failure":{"class":"timeout","code":"c","message":"m","source":"tool",'
                '"retry":{"type":"exhausted","attempts":3},"raw":{"a":{"x":1},"b":1}}}'
            ),
        ),
        (
            {"type": "finish", "value": {"$lash_tool_value": "object", "entries": {"$lash_tool_value": 1}}},
            '{"type":"finish","value":{"$lash_tool_value":"object","entries":{"$lash_tool_value":1}}}',
        ),
    ],
)
def test_control_effects(control: dict[str, Any], written: str) -> None:
    output = ProcessAwaitOutputSuccess(1, control)
    assert output.to_json().decode() == f'{{"type":"success","value":1,"control":{written}}}'
    assert ProcessAwaitOutputSuccess.from_json(output.to_json()).to_json() == output.to_json()


@pytest.mark.parametrize(
    "control",
    [
        {"type": "unheard-of"},
        {"type": "finish"},
        {"type": "switch_agent_frame"},
        {"type": "finish", "value": {"$lash_tool_value": "other"}},
        {"type": "finish", "value": {"$lash_tool_value": "object", "entries": {}, "more": 1}},
        {"type": "finish", "value": [{"$lash_tool_value": "attachment", "ref": {"id": "a"}}]},
        {"type": "fail", "failure": {**FAILURE, "source": "unheard-of"}},
        {"type": "fail", "failure": {**FAILURE, "retry": {"type": "exhausted"}}},
        {"type": "fail", "failure": {**FAILURE, "retry": {"type": "exhausted", "attempts": 2**32}}},
        {"type": "fail", "failure": {key: value for key, value in FAILURE.items() if key != "class"}},
        "finish",
    ],
)
def test_control_effects_that_upstream_could_not_read(control: Any) -> None:
    with pytest.raises(InvalidRecord):
        ProcessAwaitOutputSuccess(1, control).to_json()
    with pytest.raises(InvalidRecord):
        ProcessAwaitOutputSuccess.from_json({"type": "success", "value": 1, "control": control})


@pytest.mark.parametrize(
    "selector",
    [
        None,
        1,
        "other",
        {},
        {"pointer": 1},
        {"pointer": "/a", "const": 1},
        {"other": 1},
        {"template": "t"},
        {"template": {"fields": {}}},
        {"template": {"template": "t", "fields": {"x": "other"}}},
        {"template": {"template": "t", "fields": None}},
    ],
)
def test_what_is_no_selector(selector: Any) -> None:
    with pytest.raises(InvalidRecord):
        ProcessWakeSpec(input=selector).to_json()
    with pytest.raises(InvalidRecord):
        ProcessWakeSpec.from_json({"input": selector})


@pytest.mark.parametrize(
    ("spec", "written"),
    [
        (
            ProcessWakeSpec(
                when={"present": "/a"},
                input={"template": {"fields": {"b": "payload", "a": {"const": {"y": 1, "x": 2}}}, "template": "t"}},
                dedupe_key={"selector": {"pointer": "/k"}},
            ),
            (
                '{"when":{"present":"/a"},"input":{"template":{"template":"t",'
                '"fields":{"a":{"const":{"x":2,"y":1}},"b":"payload"}}},"dedupe_key":{"selector":{"pointer":"/k"}}}'
            ),
        ),
        (ProcessWakeSpec(input="payload"), '{"input":"payload","dedupe_key":"event_identity"}'),
        (
            ProcessWakeSpec(input={"const": None}, dedupe_key={"const": "c"}),
            '{"input":{"const":null},"dedupe_key":{"const":"c"}}',
        ),
        (ProcessTerminalSpec("completed"), '{"state":"completed"}'),
    ],
)
def test_declarations(spec: Any, written: str) -> None:
    assert spec.to_json().decode() == written
    assert type(spec).from_json(written).to_json().decode() == written


def test_a_dedupe_key_that_is_absent_or_null() -> None:
    assert ProcessWakeSpec.from_json({"input": "payload"}).dedupe_key == "event_identity"
    for broken in (None, "other", {"const": 1}, {"selector": "other"}):
        with pytest.raises(InvalidRecord):
            ProcessWakeSpec.from_json({"input": "payload", "dedupe_key": broken})
    with pytest.raises(InvalidRecord):
        ProcessTerminalSpec("unheard-of").to_json()
    with pytest.raises(InvalidRecord):
        ProcessEventType.from_json({"name": "n", "payload_schema": {"schema": {}}})


def test_the_declared_lists() -> None:
    assert [declared.name for declared in default_process_event_types()] == [
        "process.cancel_requested",
        "process.completed",
        "process.failed",
        "process.cancelled",
    ]
    assert [declared.name for declared in lashlang_process_event_types()] == [
        "process.yield",
        "process.wake",
        "process.signal",
    ]


def test_a_tool_call_is_put_in_order() -> None:
    call = {
        "prepared_payload": None,
        "replay": {"opaque": "o"},
        "args": {"b": 1, "a": 2},
        "tool_name": "t",
        "call_id": "c",
    }
    assert ProcessInputToolCall(call).to_json() == (
        b'{"type":"tool_call","call":{"call_id":"c","tool_name":"t","args":{"a":2,"b":1},"replay":{"opaque":"o"}}}'
    )


def test_a_session_turn_is_put_in_order() -> None:
    turn = ProcessInputSessionTurn(
        {
            "usage_source": "u",
            "start": {"snapshot": {"turn_index": 1, "session_id": "x"}, "kind": "snapshot"},
            "initial_nodes": [
                {"kind": "plugin", "plugin_type": "t"},
                {
                    "caused_by": {"process_id": "p", "type": "process"},
                    "event": {"payload": 1, "plugin_id": "i"},
                    "kind": "protocol_event",
                },
                {"kind": "message", "message": {"content": "c", "role": "User", "images": [[1, 255]]}},
            ],
            "tool_access": {"hidden_tools": ["b", "a"]},
        },
        {
            "image_blobs": {"b": [2], "a": []},
            "items": [{"text": "t", "type": "text"}, {"id": "a", "type": "image_ref"}],
        },
        {"default_schema": {"b": 1, "a": 2}, "kind": "from_input_schema", "input_field": "f"},
    )
    assert turn.to_json().decode() == (
        '{"type":"session_turn","create_request":{"relation":{"kind":"root"},'
        '"start":{"kind":"snapshot","snapshot":{"session_id":"x","turn_index":1}},"policy":null,'
        '"plugin_source":"current_session_fork","initial_nodes":['
        '{"kind":"plugin","plugin_type":"t","body":null},'
        '{"kind":"protocol_event","event":{"plugin_id":"i","payload":1},"caused_by":{"type":"process","process_id":"p"}},'
        '{"kind":"message","message":{"role":"User","content":"c","images":[[1,255]]}}],'
        '"tool_access":{"hidden_tools":["a","b"]},"plugin_options":{},"usage_source":"u"},'
        '"turn_input":{"items":[{"type":"text","text":"t"},{"type":"image_ref","id":"a"}],"image_blobs":{"a":[],"b":[2]}},'
        '"output_contract":{"kind":"from_input_schema","input_field":"f","default_schema":{"a":2,"b":1}}}'
    )
    assert ProcessInputSessionTurn.from_json(turn.to_json()).to_json() == turn.to_json()


@pytest.mark.parametrize(
    ("part", "broken"),
    [
        ("create_request", {}),
        ("create_request", {"start": {"kind": "snapshot", "snapshot": {}}}),
        ("create_request", {"start": {"kind": "empty"}, "policy": {"unheard": 1}}),
        ("create_request", {"start": {"kind": "empty"}, "plugin_source": "other"}),
        ("turn_input", {}),
        ("turn_input", {"items": [{"type": "other"}]}),
        ("turn_input", {"items": [], "image_blobs": {"a": [256]}}),
        ("output_contract", {"kind": "other"}),
        ("output_contract", {"kind": "from_input_schema"}),
    ],
)
def test_session_turns_that_upstream_could_not_read(part: str, broken: Any) -> None:
    good = ProcessInputSessionTurn({"start": {"kind": "empty"}}, {"items": []}, {"kind": "static"})
    good.to_json()
    with pytest.raises(InvalidRecord):
        msgspec.structs.replace(good, **{part: broken}).to_json()


def test_a_registration_without_provenance() -> None:
    process_input = ProcessRecord.from_json(RECORD).input
    assert ProcessRegistration("p", process_input).provenance.host_profile_id == "default"
    with pytest.raises(InvalidRecord):
        ProcessRegistration.from_json({"id": "p", "input": json.loads(process_input.to_json())})


@pytest.mark.parametrize(
    "time",
    [
        {"secs_since_epoch": 1},
        {"secs_since_epoch": 1, "nanos_since_epoch": 10**9},
        {"secs_since_epoch": -1, "nanos_since_epoch": 0},
        {"secs_since_epoch": 1, "nanos_since_epoch": 0, "more": 1},
    ],
)
def test_what_is_no_time(time: dict[str, int]) -> None:
    with pytest.raises(InvalidRecord):
        SystemTime.from_json(time)


def test_times() -> None:
    assert SystemTime.from_ms(1_700_000_000_456) == SystemTime(1_700_000_000, 456_000_000)
    assert SystemTime(1, 999_999_999).epoch_ms == 1_999


def test_an_event_needs_its_payload() -> None:
    stored = json.loads(vectors.text("process_event.json"))
    assert ProcessEvent.from_json({**stored, "payload": None}).payload is None
    del stored["payload"]
    with pytest.raises(InvalidRecord):
        ProcessEvent.from_json(stored)


def test_a_delivery_of_an_old_release() -> None:
    stored = json.loads(vectors.text("process_wake_delivery.json"))
    del stored["event_type"], stored["event_invocation"]
    delivery = ProcessWakeDelivery.from_json(stored)
    assert delivery.event_type == "process.wake"
    assert json.loads(delivery.event_invocation.to_json()) == {
        "scope": {"session_id": ""},
        "subject": {"type": "process_event", "process_id": "", "sequence": 0, "event_type": "process.wake"},
    }


@pytest.mark.parametrize("bad", ["\ud800", float("nan"), 2**64, object()])
def test_what_has_no_stored_form(bad: Any) -> None:
    with pytest.raises(InvalidJsonValue):
        ProcessAwaitOutputSuccess(bad).to_json()


@pytest.mark.parametrize(
    "args",
    [
        None,
        [],
        {"other": 1},
        {"status": "unheard-of"},
        {"definition": {}},
        {"definition": {"$lash_process": 1}},
        {"definition": {"$lash_process": True, "module_ref": "m"}},
        {"definition": "d"},
    ],
)
def test_list_filters_that_are_none(args: Any) -> None:
    with pytest.raises(InvalidRecord):
        ProcessListFilter.decode(args)


def test_list_filters() -> None:
    assert ProcessListFilter.decode({}).status == ProcessListFilter.decode({"status": 5}).status == "running"
    assert ProcessListFilter.decode({}).list_mode == "live"
    assert ProcessListFilter.decode({"status": "any"}).list_mode == "all"
