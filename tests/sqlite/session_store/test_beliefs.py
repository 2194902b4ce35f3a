"""What a handle believes of its store, because it has seen it, never outlives what others have made of it."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from lash_store import (
    AnotherKindOfDatabase,
    GcReport,
    InvalidRecord,
    RuntimeCommit,
    RuntimeSessionState,
    SqliteConnection,
    Store,
    StoreCorrupt,
    StoreMisuse,
    StoreOptions,
)
from lash_store.sqlite.ops import usage
from tests.sqlite.session_store.samples import appending, as_lash_does, change, commit, plugin_node, query, used


async def test_a_kept_error_does_not_keep_the_past(tmp_path: Path) -> None:
    path = tmp_path / "session.db"
    async with await Store.open(path) as store, await Store.open(path) as other:
        state = RuntimeSessionState.new()
        await commit(store, state, plugin_node("a"), plugin_node("b", "a"))
        await change(store, "UPDATE graph_nodes SET node_json = 'x' WHERE node_id = 'b'")
        with pytest.raises(StoreCorrupt) as kept:
            await store.load_session()
        hidden = await store.tombstone_nodes([kept.value.key])
        assert hidden.hidden_on_active_path == 1
        await other.commit_runtime_state(appending(RuntimeSessionState.new(), [plugin_node("c", "a")]))
        read = await store.load_session()
        assert read is not None
        assert (read.head_revision, len(read.graph.nodes)) == (2, 2)
        assert (await store.vacuum()).removed_node_count == 1
        assert store.stats().oldest_read_ms == 0


async def test_a_kept_error_does_not_keep_a_memory_store_from_shrinking() -> None:
    async with await Store.memory() as store:
        await commit(store, RuntimeSessionState.new(), plugin_node("a"), plugin_node("b", "a"))
        await change(store, "UPDATE graph_nodes SET node_json = 'x' WHERE node_id = 'a'")
        with pytest.raises(StoreCorrupt) as kept:
            await store.load_session()
        assert kept.value.key == "a"
        await store.vacuum(shrink=True)


async def test_a_statement_left_half_read_on_the_writer_is_misuse(tmp_path: Path) -> None:
    async with await SqliteConnection.open(tmp_path / "x.db") as connection:
        await connection.write(lambda tx: tx.execute("CREATE TABLE t (a)"))
        await connection.write(lambda tx: tx.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)]))
        with pytest.raises(StoreMisuse, match="half read"):
            await connection.call(lambda raw: raw.execute("SELECT a FROM t"))
        async with await SqliteConnection.open(tmp_path / "x.db") as other:
            await other.write(lambda tx: tx.execute("INSERT INTO t VALUES (3)"))
        await connection.write(lambda tx: tx.execute("INSERT INTO t VALUES (4)"))


@pytest.mark.parametrize(
    "damage", ["json_set(head_json, '$.agent_frames', 5)", "json_remove(head_json, '$.config.model')"]
)
async def test_a_head_that_others_have_damaged_since_is_not_written_over(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "session.db"
    async with await Store.open(path) as store:
        state = RuntimeSessionState.new()
        await commit(store, state, plugin_node("a"))
        as_lash_does(path, f"UPDATE session_head SET head_revision = 2, head_json = {damage}")
        late = msgspec.structs.replace(RuntimeCommit.persisted_state(state), expected_head_revision=2)
        with pytest.raises(StoreCorrupt, match="session head"):
            await store.commit_runtime_state(late)
        assert await query(store, "SELECT head_revision FROM session_head") == [(2,)]


async def test_a_ref_that_was_only_named_is_not_believed_to_be_sound(store: Store) -> None:
    tools = {"generation": 1, "tools": {}}
    state = RuntimeSessionState.new()
    state.tool_state = tools
    await commit(store, state)
    ref = state.tool_state_ref
    for _ in range(70):  # so that the handle forgets what it has written itself
        state.turn_index += 1
        state.execution_state = str(state.turn_index).encode()
        await commit(store, state)
    await change(store, "UPDATE blobs SET content = x'00' WHERE hash = ?1", ref)
    await commit(store, state)
    state.tool_state = tools
    await commit(store, state)
    read = await store.load_session()
    assert read is not None
    assert read.checkpoint is not None
    assert read.checkpoint.tool_state == tools


async def test_a_damaged_row_of_the_ledger_is_not_merged_away(store: Store) -> None:
    state = RuntimeSessionState.new()
    await store.append_usage_deltas([used(1)])
    await change(store, "UPDATE usage_deltas SET input_tokens = 'damaged'")
    for _ in range(usage.MERGE_EVERY + 1):
        state.apply_commit(await store.commit_runtime_state(appending(state, [])))
    with pytest.raises(StoreCorrupt, match="usage row"):
        await store.load_session()


async def test_a_copy_mends_the_blob_that_it_meets(store: Store, tmp_path: Path) -> None:
    state = RuntimeSessionState.new()
    state.execution_state = b"vm"
    await commit(store, state)
    async with await Store.open(tmp_path / "copy.db") as copy:
        await copy.head_copy_from_store(store)
        await change(copy, "UPDATE blobs SET content = x'00' WHERE hash = ?1", state.execution_state_ref)
        await copy.head_copy_from_store(store)
        read = await copy.load_session()
        assert read is not None
        assert read.checkpoint is not None
        assert read.checkpoint.execution_state == b"vm"


@pytest.mark.parametrize(
    "wrong",
    [
        {"auto_gc_every_commits": "2"},
        {"auto_gc_every_commits": -3},
        {"auto_gc_every_commits": 2.5},
        {"auto_gc_every_commits": True},
        {"durability": "bogus"},
        {"blob_profile": "balanced"},
        {"clock": 7},
    ],
)
def test_options_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord, match=next(iter(wrong))):
        StoreOptions(**wrong)


async def test_a_file_of_the_right_version_without_tables_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "session.db"
    as_lash_does(path, "PRAGMA user_version = 3")
    with pytest.raises(AnotherKindOfDatabase):
        await Store.open_readonly(path)


async def test_a_collection_beside_a_growing_graph_ends(tmp_path: Path) -> None:
    path = tmp_path / "session.db"
    async with await Store.open(path, StoreOptions(auto_gc_every_commits=1)) as store, await Store.open(path) as other:
        state = RuntimeSessionState.new()
        for number in range(6):
            await store.put_blob(b"orphan %d" % number)
            await other.commit_runtime_state(appending(RuntimeSessionState.new(), [plugin_node(f"n{number}")]))
            state.head_revision = None
            await commit(store, state)
        assert isinstance(store.last_auto_gc, GcReport)
        assert await query(store, "SELECT count(*) FROM blobs") == [(1,)]
