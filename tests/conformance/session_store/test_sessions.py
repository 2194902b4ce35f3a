"""Scenarios 1 to 7 and 34 to 36: what is committed is loaded again, whole or along one path."""

from pathlib import Path

import msgspec
import pytest

from lash_store import (
    ActivePath,
    AgentFrameAssignment,
    AgentFrameRecord,
    DurabilityTier,
    FullGraph,
    GcOutcome,
    ReplaceFull,
    SessionBindingMismatch,
    SessionMeta,
    SessionPolicy,
    SessionRelationRoot,
    Store,
)
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import (
    CREATED,
    MODEL,
    NO_PLUGINS,
    branched,
    commit_of,
    message,
    node_ids,
    root_commit,
    session_state,
    tools,
    used,
)
from tests.conformance.session_store.rows import everything


async def test_scenario_01_the_durability_tier(store: Store) -> None:
    """File and memory alike say `durable` (section 4). The tier `inline` is that of a backend not provided here."""
    assert store.durability_tier is DurabilityTier.DURABLE


async def test_scenario_02_a_second_frame_and_its_execution_state(store: Store) -> None:
    state = session_state()
    state.policy = SessionPolicy(model=MODEL)
    state.append_frame(
        AgentFrameRecord(
            frame_id="frame-2",
            session_id="root",
            previous_frame_id="root:frame:initial",
            reason="plan_mode",
            created_at=CREATED,
            assignment=AgentFrameAssignment(state.policy),
        )
    )
    state.set_execution_state(b"frame-vm")
    await store.commit_runtime_state(commit_of(state))
    read = await store.load_session(FullGraph())
    assert read is not None
    assert read.current_agent_frame_id == "frame-2"
    assert [frame.frame_id for frame in read.agent_frames] == ["root:frame:initial", "frame-2"]
    frame = read.agent_frames[1]
    assert (frame.reason, frame.execution_state_snapshot) == ("plan_mode", b"frame-vm")
    assert read.checkpoint is not None
    assert read.checkpoint.execution_state == b"frame-vm"
    assert read.config.model == MODEL


async def test_scenario_03_another_session_is_refused(store: Store) -> None:
    await store.commit_runtime_state(commit_of(session_state("alpha")))
    before = await everything(store)
    with pytest.raises(SessionBindingMismatch) as caught:
        await store.commit_runtime_state(commit_of(session_state("beta")))
    assert (caught.value.bound_session_id, caught.value.attempted_session_id) == ("alpha", "beta")
    assert await everything(store) == before


async def test_scenario_04_tool_state_plugins_and_usage(store: Store) -> None:
    state = session_state("hydrated")
    state.tool_state = tools(9)
    state.plugin_snapshot, state.plugin_snapshot_revision = NO_PLUGINS, 12
    await store.commit_runtime_state(commit_of(state, [used("turn", "mock-model", 11, 7, 3, 5)]))
    read = await store.load_session()
    assert read is not None
    assert read.session_id == "hydrated"
    assert read.checkpoint is not None
    assert read.checkpoint.tool_state == {"generation": 9, "tools": {}}
    assert read.checkpoint.plugin_snapshot == {"plugins": {}}
    assert read.checkpoint.plugin_snapshot_revision == 12
    assert read.token_ledger == [used("turn", "mock-model", 11, 7, 3, 5)]


async def test_scenario_05_the_full_graph_in_the_order_of_insertion(store: Store) -> None:
    await store.commit_runtime_state(root_commit(graph=branched()))
    read = await store.load_session(FullGraph())
    assert read is not None
    assert read.graph.nodes == branched().nodes
    assert node_ids(read.graph.nodes) == ["root-node", "left-node", "left-leaf", "right-leaf"]
    assert read.graph.leaf_node_id == "left-leaf"


async def test_scenario_06_the_active_path_to_the_head_leaf(store: Store) -> None:
    await store.commit_runtime_state(root_commit(graph=branched()))
    read = await store.load_session(ActivePath())
    assert read is not None
    assert node_ids(read.graph.nodes) == ["root-node", "left-node", "left-leaf"]
    assert read.graph.leaf_node_id == "left-leaf"


async def test_scenario_07_the_active_path_to_another_leaf(store: Store) -> None:
    await store.commit_runtime_state(root_commit(graph=branched()))
    read = await store.load_session(ActivePath("right-leaf"))
    assert read is not None
    assert node_ids(read.graph.nodes) == ["root-node", "right-leaf"]
    assert read.graph.leaf_node_id == "right-leaf"


async def test_scenario_34_session_meta(store: Store, tmp_path: Path) -> None:
    meta = SessionMeta(
        "root", "Conformance Root", "2026-06-02T00:00:00Z", "gpt-5.4-mini", str(tmp_path), SessionRelationRoot()
    )
    assert await store.load_session_meta() is None
    await store.save_session_meta(meta)
    assert await store.load_session_meta() == meta
    other = msgspec.structs.replace(meta, session_name="other", cwd=None)
    await store.save_session_meta(other)
    assert await store.load_session_meta() == other


async def two_nodes(store: Store) -> None:
    nodes = [message("node-live"), message("node-delete", "node-live")]
    await store.commit_runtime_state(root_commit(graph=ReplaceFull(nodes, "node-delete")))


async def tombstoned(store: Store) -> None:
    await two_nodes(store)
    await store.tombstone_nodes(["node-delete", "unknown"])


async def test_scenario_35_a_tombstoned_node_is_not_loaded(store: Store) -> None:
    await two_nodes(store)
    assert await store.load_node("node-delete") == message("node-delete", "node-live")
    await store.tombstone_nodes([])
    assert await store.load_node("node-delete") is not None
    await store.tombstone_nodes(["node-delete", "unknown"])
    assert await store.load_node("node-delete") is None
    read = await store.load_session(FullGraph())
    assert read is not None
    assert node_ids(read.graph.nodes) == ["node-live"]
    assert (read.head_revision, read.graph.leaf_node_id) == (1, "node-delete")
    path = await store.load_session(ActivePath())
    assert path is not None
    assert path.graph.nodes == []


async def test_scenario_36_vacuum_removes_it(store: Store) -> None:
    await tombstoned(store)
    assert (await store.vacuum()).removed_node_count == 1
    assert (await store.vacuum()).removed_node_count == 0
    report = await store.gc_unreachable()
    assert (report.outcome, report.deleted_blob_count) == (GcOutcome.SWEPT, 0)
    read = await store.load_session(FullGraph())
    assert read is not None
    assert node_ids(read.graph.nodes) == ["node-live"]


async def test_a_path_whose_ancestor_is_gone_begins_below_it(store: Store) -> None:
    """Section 4.5 step 4."""
    await store.commit_runtime_state(root_commit(graph=branched()))
    await store.tombstone_nodes(["left-node"])
    read = await store.load_session(ActivePath())
    assert read is not None
    assert node_ids(read.graph.nodes) == ["left-leaf"]


async def test_a_store_never_committed_to_holds_nothing(store: Store) -> None:
    assert await store.load_session() is None
    assert await store.load_session(ActivePath("x")) is None
    assert await store.load_session_head() is None
    assert await store.load_picker_info() is None
    assert await store.load_node("x") is None


async def test_handles_of_memory_share_nothing(stores: Stores) -> None:
    first, second = await stores.memory(), await stores.memory()
    await first.commit_runtime_state(root_commit())
    assert await second.load_session() is None
