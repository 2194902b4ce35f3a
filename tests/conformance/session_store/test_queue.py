"""Scenarios 12 to 18, 30, 31 and 75: batches are enqueued, listed, cancelled and claimed by id."""

import msgspec

from lash_store import (
    MergeKeyGroup,
    MergeKeyNever,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkPayloadProcessWake,
    Store,
)
from tests.clocks import NOW_MS, ManualClock
from tests.conformance.session_store.examples import (
    AFTER_COMMIT,
    CHECKPOINT,
    EARLIEST,
    EXCLUSIVE,
    IDLE,
    JOIN,
    TTL_MS,
    claimed,
    draft,
    enqueued,
    listed,
    pending,
    root_commit,
    texts_of,
)
from tests.conformance.session_store.rows import everything
from tests.golden import vectors


async def first_batch(store: Store) -> QueuedWorkBatch:
    return await store.enqueue_queued_work(draft("first", key="source:first", slot=JOIN))


async def test_scenario_12_a_source_key_is_enqueued_once(store: Store, clock: ManualClock) -> None:
    batch = await first_batch(store)
    clock.advance(1)
    again = await store.enqueue_queued_work(draft("different replay payload", key="source:first", slot=JOIN))
    assert again == batch
    assert [item.item_id for item in again.items] == [f"{batch.batch_id}:item:0"]
    assert texts_of([again]) == ["first"]
    assert await listed(store) == ["first"]


async def test_scenario_13_a_session_lists_its_own_batches(store: Store) -> None:
    first = await first_batch(store)
    (second,) = await enqueued(store, "second")
    await enqueued(store, "other", session="other")
    batches = await store.list_queued_work("root")
    assert batches == [first, second]
    assert batches[0].enqueue_seq < batches[1].enqueue_seq


async def test_scenario_14_an_unclaimed_batch_is_cancelled(store: Store) -> None:
    (batch,) = await enqueued(store, "cancel me", policy=AFTER_COMMIT)
    assert await store.cancel_queued_work_batch("other", batch.batch_id) is None
    cancelled = await store.cancel_queued_work_batch("root", batch.batch_id)
    assert cancelled == batch
    assert texts_of([batch]) == ["cancel me"]
    assert await listed(store) == []
    assert (await everything(store))["queued_work_items"] == []
    assert await store.cancel_queued_work_batch("root", batch.batch_id) is None


async def claimed_batch(store: Store) -> QueuedWorkClaim:
    await enqueued(store, "work")
    return await claimed(store, limit=1)


async def test_scenario_15_a_claimed_batch_cannot_be_cancelled(store: Store) -> None:
    claim = await claimed_batch(store)
    assert await pending(store) == []
    assert await listed(store) == ["work"]
    assert await store.cancel_queued_work_batch("root", claim.batches[0].batch_id) is None
    assert await listed(store) == ["work"]


async def test_scenario_16_an_abandoned_batch_can(store: Store) -> None:
    claim = await claimed_batch(store)
    await store.abandon_queued_work_claim(claim)
    assert await pending(store) == ["work"]
    assert await store.cancel_queued_work_batch("root", claim.batches[0].batch_id) == claim.batches[0]
    await store.abandon_queued_work_claim(claim)


async def two_batches(store: Store) -> list[QueuedWorkBatch]:
    return await enqueued(store, "first", "second", policy=AFTER_COMMIT)


async def test_scenario_17_an_exact_claim_does_not_jump_the_queue(store: Store) -> None:
    """Other than upstream's, a failed attempt leaves nothing behind: no fencing token is raised (weakness 21)."""
    _, second = await two_batches(store)
    before = await everything(store)
    assert await store.claim_ready_queued_work_by_batch_ids("root", "owner-a", IDLE, TTL_MS, [second.batch_id]) is None
    assert await pending(store) == ["first", "second"]
    assert await everything(store) == before


