"""Texts, numbers and types that no operation expects: stored exactly, or refused with nothing written."""

from collections.abc import AsyncIterator
from functools import partial

import msgspec
import pytest

from lash_store import (
    ActivePath,
    AttachmentIntent,
    MergeKeyGroup,
    QueuedWorkCompletion,
    ReplaceFull,
    RuntimeSessionState,
    RuntimeTurnCommitStamp,
    SessionHeadMeta,
    SessionMeta,
    SessionNodePayloadPlugin,
    SessionNodeRecord,
    SessionRelationChild,
    Store,
    TokenLedgerEntry,
    TokenUsage,
)
from lash_store.errors import ConstraintViolation, StoreCorrupt
from tests.sqlite.session_store.hostile import (
    IDLE,
    INT_MAX,
    INT_MIN,
    SURROGATES,
    TEXTS,
    UINT_MAX,
    Operation,
    changed,
    claim_of,
    commit_of,
    draft,
    fill,
    refused,
    usage_of,
)
from tests.sqlite.session_store.samples import appending, commit, plugin_node, used


@pytest.fixture
async def full() -> AsyncIterator[Store]:
    """A store with something in it; in memory, as what is refused never comes to the file."""
    async with await Store.memory() as store:
        await fill(store)
        yield store


# -- texts that are stored ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_any_text_is_a_session(store: Store, text: str) -> None:
    meta = SessionMeta(text, text, text, text, text, SessionRelationChild(text))
    await store.save_session_meta(meta)
    assert await store.load_session_meta() == meta
    state = RuntimeSessionState.new(text)
    await commit(store, state, plugin_node("first"))
    read = await store.load_session()
    assert read is not None
    assert read.session_id == text
    state.head_revision = read.head_revision
    await commit(store, state, plugin_node("second"))
    await refused(store, lambda: store.commit_runtime_state(appending(RuntimeSessionState.new(text + "x"), [])))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_any_text_is_a_node(store: Store, text: str) -> None:
    root = SessionNodeRecord(node_id=text, timestamp=text, payload=SessionNodePayloadPlugin(text, text))
    nodes = [root, plugin_node(text + "leaf", text)]
    await commit(store, RuntimeSessionState.new(), *nodes)
    for scope in (ActivePath(), ActivePath(text + "leaf")):
        read = await store.load_session(scope)
        assert read is not None
        assert read.graph.nodes == nodes
    assert await store.load_node(text) == root
    await store.tombstone_nodes([text])
    assert await store.load_node(text) is None
    assert (await store.vacuum()).removed_node_count == 1


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_any_text_is_work(store: Store, text: str) -> None:
    wanted = draft(session_id=text, source_key=text, merge_key=MergeKeyGroup(text))
    batch = await store.enqueue_queued_work(wanted)
    assert (batch.session_id, batch.source_key, batch.merge_key) == (text, text, MergeKeyGroup(text))
    assert await store.enqueue_queued_work(wanted) == batch
    assert await store.list_queued_work(text) == [batch]
    claim = await store.claim_ready_queued_work(text, text, IDLE, 60_000, 1)
    assert claim is not None
    assert (claim.session_id, claim.owner_id, claim.batches) == (text, text, [batch])
    assert (await store.renew_queued_work_claim(claim, 60_000)).claim_id == claim.claim_id
    done = commit_of(session_id=text).completing_queue_claims([claim.completion()])
    await store.commit_runtime_state(done)
    assert await store.list_queued_work(text) == []


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_any_text_is_an_attachment_a_turn_and_a_label(store: Store, text: str) -> None:
    intent = AttachmentIntent(text, text, text, 100)
    await store.record_intent(intent)
    [entry] = await store.list_uncommitted(100)
    assert (entry.attachment_id, entry.session_id, entry.canonical_uri) == (text, text, text)
    ledger = [used(1, text, text)]
    sent = msgspec.structs.replace(commit_of(session_id=text), usage_deltas=ledger, committed_attachment_ids=[text])
    sent = sent.with_turn_commit(text, text)
    result = await store.commit_runtime_state(sent)
    assert await store.commit_runtime_state(sent) == result
    assert await store.list_uncommitted(100) == []
    assert await store.load_usage_deltas() == ledger
    await store.forget(text)


