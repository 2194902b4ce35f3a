"""Heads that a commit must not write over, and heads that must not be written (specification 3.2, 4.7, 4.27)."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from lash_store import (
    InvalidRecord,
    PersistedSessionConfig,
    RuntimeCommit,
    RuntimeSessionState,
    SessionBindingMismatch,
    SessionHead,
    SessionHeadMeta,
    Store,
    StoreCorrupt,
    load_persisted_session_state,
)
from lash_store.records.config import UNKNOWN_MODEL
from lash_store.records.usage import TokenLedgerEntry, TokenUsage
from tests.sqlite.session_store.samples import as_lash_does, change, commit, plugin_node, query

LAST = 2**63 - 3
"""The last revision that a commit can follow, and be followed by a load."""
CONFIG = PersistedSessionConfig("p", UNKNOWN_MODEL)


def commit_of(expected: int | None) -> RuntimeCommit:
    return RuntimeCommit.persisted_state(RuntimeSessionState.new()).with_expected_head_revision(expected)


@pytest.mark.parametrize("expected", [None, 1])
@pytest.mark.parametrize(
    "damage",
    [
        "head_json = 'garbage'",
        "head_json = json_remove(head_json, '$.config')",
        "head_revision = 1.5",
        "head_revision = 'x'",
        "head_revision = -1",
        "head_revision = 9223372036854775806",
    ],
)
async def test_a_damaged_head_is_not_written_over(store: Store, damage: str, expected: int | None) -> None:
    """Also at the revision that this handle has written itself."""
    await store.commit_runtime_state(commit_of(None))
    await change(store, f"UPDATE session_head SET {damage}")
    before = await query(store, "SELECT * FROM session_head")
    with pytest.raises(StoreCorrupt) as raised:
        await store.commit_runtime_state(commit_of(expected))
    assert (raised.value.kind, raised.value.key) == ("session head", "session_head")
    assert await query(store, "SELECT * FROM session_head") == before


async def test_another_session_at_the_same_revision_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "session.db"
    async with await Store.open(path) as store:
        await store.commit_runtime_state(commit_of(None))
        as_lash_does(
            path,
            "UPDATE session_head SET session_id = 'beta', head_json = json_set(head_json, '$.session_id', 'beta')",
        )
        for expected in (None, 1):
            with pytest.raises(SessionBindingMismatch) as raised:
                await store.commit_runtime_state(commit_of(expected))
            assert (raised.value.bound_session_id, raised.value.attempted_session_id) == ("beta", "root")


async def test_the_last_revision_can_be_committed_to(store: Store) -> None:
    await store.save_session_head_meta(SessionHeadMeta(config=CONFIG, head_revision=LAST))
    assert (await store.commit_runtime_state(commit_of(LAST))).head_revision == LAST + 1
    read = await store.load_session()
    assert read is not None
    assert read.head_revision == LAST + 1


@pytest.mark.parametrize("revision", [LAST + 1, LAST + 2, 2**63, -1])
async def test_a_revision_that_no_commit_could_follow_is_not_saved(store: Store, revision: int) -> None:
    await store.commit_runtime_state(commit_of(None))
    with pytest.raises(InvalidRecord, match="head_revision"):
        await store.save_session_head_meta(SessionHeadMeta(config=CONFIG, head_revision=revision))
    assert (await store.commit_runtime_state(commit_of(1))).head_revision == 2


async def test_a_saved_head_has_no_ledger(store: Store) -> None:
    """3.2: the store always writes it empty."""
    ledger = [TokenLedgerEntry("turn", "m", TokenUsage(1, 2, 3, 4))]
    await store.save_session_head_meta(SessionHeadMeta(config=CONFIG, head_revision=3, token_ledger=ledger))
    assert await store.load_session_head_meta() == SessionHeadMeta(config=CONFIG, head_revision=3)
    wrong: Any = [5]
    with pytest.raises(InvalidRecord, match="token_ledger"):
        await store.save_session_head_meta(SessionHeadMeta(config=CONFIG, token_ledger=wrong))


@pytest.mark.parametrize("revision", ["9223372036854775806", "9223372036854775807", "1.5", "'x'", "-1"])
async def test_a_head_whose_revision_has_no_next_is_not_replaced(store: Store, tmp_path: Path, revision: str) -> None:
    await store.commit_runtime_state(commit_of(None))
    await change(store, f"UPDATE session_head SET head_revision = {revision}")
    await store.append_usage_deltas([TokenLedgerEntry("turn", "m", TokenUsage(1, 2, 3, 4))])
    before = await query(store, "SELECT * FROM session_head")
    async with await Store.open(tmp_path / "source.db") as source:
        await source.commit_runtime_state(commit_of(None))
        for replacing in (
            store.save_session_head(SessionHead(config=CONFIG)),
            store.head_copy_from_store(source),
        ):
            with pytest.raises(StoreCorrupt, match="session head"):
                await replacing
    assert await query(store, "SELECT * FROM session_head") == before
    await store.save_session_head_meta(SessionHeadMeta(config=CONFIG, head_revision=7))
    await store.save_session_head(SessionHead(config=CONFIG))
    assert await query(store, "SELECT head_revision, typeof(head_revision) FROM session_head") == [(8, "integer")]


async def test_a_missing_manifest_is_no_fresh_session(store: Store) -> None:
    state = RuntimeSessionState.new()
    state.turn_index, state.tool_state = 7, {"generation": 9, "tools": {}}
    await commit(store, state, plugin_node("a"))
    await change(store, "DELETE FROM blobs WHERE hash = ?1", state.checkpoint_ref)
    with pytest.raises(StoreCorrupt) as raised:
        await load_persisted_session_state(store)
    assert (raised.value.kind, raised.value.key) == ("checkpoint manifest", state.checkpoint_ref)
    read = await store.load_session()
    assert read is not None
    assert (read.checkpoint_ref, read.checkpoint) == (state.checkpoint_ref, None)


async def test_a_part_that_is_missing_stays_named_by_the_next_commit(store: Store) -> None:
    """As in a session that lash has copied; two such parts, and two commits in a row."""
    state = RuntimeSessionState.new()
    state.tool_state, state.execution_state = {"generation": 9, "tools": {}}, b"vm"
    await commit(store, state, plugin_node("a"))
    named = (state.tool_state_ref, state.execution_state_ref)
    await change(store, "DELETE FROM blobs WHERE hash IN (?1, ?2)", *named)
    for turn in (1, 2):
        loaded = await load_persisted_session_state(store)
        assert loaded is not None
        loaded.turn_index = turn
        await store.commit_runtime_state(RuntimeCommit.persisted_state(loaded))
    read = await store.load_session()
    assert read is not None
    assert read.checkpoint is not None
    assert (read.checkpoint.turn_state.turn_index, read.checkpoint.tool_state) == (2, None)
    assert (read.checkpoint.tool_state_ref, read.checkpoint.execution_state_ref) == named


async def test_a_graph_that_is_none_is_refused(store: Store) -> None:
    nothing: Any = None
    with pytest.raises(InvalidRecord, match="SessionGraph"):
        await store.save_session_head(msgspec.structs.replace(SessionHead(config=CONFIG), graph=nothing))
