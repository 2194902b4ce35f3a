"""A work queue for tests: a store that is nothing else, drafts in one line, and looks past it at the rows."""

import os
from collections.abc import Sequence
from typing import Any, Final, Self

from lash_store import Plan, Step
from lash_store.records.queue import (
    DeliveryPolicy,
    MergeKey,
    MergeKeyGroup,
    MergeKeyNever,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkCompletion,
    QueuedWorkPayloadTurnInput,
    SlotPolicy,
)
from lash_store.sqlite.async_connection import SqliteConnection
from lash_store.sqlite.ops import queue as ops
from lash_store.sqlite.ops.queue_completion import completion_steps
from lash_store.sqlite.plan import SqlValue
from lash_store.sqlite.schema import Schema
from lash_store.sqlite.session_store.queue import QueueOperations
from lash_store.sqlite.store_handle import connect

SCHEMA: Final = Schema("session", 3, ops.TABLES)
NOW: Final = 1_700_000_000_000
LEASE: Final = 60_000
IDLE: Final = QueuedWorkClaimBoundary.IDLE
CHECKPOINT: Final = QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT
EARLIEST: Final = DeliveryPolicy.EARLIEST_SAFE_BOUNDARY
AFTER_COMMIT: Final = DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT
JOIN: Final = SlotPolicy.JOIN
EXCLUSIVE: Final = SlotPolicy.EXCLUSIVE


class HandClock:
    """A clock that stands until it is set."""

    def __init__(self, now_ms: int = NOW) -> None:
        self.now = now_ms

    def now_ms(self) -> int:
        return self.now


def draft(
    text: str = "work",
    session_id: str = "root",
    *,
    key: str | None = None,
    delivery: DeliveryPolicy = EARLIEST,
    slot: SlotPolicy = JOIN,
    group: str | None = None,
    available_at_ms: int = 0,
) -> QueuedWorkBatchDraft:
    """A batch of one text."""
    merge_key: MergeKey = MergeKeyNever() if group is None else MergeKeyGroup(group)
    return QueuedWorkBatchDraft(
        session_id=session_id,
        source_key=key,
        delivery_policy=delivery,
        slot_policy=slot,
        merge_key=merge_key,
        available_at_ms=available_at_ms,
        payloads=[turn_input(text)],
    )


def turn_input(text: str) -> QueuedWorkPayloadTurnInput:
    return QueuedWorkPayloadTurnInput({"items": [{"type": "text", "text": text}], "image_blobs": {}})


def text_of(batch: QueuedWorkBatch) -> str:
    payload = batch.items[0].payload
    assert isinstance(payload, QueuedWorkPayloadTurnInput)
    text = payload.input["items"][0]["text"]
    assert isinstance(text, str)
    return text


def texts(found: QueuedWorkClaim | Sequence[QueuedWorkBatch] | None) -> list[str] | None:
    """What a list or a claim holds, by its texts; None for no claim."""
    if found is None:
        return None
    return [text_of(batch) for batch in (found.batches if isinstance(found, QueuedWorkClaim) else found)]


class Queue(QueueOperations):
    """A store with nothing but a queue."""

    def __init__(self, connection: SqliteConnection, clock: HandClock) -> None:
        super().__init__(connection, clock)
        self.hand_clock = clock

    @classmethod
    async def open(cls, path: str | os.PathLike[str] | None, clock: HandClock | None = None) -> Self:
        """Open a queue at `path`, or one in memory."""
        clock = HandClock() if clock is None else clock
        return cls(await connect(path, SCHEMA, durability="normal", clock=clock), clock)

    async def put(self, *drafts: QueuedWorkBatchDraft) -> list[QueuedWorkBatch]:
        return [await self.enqueue_queued_work(one) for one in drafts]

    async def claim(
        self,
        limit: int = 10,
        *,
        session_id: str = "root",
        owner: str = "owner",
        boundary: QueuedWorkClaimBoundary = IDLE,
        ttl: int = LEASE,
    ) -> QueuedWorkClaim | None:
        return await self.claim_ready_queued_work(session_id, owner, boundary, ttl, limit)

    async def must_claim(self, limit: int = 10, *, session_id: str = "root", ttl: int = LEASE) -> QueuedWorkClaim:
        claim = await self.claim(limit, session_id=session_id, ttl=ttl)
        assert claim is not None
        return claim

    async def claim_exactly(self, ids: Sequence[str], ttl: int = LEASE) -> QueuedWorkClaim | None:
        return await self.claim_ready_queued_work_by_batch_ids("root", "owner", IDLE, ttl, ids)

    async def complete(self, *completions: QueuedWorkCompletion) -> None:
        """Complete as a commit does. Raises GuardFailed."""
        await self._run(Plan(completion_steps(completions)))

    async def rows(self, sql: str, *values: SqlValue) -> list[tuple[Any, ...]]:
        """What a query finds, past the store's operations."""
        return await self._read(lambda connection: connection.execute(sql, values).fetchall())

    async def execute(self, sql: str, *values: SqlValue) -> None:
        """Change the file as no operation of the store would."""
        await self._run(Plan([Step(sql, values)]))

    async def everything(self) -> list[tuple[Any, ...]]:
        """All rows of both tables, every text as a blob, so that a damaged one can be looked at."""
        texts = ("delivery_policy", "slot_policy", "merge_key_json", "source_key", "claim_id", "claim_token")
        blobs = ", ".join(f"CAST({column} AS BLOB)" for column in texts)
        batches = await self.rows(
            f"SELECT enqueue_seq, batch_id, session_id, {blobs}, claim_owner_id, claim_fencing_token, "
            "claim_claimed_at_ms, claim_expires_at_ms, available_at_ms, enqueued_at_ms "
            "FROM queued_work_batches ORDER BY enqueue_seq"
        )
        items = "batch_id, item_index, item_id, CAST(payload_json AS BLOB)"
        return batches + await self.rows(f"SELECT {items} FROM queued_work_items ORDER BY batch_id, item_index")

    async def fencing(self) -> list[int]:
        """The fencing tokens of all batches, in queue order."""
        found = await self.rows("SELECT claim_fencing_token FROM queued_work_batches ORDER BY enqueue_seq")
        return [token for (token,) in found]
