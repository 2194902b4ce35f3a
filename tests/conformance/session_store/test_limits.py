"""Values that a column cannot hold are refused before anything is written (weakness 24); openers wait for nobody."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from lash_store import (
    ActivePath,
    Append,
    AttachmentIntent,
    HydratedSessionCheckpoint,
    InvalidRecord,
    PersistedTurnState,
    SessionHeadMeta,
    Store,
    StoreError,
    TokenLedgerEntry,
)
from tests.conformance.session_store import alpha40
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import (
    CHECKPOINT,
    IDLE,
    TTL_MS,
    claimed,
    commit_of,
    draft,
    enqueued,
    intent,
    message,
    root_commit,
    session_state,
    used,
)
from tests.conformance.session_store.rows import everything, query
from tests.conformance.session_store.test_heads import CONFIG

BEYOND = 2**63
TOO_LITTLE = [used("a", "b", 0, 0, -BEYOND - 1, 0)]
Attempt = Callable[[Store], Awaitable[Any]]
ATTEMPTS: dict[str, Attempt] = {
    "availability": lambda s: s.enqueue_queued_work(draft("x", available=BEYOND)),
    "negative availability": lambda s: s.enqueue_queued_work(draft("x", available=-1)),
    "lease": lambda s: s.claim_ready_queued_work("root", "o", IDLE, BEYOND, 1),
    "negative lease": lambda s: s.claim_ready_queued_work("root", "o", IDLE, -1, 1),
    "exact lease": lambda s: s.claim_ready_queued_work_by_batch_ids("root", "o", CHECKPOINT, BEYOND, ["x"]),
    "limit": lambda s: s.claim_ready_queued_work("root", "o", IDLE, TTL_MS, -1),
    "intent": lambda s: s.record_intent(AttachmentIntent("a", "root", "u", BEYOND)),
    "age": lambda s: s.list_uncommitted(BEYOND),
    "negative age": lambda s: s.list_uncommitted(-1),
    "usage": lambda s: s.append_usage_deltas([used("a", "b", BEYOND, 0, 0, 0)]),
    "usage of a commit": lambda s: s.commit_runtime_state(root_commit(usage_deltas=TOO_LITTLE)),
    "revision": lambda s: s.save_session_head_meta(SessionHeadMeta(head_revision=BEYOND, config=CONFIG)),
    "source": lambda s: s.append_usage_deltas([TokenLedgerEntry("\ud800", "m", used("a", "b", 1, 1, 1, 1).usage)]),
    "session id": lambda s: s.enqueue_queued_work(draft("x", session="\ud800")),
}


@pytest.mark.parametrize("what", ATTEMPTS)
async def test_what_no_column_holds_is_refused(store: Store, what: str) -> None:
    await enqueued(store, "work")
    before = await everything(store)
    with pytest.raises(StoreError) as caught:
        await ATTEMPTS[what](store)
    assert type(caught.value).__name__ in {"InvalidRecord", "InvalidJsonValue"}
    assert await everything(store) == before


async def test_a_renewal_beyond_all_time_is_refused(store: Store) -> None:
    await enqueued(store, "work")
    claim = await claimed(store)
    before = await everything(store)
    for ttl in (-1, BEYOND):
        with pytest.raises(InvalidRecord):
            await store.renew_queued_work_claim(claim, ttl)
    assert await everything(store) == before


async def test_the_largest_values_are_kept(store: Store) -> None:
    await store.record_intent(intent("a", at_ms=BEYOND - 1))
    assert [entry.intent_at_epoch_ms for entry in await store.list_uncommitted(BEYOND - 1)] == [BEYOND - 1]
    await enqueued(store, "work", available=BEYOND - 1)
    turn = PersistedTurnState(turn_index=2**64 - 1)
    checkpoint = HydratedSessionCheckpoint(turn, plugin_snapshot_revision=2**64 - 1)
    await store.commit_runtime_state(root_commit(checkpoint=checkpoint))
    read = await store.load_session()
    assert read is not None
    assert read.checkpoint is not None
    assert (read.checkpoint.turn_state, read.checkpoint.plugin_snapshot_revision) == (turn, 2**64 - 1)


async def test_an_expectation_beyond_all_revisions_is_a_conflict_or_no_record(store: Store) -> None:
    before = await everything(store)
    with pytest.raises(StoreError):
        await store.commit_runtime_state(root_commit(expected_head_revision=2**64 - 1))
    assert await everything(store) == before


async def test_usage_that_is_only_cached_is_kept(store: Store) -> None:
    """Weakness 32: upstream's merge drops it, its own reference store keeps it."""
    await store.append_usage_deltas([used("turn", "m", 0, 0, 7, 0), used("turn", "m", 1, 1, 1, 1)])
    await store.commit_runtime_state(root_commit())
    read = await store.load_session()
    assert read is not None
    assert read.token_ledger == [used("turn", "m", 1, 1, 8, 1)]


