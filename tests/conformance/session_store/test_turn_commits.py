"""Scenarios 37 to 39 and 69 to 71: a turn is committed once, on the revision it was made for, and all of it."""

import msgspec
import pytest

from lash_store import (
    Append,
    ConstraintViolation,
    HeadRevisionConflict,
    ReplaceFull,
    RuntimeCommit,
    RuntimeTurnCommitConflict,
    RuntimeTurnCommitStamp,
    Store,
    StoreError,
)
from tests.conformance.session_store.examples import (
    claimed,
    commit_of,
    enqueued,
    message,
    node_ids,
    root_commit,
    session_state,
    used,
)
from tests.conformance.session_store.rows import everything


def provider_turn() -> RuntimeCommit:
    return root_commit().with_turn_commit("provider-turn")


async def test_scenario_37_a_turn_sent_twice_is_committed_once(store: Store) -> None:
    first = await store.commit_runtime_state(provider_turn())
    before = await everything(store)
    second = await store.commit_runtime_state(provider_turn())
    assert (second.head_revision, second.checkpoint_ref) == (first.head_revision, first.checkpoint_ref)
    assert second == first
    assert await everything(store) == before


async def test_scenario_38_the_expected_revision_is_not_part_of_the_hash(store: Store) -> None:
    state = session_state()
    first = commit_of(state)
    result = await store.commit_runtime_state(first)
    assert commit_of(state, expected=result.head_revision).turn_commit_hash() == first.turn_commit_hash()
    assert first.turn_commit_hash() == "1d72fee6ea8c52ee2bcea683e92d8bb35bd46aec57ea74783cacfb604b9e92db"


async def test_scenario_39_another_content_for_the_same_turn_is_a_conflict(store: Store) -> None:
    await store.commit_runtime_state(provider_turn())
    before = await everything(store)
    state = session_state()
    state.turn_index = 1
    with pytest.raises(RuntimeTurnCommitConflict) as caught:
        await store.commit_runtime_state(commit_of(state).with_turn_commit("provider-turn"))
    assert (caught.value.session_id, caught.value.turn_id) == ("root", "provider-turn")
    assert await everything(store) == before


async def test_scenario_69_a_commit_on_an_old_revision_is_a_conflict(store: Store) -> None:
    await store.commit_runtime_state(root_commit())
    before = await everything(store)
    with pytest.raises(HeadRevisionConflict) as caught:
        await store.commit_runtime_state(root_commit(expected_head_revision=0))
    assert (caught.value.expected, caught.value.actual) == (0, 1)
    assert await everything(store) == before
    assert (await store.commit_runtime_state(root_commit())).head_revision == 2


async def test_scenario_70_a_stamp_of_another_session_is_a_conflict(store: Store) -> None:
    before = await everything(store)
    stamp = RuntimeTurnCommitStamp("other", "turn", "hash")
    with pytest.raises(RuntimeTurnCommitConflict) as caught:
        await store.commit_runtime_state(root_commit(turn_commit=stamp))
    assert (caught.value.session_id, caught.value.turn_id) == ("other", "turn")
    assert await everything(store) == before


@pytest.mark.parametrize("hidden", [False, True], ids=["visible", "tombstoned"])
async def test_scenario_71_a_node_id_that_is_taken_fails_the_commit(store: Store, hidden: bool) -> None:
    """The backend error of the catalogue is the sub-kind for constraints here (section 5, recommendation)."""
    await store.commit_runtime_state(root_commit(graph=ReplaceFull([message("taken")], "taken")))
    if hidden:
        await store.tombstone_nodes(["taken"])
    before = await everything(store)
    nodes = [message("new", "taken"), message("taken", "new")]
    with pytest.raises(ConstraintViolation):
        await store.commit_runtime_state(
            root_commit(graph=Append(nodes, "taken"), usage_deltas=[used("turn", "m", 1, 1, 1, 1)])
        )
    assert await everything(store) == before


async def test_a_replay_ignores_all_but_session_turn_and_hash(store: Store) -> None:
    """Notes of 4.7: head revision, claims, usage and graph of the second commit do not count."""
    await enqueued(store, "work")
    claim = await claimed(store)
    result = await store.commit_runtime_state(provider_turn())
    await store.commit_runtime_state(root_commit())
    before = await everything(store)
    again = msgspec.structs.replace(
        provider_turn(),
        expected_head_revision=77,
        usage_deltas=[used("turn", "m", 1, 1, 1, 1)],
        graph=Append([message("n")], "n"),
        completed_queue_claims=[claim.completion()],
    )
    assert await store.commit_runtime_state(again) == result
    assert await everything(store) == before


async def test_the_checks_come_in_the_order_of_the_table(store: Store) -> None:
    """Section 4.7: binding, stamp, replay or conflict of the turn, revision, claims."""
    await store.commit_runtime_state(provider_turn())
    await enqueued(store, "work")
    done = (await claimed(store)).completion()
    lost = msgspec.structs.replace(done, lease_token="lost")  # noqa: S106 - an example
    wrong = root_commit(
        expected_head_revision=9,
        completed_queue_claims=[lost],
        turn_commit=RuntimeTurnCommitStamp("other", "provider-turn", "x"),
    )
    raised = []
    other = commit_of(session_state("other"))
    stamped = msgspec.structs.replace(other, turn_commit=RuntimeTurnCommitStamp("root", "t", "x"))
    changed = RuntimeTurnCommitStamp("root", "provider-turn", "x")
    for commit in (
        stamped,
        wrong,
        msgspec.structs.replace(wrong, turn_commit=changed),
        msgspec.structs.replace(wrong, turn_commit=None),
        msgspec.structs.replace(wrong, turn_commit=None, expected_head_revision=1),
    ):
        with pytest.raises(StoreError) as caught:
            await store.commit_runtime_state(commit)
        raised.append(type(caught.value).__name__)
    assert raised == [
        "SessionBindingMismatch",
        "RuntimeTurnCommitConflict",
        "RuntimeTurnCommitConflict",
        "HeadRevisionConflict",
        "QueuedWorkClaimExpired",
    ]


async def test_nodes_are_appended_and_replaced(store: Store) -> None:
    await store.commit_runtime_state(root_commit(graph=ReplaceFull([message("a")], "a")))
    await store.commit_runtime_state(root_commit(graph=Append([message("b", "a")], "b"), expected_head_revision=1))
    await store.tombstone_nodes(["a"])
    replaced = ReplaceFull([message("c"), message("a", "c")], "a")
    result = await store.commit_runtime_state(root_commit(graph=replaced, expected_head_revision=2))
    assert result.head_revision == 3
    read = await store.load_session()
    assert read is not None
    assert node_ids(read.graph.nodes) == ["c", "a"]
    assert read.graph.leaf_node_id == "a"
