"""The counts and sums that are kept beside the tables, whoever writes these (specification 2.3, 2.4, 4.21, 4.26)."""

from pathlib import Path

import pytest

from lash_store import RuntimeSessionState, SessionMeta, SessionNodeRecord, Store
from lash_store.records.usage import TokenLedgerEntry, TokenUsage
from lash_store.sqlite.ops import session_meta, usage
from tests.sqlite.session_store.samples import appending, as_lash_does, commit, message_node, plugin_node, query

FOREIGN = (
    '{"node_id":"p","timestamp":"t","kind":"plugin","plugin_type":"x","body":1,'
    '"event":{"Conversation":{"id":"p","role":"User","parts":[]}}}'
)


@pytest.mark.parametrize(
    "then",
    [
        "UPDATE graph_nodes SET tombstoned = 1 WHERE node_id = 'c'",
        "DELETE FROM graph_nodes WHERE node_id = 'c'",
        "UPDATE graph_nodes SET tombstoned = 1 WHERE node_id = 'b'",
        "DELETE FROM graph_nodes WHERE node_id = 'b'",
        "DELETE FROM graph_nodes WHERE node_id = 'a'",
    ],
)
async def test_nodes_that_lash_appends_and_takes_away_are_not_counted(tmp_path: Path, then: str) -> None:
    """Nodes behind those that were counted count nothing when they go."""
    path = tmp_path / "session.db"
    node = '\'{{"node_id":"{0}","timestamp":"t","kind":"plugin","plugin_type":"x","body":1}}\''
    async with await Store.open(path) as store:
        state = RuntimeSessionState.new()
        await commit(store, state, plugin_node("a"))
        values = ", ".join(f"('{name}', {node.format(name)})" for name in "bc")
        as_lash_does(path, f"INSERT INTO graph_nodes (node_id, node_json) VALUES {values}", then)
        await commit(store, state, plugin_node("d"))
        head = await store.load_session_head_meta()
        read = await store.load_session()
        assert head is not None
        assert read is not None
        assert head.graph_node_count == len(read.graph.nodes) == 3


@pytest.mark.parametrize("counters", [(0, 0, 0, 0), (5, -5, 0, 0), (2, 3, 0, -5)])
async def test_a_row_whose_total_is_nothing_is_left_out_before_and_after_the_merge(
    store: Store, counters: tuple[int, int, int, int]
) -> None:
    idle, used = TokenLedgerEntry("idle", "m", TokenUsage(*counters)), TokenLedgerEntry("t", "m", TokenUsage(1, 0, 0))
    cached = TokenLedgerEntry("cached", "m", TokenUsage(5, -5, 7))
    await store.append_usage_deltas([idle, used, cached])
    state = RuntimeSessionState.new()
    for revision in range(1, usage.MERGE_EVERY + 2):
        state.apply_commit(await store.commit_runtime_state(appending(state, [])))
        if revision in {1, usage.MERGE_EVERY + 1}:
            read = await store.load_session()
            assert read is not None
            assert read.token_ledger == [used, cached]
    totals = await query(store, "SELECT source FROM lash_usage_totals ORDER BY source")
    assert totals == [("cached",), ("t",)]


async def test_a_key_of_another_kind_makes_no_message(store: Store) -> None:
    """A plugin's node is no conversation node, whatever keys it brings."""
    await store.save_session_meta(SessionMeta("root", "root", "unix:0", "m"))
    foreign = SessionNodeRecord.from_json(FOREIGN)
    await commit(store, RuntimeSessionState.new(), foreign, message_node("m", "hello"))
    info = await store.load_picker_info()
    assert info is not None
    assert (info.user_message_count, info.first_user_message) == (1, "hello")
    plan = await query(store, f"EXPLAIN QUERY PLAN {session_meta._COUNT_USER_MESSAGES}")
    assert "lash_graph_user_messages" in str(plan)


async def test_an_intent_whose_time_has_wrapped_hides_no_other(tmp_path: Path) -> None:
    """A time above 2^63-1 is negative in the column where alpha.40 has written it: later than all that can be asked."""
    path = tmp_path / "session.db"
    async with await Store.open(path) as store:
        as_lash_does(
            path, "INSERT INTO attachment_manifest VALUES ('a', 'root', 'u', -1, NULL), ('b', 'root', 'u', 5, NULL)"
        )
        for asked in (5, 2**63 - 1):
            assert [entry.attachment_id for entry in await store.list_uncommitted(asked)] == ["b"]
