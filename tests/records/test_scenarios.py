"""The record-level scenarios of specification 6.6, and the pure halves of 6.1; each test names its scenario."""

import json

import msgspec
import pytest

from lash_store.errors import InvalidRecord, ProviderInPolicy
from lash_store.records.commit import ReplaceFull, RuntimeCommit, Unchanged
from lash_store.records.config import ModelLimits, ModelSpec, PersistedSessionConfig, SessionPolicy
from lash_store.records.conversation import ConversationRecord
from lash_store.records.frames import AgentFrameAssignment, AgentFrameRecord, AgentFrameStatus
from lash_store.records.graph import ProtocolEvent, SessionGraph
from lash_store.records.head import PersistedSessionRead
from lash_store.records.queue import (
    DeliveryPolicy,
    MergeKeyGroup,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkCompletion,
    SlotPolicy,
)
from lash_store.records.state import RuntimeSessionState
from lash_store.records.usage import TokenLedgerEntry, TokenUsage


def test_a_second_frame_and_a_snapshot() -> None:
    """Scenario 2, up to the commit."""
    state = RuntimeSessionState.new()
    model = ModelSpec(id="gpt-5.4-mini", limits=ModelLimits(200_000))
    policy = SessionPolicy(model=model)
    state.append_frame(
        AgentFrameRecord(
            frame_id="frame-2",
            session_id="root",
            reason="plan_mode",
            created_at="2026-06-02T00:00:00+00:00",
            assignment=AgentFrameAssignment(policy),
        )
    )
    state.set_execution_state(b"frame-vm")
    commit = RuntimeCommit.persisted_state(state)
    first, second = commit.agent_frames
    assert commit.current_agent_frame_id == "frame-2"
    assert (first.status, first.execution_state_snapshot) == (AgentFrameStatus.SUPERSEDED, None)
    assert (second.status, second.reason, second.previous_frame_id) == (
        AgentFrameStatus.ACTIVE,
        "plan_mode",
        "root:frame:initial",
    )
    assert second.execution_state_snapshot == commit.checkpoint.execution_state == b"frame-vm"
    assert commit.config == PersistedSessionConfig("", model)


def test_a_commit_carries_everything_of_the_state() -> None:
    """Scenario 4, up to the commit."""
    state = RuntimeSessionState.new("hydrated")
    state.tool_state = {"generation": 9, "tools": {}}
    state.plugin_snapshot, state.plugin_snapshot_revision = {"plugins": {}}, 12
    entry = TokenLedgerEntry("turn", "mock-model", TokenUsage(11, 7, 3, 5))
    commit = RuntimeCommit.from_json(RuntimeCommit.persisted_state(state, [entry]).to_json())
    assert commit.session_id == "hydrated"
    assert commit.agent_frames[0].session_id == "root"
    assert commit.checkpoint.tool_state == {"generation": 9, "tools": {}}
    assert commit.checkpoint.plugin_snapshot_revision == 12
    assert commit.usage_deltas == [entry]


def test_the_completion_of_a_claim() -> None:
    """Scenario 28: what a commit is told to complete."""
    batches = [
        QueuedWorkBatch(
            batch_id=batch,
            session_id="root",
            enqueue_seq=1,
            delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
            slot_policy=SlotPolicy.JOIN,
            merge_key=MergeKeyGroup("joined"),
            available_at_ms=0,
            enqueued_at_ms=0,
            items=[],
        )
        for batch in ("qwb:1", "qwb:2")
    ]
    claim = QueuedWorkClaim(
        session_id="root",
        claim_id="qwc:1:1",
        owner_id="owner-a",
        lease_token="t",  # noqa: S106 - an example
        fencing_token=1,
        claimed_at_epoch_ms=0,
        expires_at_epoch_ms=1,
        batches=batches,
    )
    completion = QueuedWorkCompletion("root", "qwc:1:1", "t", ["qwb:1", "qwb:2"])
    assert claim.completion() == completion
    commit = RuntimeCommit.persisted_state(RuntimeSessionState.new())
    assert commit.completing_queue_claims([completion]).completed_queue_claims == [completion]
    assert commit.with_committed_attachments(["ab"]).committed_attachment_ids == ["ab"]
    assert (commit.completed_queue_claims, commit.committed_attachment_ids) == ([], [])


