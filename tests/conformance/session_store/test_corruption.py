"""What cannot be read is an error that names it: nothing is skipped or taken for absent (weaknesses 2, 4, 5)."""

from collections.abc import Awaitable, Callable

import pytest

from lash_store import (
    ActivePath,
    Append,
    BlobMissing,
    HydratedSessionCheckpoint,
    MergeKeyNever,
    PersistedArtifactKind,
    ReplaceFull,
    SessionMeta,
    Store,
    StoreCorrupt,
)
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import (
    IDLE,
    TTL_MS,
    commit_of,
    descriptor,
    enqueued,
    message,
    root_commit,
    session_state,
    tools,
    used,
)
from tests.conformance.session_store.rows import change, everything

Read = Callable[[Store], Awaitable[object]]


async def filled(stores: Stores) -> Store:
    """A store with something in every table that is read back."""
    store = await stores.file()
    await store.save_session_meta(SessionMeta("root", "n", "c", "m"))
    state = session_state()
    state.tool_state = tools(3)
    commit = commit_of(state, [used("turn", "m", 1, 2, 3, 4)]).with_turn_commit("turn")
    await store.commit_runtime_state(commit)
    await store.commit_runtime_state(root_commit(graph=ReplaceFull([message("a"), message("b", "a")], "b")))
    await enqueued(store, "work")
    return store


def whole(store: Store) -> Awaitable[object]:
    return store.load_session()


def claim(store: Store) -> Awaitable[object]:
    return store.claim_ready_queued_work("root", "o", IDLE, TTL_MS, 1)


STORED_HASH = commit_of(session_state()).turn_commit_hash()
DAMAGES: dict[str, tuple[str, Read]] = {
    "head": ("UPDATE session_head SET head_json = '{}'", whole),
    "head, helper": ("UPDATE session_head SET head_json = 'x'", lambda s: s.load_session_head_meta()),
    "head revision": ("UPDATE session_head SET head_revision = -1", whole),
    "node": ("UPDATE graph_nodes SET node_json = '{}' WHERE node_id = 'a'", whole),
    "node, not JSON": ("UPDATE graph_nodes SET node_json = 'x' WHERE node_id = 'a'", whole),
    "node on the path": (
        "UPDATE graph_nodes SET node_json = json_remove(node_json, '$.timestamp') WHERE node_id = 'a'",
        lambda s: s.load_session(ActivePath()),
    ),
    "node by id": ("UPDATE graph_nodes SET node_json = '{}'", lambda s: s.load_node("a")),
    "node of the head": ("UPDATE graph_nodes SET node_json = '{}'", lambda s: s.load_session_head()),
    "manifest": ("UPDATE blobs SET content = x'00' WHERE instr(content, CAST('CheckpointManifest' AS BLOB))", whole),
    "usage": ("UPDATE usage_deltas SET input_tokens = 'x'", whole),
    "usage, raw": ("UPDATE usage_deltas SET model = x'ff'", lambda s: s.load_usage_deltas()),
    "relation": ("UPDATE session_meta SET relation_json = '{}'", lambda s: s.load_session_meta()),
    "relation in the picker": ("UPDATE session_meta SET relation_json = 'x'", lambda s: s.load_picker_info()),
    "stored result": (
        "UPDATE runtime_turn_commits SET result_json = '{}'",
        lambda s: s.commit_runtime_state(root_commit().with_turn_commit("turn", STORED_HASH)),
    ),
    "payload": ("UPDATE queued_work_items SET payload_json = '{}'", lambda s: s.list_queued_work("root")),
    "payload of a claim": ("UPDATE queued_work_items SET payload_json = '{}'", claim),
    "delivery policy": ("UPDATE queued_work_batches SET delivery_policy = 'x'", claim),
    "slot policy": ("UPDATE queued_work_batches SET slot_policy = 'x'", lambda s: s.list_pending_queued_work("root")),
    "merge key": ("UPDATE queued_work_batches SET merge_key_json = '{}'", claim),
}


