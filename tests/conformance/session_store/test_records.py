"""Scenarios 62 to 68: what the records hold and refuse, and that a store hands them on unchanged.

The pure record checks of 64, 65 and 67 have more cases in tests/records.
"""

import json
from pathlib import Path

import msgspec
import pytest

from lash_store import (
    AgentFrameRecord,
    Append,
    ConversationRecord,
    InvalidRecord,
    ProtocolEvent,
    ProviderInPolicy,
    ReplaceFull,
    SessionNodePayloadEvent,
    SessionNodePayloadPlugin,
    SessionNodeRecord,
    SessionPolicy,
    Store,
    load_persisted_session_state,
)
from tests.conformance.session_store import alpha40
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import (
    CREATED,
    commit_of,
    message,
    plugin,
    root_commit,
    session_state,
)

PROTOCOL_EVENT = SessionNodeRecord(
    node_id=f"protocol:{'0' * 32}",
    parent_node_id="m1",
    timestamp=CREATED,
    payload=SessionNodePayloadEvent(ProtocolEvent("test_protocol", {"step": 1})),
)


async def test_scenario_62_the_kinds_of_nodes_are_told_apart(store: Store) -> None:
    """Ids are made by the runtime (3.5), not by the store, which keeps those it is given and the kind of each node."""
    plugin_node = plugin(f"plugin:{'0' * 32}", PROTOCOL_EVENT.node_id)
    for node in (message("m1"), PROTOCOL_EVENT, plugin_node):
        await store.commit_runtime_state(root_commit(graph=Append([node], node.node_id)))
    read = await store.load_session()
    assert read is not None
    first, second, third = read.graph.nodes
    assert first.node_id == "m1"
    assert second.node_id.startswith("protocol:")
    assert third.node_id.startswith("plugin:")
    assert isinstance(third.payload, SessionNodePayloadPlugin)
    for node in (first, second):
        assert isinstance(node.payload, SessionNodePayloadEvent)
        assert not node.node_id.startswith("plugin:")


async def test_scenario_63_a_message_is_a_conversation_event(store: Store) -> None:
    """Building a graph from active messages is the runtime's (4.29); one message is one node of this kind."""
    await store.commit_runtime_state(root_commit(graph=ReplaceFull([message("m1")], "m1")))
    read = await store.load_session()
    assert read is not None
    (node,) = read.graph.nodes
    assert isinstance(node.payload, SessionNodePayloadEvent)
    assert isinstance(node.payload.event, ConversationRecord)


async def test_scenario_64_a_protocol_event(store: Store) -> None:
    await store.commit_runtime_state(root_commit(graph=ReplaceFull([PROTOCOL_EVENT], PROTOCOL_EVENT.node_id)))
    node = await store.load_node(PROTOCOL_EVENT.node_id)
    assert node is not None
    assert isinstance(node.payload, SessionNodePayloadEvent)
    assert json.loads(node.payload.event.to_json()) == {"plugin_id": "test_protocol", "payload": {"step": 1}}


def test_scenario_65_a_policy_names_its_provider() -> None:
    with pytest.raises(ProviderInPolicy) as caught:
        SessionPolicy.from_json('{"provider":{"kind":"mock"},"provider_id":"mock-provider"}')
    assert isinstance(caught.value, InvalidRecord)
    plain = json.loads(SessionPolicy(provider_id="mock-provider").to_json())
    assert plain["provider_id"] == "mock-provider"
    assert "provider" not in plain


async def test_scenario_66_a_head_without_frames_becomes_a_state(stores: Stores) -> None:
    """The head is a row of another writer, so that the revision is 7."""
    alpha40.create(stores.path)
    alpha40.insert(
        stores.path,
        "session_head",
        singleton=1,
        session_id="s",
        head_json='{"session_id":"s","head_revision":0,"config":{"provider_id":"stored-provider",'
        '"model":{"id":"m","limits":{"context_window_tokens":1}}},"agent_frames":[],"graph_node_count":0}',
        head_revision=7,
    )
    state = await load_persisted_session_state(await stores.file())
    assert state is not None
    assert state.head_revision == 7
    assert state.policy.provider_id == "stored-provider"
    assert [frame.assignment.policy.provider_id for frame in state.agent_frames] == ["stored-provider"]
    assert state.current_agent_frame_id == state.agent_frames[0].frame_id == "s:frame:initial"


def test_scenario_67_a_part_of_an_older_writer() -> None:
    part = {"id": "m.p0", "kind": "Text", "content": "x", "prune_state": "Intact"}
    read = ConversationRecord.from_json(json.dumps({"id": "m", "role": "User", "parts": [part]}))
    assert read.parts[0].reasoning_meta is None


async def test_scenario_68_a_frame_reason_is_a_text(store: Store) -> None:
    state = session_state()
    frame = msgspec.structs.replace(state.agent_frames[0], reason="plan_mode")
    state.agent_frames = [frame]
    assert b'"reason":"plan_mode"' in frame.to_json()
    assert AgentFrameRecord.from_json(frame.to_json()) == frame
    await store.commit_runtime_state(commit_of(state))
    read = await store.load_session()
    assert read is not None
    assert [found.reason for found in read.agent_frames] == ["plan_mode"]


def test_the_file_of_another_writer_is_where_it_should_be(tmp_path: Path) -> None:
    alpha40.create(tmp_path / "x.db")
    assert (tmp_path / "x.db").is_file()
