"""Specification A.8: record texts, byte for byte as upstream writes them."""

from typing import Any

import msgspec
import pytest

from lash_store.records.commit_result import RuntimeCommitResult
from lash_store.records.config import SessionPolicy
from lash_store.records.frames import AgentFrameRecord, PluginOptions, ToolAccess
from lash_store.records.graph import SessionNodeRecord
from lash_store.records.head import SessionHeadMeta
from lash_store.records.queue import (
    MergeKey,
    MergeKeyGroup,
    MergeKeyNever,
    MergeKeyPayloadDefault,
    QueuedWorkPayload,
)
from lash_store.records.record import read_json
from lash_store.records.session_meta import SessionRelation, SessionRelationRoot
from tests.golden import vectors


@pytest.mark.parametrize(
    ("family", "name"),
    [
        (SessionHeadMeta, "head_two_frames"),
        (SessionNodeRecord, "node_message"),
        (SessionNodeRecord, "node_protocol"),
        (SessionNodeRecord, "node_plugin"),
        (QueuedWorkPayload, "payload_turn_input_full"),
        (QueuedWorkPayload, "payload_turn_input_smallest"),
        (QueuedWorkPayload, "payload_process_wake"),
        (QueuedWorkPayload, "payload_session_command"),
        (RuntimeCommitResult, "commit_result"),
    ],
)
def test_a_record_is_read_and_written_back(family: Any, name: str) -> None:
    text = vectors.text(f"{name}.json")
    record = read_json(family, text)
    assert record.to_json().decode() == text
    assert read_json(family, record.to_json()) == record


def test_what_a_head_brings_into_order() -> None:
    """The vector was written from the provider id ` p `, hidden tools z, a and unsorted plugin options."""
    head = SessionHeadMeta.from_json(vectors.text("head_two_frames.json"))
    first, second = (unordered(frame) for frame in head.agent_frames)
    given = msgspec.structs.replace(head, agent_frames=[first, second])
    assert given.to_json().decode() == vectors.text("head_two_frames.json")


def unordered(frame: AgentFrameRecord) -> AgentFrameRecord:
    assignment = frame.assignment
    policy: SessionPolicy = msgspec.structs.replace(assignment.policy, provider_id=" p ")
    options, access = assignment.plugin_options, assignment.tool_access
    if options.plugins:
        options = PluginOptions({"x": {"b": 1, "a": [2.0]}})
        access = ToolAccess(hidden_tools=["z", "a", "z"])
    changed = msgspec.structs.replace(assignment, policy=policy, plugin_options=options, tool_access=access)
    return msgspec.structs.replace(frame, assignment=changed)


@pytest.mark.parametrize(
    ("family", "record", "text"),
    [
        (SessionRelation, SessionRelationRoot(), '{"kind":"root"}'),
        (MergeKey, MergeKeyNever(), '"never"'),
        (MergeKey, MergeKeyPayloadDefault(), '"payload_default"'),
        (MergeKey, MergeKeyGroup("g"), '{"group":"g"}'),
    ],
)
def test_small_families(family: Any, record: Any, text: str) -> None:
    assert record.to_json().decode() == text
    assert read_json(family, text) == record


def test_a_child_relation() -> None:
    text = '{"kind":"child","parent_session_id":"p","caused_by":{"type":"tool_call","session_id":"p","call_id":"c"}}'
    assert read_json(SessionRelation, text).to_json().decode() == text
