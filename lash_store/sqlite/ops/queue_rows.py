"""How batches of queued work lie in their rows, and how they are read (specification 2.7, 2.8, 3.16)."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from lash_store.errors import InvalidRecord, StoreCorrupt
from lash_store.records.queue import (
    DeliveryPolicy,
    MergeKey,
    QueuedWorkBatch,
    QueuedWorkItem,
    QueuedWorkPayload,
    SlotPolicy,
)
from lash_store.records.record import read_json
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.ops.texts import column_text

# A text that is not UTF-8 would fail the statement that reads it. As a blob it is found here, as this batch's.
BATCH_COLUMNS: Final = """
    batch_id, session_id, enqueue_seq, CAST(source_key AS BLOB), CAST(delivery_policy AS BLOB),
    CAST(slot_policy AS BLOB), CAST(merge_key_json AS BLOB), available_at_ms, enqueued_at_ms"""
ITEM_COLUMNS: Final = "item.batch_id, item.item_id, CAST(item.payload_json AS BLOB)"

_DELIVERY_POLICIES: Final = {policy.value.encode(): policy for policy in DeliveryPolicy}
_SLOT_POLICIES: Final = {policy.value.encode(): policy for policy in SlotPolicy}
_KIND: Final = "QueuedWorkBatch"

Row = tuple[Any, ...]
T = TypeVar("T")


def read_batches(rows: Iterable[Row], item_rows: Iterable[Row]) -> list[QueuedWorkBatch]:
    """The batches of rows of BATCH_COLUMNS, in their order, with their items from rows of ITEM_COLUMNS.

    Raises StoreCorrupt, whose key is the batch's id, for one that cannot be read.
    """
    items: dict[str, list[QueuedWorkItem]] = {}
    for batch_id, item_id, payload in item_rows:
        items.setdefault(batch_id, []).append(_item(batch_id, item_id, payload))
    return [_batch(row, items.get(row[0], [])) for row in rows]


def read_payload(text: bytes) -> QueuedWorkPayload:
    """The payload of a stored text. Raises InvalidRecord."""
    return read_json(QueuedWorkPayload, text)  # type: ignore[no-any-return]


def _item(batch_id: str, item_id: Any, payload: bytes) -> QueuedWorkItem:
    try:
        return QueuedWorkItem(column_text(_KIND, "item_id", item_id), read_payload(payload))
    except InvalidRecord as error:
        raise _corrupt(batch_id) from error


def _batch(row: Row, items: list[QueuedWorkItem]) -> QueuedWorkBatch:
    batch_id, session_id, enqueue_seq, source_key, delivery_policy, slot_policy, merge_key, available, enqueued = row
    try:
        return QueuedWorkBatch(
            batch_id=batch_id,
            session_id=session_id,
            enqueue_seq=enqueue_seq,
            source_key=None if source_key is None else _text("source_key", source_key),
            delivery_policy=_member("delivery_policy", _DELIVERY_POLICIES, delivery_policy),
            slot_policy=_member("slot_policy", _SLOT_POLICIES, slot_policy),
            merge_key=_merge_key(merge_key),
            available_at_ms=_uint("available_at_ms", available),
            enqueued_at_ms=column_integer(_KIND, "enqueued_at_ms", enqueued),
            items=items,
        )
    except InvalidRecord as error:
        raise _corrupt(batch_id) from error


# The same few keys come again and again. They are frozen, so batches can share them.
@functools.lru_cache(maxsize=1024)
def _merge_key(text: bytes) -> MergeKey:
    return read_json(MergeKey, text)  # type: ignore[no-any-return]


def _member(field: str, members: Mapping[bytes, T], text: bytes) -> T:
    if text not in members:
        raise InvalidRecord(_KIND, f"$.{field}", f"{text!r} is none of {', '.join(map(bytes.decode, members))}")
    return members[text]


def _text(field: str, text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise InvalidRecord(_KIND, f"$.{field}", "the text is not UTF-8") from error


def _uint(field: str, value: object) -> int:
    if type(value) is not int:
        raise InvalidRecord(_KIND, f"$.{field}", f"expected an integer, got a {type(value).__name__}")
    # alpha.40 lets a uint above 2^63-1 wrap when it writes the column, and back when it reads it.
    return value if value >= 0 else value + 2**64


def _corrupt(batch_id: str) -> StoreCorrupt:
    return StoreCorrupt("queued_work_batch", batch_id)
