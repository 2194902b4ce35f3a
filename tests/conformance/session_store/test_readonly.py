"""Scenario 76: through a read-only handle nothing is written, and each attempt says so."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lash_store import (
    BlobArtifactDescriptor,
    HydratedSessionCheckpoint,
    PersistedArtifactKind,
    PersistedSessionConfig,
    ReplaceFull,
    SessionGraph,
    SessionHead,
    SessionHeadMeta,
    SessionMeta,
    Store,
    StoreOpenFailed,
    StoreReadOnly,
)
from tests.conformance.session_store.artifacts import ARTIFACT, MODULE_REF
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import (
    IDLE,
    MODEL,
    TTL_MS,
    claimed,
    draft,
    enqueued,
    intent,
    message,
    root_commit,
    texts_of,
    uncommitted,
    used,
)
from tests.conformance.session_store.rows import names_in

CONFIG = PersistedSessionConfig("p", MODEL)
Write = Callable[[Store], Awaitable[object]]
WRITES: dict[str, Write] = {
    "save_session_meta": lambda s: s.save_session_meta(SessionMeta("root", "n", "c", "m")),
    "save_session_head": lambda s: s.save_session_head(SessionHead(config=CONFIG)),
    "save_session_head_meta": lambda s: s.save_session_head_meta(SessionHeadMeta(config=CONFIG)),
    "replace_session_graph": lambda s: s.replace_session_graph(SessionGraph()),
    "append_session_graph_nodes": lambda s: s.append_session_graph_nodes([message("n")]),
    "append_usage_deltas": lambda s: s.append_usage_deltas([used("a", "b", 1, 1, 1, 1)]),
    "put_blob": lambda s: s.put_blob(b"new"),
    "put_artifact_blob": lambda s: s.put_artifact_blob(
        BlobArtifactDescriptor(PersistedArtifactKind.GENERIC_BLOB), b"new"
    ),
    "put_checkpoint": lambda s: s.put_checkpoint(HydratedSessionCheckpoint(execution_state=b"new")),
    "put_module_artifact": lambda s: s.put_module_artifact(ARTIFACT),
    "commit_runtime_state": lambda s: s.commit_runtime_state(root_commit()),
    "enqueue_queued_work": lambda s: s.enqueue_queued_work(draft("new")),
    "claim_ready_queued_work": lambda s: s.claim_ready_queued_work("root", "o", IDLE, TTL_MS, 1),
    "tombstone_nodes": lambda s: s.tombstone_nodes(["m1"]),
    "vacuum": lambda s: s.vacuum(),
    "gc_unreachable": lambda s: s.gc_unreachable(),
    "record_intent": lambda s: s.record_intent(intent("new")),
    "commit_refs": lambda s: s.commit_refs("root", ["a"]),
    "forget": lambda s: s.forget("a"),
}


async def filled(stores: Stores) -> None:
    """A closed file with something in every table, and nothing in its log."""
    async with await stores.file() as store:
        await store.save_session_meta(SessionMeta("root", "n", "c", "m"))
        graph = ReplaceFull([message("m1", text="hello"), message("hidden", "m1")], "m1")
        await store.commit_runtime_state(root_commit(graph=graph, usage_deltas=[used("a", "b", 1, 2, 3, 4)]))
        await store.tombstone_nodes(["hidden"])
        await enqueued(store, "work", "more")
        await store.record_intent(intent("a"))
        await store.put_blob(b"unreachable")


@pytest.mark.parametrize("name", WRITES)
async def test_scenario_76_every_write_through_a_read_only_handle_fails(stores: Stores, name: str) -> None:
    """Upstream swallows some of these failures; here each is an error."""
    await filled(stores)
    before = stores.path.read_bytes()
    async with await stores.readonly() as store:
        with pytest.raises(StoreReadOnly):
            await WRITES[name](store)
    assert stores.path.read_bytes() == before


async def test_what_can_be_done_with_a_claim_fails_too(stores: Stores) -> None:
    await filled(stores)
    async with await stores.file() as writer:
        claim = await claimed(writer, limit=1)
        (other,) = [batch for batch in await writer.list_queued_work("root") if batch != claim.batches[0]]
    before = hashlib.sha256(stores.path.read_bytes())
    store = await stores.readonly()
    for attempt in (
        store.renew_queued_work_claim(claim, TTL_MS),
        store.abandon_queued_work_claim(claim),
        store.cancel_queued_work_batch("root", other.batch_id),
        store.claim_ready_queued_work_by_batch_ids("root", "o", IDLE, TTL_MS, [other.batch_id]),
        store.commit_runtime_state(root_commit().completing_queue_claims([claim.completion()])),
    ):
        with pytest.raises(StoreReadOnly):
            await attempt
    assert hashlib.sha256(stores.path.read_bytes()).digest() == before.digest()


async def test_everything_can_be_read(stores: Stores) -> None:
    await filled(stores)
    store = await stores.readonly()
    read = await store.load_session()
    assert read is not None
    assert read.checkpoint is not None
    assert read.token_ledger == [used("a", "b", 1, 2, 3, 4)]
    assert await store.load_node("m1") == message("m1", text="hello")
    info = await store.load_picker_info()
    assert info is not None
    assert (info.user_message_count, info.first_user_message) == (1, "hello")
    assert texts_of(await store.list_pending_queued_work("root")) == ["work", "more"]
    assert await uncommitted(store) == ["a"]
    assert await store.get_module_artifact(MODULE_REF) is None


async def test_a_missing_file_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(StoreOpenFailed):
        await Store.open_readonly(tmp_path / "missing.db")
    assert names_in(tmp_path) == []
