"""Turns that one program commits and the other loads, replays and goes on from, both with the file open."""

from collections.abc import Sequence

import msgspec
import pytest

from lash_store import (
    ActivePath,
    Append,
    GraphCommitDelta,
    HeadRevisionConflict,
    PersistedSessionRead,
    ReplaceFull,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    SessionNodeRecord,
    TokenLedgerEntry,
    Unchanged,
)
from tests.conformance.session_store.examples import branched, message, node_ids, plugin, root_commit, used
from tests.interop.examples import EVERYTHING
from tests.interop.stores import Both, same_loads


def nodes_of(graph: GraphCommitDelta, before: Sequence[SessionNodeRecord] = ()) -> list[SessionNodeRecord]:
    """The nodes that are there after a delta."""
    if isinstance(graph, ReplaceFull):
        return list(graph.nodes)
    return [*before, *graph.nodes] if isinstance(graph, Append) else list(before)


def assert_is(read: PersistedSessionRead, commit: RuntimeCommit, result: RuntimeCommitResult) -> None:
    """A load is what a commit brought, apart from nodes and usage of earlier ones."""
    assert (read.session_id, read.head_revision) == (commit.session_id, result.head_revision)
    assert (read.config, read.agent_frames) == (commit.config, commit.agent_frames)
    assert read.current_agent_frame_id == commit.current_agent_frame_id
    assert read.checkpoint_ref == result.checkpoint_ref
    assert read.graph.leaf_node_id == commit.graph.leaf_node_id
    brought, found, manifest = commit.checkpoint, read.checkpoint, result.manifest
    assert found is not None
    assert found.turn_state == brought.turn_state == manifest.turn_state
    assert (found.tool_state, found.plugin_snapshot) == (brought.tool_state, brought.plugin_snapshot)
    assert (found.execution_state, found.plugin_snapshot_revision) == (
        brought.execution_state,
        brought.plugin_snapshot_revision,
    )
    assert (found.tool_state_ref, found.plugin_snapshot_ref, found.execution_state_ref) == (
        manifest.tool_state_ref,
        manifest.plugin_snapshot_ref,
        manifest.execution_state_ref,
    )


async def test_everything_that_a_commit_brings(both: Both) -> None:
    result = await both.one.commit_runtime_state(EVERYTHING)
    read = await same_loads(both.one, both.other)
    assert result.head_revision == 1
    assert_is(read, EVERYTHING, result)
    assert read.graph.nodes == nodes_of(EVERYTHING.graph)
    assert read.token_ledger == [entry for entry in EVERYTHING.usage_deltas if entry.usage.total]


async def test_all_deltas_in_turns(both: Both) -> None:
    """Each program goes on from what the other has committed."""
    deltas: list[GraphCommitDelta] = [
        branched(),
        Append([message("a", "left-leaf"), plugin("b", "a", {"z": 1, "a": [None, 1.5]})], "b"),
        Unchanged("right-leaf"),
        Append([message("c", "right-leaf", text="äöü€😀\u0000\u2028")], "c"),
        Unchanged(None),
        ReplaceFull([message("d")], "d"),
        Append([message("e", "d")], "e"),
    ]
    nodes: list[SessionNodeRecord] = []
    for number, delta in enumerate(deltas):
        writer = both.other if number % 2 else both.one
        commit = root_commit(graph=delta, expected_head_revision=number)
        result = await writer.commit_runtime_state(commit)
        nodes = nodes_of(delta, nodes)
        read = await same_loads(both.one, both.other)
        assert_is(read, commit, result)
        assert read.graph.nodes == nodes


async def test_paths_to_any_leaf(both: Both) -> None:
    await both.one.commit_runtime_state(root_commit(graph=branched()))
    for leaf, path in [
        ("right-leaf", ["root-node", "right-leaf"]),
        ("left-node", ["root-node", "left-node"]),
        ("unknown", []),
    ]:
        reads = [await session.load_session(ActivePath(leaf)) for session in (both.one, both.other)]
        assert reads[0] is not None
        assert reads[0] == reads[1]
        assert node_ids(reads[0].graph.nodes) == path
        assert reads[0].graph.leaf_node_id == leaf


async def test_single_nodes(both: Both) -> None:
    commit = root_commit(graph=branched())
    await both.one.commit_runtime_state(commit)
    assert isinstance(commit.graph, ReplaceFull)
    for node in commit.graph.nodes:
        assert await both.other.load_node(node.node_id) == node
    assert await both.other.load_node("unknown") is None


