"""The work queue as a plain list: what sections 4.9 to 4.17 say, in the fewest words of Python."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from lash_store import (
    DeliveryPolicy,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkClaimExpired,
    QueuedWorkCompletion,
    QueuedWorkItem,
    SlotPolicy,
    StoreError,
)

_NOT_IN_A_BATCH: Final = {"payloads", "other_keys"}


class Refused(Exception):
    """The operation raises `kind` and changes nothing."""

    def __init__(self, kind: type[StoreError]) -> None:
        super().__init__(kind.__name__)
        self.kind = kind


@dataclass
class Queued:
    """A row of queued_work_batches with its items; `claim` is (claim id, owner, token)."""

    batch: QueuedWorkBatch
    claim: tuple[str, str, str] | None = None
    fencing: int = 0
    claimed_at: int = 0
    expires_at: int = 0

    def free(self, now: int) -> bool:
        return self.claim is None or self.expires_at <= now

    def held_by(self, session_id: str, claim_id: str, token: str) -> bool:
        mine = self.claim is not None and (self.claim[0], self.claim[2]) == (claim_id, token)
        return mine and self.batch.session_id == session_id


@dataclass
class QueueModel:
    """The batches of all sessions in one database; times are given to each operation."""

    queue: list[Queued] = field(default_factory=list)

    def enqueue(self, draft: QueuedWorkBatchDraft, now: int, made: QueuedWorkBatch) -> QueuedWorkBatch:
        """Section 4.9; id and sequence are those that the store has `made`."""
        for queued in self.queue:
            same = (queued.batch.session_id, queued.batch.source_key) == (draft.session_id, draft.source_key)
            if draft.source_key is not None and same:
                return queued.batch
        assert all(made.enqueue_seq > queued.batch.enqueue_seq for queued in self.queue)
        assert all(made.batch_id != queued.batch.batch_id for queued in self.queue)
        fields = {name: getattr(draft, name) for name in draft.__struct_fields__ if name not in _NOT_IN_A_BATCH}
        items = [
            QueuedWorkItem(f"{made.batch_id}:item:{index}", payload) for index, payload in enumerate(draft.payloads)
        ]
        batch = QueuedWorkBatch(
            batch_id=made.batch_id, enqueue_seq=made.enqueue_seq, enqueued_at_ms=now, items=items, **fields
        )
        self.queue.append(Queued(batch))
        return batch

    def next_group(self, session_id: str, boundary: QueuedWorkClaimBoundary, limit: int, now: int) -> list[Queued]:
        """Section 4.10, steps 1 to 3."""
        ready = [
            queued
            for queued in self.queue
            if queued.batch.session_id == session_id and queued.free(now) and queued.batch.available_at_ms <= now
        ]
        if not ready or limit == 0:
            return []
        first = ready[0].batch
        at_checkpoint = boundary is QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT
        if at_checkpoint and first.delivery_policy is not DeliveryPolicy.EARLIEST_SAFE_BOUNDARY:
            return []
        if first.slot_policy is SlotPolicy.EXCLUSIVE:
            return ready[:1]
        group = []
        for queued in ready[:limit]:
            batch = queued.batch
            if (batch.slot_policy, batch.delivery_policy) != (first.slot_policy, first.delivery_policy):
                break
            if batch.merge_key != first.merge_key:
                break
            group.append(queued)
        return group

    def claim(self, group: Sequence[Queued], now: int, made: QueuedWorkClaim, ttl: int) -> QueuedWorkClaim:
        """Section 4.10, steps 4 to 6; ids and token are those that the store has `made`."""
        fencing = group[0].fencing + 1
        for queued in group:
            queued.claim = (made.claim_id, made.owner_id, made.lease_token)
            queued.fencing += 1
            queued.claimed_at, queued.expires_at = now, now + ttl
        return QueuedWorkClaim(
            session_id=group[0].batch.session_id,
            claim_id=made.claim_id,
            owner_id=made.owner_id,
            lease_token=made.lease_token,
            fencing_token=fencing,
            claimed_at_epoch_ms=now,
            expires_at_epoch_ms=now + ttl,
            batches=[queued.batch for queued in group],
        )

    def held(self, claim: QueuedWorkClaim) -> list[Queued]:
        return [queued for queued in self.queue if queued.held_by(claim.session_id, claim.claim_id, claim.lease_token)]

    def renew(self, claim: QueuedWorkClaim, ttl: int, now: int) -> QueuedWorkClaim:
        """Section 4.12; a lease that has run out is not renewed (weakness 12)."""
        held = self.held(claim)
        if [queued.batch for queued in held] != claim.batches or any(queued.free(now) for queued in held):
            raise Refused(QueuedWorkClaimExpired)
        for queued in held:
            queued.expires_at = now + ttl
        return msgspec.structs.replace(claim, expires_at_epoch_ms=now + ttl)

    def abandon(self, claim: QueuedWorkClaim) -> None:
        for queued in self.held(claim):
            queued.claim, queued.claimed_at, queued.expires_at = None, 0, 0

    def cancel(self, session_id: str, batch_id: str, now: int) -> QueuedWorkBatch | None:
        for queued in self.queue:
            if (queued.batch.session_id, queued.batch.batch_id) == (session_id, batch_id) and queued.free(now):
                self.queue.remove(queued)
                return queued.batch
        return None

    def completed(self, session_id: str, completion: QueuedWorkCompletion) -> list[Queued]:
        """What a commit of this session removes; a completion names exactly what its claim holds (weakness 13)."""
        held = [
            queued
            for queued in self.queue
            if queued.held_by(completion.session_id, completion.claim_id, completion.lease_token)
        ]
        named = sorted(queued.batch.batch_id for queued in held) == sorted(completion.batch_ids)
        if completion.session_id != session_id or not held or not named:
            raise Refused(QueuedWorkClaimExpired)
        return held
