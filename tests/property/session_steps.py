"""What can be done to a session store, each step on the store and on the model, and that both come to the same."""

from dataclasses import dataclass
from typing import Final

import msgspec

from lash_store import (
    AttachmentIntent,
    BlobArtifactDescriptor,
    BlobStorageHint,
    GcOutcome,
    PersistedArtifactKind,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    SessionGraph,
    SessionHead,
    SessionMeta,
    TokenLedgerEntry,
)
from tests.property.session_world import CONFIG, CommitSpec, NodeSpec, World, same

DESCRIPTOR: Final = BlobArtifactDescriptor(PersistedArtifactKind.TOOL_STATE, [BlobStorageHint.COMPRESSIBLE])
# Contents on both sides of the border of compression.
CONTENTS: Final = (b"", b"x", bytes(1023), bytes(1024), b"\xff" * 5000)


async def commit(world: World, handle: int, spec: CommitSpec) -> None:
    built, now = spec.build(world), world.clock.now
    result = await same(world.stores[handle].commit_runtime_state(built), lambda: world.model.commit(built, now))
    if result is not None:
        world.note(result.checkpoint_ref)
        world.parts.append(result.manifest)
        world.sent += [built] if built.turn_commit is not None else []
        world.after_commit(handle)


async def put_checkpoint(world: World, handle: int, spec: CommitSpec) -> None:
    hydrated = spec.build(world).checkpoint
    put = await same(world.stores[handle].put_checkpoint(hydrated), lambda: world.model.put_checkpoint(hydrated))
    if put is not None:
        world.note(put[0])
        world.parts.append(put[1])


async def save_head(world: World, handle: int, nodes: list[NodeSpec], leaf: int | None) -> None:
    graph = SessionGraph([node.record(world) for node in nodes], world.leaf(leaf))
    ref = None if world.model.head is None else world.model.head.checkpoint_ref
    saved = SessionHead(session_id="root", config=CONFIG, checkpoint_ref=ref, graph=graph)
    if world.model.head is None or world.model.head.session_id == "root":
        await same(world.stores[handle].save_session_head(saved), lambda: world.model.save_head(saved))


async def change_nodes(world: World, handle: int, nodes: list[NodeSpec], whole: bool) -> None:
    records = [node.record(world) for node in nodes]
    store, model = world.stores[handle], world.model
    if whole:
        await same(store.replace_session_graph(SessionGraph(records)), lambda: model.replace_nodes(records))
    else:
        await same(store.append_session_graph_nodes(records), lambda: model.append_nodes(records))


async def tombstone(world: World, handle: int, numbers: list[int]) -> None:
    ids = [world.leaf(number) or "" for number in numbers]
    await world.stores[handle].tombstone_nodes(ids)
    world.model.tombstone(ids)


async def vacuum(world: World, handle: int) -> None:
    assert (await world.stores[handle].vacuum()).removed_node_count == world.model.vacuum()


async def collect(world: World, handle: int) -> None:
    report = await world.stores[handle].gc_unreachable()
    assert (report.outcome, report.deleted_blob_count) == (GcOutcome.SWEPT, world.model.collect())


async def append_usage(world: World, handle: int, entries: list[TokenLedgerEntry]) -> None:
    await world.stores[handle].append_usage_deltas(entries)
    world.model.usage += entries


async def save_meta(world: World, handle: int, name: str) -> None:
    world.model.meta = SessionMeta("root", name, "unix:1", "m")
    await world.stores[handle].save_session_meta(world.model.meta)


async def put(world: World, handle: int, content: int, raw: bool) -> None:
    store, data = world.stores[handle], CONTENTS[content]
    real = store.put_blob(data) if raw else store.put_artifact_blob(DESCRIPTOR, data)
    await same(real, lambda: world.model.put(data))
    world.note(world.model.put(data))


async def put_artifact(world: World, handle: int, name: str, more: int) -> None:
    content = msgspec.json.encode({"module_ref": name, "more": more})
    await same(world.stores[handle].put_module_artifact(content), lambda: world.model.put_artifact(name, content))
    assert await world.stores[handle].get_module_artifact(name) == content


async def enqueue(world: World, handle: int, draft: QueuedWorkBatchDraft) -> None:
    draft = msgspec.structs.replace(
        draft, available_at_ms=world.clock.now + draft.available_at_ms if draft.available_at_ms else 0
    )
    batch = await world.stores[handle].enqueue_queued_work(draft)
    assert batch == world.model.enqueue(draft, world.clock.now, batch)


@dataclass(frozen=True)
class ClaimSpec:
    """A claim of the next `limit` batches; with `by_ids` of exactly those from number `first` on."""

    session: str
    boundary: QueuedWorkClaimBoundary
    ttl: int
    limit: int
    by_ids: bool
    first: int


async def claim(world: World, handle: int, spec: ClaimSpec) -> None:
    store, now = world.stores[handle], world.clock.now
    group = world.model.next_group(spec.session, spec.boundary, spec.limit, now)
    how = (spec.session, f"owner-{handle}", spec.boundary, spec.ttl)
    if spec.by_ids:
        mine = [queued.batch.batch_id for queued in world.model.queue if queued.batch.session_id == spec.session]
        ids = mine[spec.first : spec.first + spec.limit]
        group = world.model.next_group(spec.session, spec.boundary, len(ids), now)
        group = group if [queued.batch.batch_id for queued in group] == ids else []
        made = await store.claim_ready_queued_work_by_batch_ids(*how, ids)
    else:
        made = await store.claim_ready_queued_work(*how, spec.limit)
    assert (made is not None) == bool(group)
    if made is not None:
        assert all(made.lease_token != other.lease_token for other in world.claims)
        assert made == world.model.claim(group, now, made, spec.ttl)
        world.claims.append(made)


async def with_claim(world: World, handle: int, number: int, ttl: int | None) -> None:
    """Renew a claim, or abandon it if there is no `ttl`."""
    if not world.claims:
        return
    held, store = world.claims[-1 - number % len(world.claims)], world.stores[handle]
    if ttl is None:
        await same(store.abandon_queued_work_claim(held), lambda: world.model.abandon(held))
    else:
        await same(store.renew_queued_work_claim(held, ttl), lambda: world.model.renew(held, ttl, world.clock.now))


async def cancel(world: World, handle: int, session: str, number: int) -> None:
    ids = [queued.batch.batch_id for queued in world.model.queue] or ["qwb:none"]
    batch_id = ids[number % len(ids)]
    await same(
        world.stores[handle].cancel_queued_work_batch(session, batch_id),
        lambda: world.model.cancel(session, batch_id, world.clock.now),
    )


async def attach(world: World, handle: int, name: str, session: str, what: str) -> None:
    store, model = world.stores[handle], world.model
    intent = AttachmentIntent(name, session, f"sha256:{name}", world.clock.now % 1000)
    if what == "intend":
        await same(store.record_intent(intent), lambda: model.record_intent(intent))
    elif what == "commit":
        await same(store.commit_refs(session, [name]), lambda: model.commit_refs(session, [name], world.clock.now))
    else:
        await store.forget(name)
        model.attachments.pop(name, None)


async def wait(world: World, handle: int, milliseconds: int) -> None:
    world.clock.advance(milliseconds)