async def test_opening_and_reading_a_current_file_waits_for_no_writer(stores: Stores) -> None:
    """Weakness 37: upstream takes the write lock on every open, behind whoever holds it for up to 15 s."""
    async with await stores.file() as store:
        await store.commit_runtime_state(root_commit())
    holder = apsw.Connection(str(stores.path))
    holder.execute("BEGIN IMMEDIATE")
    try:
        second = await asyncio.wait_for(stores.file(), 5)
        read = await asyncio.wait_for(second.load_session(), 5)
    finally:
        holder.execute("ROLLBACK")
        holder.close()
    assert read is not None
    assert read.head_revision == 1


async def test_an_opener_that_looks_while_another_creates(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 1.2: between an opener's look at the version and its next, another one makes the whole schema."""
    seen: list[str] = []
    meddled: list[str] = []

    def trace(cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        seen.append(sql)
        if len(seen) > 1 and "user_version" in seen[-2] and not meddled:
            cursor.connection.exec_trace = None
            meddled.append(sql)
            with contextlib.suppress(apsw.BusyError):  # then the opener is looking at a snapshot of its own
                alpha40.create(stores.path)
        return True

    def watch(connection: apsw.Connection) -> None:
        if not meddled:
            connection.exec_trace = trace

    monkeypatch.setattr(apsw, "connection_hooks", [*apsw.connection_hooks, watch])
    store = await stores.file()
    assert len(meddled) == 1
    assert await store.load_session() is None
    assert query(stores.path, "PRAGMA user_version") == [(3,)]


async def test_a_folder_is_not_created(tmp_path: Path) -> None:
    """Section 1.1: only the factory creates folders."""
    with pytest.raises(StoreError):
        await Store.open(tmp_path / "missing" / "x.db")
    assert not (tmp_path / "missing").exists()


async def test_a_claim_read_from_json_is_as_good_as_the_one_given_out(store: Store) -> None:
    await enqueued(store, "work")
    claim = await claimed(store)
    copy = type(claim).from_json(claim.to_json())
    assert copy == claim
    renewed = await store.renew_queued_work_claim(copy, TTL_MS)
    assert renewed == msgspec.structs.replace(claim, expires_at_epoch_ms=renewed.expires_at_epoch_ms)


@pytest.mark.parametrize("text", ["", "a\x00b", "'\"\\", "é\u2028", "x" * 50_000])
async def test_any_text_names_anything(store: Store, text: str) -> None:
    """Ids and keys are text to the store; the empty one is one like any other (3.16)."""
    (batch,) = await enqueued(store, "work", session=text, key=text)
    assert (batch.session_id, batch.source_key) == (text, text)
    claim = await claimed(store, text, session=text)
    assert (claim.owner_id, claim.batches) == (text, [batch])
    await store.record_intent(AttachmentIntent(text, text, text, 1))
    assert [entry.attachment_id for entry in await store.list_uncommitted(1)] == [text]
    node = message(text)
    child = message("child", text)
    commit = commit_of(session_state(text), [used(text, text, 1, 1, 1, 1)])
    commit = msgspec.structs.replace(commit, graph=Append([node, child], "child")).with_turn_commit(text)
    commit = commit.completing_queue_claims([claim.completion()]).with_committed_attachments([text])
    result = await store.commit_runtime_state(commit)
    assert await store.commit_runtime_state(commit) == result
    read = await store.load_session(ActivePath())
    assert read is not None
    assert (read.session_id, read.graph.nodes, read.token_ledger) == (
        text,
        [node, child],
        [used(text, text, 1, 1, 1, 1)],
    )
    assert await store.list_uncommitted(1) == []
    assert await store.list_queued_work(text) == []
