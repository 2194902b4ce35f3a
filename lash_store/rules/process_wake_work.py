"""The queued work that a wake is (session store specification 3.16)."""

import msgspec

from lash_store.codecs.ids import wake_source_key
from lash_store.records.process_event import ProcessWakeDelivery
from lash_store.records.queue import (
    DeliveryPolicy,
    QueuedWorkBatchDraft,
    QueuedWorkPayloadProcessWake,
    SlotPolicy,
)


def process_wake_batch_draft(delivery: ProcessWakeDelivery) -> QueuedWorkBatchDraft:
    """The batch by which lash enqueues a wake in the store of the session that it wakes, `target_session_id`.

    While it is queued, the wake of the same event is not enqueued again: its source key names process and sequence.
    Raises InvalidRecord or InvalidJsonValue for a delivery that cannot be stored.
    """
    return QueuedWorkBatchDraft(
        session_id=delivery.target_session_id,
        source_key=wake_source_key(delivery.process_id, delivery.sequence),
        delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot_policy=SlotPolicy.EXCLUSIVE,
        payloads=[QueuedWorkPayloadProcessWake(msgspec.json.decode(delivery.to_json()))],
    )
