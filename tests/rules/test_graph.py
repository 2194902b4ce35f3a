"""Paths, read models, growth and branches of a session's graph (session store specification 3.5, 4.29)."""

import re
from typing import Any

import msgspec
import pytest

from lash_store.errors import StoreCorrupt
from lash_store.records.causal import CausalRefProcessEvent, CausalRefTurn
from lash_store.records.conversation import (
    ConversationRecord,
    MessageOrigin,
    MessageOriginPlugin,
    MessageOriginProcess,
    MessagePart,
    MessageRole,
    PartKind,
    PruneStateIntact,
)
from lash_store.records.graph import (
    ProtocolEvent,
    SessionGraph,
    SessionNodePayloadEvent,
    SessionNodePayloadPlugin,
    SessionNodeRecord,
)
from lash_store.rules.graph import (
    NodeContent,
    active_path,
    active_read_model,
    append_to_graph,
    fork_active_path,
    heal_orphaned_leaf,
    replace_active_messages,
)
from tests.clocks import ManualClock

PROTOCOL = ProtocolEvent("test_protocol", {"step": "started"})
PLUGIN = SessionNodePayloadPlugin("example", {"ok": True})
TRANSIENT = MessageOriginPlugin("x", True)
LASTING = MessageOriginPlugin("x", False)


def part(part_id: str = "", content: str = "hello") -> MessagePart:
    return MessagePart(id=part_id, kind=PartKind.TEXT, content=content, prune_state=PruneStateIntact())


def message(message_id: str, origin: MessageOrigin | None = None, *parts: MessagePart) -> ConversationRecord:
    return ConversationRecord(message_id, MessageRole.USER, list(parts), origin)


def node(node_id: str, parent: str | None = None, content: NodeContent = PLUGIN, **keys: Any) -> SessionNodeRecord:
    payload = content if isinstance(content, SessionNodePayloadPlugin) else SessionNodePayloadEvent(content)
    return SessionNodeRecord(node_id=node_id, parent_node_id=parent, timestamp="t", payload=payload, **keys)


def line(*contents: NodeContent) -> SessionGraph:
    """Return a graph that is one path of nodes `n0`, `n1` and so on."""
    nodes = [node(f"n{i}", f"n{i - 1}" if i else None, content) for i, content in enumerate(contents)]
    return SessionGraph(nodes, nodes[-1].node_id)


def ids(nodes: list[SessionNodeRecord]) -> list[str]:
    return [node.node_id for node in nodes]


def messages(nodes: list[SessionNodeRecord]) -> list[ConversationRecord]:
    events = [node.payload.event for node in nodes if isinstance(node.payload, SessionNodePayloadEvent)]
    return [event for event in events if isinstance(event, ConversationRecord)]


BRANCHED = SessionGraph(
    [node("root"), node("left", "root"), node("left-leaf", "left"), node("right-leaf", "root")], "left-leaf"
)


@pytest.mark.parametrize(
    ("leaf", "path"),
    [
        ("left-leaf", ["root", "left", "left-leaf"]),
        ("right-leaf", ["root", "right-leaf"]),
        ("root", ["root"]),
        ("nowhere", []),
        (None, []),
    ],
)
def test_the_active_path_goes_from_the_root_to_the_leaf(leaf: str | None, path: list[str]) -> None:
    assert ids(active_path(SessionGraph(BRANCHED.nodes, leaf))) == path


def test_a_path_begins_below_a_missing_ancestor() -> None:
    assert ids(active_path(SessionGraph([node("b", "a"), node("c", "b")], "c"))) == ["b", "c"]


@pytest.mark.parametrize(
    ("nodes", "leaf", "culprit"),
    [
        ([node("a", "a")], "a", "a"),
        ([node("a", "c"), node("b", "a"), node("c", "b")], "c", "c"),
        ([node("a", "b"), node("b", "a"), node("tail", "b")], "tail", "b"),
    ],
)
def test_a_node_that_is_its_own_ancestor_is_named(nodes: list[SessionNodeRecord], leaf: str, culprit: str) -> None:
    graph = SessionGraph(nodes, leaf)
    for walk in (active_path, active_read_model, fork_active_path, lambda graph: replace_active_messages(graph, [])):
        with pytest.raises(StoreCorrupt) as caught:
            walk(graph)
        assert (caught.value.kind, caught.value.key) == ("graph node", culprit)


def test_a_circle_beside_the_path_does_no_harm() -> None:
    graph = SessionGraph([node("a", "b"), node("b", "a"), node("c")], "c")
    assert ids(active_path(graph)) == ["c"]


def test_a_long_history_is_walked_and_grown() -> None:
    graph = append_to_graph(SessionGraph(), [message("same") for _ in range(50_000)]).graph
    assert len(active_path(graph)) == 50_000
    assert (graph.nodes[0].node_id, graph.nodes[1].node_id) == ("same", "message:same")
    assert graph.leaf_node_id == "message:same:49999"
    assert active_read_model(graph).messages == [message("same")]


