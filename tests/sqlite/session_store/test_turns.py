"""Commits cost what they change, believe nothing they have not verified, and never write over what cannot be read."""

from pathlib import Path

import apsw
import msgspec
import pytest

from lash_store import (
    ActivePath,
    Append,
    BlobMissing,
    HeadRevisionConflict,
    HydratedSessionCheckpoint,
    ReplaceFull,
    RuntimeCommit,
    RuntimeSessionState,
    SessionGraph,
    Store,
    StoreBackend,
    StoreCorrupt,
    StoreReadOnly,
)
from lash_store.sqlite.ops import graph
from tests.sqlite.session_store.samples import appending, as_lash_does, change, commit, plugin_node, query

COUNT = "SELECT head_json ->> '$.graph_node_count' FROM session_head"
VISIBLE = "SELECT count(*) FROM graph_nodes WHERE tombstoned = 0"


async def node_count(store: Store) -> tuple[int, int]:
    """The count in the head, and the true one."""
    return (await query(store, COUNT))[0][0], (await query(store, VISIBLE))[0][0]


async def test_the_head_counts_the_visible_nodes(store: Store) -> None:
    state = RuntimeSessionState.new()
    await commit(store, state, plugin_node("a"), plugin_node("b", "a"))
    await commit(store, state, plugin_node("c", "b"))
    assert await node_count(store) == (3, 3)
    await commit(store, state)
    assert await node_count(store) == (3, 3)


async def test_hidden_and_removed_nodes_no_longer_count(store: Store) -> None:
    state = RuntimeSessionState.new()
    await commit(store, state, plugin_node("a"), plugin_node("b", "a"), plugin_node("c", "b"))
    await store.tombstone_nodes(["a"])
    await commit(store, state, plugin_node("d", "c"))
    assert await node_count(store) == (3, 3)
    await store.tombstone_nodes(["d"])  # the highest seq goes, and is used again
    await store.vacuum()
    await commit(store, state, plugin_node("e", "c"))
    assert await node_count(store) == (3, 3)


async def test_nodes_that_another_program_adds_hides_and_removes_count(store: Store) -> None:
    state = RuntimeSessionState.new()
    await commit(store, state, plugin_node("a"))
    await store.append_session_graph_nodes([plugin_node("b", "a"), plugin_node("c", "b")])
    await change(store, "INSERT INTO graph_nodes (node_id, node_json, tombstoned) VALUES ('hidden', '{}', 1)")
    await commit(store, state)
    assert await node_count(store) == (3, 3)
    await change(store, "UPDATE graph_nodes SET tombstoned = 1 WHERE node_id = 'a'")
    await change(store, "DELETE FROM graph_nodes WHERE tombstoned = 1")
    await commit(store, state)
    assert await node_count(store) == (2, 2)


async def test_a_full_replacement_counts_what_it_brings(store: Store) -> None:
    state = RuntimeSessionState.new()
    await commit(store, state, plugin_node("a"), plugin_node("b", "a"))
    await store.tombstone_nodes(["a"])
    replacing = msgspec.structs.replace(
        RuntimeCommit.persisted_state(state), graph=ReplaceFull([plugin_node("z"), plugin_node("a", "z")], "a")
    )
    await store.commit_runtime_state(replacing)
    assert await node_count(store) == (2, 2)


async def test_a_commit_reads_nothing_of_the_history(store: Store) -> None:
    await commit(store, RuntimeSessionState.new(), plugin_node("a"))
    for step in graph.append_steps([plugin_node("b", "a")]):
        plan = await query(store, f"EXPLAIN QUERY PLAN {step.sql}", *["1"] * step.sql.count("?"))
        scans = [row[-1] for row in plan if "SCAN graph_nodes" in row[-1] and "COVERING" not in row[-1]]
        assert [scan for scan in scans if "WHERE NOT EXISTS" not in step.sql] == []


async def test_a_ref_without_a_value_must_be_stored(store: Store) -> None:
    state = RuntimeSessionState.new()
    state.tool_state_ref = "ab" * 32
    with pytest.raises(BlobMissing) as caught:
        await store.commit_runtime_state(RuntimeCommit.persisted_state(state))
    assert caught.value.ref == "ab" * 32
    assert await store.load_session() is None
    with pytest.raises(BlobMissing):
        await store.put_checkpoint(HydratedSessionCheckpoint(execution_state_ref="cd" * 32))


async def test_a_ref_that_the_head_already_lacked_is_carried_on(store: Store) -> None:
    state = RuntimeSessionState.new()
    state.execution_state = b"vm"
    await commit(store, state)
    # As after a head copy of lash's.
    await change(store, "DELETE FROM blobs WHERE hash = ?1", state.execution_state_ref)
    await commit(store, state)
    read = await store.load_session()
    assert read is not None
    assert read.checkpoint is not None
    assert read.checkpoint.execution_state is None
    assert read.checkpoint.execution_state_ref == state.execution_state_ref
    state.tool_state_ref = "ab" * 32
    with pytest.raises(BlobMissing, match="ababab"):
        await store.commit_runtime_state(RuntimeCommit.persisted_state(state))


