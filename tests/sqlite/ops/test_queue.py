"""Enqueueing, listing, cancelling (specification 4.9, 4.14 to 4.16; scenarios 12 to 16, 30, 43, 44, 75)."""

import re
from typing import Any

import msgspec
import pytest

from lash_store.errors import InvalidJsonValue, InvalidRecord
from lash_store.records.queue import (
    MergeKeyPayloadDefault,
    QueuedWorkBatchDraft,
    QueuedWorkPayloadProcessWake,
    QueuedWorkPayloadSessionCommand,
    QueuedWorkPayloadTurnInput,
)
from tests.sqlite.ops.queue_rig import (
    AFTER_COMMIT,
    EARLIEST,
    EXCLUSIVE,
    JOIN,
    NOW,
    Queue,
    draft,
    text_of,
    texts,
    turn_input,
)

UNCLAIMED = (None, None, None, 0, 0, 0)
WAKE = {
    "wake_id": "wake-1",
    "target_session_id": "root",
    "target_scope_id": "session:root",
    "process_id": "process-1",
    "sequence": 7,
    "dedupe_key": "wake-dedupe-1",
    "input": "wake up",
    "created_at_ms": 5,
}


async def test_a_batch_comes_back_as_it_is_stored(queue: Queue) -> None:
    full = QueuedWorkBatchDraft(
        session_id="root",
        source_key="",
        delivery_policy=AFTER_COMMIT,
        slot_policy=EXCLUSIVE,
        merge_key=MergeKeyPayloadDefault(),
        available_at_ms=2**63 - 1,
        payloads=[
            turn_input("first"),
            QueuedWorkPayloadProcessWake(WAKE),
            QueuedWorkPayloadSessionCommand({"kind": "reset_session", "reason": "why"}),
        ],
    )
    batch = await queue.enqueue_queued_work(full)
    assert re.fullmatch("qwb:[0-9a-f]{64}", batch.batch_id)
    assert (batch.session_id, batch.source_key, batch.enqueue_seq, batch.enqueued_at_ms) == ("root", "", 1, NOW)
    assert (batch.delivery_policy, batch.slot_policy, batch.merge_key) == (AFTER_COMMIT, EXCLUSIVE, full.merge_key)
    assert batch.available_at_ms == 2**63 - 1
    assert [item.item_id for item in batch.items] == [f"{batch.batch_id}:item:{index}" for index in range(3)]
    assert [item.payload for item in batch.items] == full.payloads
    assert await queue.list_queued_work("root") == [batch]


async def test_the_rows_are_those_of_the_specification(queue: Queue) -> None:
    [batch] = await queue.put(draft("a", key="k", group="g"))
    assert await queue.rows("SELECT * FROM queued_work_batches") == [
        (1, batch.batch_id, "root", "k", "earliest_safe_boundary", "join", '{"group":"g"}', 0, NOW, *UNCLAIMED)
    ]
    payload = '{"type":"turn_input","input":{"items":[{"type":"text","text":"a"}],"image_blobs":{}}}'
    assert await queue.rows("SELECT * FROM queued_work_items") == [
        (batch.batch_id, 0, f"{batch.batch_id}:item:0", payload)
    ]


async def test_a_batch_may_be_empty(queue: Queue) -> None:
    [batch] = await queue.put(msgspec.structs.replace(draft(), payloads=[]))
    assert batch.items == []
    assert await queue.list_queued_work("root") == [batch]
    claim = await queue.must_claim()
    assert claim.batches == [batch]


async def test_a_source_key_gives_the_original_batch(queue: Queue) -> None:
    [first] = await queue.put(draft("first", key="source:first"))
    before = await queue.everything()
    [again] = await queue.put(draft("different replay payload", key="source:first", slot=EXCLUSIVE))
    assert again == first
    assert text_of(again) == "first"
    assert await queue.everything() == before


async def test_a_claimed_batch_keeps_its_source_key(queue: Queue) -> None:
    [first] = await queue.put(draft("first", key="k"))
    await queue.must_claim()
    assert await queue.put(draft("second", key="k")) == [first]


async def test_source_keys_are_of_a_session_and_none_is_no_key(queue: Queue) -> None:
    batches = await queue.put(
        draft("a", key="k"), draft("b", "other", key="k"), draft("c"), draft("d"), draft("e", key="")
    )
    assert len({batch.batch_id for batch in batches}) == 5
    assert await queue.put(draft("again", key="")) == [batches[4]]


async def test_a_completed_or_cancelled_batch_frees_its_source_key(queue: Queue) -> None:
    [first] = await queue.put(draft("first", key="k"))
    claim = await queue.must_claim()
    await queue.complete(claim.completion())
    [second] = await queue.put(draft("second", key="k"))
    assert second.batch_id != first.batch_id
    await queue.cancel_queued_work_batch("root", second.batch_id)
    [third] = await queue.put(draft("third", key="k"))
    assert texts([third]) == ["third"]


async def test_a_wake_is_enqueued_once(queue: Queue) -> None:
    wake = msgspec.structs.replace(
        draft(slot=EXCLUSIVE, key="process:process-1:event:7:wake"), payloads=[QueuedWorkPayloadProcessWake(WAKE)]
    )
    first, second = await queue.put(wake, wake)
    assert first == second
    assert len(await queue.list_queued_work("root")) == 1


async def test_handles_that_enqueue_in_the_same_millisecond_do_not_collide(queue: Queue) -> None:
    async with await Queue.open(None, queue.hand_clock) as other:
        ids = {(await one.put(draft()))[0].batch_id for one in (queue, other) for _ in range(20)}
    assert len(ids) == 40