async def test_scenario_18_the_exact_claim_of_what_is_next(store: Store) -> None:
    first, _ = await two_batches(store)
    claim = await store.claim_ready_queued_work_by_batch_ids("root", "owner-a", IDLE, TTL_MS, [first.batch_id])
    assert claim is not None
    assert claim.batches == [first]
    assert await pending(store) == ["second"]
    assert await store.claim_ready_queued_work_by_batch_ids("root", "owner-a", IDLE, TTL_MS, []) is None


def wake_draft() -> QueuedWorkBatchDraft:
    """Made by the conventions of 3.16."""
    return QueuedWorkBatchDraft(
        session_id="root",
        source_key="process:process-1:event:7:wake",
        delivery_policy=EARLIEST,
        slot_policy=EXCLUSIVE,
        merge_key=MergeKeyNever(),
        payloads=[QueuedWorkPayloadProcessWake.from_json(vectors.text("payload_process_wake.json"))],
    )


async def test_scenario_30_a_wake_is_enqueued_once(store: Store) -> None:
    first = await store.enqueue_queued_work(wake_draft())
    second = await store.enqueue_queued_work(wake_draft())
    assert first.batch_id == second.batch_id
    assert await store.list_queued_work("root") == [first]


async def test_scenario_31_and_is_claimed_and_completed(store: Store) -> None:
    await store.enqueue_queued_work(wake_draft())
    await store.enqueue_queued_work(wake_draft())
    claim = await claimed(store)
    (item,) = claim.batches[0].items
    assert len(claim.batches) == 1
    assert isinstance(item.payload, QueuedWorkPayloadProcessWake)
    assert item.payload == wake_draft().payloads[0]
    await store.commit_runtime_state(root_commit().completing_queue_claims([claim.completion()]))
    assert await store.list_queued_work("root") == []


async def test_scenario_75_a_completed_source_key_is_free_again(store: Store) -> None:
    (first,) = await enqueued(store, "first", key="k")
    claim = await claimed(store)
    await store.commit_runtime_state(root_commit().completing_queue_claims([claim.completion()]))
    (second,) = await enqueued(store, "second", key="k")
    assert second.batch_id != first.batch_id
    assert await listed(store) == ["second"]


async def test_a_batch_holds_what_its_draft_said(store: Store) -> None:
    asked = draft("a", "b", key="", group="g", slot=JOIN, available=NOW_MS + 1)
    batch = await store.enqueue_queued_work(asked)
    assert (batch.source_key, batch.merge_key) == ("", MergeKeyGroup("g"))
    assert (batch.delivery_policy, batch.slot_policy) == (EARLIEST, JOIN)
    assert (batch.available_at_ms, batch.enqueued_at_ms) == (NOW_MS + 1, NOW_MS)
    assert [item.payload for item in batch.items] == asked.payloads
    assert [item.item_id for item in batch.items] == [f"{batch.batch_id}:item:{index}" for index in range(2)]
    empty = await store.enqueue_queued_work(draft())
    assert empty.items == []
    assert await store.list_pending_queued_work("root") == [batch, empty]
    assert await store.enqueue_queued_work(msgspec.structs.replace(asked, payloads=[])) == batch


async def test_a_source_key_belongs_to_its_session(store: Store) -> None:
    first, second = [(await enqueued(store, name, session=name, key="k"))[0] for name in ("root", "other")]
    assert first.batch_id != second.batch_id
    assert await store.list_queued_work("other") == [second]


async def test_nothing_is_claimed_where_nothing_is(store: Store) -> None:
    assert await store.claim_ready_queued_work("root", "owner-a", IDLE, TTL_MS, 10) is None
    await enqueued(store, "work")
    assert await store.claim_ready_queued_work("root", "owner-a", CHECKPOINT, TTL_MS, 0) is None
    assert await store.claim_ready_queued_work("other", "owner-a", IDLE, TTL_MS, 10) is None
    assert await pending(store) == ["work"]
