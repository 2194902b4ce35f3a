"""Ranges, variants, closed and opaque parts: what single keys do (specification 3.1 to 3.16)."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_store.errors import InvalidJsonValue, InvalidRecord
from lash_store.records.artifacts import BlobArtifactDescriptor, PersistedArtifactKind
from lash_store.records.checkpoint import HydratedSessionCheckpoint
from lash_store.records.config import ModelLimits, ModelSpec, PersistedSessionConfig, SessionPolicy
from lash_store.records.conversation import ConversationRecord, MessagePart, MessageRole, PartKind, PruneStateIntact
from lash_store.records.frames import AgentFrameAssignment, AgentFrameRecord, PluginSource, SubagentContext, ToolAccess
from lash_store.records.graph import SessionNodePayloadPlugin, SessionNodeRecord
from lash_store.records.head import SessionHeadMeta
from lash_store.records.queue import (
    DeliveryPolicy,
    MergeKeyNever,
    QueuedWorkBatchDraft,
    QueuedWorkPayload,
    QueuedWorkPayloadTurnInput,
    SlotPolicy,
)
from lash_store.records.record import read_json
from lash_store.records.usage import PersistedTurnState, ProtocolTurnOptions, TokenUsage
from tests.codecs.test_messagepack import VALUES
from tests.records.texts import CONFIG, FRAME, MODEL, NODE, PART, POLICY, USAGE, changed


@pytest.mark.parametrize(
    ("cls", "text", "key", "values"),
    [
        (ModelLimits, '{"context_window_tokens":1}', "context_window_tokens", [0, -1, 2**64, 1.0, True, "1"]),
        (TokenUsage, USAGE, "input_tokens", [2**63, -(2**63) - 1, 3.0, False]),
        (SessionHeadMeta, f'{{"config":{CONFIG}}}', "head_revision", [-1, 2**64, 0.0]),
        (AgentFrameRecord, FRAME, "status", ["Active", "", "other", 1]),
        (ConversationRecord, '{"id":"m","role":"User","parts":[]}', "role", ["user", "USER", "Tool"]),
        (MessagePart, PART, "prune_state", ["intact", {}, {"Deleted": {}}, {"Intact": 1, "Cleared": 2}, "Deleted", []]),
        (SessionNodeRecord, NODE, "kind", ["Plugin", "other", 3, []]),
        (BlobArtifactDescriptor, '{"kind":"ToolState"}', "hints", [["Large"], "Compressible", [1]]),
    ],
)
def test_values_out_of_range_are_refused(cls: Any, text: str, key: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(InvalidRecord):
            cls.from_json(changed(text, **{key: value}))


@pytest.mark.parametrize("digits", ["3.0", "3e0", "-0", "true", "18446744073709551616"])
def test_numbers_that_only_look_like_integers_are_refused(digits: str) -> None:
    with pytest.raises(InvalidRecord):
        PersistedTurnState.from_json(f'{{"turn_index":{digits}}}')


@pytest.mark.parametrize("depth", [-1, 256])
def test_a_depth_is_one_byte(depth: int) -> None:
    with pytest.raises(InvalidRecord, match=r"0 \.\.\. 255"):
        SubagentContext("q", "c", depth, 2).to_json()


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Conversation": {}},
        {"Novelty": {}},
        {"Protocol": {"plugin_id": "x", "payload": 1}, "Conversation": {}},
        "Protocol",
        None,
        [],
    ],
)
def test_an_event_is_exactly_one_variant(event: Any) -> None:
    with pytest.raises(InvalidRecord):
        SessionNodeRecord.from_json({"node_id": "n", "timestamp": "t", "kind": "event", "event": event})


def test_payload_keys_of_the_other_kind_are_ignored_and_kept() -> None:
    text = (
        '{"node_id":"n","timestamp":"t","kind":"plugin","plugin_type":"x","body":1,"payload":2,"event":{"Novelty":3}}'
    )
    node = SessionNodeRecord.from_json(text)
    assert node.payload == SessionNodePayloadPlugin("x", 1)
    assert node.to_json().decode() == text


def test_a_policy_takes_the_last_of_equal_keys_and_a_config_does_not() -> None:
    twice = MODEL.replace('{"id":"m"', '{"id":"a","id":"m"')
    assert SessionPolicy.from_json(f'{{"model":{twice}}}').model.id == "m"
    with pytest.raises(InvalidRecord) as caught:
        PersistedSessionConfig.from_json(f'{{"provider_id":"p","model":{twice}}}')
    assert caught.value.path == "$.model.id"


def test_in_opaque_values_and_maps_by_name_the_last_of_equal_keys_wins() -> None:
    node = SessionNodeRecord.from_json(NODE.replace("null", '{"a":1,"a":[2]}'))
    assert node.to_json().decode() == NODE.replace("null", '{"a":[2]}')
    assignment = f'{{"policy":{POLICY},"plugin_options":{{"plugins":{{"p":1,"p":2}}}}}}'
    assert AgentFrameAssignment.from_json(assignment).plugin_options.plugins == {"p": 2}


def test_instances_are_required() -> None:
    part = MessagePart(id="p", kind="Text", content="", prune_state=PruneStateIntact())  # type: ignore[arg-type]
    message = ConversationRecord("m", MessageRole.USER, [{"id": "p"}])  # type: ignore[list-item]
    for record in (part, message):
        with pytest.raises(InvalidRecord):
            record.to_json()


def test_an_opaque_value_without_a_stored_form_is_another_error() -> None:
    frame = AgentFrameRecord.from_json(FRAME)
    bad = msgspec.structs.replace(frame, protocol_turn_options=ProtocolTurnOptions({"a": [float("nan")]}))
    with pytest.raises(InvalidJsonValue) as caught:
        bad.to_json()
    assert caught.value.path == "$.protocol_turn_options.payload.a[0]"


def test_a_text_field_with_a_lone_surrogate_is_not_written() -> None:
    with pytest.raises(InvalidJsonValue) as caught:
        PersistedSessionConfig("\ud800", ModelSpec(id="m", limits=ModelLimits(1))).to_json()
    assert caught.value.path == "$.provider_id"


@pytest.mark.parametrize("levels", [128, 2_000])
def test_a_body_that_upstream_could_not_read_is_not_written(levels: int) -> None:
    body: Any = 0
    for _ in range(levels):
        body = [body]
    node = SessionNodeRecord(node_id="n", timestamp="t", payload=SessionNodePayloadPlugin("x", body))
    with pytest.raises(InvalidJsonValue, match="nested too deeply"):
        node.to_json()


def test_the_levels_around_an_opaque_value_count() -> None:
    body: Any = 0
    for _ in range(127):
        body = [body]
    node = SessionNodeRecord(node_id="n", timestamp="t", payload=SessionNodePayloadPlugin("x", body))
    with pytest.raises(InvalidRecord, match="127 levels"):
        node.to_json()
    node = SessionNodeRecord(node_id="n", timestamp="t", payload=SessionNodePayloadPlugin("x", body[0]))
    assert SessionNodeRecord.from_json(node.to_json()) == node


def test_a_prompt_is_written_unless_there_is_nothing_in_it() -> None:
    nothing: list[dict[str, Any]] = [{}, {"slots": {}}, {"template": None}]
    for empty in nothing:
        assert b"prompt" not in SessionPolicy(prompt=empty).to_json()
    something: list[dict[str, Any]] = [{"slots": {"intro": {}}}, {"template": {"sections": []}}, {"novelty": 1}]
    for full in something:
        assert SessionPolicy.from_json(SessionPolicy(prompt=full).to_json()).prompt == full


@pytest.mark.parametrize("prompt", [None, [], "text", 1])
def test_a_prompt_is_an_object(prompt: Any) -> None:
    with pytest.raises(InvalidRecord):
        SessionPolicy(prompt=prompt).to_json()


def test_white_space_is_that_of_unicode() -> None:
    """Python's strip would also take U+001C, which is no white space."""
    policy = SessionPolicy(provider_id="\u00a0\u3000\x1c p \x85\n")
    assert json.loads(policy.to_json())["provider_id"] == "\x1c p"


