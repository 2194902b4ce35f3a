"""A wake as queued work (session store specification 3.16, conventions of callers; A.4 for the text)."""

from lash_store import (
    CausalRefProcess,
    DeliveryPolicy,
    MergeKeyNever,
    ProcessWakeDelivery,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    QueuedWorkPayloadProcessWake,
    SlotPolicy,
    Store,
    process_wake_batch_draft,
)

WAKE = (
    b'{"wake_id":"wake-1","target_session_id":"root","target_scope_id":"session:root","process_id":"process-1",'
    b'"sequence":7,"event_type":"process.wake","event_invocation":{"scope":{"session_id":"root"},"subject":'
    b'{"type":"process_event","process_id":"process-1","sequence":7,"event_type":"process.wake"}},'
    b'"dedupe_key":"wake-dedupe-1","input":"wake payload","created_at_ms":1}'
)
DELIVERY = ProcessWakeDelivery.from_json(WAKE)


def test_a_wake_is_enqueued_as_lash_enqueues_it() -> None:
    draft = process_wake_batch_draft(DELIVERY)
    assert (draft.session_id, draft.source_key) == ("root", "process:process-1:event:7:wake")
    assert (draft.delivery_policy, draft.slot_policy) == (DeliveryPolicy.EARLIEST_SAFE_BOUNDARY, SlotPolicy.EXCLUSIVE)
    assert (draft.merge_key, draft.available_at_ms) == (MergeKeyNever(), 0)
    assert [payload.to_json() for payload in draft.payloads] == [b'{"type":"process_wake","wake":' + WAKE + b"}"]
    assert QueuedWorkBatchDraft.from_json(draft.to_json()) == draft


def test_a_cause_goes_along_in_its_place() -> None:
    caused = ProcessWakeDelivery.from_json(WAKE.replace(b'"dedupe_key"', b'"process_caused_by":null,"dedupe_key"'))
    assert process_wake_batch_draft(caused) == process_wake_batch_draft(DELIVERY)
    cause = CausalRefProcess("p").to_json()
    text = WAKE.replace(b'"dedupe_key"', b'"process_caused_by":' + cause + b',"dedupe_key"')
    (payload,) = process_wake_batch_draft(ProcessWakeDelivery.from_json(text)).payloads
    assert payload.to_json() == b'{"type":"process_wake","wake":' + text + b"}"


async def test_a_wake_is_enqueued_once_and_comes_back_as_it_was() -> None:
    async with await Store.memory() as store:
        first = await store.enqueue_queued_work(process_wake_batch_draft(DELIVERY))
        assert await store.enqueue_queued_work(process_wake_batch_draft(DELIVERY)) == first
        claim = await store.claim_ready_queued_work("root", "me", QueuedWorkClaimBoundary.IDLE, 1000, 10)
        assert claim is not None
        ((item,),) = [batch.items for batch in claim.batches]
        assert isinstance(item.payload, QueuedWorkPayloadProcessWake)
        assert ProcessWakeDelivery.from_json(item.payload.wake) == DELIVERY
