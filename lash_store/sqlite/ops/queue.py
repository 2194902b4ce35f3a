"""The work queue: its tables, and every operation on it that is no claim (specification 2.7, 2.8, 4.9, 4.14 to 4.16).

Claims are in queue_claim, their completion by a commit in queue_completion.
"""

import secrets
from typing import TYPE_CHECKING, Final

import msgspec

from lash_store.codecs import ids
from lash_store.errors import InvalidRecord
from lash_store.records.queue import QueuedWorkBatch, QueuedWorkBatchDraft, QueuedWorkItem, QueuedWorkPayload
from lash_store.sqlite.ops.queue_claim import DUE
from lash_store.sqlite.ops.queue_rows import BATCH_COLUMNS, ITEM_COLUMNS, read_batches, read_payload
from lash_store.sqlite.ops.texts import column_text
from lash_store.sqlite.plan import Expect, Otherwise, Plan, PlanResult, Step

if TYPE_CHECKING:
    import apsw

TABLES: Final = {
    "queued_work_batches": """
CREATE TABLE IF NOT EXISTS queued_work_batches (
    enqueue_seq INTEGER PRIMARY KEY,
    batch_id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL,
    source_key TEXT,
    delivery_policy TEXT NOT NULL,
    slot_policy TEXT NOT NULL,
    merge_key_json TEXT NOT NULL,
    available_at_ms INTEGER NOT NULL,
    enqueued_at_ms INTEGER NOT NULL,
    claim_id TEXT,
    claim_owner_id TEXT,
    claim_token TEXT,
    claim_fencing_token INTEGER NOT NULL DEFAULT 0,
    claim_claimed_at_ms INTEGER NOT NULL DEFAULT 0,
    claim_expires_at_ms INTEGER NOT NULL DEFAULT 0,
    UNIQUE (session_id, source_key) ON CONFLICT IGNORE
)""",
    "queued_work_items": """
CREATE TABLE IF NOT EXISTS queued_work_items (
    batch_id TEXT NOT NULL,
    item_index INTEGER NOT NULL,
    item_id TEXT NOT NULL,
    payload_json TEXT NOT NULL,
    PRIMARY KEY (batch_id, item_index),
    FOREIGN KEY (batch_id) REFERENCES queued_work_batches (batch_id) ON DELETE CASCADE
)""",
    "idx_queued_work_ready": """
CREATE INDEX IF NOT EXISTS idx_queued_work_ready
ON queued_work_batches (session_id, available_at_ms, enqueue_seq)""",
    "idx_queued_work_claim": """
CREATE INDEX IF NOT EXISTS idx_queued_work_claim
ON queued_work_batches (session_id, claim_id, claim_token)""",
    # Two additions, which keep the cost of a claim flat: the next ready row, and the rows of a claim whose token is
    # all that is known of it beforehand. The second holds claimed rows only, and is small.
    "lash_queued_work_due": """
CREATE INDEX IF NOT EXISTS lash_queued_work_due
ON queued_work_batches (session_id, {due}, enqueue_seq)""".replace("{due}", DUE),
    "lash_queued_work_token": """
CREATE INDEX IF NOT EXISTS lash_queued_work_token
ON queued_work_batches (claim_token) WHERE claim_token IS NOT NULL""",
}

_ITEMS_OF: Final = """
SELECT {columns} FROM queued_work_batches AS batch CROSS JOIN queued_work_items AS item
ON item.batch_id = batch.batch_id
""".replace("{columns}", ITEM_COLUMNS)
_BATCHES: Final = "SELECT {columns} FROM queued_work_batches".replace("{columns}", BATCH_COLUMNS)

_WITH_KEY: Final = _BATCHES + " WHERE session_id = ?1 AND source_key = ?2"
_ITEMS_WITH_KEY: Final = _ITEMS_OF + " WHERE batch.session_id = ?1 AND batch.source_key = ?2 ORDER BY item.item_index"
_INSERT: Final = """
INSERT INTO queued_work_batches
(batch_id, session_id, source_key, delivery_policy, slot_policy, merge_key_json, available_at_ms, enqueued_at_ms)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, lash_now_ms()) RETURNING enqueue_seq, enqueued_at_ms
"""
_INSERT_ITEM: Final = (
    "INSERT INTO queued_work_items (batch_id, item_index, item_id, payload_json) VALUES (?1, ?2, ?3, ?4)"
)

# Free rows: never claimed, given back, or expired at ?2.
_FREE: Final = " AND (claim_token IS NULL OR claim_expires_at_ms <= ?2)"
_ALL: Final = _BATCHES + " WHERE session_id = ?1 ORDER BY enqueue_seq"
_ALL_ITEMS: Final = _ITEMS_OF + " WHERE session_id = ?1 ORDER BY batch.enqueue_seq, item.item_index"
_PENDING: Final = _BATCHES + " WHERE session_id = ?1" + _FREE + " ORDER BY enqueue_seq"
_PENDING_ITEMS: Final = _ITEMS_OF + " WHERE session_id = ?1" + _FREE + " ORDER BY batch.enqueue_seq, item.item_index"

_ONE: Final = _BATCHES + " WHERE session_id = ?1 AND batch_id = ?2"
_ITEMS_OF_ONE: Final = _ITEMS_OF + " WHERE session_id = ?1 AND batch.batch_id = ?2 ORDER BY item.item_index"
_REMOVE_FREE: Final = """
DELETE FROM queued_work_batches
WHERE session_id = ?1 AND batch_id = ?2 AND (claim_token IS NULL OR claim_expires_at_ms <= lash_now_ms())
"""

