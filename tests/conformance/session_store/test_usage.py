"""Scenario 72: usage is added up by source and model, in the order in which they first appear."""

from lash_store import Store
from tests.conformance.session_store.examples import commit_of, session_state, used
from tests.conformance.session_store.rows import everything


async def test_scenario_72_usage_is_merged_on_load(store: Store) -> None:
    entries = [used("turn", "m", 1, 2, 3, 4), used("turn", "m", 10, 20, 30, 40), used("x", "m", 5, 0, 0, 0)]
    await store.append_usage_deltas(entries[:1])
    await store.commit_runtime_state(commit_of(session_state(), entries[1:]))
    read = await store.load_session()
    assert read is not None
    assert read.token_ledger == [used("turn", "m", 11, 22, 33, 44), used("x", "m", 5, 0, 0, 0)]
    head = await store.load_session_head()
    assert head is not None
    assert head.token_ledger == read.token_ledger
    assert await store.load_usage_deltas() == entries
    await store.append_usage_deltas([])
    assert (await everything(store))["usage_deltas"] == [
        (1, "turn", "m", 1, 2, 3, 4),
        (2, "turn", "m", 10, 20, 30, 40),
        (3, "x", "m", 5, 0, 0, 0),
    ]


async def test_source_and_model_are_two_things(store: Store) -> None:
    entries = [used("a", "bc", 1, 1, 1, 1), used("ab", "c", 2, 2, 2, 2), used("a", "bc", -1, 1, 0, 3)]
    await store.commit_runtime_state(commit_of(session_state(), entries))
    read = await store.load_session()
    assert read is not None
    assert read.token_ledger == [used("a", "bc", 0, 2, 1, 4), used("ab", "c", 2, 2, 2, 2)]