# -- texts that cannot be stored ---------------------------------------------------------------------------------------

NODE = plugin_node("second")
TEXT_ARGUMENTS: dict[str, Operation] = {
    "session of a commit": lambda s, x: s.commit_runtime_state(changed(session_id=x)),
    "node": lambda s, x: commit(s, RuntimeSessionState.new(), plugin_node(x)),
    "node of a replacement": lambda s, x: s.commit_runtime_state(changed(graph=ReplaceFull([plugin_node(x)], "n"))),
    "plugin type": lambda s, x: commit(
        s, RuntimeSessionState.new(), msgspec.structs.replace(NODE, payload=SessionNodePayloadPlugin(x, None))
    ),
    "turn": lambda s, x: s.commit_runtime_state(changed(turn_commit=RuntimeTurnCommitStamp("root", x, "h"))),
    "hash of a turn": lambda s, x: s.commit_runtime_state(changed(turn_commit=RuntimeTurnCommitStamp("root", "t", x))),
    "session of a turn": lambda s, x: s.commit_runtime_state(changed(turn_commit=RuntimeTurnCommitStamp(x, "t", "h"))),
    "session of a completion": lambda s, x: s.commit_runtime_state(
        changed(completed_queue_claims=[QueuedWorkCompletion(x, "c", "t", ["b"])])
    ),
    "completed claim": lambda s, x: s.commit_runtime_state(
        changed(completed_queue_claims=[QueuedWorkCompletion("root", x, "t", ["b"])])
    ),
    "completed batch": lambda s, x: s.commit_runtime_state(
        changed(completed_queue_claims=[QueuedWorkCompletion("root", "c", "t", [x])])
    ),
    "committed attachment": lambda s, x: s.commit_runtime_state(changed(committed_attachment_ids=[x])),
    "usage source": lambda s, x: s.append_usage_deltas([used(1), used(1, x)]),
    "usage model": lambda s, x: s.commit_runtime_state(changed(usage_deltas=[used(1), used(1, "turn", x)])),
    "session of a draft": lambda s, x: s.enqueue_queued_work(draft(session_id=x)),
    "group": lambda s, x: s.enqueue_queued_work(draft(merge_key=MergeKeyGroup(x))),
    "session of a claim": lambda s, x: s.claim_ready_queued_work(x, "o", IDLE, 1, 1),
    "owner of a claim": lambda s, x: s.claim_ready_queued_work("root", x, IDLE, 1, 1),
    "batch of a claim": lambda s, x: s.claim_ready_queued_work_by_batch_ids("root", "o", IDLE, 1, [x]),
    "renewed claim": lambda s, x: s.renew_queued_work_claim(claim_of(claim_id=x), 1),
    "abandoned token": lambda s, x: s.abandon_queued_work_claim(claim_of(lease_token=x)),
    "session of a cancelled batch": lambda s, x: s.cancel_queued_work_batch(x, "b"),
    "cancelled batch": lambda s, x: s.cancel_queued_work_batch("root", x),
    "session of a list": lambda s, x: s.list_queued_work(x),
    "session of a pending list": lambda s, x: s.list_pending_queued_work(x),
    "loaded node": lambda s, x: s.load_node(x),
    "tombstoned node": lambda s, x: s.tombstone_nodes(["first", x]),
    "name": lambda s, x: s.save_session_meta(SessionMeta("root", x, "t", "m")),
    "time of creation": lambda s, x: s.save_session_meta(SessionMeta("root", "n", x, "m")),
    "parent session": lambda s, x: s.save_session_meta(
        SessionMeta("root", "n", "t", "m", None, SessionRelationChild(x))
    ),
    "intended attachment": lambda s, x: s.record_intent(AttachmentIntent(x, "root", "u", 1)),
    "session of an attachment": lambda s, x: s.commit_refs(x, ["a"]),
    "attachment of a session": lambda s, x: s.commit_refs("root", ["a", x]),
    "forgotten attachment": lambda s, x: s.forget(x),
    "blob": lambda s, x: s.get_blob(x),
    "checkpoint": lambda s, x: s.get_checkpoint(x),
    "module": lambda s, x: s.get_module_artifact(x),
}
OPTIONAL_TEXTS: dict[str, Operation] = {
    "current frame": lambda s, x: s.commit_runtime_state(changed(current_agent_frame_id=x)),
    "parent": lambda s, x: commit(s, RuntimeSessionState.new(), plugin_node("n", x)),
    "leaf": lambda s, x: s.commit_runtime_state(changed(graph=ReplaceFull([plugin_node("n")], x))),
    "leaf of a path": lambda s, x: s.load_session(ActivePath(x)),
    "tool state": lambda s, x: s.commit_runtime_state(commit_of(tool_state_ref=x)),
    "source key": lambda s, x: s.enqueue_queued_work(draft(source_key=x)),
    "folder": lambda s, x: s.save_session_meta(SessionMeta("root", "n", "t", "m", x)),
}
ALL_TEXTS: dict[str, Operation] = {**TEXT_ARGUMENTS, **OPTIONAL_TEXTS}