def test_the_revision_does_not_change_the_hash() -> None:
    """Scenario 38."""
    state = RuntimeSessionState.new()
    first = RuntimeCommit.persisted_state(state)
    again = msgspec.structs.replace(first, expected_head_revision=1)
    assert again.turn_commit_hash() == first.turn_commit_hash()


def test_the_turn_index_changes_the_hash() -> None:
    """Scenario 39, up to the conflict: another turn index is another hash for the same turn."""
    state = RuntimeSessionState.new()
    first = RuntimeCommit.persisted_state(state).with_turn_commit("provider-turn")
    state.turn_index = 1
    second = RuntimeCommit.persisted_state(state).with_turn_commit("provider-turn")
    assert first.turn_commit is not None
    assert second.turn_commit is not None
    assert first.turn_commit.turn_commit_hash == RuntimeCommit.turn_commit_hash(first)
    assert second.turn_commit.turn_commit_hash != first.turn_commit.turn_commit_hash
    assert (second.turn_commit.session_id, second.turn_commit.turn_id) == ("root", "provider-turn")


def test_a_protocol_event() -> None:
    """Scenario 64."""
    plain = json.loads(ProtocolEvent("test_protocol", {"step": 1}).to_json())
    assert plain == {"plugin_id": "test_protocol", "payload": {"step": 1}}


def test_a_policy_has_a_provider_id_and_no_provider() -> None:
    """Scenario 65."""
    with pytest.raises(ProviderInPolicy) as caught:
        SessionPolicy.from_json('{"provider":{"name":"mock-provider"}}')
    assert isinstance(caught.value, InvalidRecord)
    plain = json.loads(SessionPolicy(provider_id="mock-provider").to_json())
    assert plain["provider_id"] == "mock-provider"
    assert "provider" not in plain


def test_a_loaded_head_without_frames_becomes_a_state() -> None:
    """Scenario 66."""
    config = PersistedSessionConfig("stored-provider", ModelSpec(id="m", limits=ModelLimits(1)))
    read = PersistedSessionRead(
        session_id="s",
        head_revision=7,
        config=config,
        agent_frames=[],
        current_agent_frame_id="",
        graph=SessionGraph(),
    )
    state = RuntimeSessionState.from_read(read)
    assert state.policy.provider_id == "stored-provider"
    assert state.policy.model == config.model
    assert [frame.assignment.policy for frame in state.agent_frames] == [state.policy]
    assert state.current_agent_frame_id == state.agent_frames[0].frame_id == "s:frame:initial"
    assert state.head_revision == 7


def test_a_part_of_an_older_writer() -> None:
    """Scenario 67."""
    part = {"id": "m.p0", "kind": "Text", "content": "x", "prune_state": "Intact"}
    message = ConversationRecord.from_json(json.dumps({"id": "m", "role": "User", "parts": [part]}))
    assert message.parts[0].reasoning_meta is None


def test_a_frame_reason_is_a_text() -> None:
    """Scenario 68."""
    frame = RuntimeSessionState.new().agent_frames[0]
    text = msgspec.structs.replace(frame, reason="plan_mode").to_json()
    assert b'"reason":"plan_mode"' in text
    assert AgentFrameRecord.from_json(text).reason == "plan_mode"


def test_a_commit_replaces_the_graph_only_when_it_must() -> None:
    """Section 4.30."""
    state = RuntimeSessionState.new()
    state.graph = SessionGraph(leaf_node_id="m1")
    assert RuntimeCommit.persisted_state(state).graph == ReplaceFull([], "m1")
    state.head_revision = 3
    commit = RuntimeCommit.persisted_state(state)
    assert (commit.graph, commit.expected_head_revision) == (Unchanged("m1"), 3)
    state.replace_graph = True
    assert RuntimeCommit.persisted_state(state).graph == ReplaceFull([], "m1")