def test_the_read_model_has_events_and_messages_in_order() -> None:
    first, repeated, last = message("m1"), message("m1", LASTING), message("m2", LASTING)
    graph = line(first, PROTOCOL, message("t", TRANSIENT), PLUGIN, repeated, last)
    model = active_read_model(graph)
    assert model.events == [first, PROTOCOL, message("t", TRANSIENT), repeated, last]
    assert model.messages == [first, last]


def test_a_transient_message_does_not_hide_one_of_the_same_id() -> None:
    graph = line(message("m1", TRANSIENT), message("m1"))
    assert active_read_model(graph).messages == [message("m1")]


def test_an_inactive_branch_is_not_read() -> None:
    graph = SessionGraph([node("a", None, message("a")), node("b", "a", message("b")), node("c", "a", PROTOCOL)], "c")
    assert active_read_model(graph) == ([message("a"), PROTOCOL], [message("a")])


@pytest.mark.parametrize(
    ("frame_id", "initial", "found"),
    [
        ("", True, ["none", "f1", "f2"]),
        ("", False, ["none", "f1", "f2"]),
        ("f1", True, ["none", "f1"]),
        ("f1", False, ["f1"]),
        ("f2", False, ["f2"]),
        ("other", False, []),
    ],
)
def test_a_read_model_of_one_frame(frame_id: str, initial: bool, found: list[str]) -> None:
    frames = [("none", None), ("f1", "f1"), ("f2", "f2")]
    graph = line(*(message(name) for name, _ in frames))
    nodes = [
        msgspec.structs.replace(one, agent_frame_id=frame) for one, (_, frame) in zip(graph.nodes, frames, strict=True)
    ]
    model = active_read_model(SessionGraph(nodes, "n2"), frame_id, initial=initial)
    assert [message.id for message in model.messages] == found
    assert model.events == model.messages


def test_62_ids_of_new_nodes() -> None:
    change = append_to_graph(SessionGraph(), [message("m1"), PROTOCOL, PLUGIN])
    first, second, third = change.added
    assert first.node_id == "m1"
    assert re.fullmatch("protocol:[0-9a-f]{32}", second.node_id)
    assert re.fullmatch("plugin:[0-9a-f]{32}", third.node_id)
    assert change.graph.nodes == change.added


def test_63_a_graph_of_one_active_message() -> None:
    graph = replace_active_messages(SessionGraph(), [message("m1")]).graph
    assert ids(graph.nodes) == ["m1"]
    assert graph.nodes[0].payload == SessionNodePayloadEvent(message("m1"))


def test_each_new_node_is_below_the_leaf_and_becomes_the_leaf() -> None:
    change = append_to_graph(BRANCHED, [message("m1"), message("m2")])
    assert [(node.node_id, node.parent_node_id) for node in change.added] == [("m1", "left-leaf"), ("m2", "m1")]
    assert change.graph.leaf_node_id == "m2"
    assert change.graph.nodes == BRANCHED.nodes + change.added
    assert BRANCHED.leaf_node_id == "left-leaf"
    assert len(BRANCHED.nodes) == 4


def test_nothing_to_append_changes_nothing() -> None:
    assert append_to_graph(BRANCHED, []) == (BRANCHED, [])


def test_keys_of_a_newer_version_stay_on_the_graph() -> None:
    graph = SessionGraph(BRANCHED.nodes, "nowhere", other_keys={"new": 1})
    healed = heal_orphaned_leaf(graph)
    assert healed is not None
    for changed in (append_to_graph(graph, [PLUGIN]).graph, healed, fork_active_path(graph)):
        assert changed.other_keys == {"new": 1}


def test_a_taken_message_id_gets_another_node_id() -> None:
    first = append_to_graph(SessionGraph([node("m"), node("message:m:2")], "m"), [message("m")] * 2)
    assert ids(first.added) == ["message:m", "message:m:3"]
    second = append_to_graph(first.graph, [message("m"), message("n"), message("n")])
    assert ids(second.added) == ["message:m:4", "n", "message:n"]
    assert [message.id for message in messages(second.added)] == ["m", "n", "n"]


def test_a_message_without_id_gets_one_and_its_parts_too() -> None:
    (added,) = append_to_graph(SessionGraph(), [message("", None, part(), part("kept"), part())]).added
    assert re.fullmatch("m[0-9a-f]{32}", added.node_id)
    event = messages([added])[0]
    assert event.id == added.node_id
    assert [part.id for part in event.parts] == [f"{event.id}.p0", "kept", f"{event.id}.p2"]


