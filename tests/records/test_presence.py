"""Absent, null, default: what a missing key means, and what is written (specification 3.1 to 3.16)."""

from typing import Any

import pytest

from lash_store.errors import InvalidRecord
from lash_store.records.artifacts import BlobArtifactDescriptor
from lash_store.records.checkpoint import SessionCheckpoint
from lash_store.records.config import ModelLimits, ModelSpec, PersistedSessionConfig, SessionPolicy
from lash_store.records.conversation import ConversationRecord, MessagePart
from lash_store.records.frames import AgentFrameRecord
from lash_store.records.graph import ProtocolEvent, SessionNodeRecord
from lash_store.records.head import SessionHeadMeta
from lash_store.records.usage import PersistedTurnState, PromptUsage, ProtocolTurnOptions, TokenUsage
from tests.records.texts import (
    CONFIG,
    FRAME,
    FRAME_WRITTEN,
    HEAD_WRITTEN,
    MODEL,
    NODE,
    PART,
    PART_WITH_METAS,
    POLICY,
    PROMPT,
    TURN_WRITTEN,
    USAGE,
    changed,
)


@pytest.mark.parametrize(
    ("cls", "text", "written"),
    [
        (SessionHeadMeta, f'{{"config":{CONFIG}}}', HEAD_WRITTEN),
        (SessionPolicy, "{}", POLICY.replace('"m"', '""').replace('"provider_id":"p"', '"provider_id":""')),
        (AgentFrameRecord, FRAME, FRAME_WRITTEN),
        (TokenUsage, USAGE, USAGE[:-1] + ',"reasoning_tokens":0}'),
        (PromptUsage, PROMPT, PROMPT[:-1] + ',"context_budget_tokens":0}'),
        (PersistedTurnState, '{"turn_index":1}', TURN_WRITTEN),
        (ProtocolTurnOptions, "{}", '{"payload":{}}'),
        (BlobArtifactDescriptor, '{"kind":"ToolState"}', '{"kind":"ToolState"}'),
        (MessagePart, PART_WITH_METAS, PART_WITH_METAS),
    ],
)
def test_defaults_are_read_and_written(cls: Any, text: str, written: str) -> None:
    assert cls.from_json(text).to_json().decode() == written


@pytest.mark.parametrize(
    ("cls", "text", "key"),
    [
        (SessionHeadMeta, f'{{"config":{CONFIG}}}', "session_id head_revision agent_frames graph_node_count"),
        (SessionHeadMeta, f'{{"config":{CONFIG}}}', "current_agent_frame_id token_ledger config"),
        (SessionPolicy, POLICY, "model provider_id autonomous prompt"),
        (AgentFrameRecord, FRAME, "frame_id session_id status reason created_at assignment protocol_turn_options"),
        (TokenUsage, USAGE, "input_tokens output_tokens cached_input_tokens reasoning_tokens"),
        (MessagePart, PART, "id kind content prune_state"),
        (SessionNodeRecord, NODE, "node_id timestamp kind plugin_type"),
        (BlobArtifactDescriptor, '{"kind":"ToolState"}', "kind hints"),
        (SessionCheckpoint, "{}", "turn_state"),
    ],
)
def test_null_is_not_absent_where_there_is_a_default(cls: Any, text: str, key: str) -> None:
    for name in key.split():
        with pytest.raises(InvalidRecord) as caught:
            cls.from_json(changed(text, **{name: None}))
        assert caught.value.path == f"$.{name}"


@pytest.mark.parametrize(
    ("cls", "text", "keys"),
    [
        (SessionHeadMeta, f'{{"config":{CONFIG}}}', "checkpoint_ref leaf_node_id"),
        (ModelSpec, MODEL, "variant"),
        (ModelLimits, '{"context_window_tokens":1}', "output_token_capacity"),
        (AgentFrameRecord, FRAME, "previous_frame_id caused_by execution_state_ref execution_state_snapshot"),
        (MessagePart, PART, "attachment tool_call_id tool_name tool_replay reasoning_meta response_meta"),
        (SessionNodeRecord, NODE, "parent_node_id caused_by agent_frame_id"),
        (SessionCheckpoint, '{"turn_state":{"turn_index":0}}', "tool_state_ref plugin_snapshot_revision"),
    ],
)
def test_null_is_absent_where_the_key_is_optional(cls: Any, text: str, keys: str) -> None:
    for name in keys.split():
        read = cls.from_json(changed(text, **{name: None}))
        assert read == cls.from_json(text)
        assert f'"{name}"' not in read.to_json().decode()


@pytest.mark.parametrize(
    ("cls", "text", "keys"),
    [
        (SessionHeadMeta, f'{{"config":{CONFIG}}}', "config"),
        (PersistedSessionConfig, CONFIG, "provider_id model"),
        (ModelSpec, MODEL, "id limits"),
        (AgentFrameRecord, FRAME, "frame_id session_id created_at assignment"),
        (ConversationRecord, '{"id":"m","role":"User","parts":[]}', "id role parts"),
        (MessagePart, PART, "id kind content prune_state"),
        (SessionNodeRecord, NODE, "node_id timestamp kind plugin_type body"),
        (ProtocolEvent, '{"plugin_id":"x","payload":null}', "plugin_id payload"),
    ],
)
def test_required_keys_are_required(cls: Any, text: str, keys: str) -> None:
    for name in keys.split():
        with pytest.raises(InvalidRecord) as caught:
            cls.from_json(changed(text, **{name: ...}))
        assert caught.value.path == f"$.{name}"