async def test_a_blob_that_was_collected_is_written_again(store: Store) -> None:
    state = RuntimeSessionState.new()
    state.tool_state = {"generation": 1, "tools": {}}
    await commit(store, state)
    ref = state.tool_state_ref
    state.tool_state_ref = None
    await commit(store, state)
    assert (await store.gc_unreachable()).deleted_blob_count > 0
    state.tool_state = {"generation": 1, "tools": {}}
    await commit(store, state)
    assert state.tool_state_ref == ref
    read = await store.load_session()
    assert read is not None
    assert read.checkpoint is not None
    assert read.checkpoint.tool_state == {"generation": 1, "tools": {}}


async def test_a_commit_does_not_write_over_a_head_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "session.db"
    async with await Store.open(path) as store:
        await commit(store, RuntimeSessionState.new(), plugin_node("a"))
    for damage in ("no json", "{}", '{"config":7}'):
        as_lash_does(path, f"UPDATE session_head SET head_json = '{damage}', head_revision = head_revision + 1")
        async with await Store.open(path) as store:
            with pytest.raises(StoreCorrupt, match="session head"):
                await store.commit_runtime_state(appending(RuntimeSessionState.new(), [plugin_node("b")]))
            assert (await query(store, "SELECT head_json FROM session_head"))[0][0] == damage


async def test_an_unconditional_commit_follows_whatever_revision_there_is(tmp_path: Path) -> None:
    path = tmp_path / "session.db"
    async with await Store.open(path) as one, await Store.open(path) as two:
        state = RuntimeSessionState.new()
        unconditional = appending(state, [])
        for expected in (1, 2, 3, 4):
            made = await (one if expected % 2 else two).commit_runtime_state(unconditional)
            assert made.head_revision == expected
        with pytest.raises(HeadRevisionConflict) as caught:
            await one.commit_runtime_state(msgspec.structs.replace(unconditional, expected_head_revision=3))
        assert (caught.value.expected, caught.value.actual) == (3, 4)


async def test_a_path_that_meets_itself_is_corrupt(store: Store) -> None:
    await commit(store, RuntimeSessionState.new(), plugin_node("a", "c"), plugin_node("b", "a"), plugin_node("c", "b"))
    with pytest.raises(StoreCorrupt) as caught:
        await store.load_session(ActivePath())
    assert caught.value.kind == "graph node"


async def test_a_node_that_is_its_own_parent_is_corrupt(store: Store) -> None:
    await commit(store, RuntimeSessionState.new(), plugin_node("a", "a"))
    with pytest.raises(StoreCorrupt):
        await store.load_session(ActivePath())


async def test_a_path_begins_below_what_is_hidden_or_missing(store: Store) -> None:
    await commit(store, RuntimeSessionState.new(), plugin_node("a"), plugin_node("b", "a"), plugin_node("c", "b"))
    await store.tombstone_nodes(["a"])
    read = await store.load_session(ActivePath())
    assert read is not None
    assert [node.node_id for node in read.graph.nodes] == ["b", "c"]
    absent = await store.load_session(ActivePath("nowhere"))
    assert absent is not None
    assert absent.graph == SessionGraph([], "nowhere")


async def test_a_taken_node_id_changes_nothing(store: Store) -> None:
    state = RuntimeSessionState.new()
    await commit(store, state, plugin_node("a"))
    with pytest.raises(StoreBackend):
        await store.commit_runtime_state(appending(state, [plugin_node("b", "a"), plugin_node("a")]))
    assert await node_count(store) == (1, 1)
    assert (await query(store, "SELECT head_revision FROM session_head")) == [(1,)]


async def test_a_read_only_handle_commits_nothing(tmp_path: Path) -> None:
    path = tmp_path / "session.db"
    async with await Store.open(path) as store:
        await commit(store, RuntimeSessionState.new(), plugin_node("a"))
    async with await Store.open_readonly(path) as store:
        with pytest.raises(StoreReadOnly):
            await store.commit_runtime_state(appending(RuntimeSessionState.new(), [plugin_node("b")]))
        read = await store.load_session()
        assert read is not None
        assert len(read.graph.nodes) == 1


async def test_a_file_of_lash_is_read_without_our_tables(tmp_path: Path) -> None:
    path = tmp_path / "session.db"
    async with await Store.open(path) as store:
        await commit(store, RuntimeSessionState.new(), plugin_node("a"), plugin_node("b", "a"))
        expected = await store.load_session()
    ours = [row for row in _objects(path) if row[1].startswith("lash_")]
    assert ours
    as_lash_does(path, *(f"DROP {kind} IF EXISTS {name}" for kind, name in ours))
    async with await Store.open_readonly(path) as store:
        assert await store.load_session() == expected
        assert await store.load_picker_info() is None
    async with await Store.open(path) as store:
        await store.commit_runtime_state(
            msgspec.structs.replace(appending(RuntimeSessionState.new(), []), graph=Append([plugin_node("c")], "c"))
        )
        assert await node_count(store) == (3, 3)
    assert {row for row in _objects(path) if row[1].startswith("lash_")} == set(ours)


def _objects(path: Path) -> list[tuple[str, str]]:
    connection = apsw.Connection(str(path))
    try:
        rows = connection.execute("SELECT type, name FROM sqlite_schema ORDER BY type = 'table'")
        return [(str(kind), str(name)) for kind, name in rows]
    finally:
        connection.close()