_DRAFT: Final = "QueuedWorkBatchDraft"


class PreparedEnqueue(msgspec.Struct, frozen=True):
    """A batch about to be enqueued: its plan, its id, and the texts of its payloads."""

    draft: QueuedWorkBatchDraft
    batch_id: str
    payloads: list[bytes]
    plan: Plan


def prepare_enqueue(draft: QueuedWorkBatchDraft, now_ms: int) -> PreparedEnqueue:
    """Enqueues `draft`, unless a batch of its session has its source key. `now_ms` only goes into the random id.

    Raises InvalidRecord and InvalidJsonValue.
    """
    if not isinstance(draft, QueuedWorkBatchDraft):
        raise InvalidRecord(_DRAFT, "$", f"expected a {_DRAFT}, got a {type(draft).__name__}")
    if not isinstance(draft.payloads, list | tuple):
        raise InvalidRecord(_DRAFT, "$.payloads", f"expected a list, got a {type(draft.payloads).__name__}")
    payloads = [_payload_text(index, payload) for index, payload in enumerate(draft.payloads)]
    msgspec.structs.replace(draft, payloads=[]).to_json()  # checks every other field
    batch_id = ids.batch_id(draft.session_id, draft.source_key, now_ms, secrets.token_hex(16))
    row = (
        batch_id,
        draft.session_id,
        draft.source_key,
        draft.delivery_policy.value,
        draft.slot_policy.value,
        draft.merge_key.to_json().decode(),
        draft.available_at_ms,
    )
    items = [(batch_id, index, ids.item_id(batch_id, index), text.decode()) for index, text in enumerate(payloads)]
    steps = _replay_steps(draft.session_id, draft.source_key)
    steps.append(Step(_INSERT, row, expect=1, rows=True, name="the batch is new"))
    steps.append(Step(_INSERT_ITEM, items, expect=len(items), many=True, name="its items are new"))
    return PreparedEnqueue(draft, batch_id, payloads, Plan(steps))


def enqueued(prepared: PreparedEnqueue, result: PlanResult) -> QueuedWorkBatch:
    """The batch as it is stored: the new one, or the one that had its source key. Raises StoreCorrupt for that one."""
    if result.stopped is not None:
        item_rows, rows, _ = result.rows
        return read_batches(rows, item_rows)[0]
    draft = prepared.draft
    ((enqueue_seq, enqueued_at_ms),) = result.rows[-1]
    return QueuedWorkBatch(
        batch_id=prepared.batch_id,
        session_id=draft.session_id,
        enqueue_seq=enqueue_seq,
        source_key=draft.source_key,
        delivery_policy=draft.delivery_policy,
        slot_policy=draft.slot_policy,
        merge_key=draft.merge_key,
        available_at_ms=draft.available_at_ms,
        enqueued_at_ms=enqueued_at_ms,
        items=[
            QueuedWorkItem(ids.item_id(prepared.batch_id, index), read_payload(text))
            for index, text in enumerate(prepared.payloads)
        ],
    )


def read_all(connection: "apsw.Connection", session_id: str) -> list[QueuedWorkBatch]:
    """All batches of a session, in queue order. Raises StoreCorrupt."""
    values = (session_id,)
    return read_batches(connection.execute(_ALL, values).fetchall(), connection.execute(_ALL_ITEMS, values))


def read_pending(connection: "apsw.Connection", session_id: str, now_ms: int) -> list[QueuedWorkBatch]:
    """Those of them that nobody holds at `now_ms`, available or not. Raises StoreCorrupt."""
    values = (session_id, now_ms)
    return read_batches(connection.execute(_PENDING, values).fetchall(), connection.execute(_PENDING_ITEMS, values))


def read_one(connection: "apsw.Connection", session_id: str, batch_id: str) -> QueuedWorkBatch | None:
    """One batch, claimed or not. Raises StoreCorrupt."""
    values = (session_id, batch_id)
    found = read_batches(connection.execute(_ONE, values).fetchall(), connection.execute(_ITEMS_OF_ONE, values))
    return found[0] if found else None


def prepare_removal(session_id: str, batch_id: str) -> Plan:
    """Removes a batch that nobody holds, readable or not; see `removed`."""
    return Plan([Step(_REMOVE_FREE, (session_id, batch_id))])


def removed(result: PlanResult) -> bool:
    """Whether there was such a batch."""
    return result.changes == 1


def checked_key(session_id: str, batch_id: str) -> tuple[str, str]:
    """The ids of a session and a batch as columns hold them. Raises InvalidRecord."""
    return column_text("QueuedWorkBatch", "session_id", session_id), column_text(
        "QueuedWorkBatch", "batch_id", batch_id
    )


def _payload_text(index: int, payload: QueuedWorkPayload) -> bytes:
    if not isinstance(payload, QueuedWorkPayload):
        raise InvalidRecord(
            _DRAFT, f"$.payloads[{index}]", f"expected a QueuedWorkPayload, got a {type(payload).__name__}"
        )
    return payload.to_json()


def _replay_steps(session_id: str, source_key: str | None) -> list[Step]:
    if source_key is None:
        return []
    key = (session_id, source_key)
    # Items first: the step that finds the batch ends the plan.
    return [
        Step(_ITEMS_WITH_KEY, key, rows=True),
        Step(_WITH_KEY, key, expect=Expect.NO_ROW, otherwise=Otherwise.STOP, rows=True, name="the source key is new"),
    ]
