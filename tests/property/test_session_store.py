"""Random sequences of every operation do to a session store what they do to a model of lists and dictionaries."""

import asyncio
import random
import tempfile
import zlib
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lash_store import (
    ActivePath,
    AttachmentManifestEntry,
    BlobProfile,
    FullGraph,
    SessionGraph,
    Store,
    StoreOptions,
)
from tests.clocks import ManualClock
from tests.property.session_dice import STEPS, Step, step_of
from tests.property.session_model import Model
from tests.property.session_world import World

FAR_FUTURE_MS = 2**63 - 1
QUERIES = {
    "blobs": "SELECT hash, content FROM blobs ORDER BY hash",
    "session_head": "SELECT singleton, session_id, head_json, head_revision FROM session_head",
    "graph_nodes": "SELECT node_id, node_json, tombstoned FROM graph_nodes ORDER BY seq",
    "usage_deltas": "SELECT source, model, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens"
    " FROM usage_deltas ORDER BY seq",
    "session_meta": "SELECT session_id, session_name FROM session_meta",
    "runtime_turn_commits": "SELECT session_id, turn_id, turn_commit_hash, result_json, committed_at_ms"
    " FROM runtime_turn_commits ORDER BY 1, 2",
    "queued_work_batches": "SELECT enqueue_seq, batch_id, source_key, claim_id, claim_owner_id, claim_token,"
    " claim_fencing_token, claim_claimed_at_ms, claim_expires_at_ms FROM queued_work_batches ORDER BY enqueue_seq",
    "queued_work_items": "SELECT b.batch_id, i.item_id, i.payload_json FROM queued_work_items i"
    " JOIN queued_work_batches b USING (batch_id) ORDER BY b.enqueue_seq, i.item_index",
    "attachment_manifest": "SELECT attachment_id, session_id, intent_at_ms, committed_at_ms"
    " FROM attachment_manifest ORDER BY 1",
    "artifact_refs": "SELECT artifact_ref, blob_ref FROM artifact_refs ORDER BY 1",
}
Rows = dict[str, list[tuple[Any, ...]]]


def rows_of(model: Model) -> Rows:
    """What must stand in the tables; blobs with their logical contents."""
    head = [] if model.head is None else [model.head]
    claims = [(queued, queued.claim or (None, None, None)) for queued in model.queue]
    return {
        "blobs": sorted(model.blobs.items()),
        "session_head": [(1, one.session_id, one.to_json().decode(), one.head_revision) for one in head],
        "graph_nodes": [(n.record.node_id, n.record.to_json().decode(), int(n.hidden)) for n in model.nodes],
        "usage_deltas": [
            (
                entry.source,
                entry.model,
                entry.usage.input_tokens,
                entry.usage.output_tokens,
                entry.usage.cached_input_tokens,
                entry.usage.reasoning_tokens,
            )
            for entry in model.usage
        ],
        "session_meta": [] if model.meta is None else [(model.meta.session_id, model.meta.session_name)],
        "runtime_turn_commits": sorted(
            (*key, turn.hash, turn.result.to_json().decode(), turn.at) for key, turn in model.turns.items()
        ),
        "queued_work_batches": [
            (q.batch.enqueue_seq, q.batch.batch_id, q.batch.source_key, *claim, q.fencing, q.claimed_at, q.expires_at)
            for q, claim in claims
        ],
        "queued_work_items": [
            (queued.batch.batch_id, item.item_id, item.payload.to_json().decode())
            for queued in model.queue
            for item in queued.batch.items
        ],
        "attachment_manifest": sorted(
            (name, intent.session_id, intent.intent_at_epoch_ms, committed)
            for name, (intent, committed) in model.attachments.items()
        ),
        "artifact_refs": sorted(model.artifacts.items()),
    }


def logical(stored: bytes) -> bytes:
    """The content of a blob's row: out of its envelope if it is in one. Raw contents here never look like one."""
    if not stored.startswith(b"\x83\xaadescriptor"):
        return stored
    envelope = msgspec.msgpack.decode(stored)
    content = bytes(envelope["content"])
    return zlib.decompress(content) if envelope["compression"] == "Zlib" else content


def read_rows(connection: apsw.Connection) -> Rows:
    rows: Rows = {table: connection.execute(sql).fetchall() for table, sql in QUERIES.items()}
    return {**rows, "blobs": [(ref, logical(stored)) for ref, stored in rows["blobs"]]}