async def test_a_list_holds_the_batches_of_one_session_in_order(queue: Queue) -> None:
    await queue.put(draft("first", key="source:first"), draft("second", slot=EXCLUSIVE), draft("foreign", "other"))
    await queue.put(draft("late", available_at_ms=NOW * 2))
    found = await queue.list_queued_work("root")
    assert texts(found) == ["first", "second", "late"]
    assert [batch.enqueue_seq for batch in found] == [1, 2, 4]
    assert texts(await queue.list_queued_work("nobody")) == []


async def test_items_come_in_their_order(queue: Queue) -> None:
    payloads: list[Any] = [turn_input(str(number)) for number in range(12)]
    [batch] = await queue.put(msgspec.structs.replace(draft(), payloads=payloads))
    [listed] = await queue.list_queued_work("root")
    claim = await queue.must_claim()
    assert [item.payload for item in listed.items] == payloads
    assert claim.batches == [batch]


async def test_pending_are_the_batches_that_nobody_holds(queue: Queue) -> None:
    await queue.put(draft("held", slot=EXCLUSIVE), draft("free"), draft("late", available_at_ms=NOW * 2))
    await queue.must_claim(ttl=10)
    assert texts(await queue.list_pending_queued_work("root")) == ["free", "late"]
    queue.hand_clock.now += 9
    assert texts(await queue.list_pending_queued_work("root")) == ["free", "late"]
    queue.hand_clock.now += 1  # a claim is live while its expiry is greater than now
    assert texts(await queue.list_pending_queued_work("root")) == ["held", "free", "late"]


async def test_cancelling_returns_the_batch(queue: Queue) -> None:
    [batch] = await queue.put(draft("cancel me", delivery=AFTER_COMMIT, slot=EXCLUSIVE))
    assert await queue.cancel_queued_work_batch("root", batch.batch_id) == batch
    assert await queue.everything() == []
    assert await queue.cancel_queued_work_batch("root", batch.batch_id) is None


async def test_what_is_held_cannot_be_cancelled(queue: Queue) -> None:
    [batch] = await queue.put(draft())
    claim = await queue.must_claim()
    before = await queue.everything()
    assert await queue.cancel_queued_work_batch("root", batch.batch_id) is None
    assert not await queue.discard_queued_work_batch("root", batch.batch_id)
    assert await queue.everything() == before
    await queue.abandon_queued_work_claim(claim)
    assert len(await queue.list_pending_queued_work("root")) == 1
    assert await queue.cancel_queued_work_batch("root", batch.batch_id) == batch


async def test_an_expired_claim_does_not_keep_a_batch_from_being_cancelled(queue: Queue) -> None:
    [batch] = await queue.put(draft())
    await queue.must_claim(ttl=0)
    assert await queue.cancel_queued_work_batch("root", batch.batch_id) == batch


async def test_another_session_cannot_cancel(queue: Queue) -> None:
    [batch] = await queue.put(draft())
    assert await queue.cancel_queued_work_batch("other", batch.batch_id) is None
    assert not await queue.discard_queued_work_batch("other", batch.batch_id)
    assert await queue.list_queued_work("root") == [batch]


async def test_what_was_given_is_not_shared_with_what_is_returned(queue: Queue) -> None:
    content: dict[str, Any] = {"items": [{"type": "text", "text": "a"}], "image_blobs": {"i": b"\x00\xff"}}
    [batch] = await queue.put(msgspec.structs.replace(draft(), payloads=[QueuedWorkPayloadTurnInput(content)]))
    content["items"].clear()
    assert text_of(batch) == "a"
    assert await queue.list_queued_work("root") == [batch]


@pytest.mark.parametrize(
    "changes",
    [
        {"session_id": 1},
        {"source_key": 7},
        {"delivery_policy": "earliest_safe_boundary"},
        {"slot_policy": JOIN.value},
        {"slot_policy": EARLIEST},
        {"merge_key": "never"},
        {"merge_key": None},
        {"available_at_ms": -1},
        {"available_at_ms": 2**63},
        {"available_at_ms": 1.0},
        {"available_at_ms": True},
        {"payloads": None},
        {"payloads": [{"type": "turn_input", "input": {}}]},
        {"payloads": [QueuedWorkPayloadTurnInput("text")]},
    ],
    ids=repr,
)
async def test_a_draft_that_is_none_writes_nothing(queue: Queue, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidRecord):
        await queue.enqueue_queued_work(msgspec.structs.replace(draft(), **changes))
    assert await queue.everything() == []


async def test_what_has_no_stored_form_writes_nothing(queue: Queue) -> None:
    for field in ("session_id", "source_key"):
        with pytest.raises(InvalidJsonValue):
            await queue.put(msgspec.structs.replace(draft(), **{field: "\ud800"}))
    for value in (float("nan"), "\ud800", {1: 2}, 2**64):
        with pytest.raises(InvalidJsonValue):
            await queue.put(
                msgspec.structs.replace(
                    draft(), payloads=[turn_input("a"), QueuedWorkPayloadTurnInput({"novelty": value})]
                )
            )
    with pytest.raises(InvalidRecord):
        await queue.enqueue_queued_work({"session_id": "root"})  # type: ignore[arg-type]
    assert await queue.everything() == []


@pytest.mark.parametrize("operation", ["cancel_queued_work_batch", "discard_queued_work_batch"])
async def test_keys_are_texts(queue: Queue, operation: str) -> None:
    for key in ((1, "a"), ("a", None), ("\ud800", "a"), ("a", "\udfff")):
        with pytest.raises(InvalidRecord):
            await getattr(queue, operation)(*key)
    for session in (None, "\ud800"):
        with pytest.raises(InvalidRecord):
            await queue.list_queued_work(session)  # type: ignore[arg-type]
        with pytest.raises(InvalidRecord):
            await queue.list_pending_queued_work(session)  # type: ignore[arg-type]