@pytest.mark.parametrize("where", ALL_TEXTS)
async def test_a_text_with_lone_surrogates_is_refused(full: Store, where: str) -> None:
    for text in SURROGATES:
        await refused(full, partial(ALL_TEXTS[where], full, text))


@pytest.mark.parametrize("where", ALL_TEXTS)
async def test_what_is_no_text_is_refused(full: Store, where: str) -> None:
    operation = ALL_TEXTS[where]
    for value in [b"first", 7, True, 1.5, ["first"], {"a": 1}, *[None] * (where in TEXT_ARGUMENTS)]:
        await refused(full, partial(operation, full, value))


# -- numbers -----------------------------------------------------------------------------------------------------------

COLUMN_NUMBERS: dict[str, Operation] = {
    "expected revision": lambda s, x: s.commit_runtime_state(changed(expected_head_revision=x)),
    "lease": lambda s, x: s.claim_ready_queued_work("root", "o", IDLE, x, 1),
    "lease of an exact claim": lambda s, x: s.claim_ready_queued_work_by_batch_ids("root", "o", IDLE, x, ["b"]),
    "renewed lease": lambda s, x: s.renew_queued_work_claim(claim_of(), x),
    "number of batches": lambda s, x: s.claim_ready_queued_work("root", "o", IDLE, 1, x),
    "time of availability": lambda s, x: s.enqueue_queued_work(draft(available_at_ms=x)),
    "time of an intent": lambda s, x: s.record_intent(AttachmentIntent("a", "root", "u", x)),
    "time of a list": lambda s, x: s.list_uncommitted(x),
    "revision of a head": lambda s, x: s.save_session_head_meta(
        SessionHeadMeta(head_revision=x, config=commit_of().config)
    ),
    "time of receipts": lambda s, x: s.prune_turn_commits(x),
    "kept receipts": lambda s, x: s.prune_turn_commits(1, keep_latest=x),
}
UINTS: dict[str, Operation] = {
    "turn": lambda s, x: s.commit_runtime_state(commit_of(turn_index=x)),
    "plugin snapshot": lambda s, x: s.commit_runtime_state(commit_of(plugin_snapshot_revision=x)),
    "generation": lambda s, x: s.commit_runtime_state(commit_of(tool_state={"generation": x, "tools": {}})),
}
INTS: dict[str, Operation] = {
    "usage": lambda s, x: s.append_usage_deltas([used(1), usage_of(x)]),
    "usage of a commit": lambda s, x: s.commit_runtime_state(changed(usage_deltas=[used(1), usage_of(x)])),
    "usage of a turn": lambda s, x: s.commit_runtime_state(commit_of(token_usage=TokenUsage(1, 2, 3, x))),
}
NO_NUMBERS = [True, 1.0, 1.5, "1", b"1", [1]]
OUTSIDE = {
    **{name: (operation, [-1, INT_MAX + 1, UINT_MAX + 1, 10**40]) for name, operation in COLUMN_NUMBERS.items()},
    **{name: (operation, [-1, UINT_MAX + 1, 10**40]) for name, operation in UINTS.items()},
    **{name: (operation, [INT_MIN - 1, INT_MAX + 1, 10**40]) for name, operation in INTS.items()},
}


