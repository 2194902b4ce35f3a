"""Names, ledgers and heads outside a commit."""

import itertools
from pathlib import Path

import msgspec
import pytest

from lash_store import (
    FullGraph,
    MessageRole,
    RuntimeCommit,
    RuntimeSessionState,
    SessionGraph,
    SessionHead,
    SessionMeta,
    Store,
    StoreCorrupt,
    TokenLedgerEntry,
    TokenUsage,
)
from lash_store.sqlite.ops import session_meta, usage
from tests.sqlite.session_store.samples import appending, change, commit, message_node, plugin_node, query, used

HUGE = 2**63 - 1


async def ledger(store: Store) -> list[TokenLedgerEntry]:
    read = await store.load_session(FullGraph())
    assert read is not None
    return read.token_ledger


async def test_the_ledger_is_the_same_before_and_after_its_rows_are_merged(store: Store) -> None:
    state = RuntimeSessionState.new()
    names = itertools.cycle([("turn", "a"), ("subagent", "a"), ("turn", "b")])
    for _ in range(usage.MERGE_EVERY + 10):
        source, model = next(names)
        state.apply_commit(await store.commit_runtime_state(appending(state, [], [used(1, source, model)])))
    totals = await query(store, "SELECT sum(input_tokens), max(last_seq) FROM lash_usage_totals")
    assert totals == [(usage.MERGE_EVERY, usage.MERGE_EVERY)]
    rows = usage.MERGE_EVERY + 10
    expected = [(("turn", "a"), (rows + 2) // 3), (("subagent", "a"), (rows + 1) // 3), (("turn", "b"), rows // 3)]
    assert [((entry.source, entry.model), entry.usage.input_tokens) for entry in await ledger(store)] == expected
    assert len(await store.load_usage_deltas()) == rows


async def test_rows_appended_outside_a_commit_are_merged_too(store: Store) -> None:
    state = RuntimeSessionState.new()
    await store.append_usage_deltas([used(5, "before")])
    for _ in range(usage.MERGE_EVERY):
        state.apply_commit(await store.commit_runtime_state(appending(state, [])))
    await store.append_usage_deltas([used(7, "after"), used(2, "before")])
    assert [(entry.source, entry.usage.input_tokens) for entry in await ledger(store)] == [("before", 7), ("after", 7)]


async def test_sums_beyond_64_bits_are_read_exactly_and_stop_no_commit(store: Store) -> None:
    state = RuntimeSessionState.new()
    await store.append_usage_deltas([used(HUGE), used(HUGE), used(-HUGE - 1, "other")])
    for _ in range(usage.MERGE_EVERY + 1):
        state.apply_commit(await store.commit_runtime_state(appending(state, [])))
    assert await query(store, "SELECT count(*) FROM lash_usage_totals") == [(0,)]
    assert [entry.usage.input_tokens for entry in await ledger(store)] == [2 * HUGE, -HUGE - 1]


async def test_entries_with_cached_tokens_only_are_kept_and_empty_ones_left_out(store: Store) -> None:
    await commit(store, RuntimeSessionState.new())
    cached = TokenLedgerEntry("cache", "m", TokenUsage(0, 0, 9, 0))
    await store.append_usage_deltas([TokenLedgerEntry("none", "m", TokenUsage(0, 0, 0, 0)), cached])
    assert await ledger(store) == [cached]


async def test_an_unreadable_row_of_the_ledger_is_corrupt(store: Store) -> None:
    await commit(store, RuntimeSessionState.new())
    await change(store, "INSERT INTO usage_deltas VALUES (1, 'turn', 'm', 'many', 0, 0, 0)")
    for load in (store.load_session, store.load_usage_deltas, store.load_session_head):
        with pytest.raises(StoreCorrupt, match="usage row"):
            await load()


async def test_picker_info_counts_the_user_messages_of_every_branch(store: Store) -> None:
    assert await store.load_picker_info() is None
    await store.save_session_meta(SessionMeta("root", "Root", "now", "m", "/work"))
    state = RuntimeSessionState.new()
    await commit(
        store,
        state,
        plugin_node("p"),
        message_node("a", "hello", MessageRole.ASSISTANT, "p"),
        message_node("u1", "  first  ", parent="a"),
        message_node("u2", "left", parent="u1"),
        message_node("u3", "right", parent="u1"),
    )
    info = await store.load_picker_info()
    assert info is not None
    assert (info.user_message_count, info.first_user_message, info.cwd) == (3, "first", "/work")
    await store.tombstone_nodes(["u1"])
    info = await store.load_picker_info()
    assert info is not None
    assert (info.user_message_count, info.first_user_message) == (2, "left")


async def test_picker_info_is_read_from_an_index(store: Store) -> None:
    await commit(store, RuntimeSessionState.new(), message_node("u", "hi"))
    for sql in (session_meta._COUNT_USER_MESSAGES, session_meta._FIRST_USER_MESSAGE):
        (row,) = await query(store, f"EXPLAIN QUERY PLAN {sql}")
        assert row[-1] == "SCAN graph_nodes USING INDEX lash_graph_user_messages"


async def test_a_node_that_is_no_json_is_met_by_the_picker(store: Store) -> None:
    await store.save_session_meta(SessionMeta("root", "Root", "now", "m"))
    await commit(store, RuntimeSessionState.new(), message_node("u", "hi"))
    await change(store, "INSERT INTO graph_nodes (seq, node_id, node_json) VALUES (0, 'bad', 'no json')")
    with pytest.raises(StoreCorrupt) as caught:
        await store.load_picker_info()
    assert (caught.value.kind, caught.value.key) == ("graph node", "bad")


async def test_an_unreadable_relation_is_corrupt(store: Store) -> None:
    await store.save_session_meta(SessionMeta("root", "Root", "now", "m"))
    await change(store, 'UPDATE session_meta SET relation_json = \'{"kind":"cousin"}\'')
    for load in (store.load_session_meta, store.load_picker_info):
        with pytest.raises(StoreCorrupt, match="session relation"):
            await load()
    await change(store, "UPDATE session_meta SET relation_json = NULL")
    assert await store.load_session_meta() == SessionMeta("root", "Root", "now", "m")


async def test_a_session_is_named_once(store: Store) -> None:
    assert await store.name_session(SessionMeta("root", "One", "now", "m"))
    assert not await store.name_session(SessionMeta("root", "Two", "later", "n"))
    named = await store.load_session_meta()
    assert named is not None
    assert named.session_name == "One"


async def head_of(store: Store) -> SessionHead:
    found = await store.load_session_head()
    assert found is not None
    return found


async def test_a_head_that_is_saved_makes_what_others_have_seen_old(store: Store) -> None:
    assert await store.load_session_head() is None
    state = RuntimeSessionState.new()
    config = RuntimeCommit.persisted_state(state).config
    graph = SessionGraph([plugin_node("a"), plugin_node("b", "a")], "b")
    await store.save_session_head(SessionHead(session_id="root", head_revision=9, config=config, graph=graph))
    first = await head_of(store)
    assert (first.head_revision, first.graph) == (0, graph)
    await commit(store, state)
    await store.save_session_head(msgspec.structs.replace(first, graph=SessionGraph([plugin_node("c")], "c")))
    second = await head_of(store)
    assert second.head_revision == 2
    assert [node.node_id for node in second.graph.nodes] == ["c"]
    meta = await store.load_session_head_meta()
    assert meta is not None
    assert (meta.head_revision, meta.graph_node_count, meta.leaf_node_id) == (2, 1, "c")


async def test_a_head_is_copied_whole(store: Store, tmp_path: Path) -> None:
    state = RuntimeSessionState.new("origin")
    state.tool_state = {"generation": 3, "tools": {}}
    state.plugin_snapshot = {"plugins": {}}
    state.execution_state = b"vm"
    state.apply_commit(
        await store.commit_runtime_state(appending(state, [plugin_node("a")], [used(1), used(2), used(4, "other")]))
    )
    async with await Store.open(tmp_path / "copy.db") as copy:
        async with await Store.memory() as empty:
            assert not await copy.head_copy_from_store(empty)
        assert await copy.load_session_head() is None
        assert await copy.head_copy_from_store(store)
        theirs, ours = await store.load_session(), await copy.load_session()
        assert theirs is not None
        assert ours == msgspec.structs.replace(theirs, head_revision=0)
        assert [entry.usage.input_tokens for entry in await copy.load_usage_deltas()] == [3, 4]
        assert await copy.head_copy_from_store(store)
        again = await copy.load_session()
        assert again == msgspec.structs.replace(theirs, head_revision=1)


async def test_a_copy_takes_no_damage_along(store: Store, tmp_path: Path) -> None:
    state = RuntimeSessionState.new()
    state.execution_state = b"vm"
    await commit(store, state)
    await change(store, "UPDATE blobs SET content = x'00' WHERE hash = ?1", state.execution_state_ref)
    async with await Store.open(tmp_path / "copy.db") as copy:
        with pytest.raises(StoreCorrupt):
            await copy.head_copy_from_store(store)
        assert await copy.load_session_head() is None