async def agree(world: World, store: Store) -> None:
    """Tables and reads say what the model says."""
    model = world.model
    rows = await store._read(read_rows)
    expected = rows_of(model)
    for table in QUERIES:
        assert rows[table] == expected[table], table
    await agree_on_reads(model, store)
    await agree_on_queue(model, store, world.clock.now)
    assert await store.list_uncommitted(FAR_FUTURE_MS) == [
        AttachmentManifestEntry(name, intent.session_id, intent.canonical_uri, intent.intent_at_epoch_ms)
        for name, (intent, committed) in sorted(
            model.attachments.items(), key=lambda item: (item[1][0].intent_at_epoch_ms, item[0])
        )
        if committed is None
    ]


async def agree_on_reads(model: Model, store: Store) -> None:
    whole, path = await store.load_session(FullGraph()), await store.load_session(ActivePath())
    assert (whole is None) == (path is None) == (model.head is None)
    assert await store.load_usage_deltas() == model.usage
    assert await store.load_session_meta() == model.meta
    for node in model.nodes[-2:]:
        assert await store.load_node(node.record.node_id) == (None if node.hidden else node.record)
    if model.meta is not None:
        info = await store.load_picker_info()
        messages = model.user_messages()
        assert info is not None
        assert (info.user_message_count, info.first_user_message) == (len(messages), (messages or [""])[0])
    if whole is None or path is None or model.head is None:
        return
    assert whole.graph == SessionGraph(model.visible(), model.head.leaf_node_id)
    assert path.graph == SessionGraph(model.path(model.head.leaf_node_id), model.head.leaf_node_id)
    assert (whole.session_id, whole.head_revision) == (model.head.session_id, model.head.head_revision)
    assert whole.agent_frames == model.head.agent_frames
    assert whole.token_ledger == model.ledger()
    assert whole.checkpoint_ref == model.head.checkpoint_ref
    if model.head.checkpoint_ref is not None:
        assert whole.checkpoint is not None
        assert await store.get_blob(model.head.checkpoint_ref) == model.blobs[model.head.checkpoint_ref]


async def agree_on_queue(model: Model, store: Store, now: int) -> None:
    for session in ("root", "other"):
        mine = [queued for queued in model.queue if queued.batch.session_id == session]
        assert await store.list_queued_work(session) == [queued.batch for queued in mine]
        assert await store.list_pending_queued_work(session) == [q.batch for q in mine if q.free(now)]


async def play(steps: list[Step], path: Path | None, auto_gc: int | None, profile: BlobProfile) -> None:
    """The steps on a store in memory, or on two handles of one file, which is opened once more at the end."""
    clock = ManualClock()
    options = StoreOptions(clock=clock, auto_gc_every_commits=auto_gc, blob_profile=profile)
    async with AsyncExitStack() as stack:
        if path is None:
            stores = [await stack.enter_async_context(await Store.memory(options))]
        else:
            stores = [await stack.enter_async_context(await Store.open(path, options)) for _ in range(2)]
        world = World(stores, clock, auto_gc)
        for number, step in enumerate(steps):
            await step.run(world)
            await agree(world, stores[number % len(stores)])
    if path is not None:
        async with await Store.open(path, options) as reopened:
            await agree(world, reopened)


async def play_on_file(steps: list[Step], auto_gc: int | None, profile: BlobProfile) -> None:
    with tempfile.TemporaryDirectory() as folder:
        await play(steps, Path(folder) / "session.db", auto_gc, profile)


INTERVALS = st.sampled_from([None, None, 1, 2])


@settings(max_examples=25, derandomize=True)
@given(STEPS, INTERVALS, st.sampled_from(BlobProfile))
def test_in_memory(steps: list[Step], auto_gc: int | None, profile: BlobProfile) -> None:
    asyncio.run(play(steps, None, auto_gc, profile))


@settings(max_examples=15, derandomize=True)
@given(STEPS, INTERVALS, st.sampled_from(BlobProfile))
def test_on_two_handles_of_one_file(steps: list[Step], auto_gc: int | None, profile: BlobProfile) -> None:
    asyncio.run(play_on_file(steps, auto_gc, profile))


@pytest.mark.parametrize("seed", range(12))
async def test_a_long_run(seed: int) -> None:
    """As varied as random numbers are. A failing one is cut down by giving its steps to one of the tests above."""
    dice = random.Random(seed)
    steps = [step_of(dice.randrange(1, 2**32)) for _ in range(250)]
    how = (dice.choice([None, 1, 2, 3]), dice.choice(list(BlobProfile)))
    await (play(steps, None, *how) if seed % 2 else play_on_file(steps, *how))