def test_time_frame_and_cause_of_new_nodes() -> None:
    by_process = message("m", MessageOriginProcess("p", "e", 7))
    change = append_to_graph(
        SessionGraph(),
        [by_process, message("n", LASTING), PROTOCOL],
        frame_id="f",
        clock=ManualClock(1_780_358_400_123),
    )
    assert [node.timestamp for node in change.added] == ["2026-06-02T00:00:00.123+00:00"] * 3
    assert [node.agent_frame_id for node in change.added] == ["f"] * 3
    assert [node.caused_by for node in change.added] == [CausalRefProcessEvent("p", 7), None, None]
    cause = CausalRefTurn("s", "t")
    change = append_to_graph(SessionGraph(), [by_process, PLUGIN], caused_by=cause, clock=ManualClock(0))
    assert [node.caused_by for node in change.added] == [cause, cause]
    assert change.added[0].timestamp == "1970-01-01T00:00:00+00:00"
    assert change.added[0].agent_frame_id is None


@pytest.mark.parametrize("graph", [BRANCHED, SessionGraph(BRANCHED.nodes, None), SessionGraph()])
def test_a_leaf_that_is_there_or_none_needs_no_healing(graph: SessionGraph) -> None:
    assert heal_orphaned_leaf(graph) is None


def test_an_orphaned_leaf_becomes_the_last_message() -> None:
    nodes = [node("a", None, message("a")), node("b", "a", message("b")), node("c", "a", PROTOCOL), node("d", "c")]
    assert heal_orphaned_leaf(SessionGraph(nodes, "gone")) == SessionGraph(nodes, "b")
    assert heal_orphaned_leaf(SessionGraph(nodes[2:], "gone")) == SessionGraph(nodes[2:], None)
    assert heal_orphaned_leaf(SessionGraph([], "gone")) == SessionGraph([], None)


def test_a_fork_has_only_the_active_path() -> None:
    assert fork_active_path(BRANCHED) == SessionGraph(BRANCHED.nodes[:3], "left-leaf")
    assert fork_active_path(SessionGraph(BRANCHED.nodes, "gone")) == SessionGraph([], "gone")


A, B, C = message("a"), message("b"), message("c")


@pytest.mark.parametrize(
    ("path", "wanted", "kept", "added"),
    [
        ([A, B], [A, B], "n1", []),
        ([A, B], [A, B, C], "n1", ["c"]),
        ([A, B], [A, C], "n0", ["c"]),
        ([A, B], [A], "n0", []),
        ([A, B], [], None, []),
        ([A, B], [B, A], None, ["b", "a"]),
        ([A, PLUGIN, B], [A, C], "n1", ["c"]),
        ([PROTOCOL, A, PLUGIN], [A], "n2", []),
        ([PROTOCOL, A], [], "n0", []),
        ([PROTOCOL, A], [C], "n0", ["c"]),
        ([A, message("t", TRANSIENT), B], [A, B, C], "n2", ["c"]),
        ([A, message("t", TRANSIENT)], [A], "n0", []),
        ([A, B], [A, message("t", TRANSIENT), B], "n1", []),
        ([A, B], [A, B, message("t", TRANSIENT)], "n1", []),
        ([A, message("a", LASTING), B], [A, B], "n2", []),
        ([A], [message("a", LASTING)], "n0", []),
    ],
)
def test_replacing_the_active_messages(
    path: list[NodeContent], wanted: list[ConversationRecord], kept: str | None, added: list[str]
) -> None:
    graph = line(*path)
    change = replace_active_messages(graph, wanted, frame_id="f")
    assert ids(change.added) == added
    assert change.graph.nodes == graph.nodes + change.added
    assert change.graph.leaf_node_id == (added[-1] if added else kept)
    assert [node.parent_node_id for node in change.added] == [kept, *added][: len(added)]
    assert all(node.agent_frame_id == "f" for node in change.added)
    shown = [message.id for message in active_read_model(change.graph).messages]
    assert shown == [message.id for message in wanted if message.origin != TRANSIENT]


def test_a_replaced_message_that_comes_back_gets_another_node_id() -> None:
    graph = replace_active_messages(line(A, B), [B], clock=ManualClock(0)).graph
    again = replace_active_messages(graph, [C, B, A], clock=ManualClock(0))
    assert ids(graph.nodes) == ["n0", "n1", "b"]
    assert ids(again.added) == ["c", "message:b", "a"]
    assert active_read_model(again.graph).messages == [C, B, A]


def test_the_cause_of_a_replacement_is_its_own() -> None:
    by_process = message("m", MessageOriginProcess("p", "e", 7))
    (added,) = replace_active_messages(SessionGraph(), [by_process], clock=ManualClock(0)).added
    assert added.caused_by == CausalRefProcessEvent("p", 7)
    assert added.timestamp == "1970-01-01T00:00:00+00:00"