def test_hidden_tools_are_written_in_order_and_once() -> None:
    assert ToolAccess(hidden_tools=["z", "a", "z"]).to_json() == b'{"hidden_tools":["a","z"]}'


def test_empty_bytes_are_not_none() -> None:
    empty = HydratedSessionCheckpoint(execution_state=b"")
    assert HydratedSessionCheckpoint.from_json(empty.to_json()).execution_state == b""
    assert b'"execution_state":[]' in empty.to_json()
    assert HydratedSessionCheckpoint.from_json(HydratedSessionCheckpoint().to_json()).execution_state is None


@pytest.mark.parametrize("value", [[256], [-1], [1.0], [True], "ab", {}, [[1]]])
def test_what_is_no_byte_string_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRecord):
        HydratedSessionCheckpoint.from_json({"execution_state": value})


def test_a_payload_of_an_unknown_type_is_refused_and_its_content_is_not_looked_at() -> None:
    with pytest.raises(InvalidRecord):
        read_json(QueuedWorkPayload, '{"type":"novelty","input":{}}')
    with pytest.raises(InvalidRecord):
        read_json(QueuedWorkPayload, '{"type":"turn_input","input":3}')
    text = '{"type":"turn_input","input":{"items":3,"novelty":{"b":1,"a":2}}}'
    assert read_json(QueuedWorkPayload, text).to_json().decode() == text


def test_a_draft_has_defaults() -> None:
    draft = QueuedWorkBatchDraft(
        session_id="s", delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY, slot_policy=SlotPolicy.JOIN
    )
    assert (draft.source_key, draft.merge_key, draft.available_at_ms, draft.payloads) == (None, MergeKeyNever(), 0, [])


@pytest.mark.parametrize("time_ms", [-1, 2**63])
def test_times_fit_an_sql_integer(time_ms: int) -> None:
    draft = QueuedWorkBatchDraft(
        session_id="s",
        delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot_policy=SlotPolicy.JOIN,
        available_at_ms=time_ms,
    )
    with pytest.raises(InvalidRecord):
        draft.to_json()
    for limit in (0, 2**63 - 1):
        assert msgspec.structs.replace(draft, available_at_ms=limit).to_json()


def test_defaults_are_what_the_tables_say() -> None:
    assert AgentFrameAssignment(SessionPolicy()).plugin_source is PluginSource.CURRENT_SESSION_FORK
    assert BlobArtifactDescriptor(PersistedArtifactKind.GENERIC_BLOB).hints == []
    assert TokenUsage(1, 2, 3, 4).total == 7


@given(body=VALUES, text=st.text(), parts=st.lists(st.tuples(st.sampled_from(PartKind), st.text()), max_size=5))
def test_any_content_comes_back(body: Any, text: str, parts: list[tuple[PartKind, str]]) -> None:
    message = ConversationRecord(
        text,
        MessageRole.ASSISTANT,
        [MessagePart(id=text, kind=kind, content=content, prune_state=PruneStateIntact()) for kind, content in parts],
    )
    node = SessionNodeRecord(node_id=text, timestamp=text, payload=SessionNodePayloadPlugin(text, body))
    payload = QueuedWorkPayloadTurnInput({"items": body, text: body})
    for record in (message, node, payload):
        written = record.to_json()
        assert type(record).from_json(written) == record
        assert type(record).from_json(written).to_json() == written
