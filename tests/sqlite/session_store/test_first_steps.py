"""What goes wrong easily where a session begins or goes on: it is refused, not lost."""

from pathlib import Path

import pytest

from lash_store import (
    Append,
    HeadRevisionConflict,
    InvalidRecord,
    ReplaceFull,
    RuntimeCommit,
    RuntimeSessionState,
    SessionBindingMismatch,
    SqliteSessionStoreFactory,
    Store,
    Unchanged,
    UnknownLeafNode,
    load_persisted_session_state,
)
from tests.sqlite.session_store.samples import change, commit, plugin_node, query


def first(state: RuntimeSessionState) -> RuntimeCommit:
    return RuntimeCommit.persisted_state(state).with_expected_head_revision(0)


async def test_of_two_first_commits_that_say_so_one_is_told(store: Store) -> None:
    ours, theirs = RuntimeSessionState.new(), RuntimeSessionState.new()
    await store.commit_runtime_state(first(ours).with_appended_nodes([plugin_node("a")]))
    with pytest.raises(HeadRevisionConflict) as caught:
        await store.commit_runtime_state(first(theirs).with_appended_nodes([plugin_node("b")]))
    assert (caught.value.expected, caught.value.actual) == (0, 1)
    state = await load_persisted_session_state(store)
    assert state is not None
    assert [node.node_id for node in state.graph.nodes] == ["a"]


async def test_without_an_expectation_the_commit_applies_to_any_revision(store: Store) -> None:
    await commit(store, RuntimeSessionState.new(), plugin_node("a"))
    again = first(RuntimeSessionState.new()).with_expected_head_revision(None)
    assert (await store.commit_runtime_state(again)).head_revision == 2


@pytest.mark.parametrize("graph", [Unchanged("b"), Append([], "b"), Append([plugin_node("c", "a")], "b")])
async def test_a_leaf_that_is_no_node_is_refused(store: Store, graph: Unchanged | Append) -> None:
    state = RuntimeSessionState.new()
    await commit(store, state, plugin_node("a"))
    lost = RuntimeCommit(session_id="root", config=first(state).config, graph=graph)
    with pytest.raises(UnknownLeafNode) as caught:
        await store.commit_runtime_state(lost)
    assert (caught.value.session_id, caught.value.leaf_node_id) == ("root", "b")
    kept = await store.load_session()
    assert kept is not None
    assert (kept.head_revision, kept.graph.leaf_node_id, len(kept.graph.nodes)) == (1, "a", 1)


async def test_a_replacement_must_bring_its_leaf(store: Store) -> None:
    state = RuntimeSessionState.new()
    await commit(store, state, plugin_node("a"), plugin_node("b", "a"))
    config = first(state).config
    whole = RuntimeCommit(session_id="root", config=config, graph=ReplaceFull([plugin_node("z")], "a"))
    with pytest.raises(UnknownLeafNode):
        await store.commit_runtime_state(whole)
    assert (await query(store, "SELECT count(*) FROM graph_nodes"))[0][0] == 2
    await store.commit_runtime_state(RuntimeCommit(session_id="root", config=config, graph=ReplaceFull([], "b")))


async def test_a_hidden_node_is_no_leaf_but_the_leaf_that_the_head_has_may_stay(store: Store) -> None:
    state = RuntimeSessionState.new()
    await commit(store, state, plugin_node("a"), plugin_node("b", "a"))
    await store.tombstone_nodes(["a", "b"])
    config = first(state).config
    with pytest.raises(UnknownLeafNode):
        await store.commit_runtime_state(RuntimeCommit(session_id="root", config=config, graph=Unchanged("a")))
    stays = RuntimeCommit(session_id="root", config=config, graph=Unchanged("b"))
    assert (await store.commit_runtime_state(stays)).head_revision == 2


async def test_a_replay_is_not_asked_for_its_leaf(store: Store) -> None:
    state = RuntimeSessionState.new()
    await commit(store, state, plugin_node("a"))
    moving = RuntimeCommit(session_id="root", config=first(state).config, graph=Unchanged("a")).with_turn_commit("t")
    made = await store.commit_runtime_state(moving)
    await change(store, "DELETE FROM graph_nodes")
    assert await store.commit_runtime_state(moving) == made


async def test_a_turn_can_be_asked_for_after_a_crash(store: Store) -> None:
    state = RuntimeSessionState.new()
    made = await store.commit_runtime_state(first(state).with_turn_commit("turn/1"))
    assert await store.load_turn_commit("root", "turn/1") == made
    assert await store.load_turn_commit("root", "turn/2") is None
    assert await store.load_turn_commit("other", "turn/1") is None
    with pytest.raises(InvalidRecord):
        await store.load_turn_commit("root", "\ud800")


async def test_the_store_that_was_made_for_one_session_takes_no_first_commit_of_another(tmp_path: Path) -> None:
    factory = SqliteSessionStoreFactory(tmp_path)
    async with await factory.create_store("a") as store:
        with pytest.raises(SessionBindingMismatch) as caught:
            await store.commit_runtime_state(first(RuntimeSessionState.new("b")))
        assert (caught.value.bound_session_id, caught.value.attempted_session_id) == ("a", "b")
        assert await store.load_session() is None
        await store.commit_runtime_state(first(RuntimeSessionState.new("a")))