@pytest.mark.parametrize("where", OUTSIDE)
async def test_a_number_out_of_range_is_refused(full: Store, where: str) -> None:
    operation, numbers = OUTSIDE[where]
    for number in [*numbers, *NO_NUMBERS]:
        await refused(full, partial(operation, full, number))


async def test_the_largest_numbers_are_stored_exactly(store: Store) -> None:
    entry = TokenLedgerEntry("turn", "m", TokenUsage(INT_MAX, INT_MIN, -1, 0))
    state = commit_of(turn_index=UINT_MAX, plugin_snapshot_revision=UINT_MAX, plugin_snapshot={})
    await store.commit_runtime_state(msgspec.structs.replace(state, usage_deltas=[entry]))
    read = await store.load_session()
    assert read is not None
    assert read.checkpoint is not None
    assert (read.checkpoint.turn_state.turn_index, read.checkpoint.plugin_snapshot_revision) == (UINT_MAX, UINT_MAX)
    assert await store.load_usage_deltas() == [entry]
    await store.record_intent(AttachmentIntent("a", "root", "u", INT_MAX))
    assert [entry.intent_at_epoch_ms for entry in await store.list_uncommitted(INT_MAX)] == [INT_MAX]
    assert (await store.enqueue_queued_work(draft(available_at_ms=INT_MAX))).available_at_ms == INT_MAX
    await store.enqueue_queued_work(draft())
    claim = await store.claim_ready_queued_work("root", "o", IDLE, INT_MAX, INT_MAX)
    assert claim is not None
    assert claim.expires_at_epoch_ms == INT_MAX
    assert (await store.renew_queued_work_claim(claim, INT_MAX)).expires_at_epoch_ms == INT_MAX


async def test_a_ledger_that_sums_up_beyond_64_bits_loads(store: Store) -> None:
    await commit(store, RuntimeSessionState.new(), plugin_node("n"))
    await store.append_usage_deltas([usage_of(INT_MAX), usage_of(INT_MAX), usage_of(-5)])
    read = await store.load_session()
    assert read is not None
    assert [entry.usage.reasoning_tokens for entry in read.token_ledger] == [2 * INT_MAX - 5]


# -- nodes that make no tree -------------------------------------------------------------------------------------------


async def test_nodes_without_a_root_are_stored_and_their_path_is_corrupt(store: Store) -> None:
    nodes = [plugin_node("a", "c"), plugin_node("b", "a"), plugin_node("c", "b"), plugin_node("d", "c")]
    await commit(store, RuntimeSessionState.new(), *nodes)
    read = await store.load_session()
    assert read is not None
    assert read.graph.nodes == nodes
    for leaf in ("a", "b", "c", "d"):
        with pytest.raises(StoreCorrupt):
            await store.load_session(ActivePath(leaf))


async def test_a_path_of_ten_thousand_nodes_loads(store: Store) -> None:
    ids = [str(number) for number in range(10_000)]
    nodes = [plugin_node(node_id, parent) for node_id, parent in zip(ids, [None, *ids], strict=False)]
    await commit(store, RuntimeSessionState.new(), *nodes)
    read = await store.load_session(ActivePath())
    assert read is not None
    assert read.graph.nodes == nodes


@pytest.mark.parametrize("delta", ["append", "replace"])
async def test_a_node_that_stands_twice_is_refused(full: Store, delta: str) -> None:
    nodes = [plugin_node("n"), plugin_node("n")]
    sent = appending(RuntimeSessionState.new(), nodes)
    if delta == "replace":
        sent = msgspec.structs.replace(sent, graph=ReplaceFull(nodes, "n"))
    error = await refused(full, lambda: full.commit_runtime_state(sent))
    assert isinstance(error, ConstraintViolation)