@pytest.mark.parametrize("what", DAMAGES)
async def test_what_cannot_be_read_is_an_error(stores: Stores, what: str) -> None:
    store = await filled(stores)
    damage, read = DAMAGES[what]
    if what == "stored result":
        change(stores.path, "UPDATE runtime_turn_commits SET turn_commit_hash = ?", STORED_HASH)
    assert change(stores.path, damage) >= 1
    before = await everything(store)
    with pytest.raises(StoreCorrupt) as caught:
        await read(store)
    assert caught.value.kind
    assert caught.value.key
    assert await everything(store) == before


async def test_unreadable_work_does_not_stand_in_the_way_of_other_sessions(stores: Stores) -> None:
    store = await filled(stores)
    change(stores.path, "UPDATE queued_work_batches SET merge_key_json = 'x'")
    (batch,) = await enqueued(store, "other", session="other")
    assert batch.merge_key == MergeKeyNever()
    assert await store.list_queued_work("other") == [batch]
    made = await store.claim_ready_queued_work("other", "o", IDLE, TTL_MS, 1)
    assert made is not None
    assert made.batches == [batch]


async def test_readable_work_behind_unreadable_work_can_be_cancelled(stores: Stores) -> None:
    """Weakness 18: upstream's unreadable row blocks its session for ever."""
    store = await filled(stores)
    (other,) = await enqueued(store, "other")
    change(stores.path, "UPDATE queued_work_batches SET merge_key_json = 'x' WHERE batch_id <> ?", other.batch_id)
    assert await store.cancel_queued_work_batch("root", other.batch_id) == other


async def test_a_circle_of_parents_ends(stores: Stores) -> None:
    """Weakness 26: upstream's query never does."""
    store = await filled(stores)
    change(stores.path, "UPDATE graph_nodes SET node_json = json_set(node_json, '$.parent_node_id', 'b')")
    with pytest.raises(StoreCorrupt):
        await store.load_session(ActivePath())


async def test_a_missing_part_is_told_from_a_damaged_one(stores: Stores) -> None:
    """Section 4.23: missing children are none beside their refs; unreadable ones are errors here."""
    store = await filled(stores)
    ref, manifest = await store.put_checkpoint(HydratedSessionCheckpoint(tool_state=tools(9)))
    change(stores.path, "UPDATE blobs SET content = x'00' WHERE hash = ?", manifest.tool_state_ref)
    with pytest.raises(StoreCorrupt):
        await store.get_checkpoint(ref)
    change(stores.path, "DELETE FROM blobs WHERE hash = ?", manifest.tool_state_ref)
    checkpoint = await store.get_checkpoint(ref)
    assert checkpoint is not None
    assert (checkpoint.tool_state, checkpoint.tool_state_ref) == (None, manifest.tool_state_ref)


async def test_a_child_of_the_wrong_kind_is_an_error(stores: Stores) -> None:
    store = await filled(stores)
    wrong = await store.put_artifact_blob(descriptor(PersistedArtifactKind.TOOL_STATE), b"\xc0")
    ref, _ = await store.put_checkpoint(HydratedSessionCheckpoint(tool_state_ref=wrong))
    with pytest.raises(StoreCorrupt):
        await store.get_checkpoint(ref)


async def test_a_ref_without_a_value_must_be_stored(store: Store) -> None:
    """Weakness 30; nothing of such a commit is written."""
    before = await everything(store)
    lost = HydratedSessionCheckpoint(execution_state_ref="0" * 64)
    with pytest.raises(BlobMissing) as caught:
        await store.commit_runtime_state(root_commit(checkpoint=lost, graph=Append([message("a")], "a")))
    assert caught.value.ref == "0" * 64
    with pytest.raises(BlobMissing):
        await store.put_checkpoint(lost)
    assert await everything(store) == before