@pytest.mark.parametrize("size", [0, 1, 15, 16, 255, 1023, 1024, 4095, 4096, 65_536, 300_000])
async def test_execution_states_of_all_sizes(size: int, both: Both) -> None:
    state = bytes(number * 37 % 256 for number in range(size))
    checkpoint = msgspec.structs.replace(root_commit().checkpoint, execution_state=state)
    await both.one.commit_runtime_state(root_commit(checkpoint=checkpoint))
    read = await same_loads(both.one, both.other)
    assert read.checkpoint is not None
    assert read.checkpoint.execution_state == state


async def test_parts_of_a_checkpoint_that_are_only_named(both: Both) -> None:
    """A blob that one program has stored is what the other's commit refers to."""
    stored = (await both.one.commit_runtime_state(EVERYTHING)).manifest
    named = msgspec.structs.replace(
        EVERYTHING.checkpoint,
        tool_state_ref=stored.tool_state_ref,
        tool_state=None,
        plugin_snapshot_ref=stored.plugin_snapshot_ref,
        plugin_snapshot=None,
        execution_state_ref=stored.execution_state_ref,
        execution_state=None,
    )
    commit = msgspec.structs.replace(EVERYTHING, graph=Unchanged(EVERYTHING.graph.leaf_node_id), checkpoint=named)
    result = await both.other.commit_runtime_state(commit)
    assert result.manifest == stored
    found = (await same_loads(both.one, both.other)).checkpoint
    assert found is not None
    assert found.tool_state == EVERYTHING.checkpoint.tool_state
    assert found.plugin_snapshot == EVERYTHING.checkpoint.plugin_snapshot
    assert found.execution_state == EVERYTHING.checkpoint.execution_state


async def test_usage_is_merged(both: Both) -> None:
    """Scenario 72, its rows written by both programs."""
    rows: list[TokenLedgerEntry] = [
        used("turn", "m", 1, 2, 3, 4),
        used("turn", "m", 10, 20, 30, 40),
        used("x", "m", 5, 0, 0, 0),
    ]
    for writer, row in zip([both.one, both.other, both.one], rows, strict=True):
        await writer.commit_runtime_state(root_commit(graph=Unchanged(None), usage_deltas=[row]))
    ledger = (await same_loads(both.one, both.other)).token_ledger
    assert ledger == [used("turn", "m", 11, 22, 33, 44), used("x", "m", 5, 0, 0, 0)]


async def test_a_replay_gives_the_stored_result(both: Both) -> None:
    stamped = EVERYTHING.with_turn_commit("turn-1")
    result = await both.one.commit_runtime_state(stamped)
    assert await both.other.commit_runtime_state(stamped) == result
    retried = msgspec.structs.replace(stamped, expected_head_revision=7)
    assert await both.other.commit_runtime_state(retried) == result
    assert (await same_loads(both.one, both.other)).head_revision == 1


async def test_another_content_under_the_same_turn_is_refused(both: Both) -> None:
    await both.one.commit_runtime_state(EVERYTHING.with_turn_commit("turn-1"))
    other = msgspec.structs.replace(EVERYTHING, usage_deltas=[]).with_turn_commit("turn-1")
    with pytest.raises(RuntimeTurnCommitConflict) as caught:
        await both.other.commit_runtime_state(other)
    assert (caught.value.session_id, caught.value.turn_id) == ("root", "turn-1")
    assert (await same_loads(both.one, both.other)).head_revision == 1


async def test_an_overtaken_commit_is_refused(both: Both) -> None:
    await both.one.commit_runtime_state(root_commit(expected_head_revision=0))
    with pytest.raises(HeadRevisionConflict) as caught:
        await both.other.commit_runtime_state(root_commit(expected_head_revision=0))
    assert (caught.value.expected, caught.value.actual) == (0, 1)
    await both.other.commit_runtime_state(root_commit(expected_head_revision=1, graph=Unchanged(None)))
    with pytest.raises(HeadRevisionConflict) as caught:
        await both.one.commit_runtime_state(root_commit(expected_head_revision=1))
    assert (caught.value.expected, caught.value.actual) == (1, 2)
    assert (await same_loads(both.one, both.other)).head_revision == 2


async def test_another_session_is_refused(both: Both) -> None:
    await both.one.commit_runtime_state(root_commit())
    with pytest.raises(SessionBindingMismatch) as caught:
        await both.other.commit_runtime_state(root_commit(session_id="other"))
    assert (caught.value.bound_session_id, caught.value.attempted_session_id) == ("root", "other")
