"""The queue does what a model of the specification does, whatever is done to it in whatever order.

The model is written from 4.9 to 4.17 alone: lists and comparisons, no SQL.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lash_store.errors import GuardFailed, QueuedWorkClaimExpired
from lash_store.records.queue import DeliveryPolicy, QueuedWorkClaim, QueuedWorkClaimBoundary, SlotPolicy
from tests.sqlite.ops.queue_rig import CHECKPOINT, EARLIEST, JOIN, NOW, Queue, draft

SESSIONS = ("root", "other")


@dataclass
class Row:
    """A batch as the model knows it."""

    batch_id: str
    session_id: str
    delivery: DeliveryPolicy
    slot: SlotPolicy
    group: str | None
    available_at: int
    claim: tuple[str, str] | None = None
    expires_at: int = 0
    fencing: int = 0


@dataclass
class Model:
    """The queue of the specification."""

    now: int = NOW
    rows: list[Row] = field(default_factory=list)

    def free(self, row: Row) -> bool:
        return row.claim is None or row.expires_at <= self.now

    def group(self, session_id: str, boundary: QueuedWorkClaimBoundary, limit: int) -> list[Row]:
        """Return what a claim takes."""
        ready = [row for row in self.rows if row.session_id == session_id]
        ready = [row for row in ready if self.free(row) and row.available_at <= self.now][: limit + 32]
        if not ready or limit == 0 or (boundary is CHECKPOINT and ready[0].delivery is not EARLIEST):
            return []
        head, taken = ready[0], ready[:1]
        for row in ready[1:] if head.slot is JOIN else []:
            alike = (row.slot, row.delivery, row.group) == (JOIN, head.delivery, head.group)
            if not alike or len(taken) == limit:
                break
            taken.append(row)
        return taken

    def held(self, claim: QueuedWorkClaim) -> list[Row]:
        return [row for row in self.rows if row.claim == (claim.claim_id, claim.lease_token)]


Action = tuple[str, Any]

ENQUEUE = st.tuples(
    st.just("enqueue"),
    st.tuples(
        st.sampled_from(SESSIONS),
        st.sampled_from([EARLIEST, EARLIEST, DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT]),
        st.sampled_from([JOIN, JOIN, SlotPolicy.EXCLUSIVE]),
        st.sampled_from([None, None, "a"]),
        st.sampled_from([0, 0, NOW, NOW + 3, NOW + 8]),
    ),
)
LEASES = st.sampled_from([0, 2, 5, 100])
CLAIM = st.tuples(
    st.just("claim"),
    st.tuples(
        st.sampled_from(SESSIONS), st.sampled_from(list(QueuedWorkClaimBoundary)), LEASES, st.sampled_from([0, 1, 2, 9])
    ),
)
EXACT = st.tuples(
    st.just("exact"), st.tuples(st.sampled_from(SESSIONS), LEASES, st.lists(st.integers(0, 5), max_size=3))
)
NUMBER = st.integers(0, 9)
OLD_CLAIM = st.tuples(st.sampled_from(["abandon", "complete"]), NUMBER)
RENEW = st.tuples(st.just("renew"), st.tuples(NUMBER, LEASES))
CANCEL = st.tuples(st.just("cancel"), NUMBER)
WAIT = st.tuples(st.just("wait"), st.integers(1, 4))
ACTIONS: st.SearchStrategy[list[Action]] = st.lists(
    st.one_of(ENQUEUE, ENQUEUE, CLAIM, CLAIM, EXACT, OLD_CLAIM, RENEW, CANCEL, WAIT), max_size=30
)


class Run:
    """The queue and its model, side by side."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.model = Model()
        self.claims: list[QueuedWorkClaim] = []

    async def enqueue(self, what: tuple[Any, ...]) -> None:
        session_id, delivery, slot, group, available = what
        batch = await self.queue.enqueue_queued_work(
            draft("x", session_id, delivery=delivery, slot=slot, group=group, available_at_ms=available)
        )
        self.model.rows.append(Row(batch.batch_id, session_id, delivery, slot, group, available))

    async def claim(self, what: tuple[Any, ...]) -> None:
        session_id, boundary, ttl, limit = what
        claim = await self.queue.claim(limit, session_id=session_id, boundary=boundary, ttl=ttl)
        self.took(claim, self.model.group(session_id, boundary, limit), ttl)

    async def exact(self, what: tuple[Any, ...]) -> None:
        session_id, ttl, numbers = what
        ids = [row.batch_id for number in numbers for row in self.model.rows[number : number + 1]]
        idle = QueuedWorkClaimBoundary.IDLE
        expected = self.model.group(session_id, idle, len(ids))
        if sorted(row.batch_id for row in expected) != sorted(ids):
            expected = []
        claim = await self.queue.claim_ready_queued_work_by_batch_ids(session_id, "owner", idle, ttl, ids)
        self.took(claim, expected, ttl)

    def took(self, claim: QueuedWorkClaim | None, expected: list[Row], ttl: int) -> None:
        if claim is None:
            assert expected == []
            return
        assert [batch.batch_id for batch in claim.batches] == [row.batch_id for row in expected]
        for row in expected:
            row.claim, row.expires_at = (claim.claim_id, claim.lease_token), self.model.now + ttl
            row.fencing += 1
        assert claim.fencing_token == expected[0].fencing
        self.claims.append(claim)

    async def abandon(self, number: int) -> None:
        for claim in self.claims[number : number + 1]:
            await self.queue.abandon_queued_work_claim(claim)
            for row in self.model.held(claim):
                row.claim, row.expires_at = None, 0

    async def complete(self, number: int) -> None:
        for claim in self.claims[number : number + 1]:
            held = self.model.held(claim)
            if len(held) == len(claim.batches):
                await self.queue.complete(claim.completion())
                self.model.rows = [row for row in self.model.rows if row not in held]
            else:
                with pytest.raises(GuardFailed):
                    await self.queue.complete(claim.completion())

    async def renew(self, what: tuple[int, int]) -> None:
        number, ttl = what
        for claim in self.claims[number : number + 1]:
            held = self.model.held(claim)
            if len(held) == len(claim.batches) and not any(self.model.free(row) for row in held):
                self.claims[number] = await self.queue.renew_queued_work_claim(claim, ttl)
                for row in held:
                    row.expires_at = self.model.now + ttl
            else:
                with pytest.raises(QueuedWorkClaimExpired):
                    await self.queue.renew_queued_work_claim(claim, ttl)

    async def cancel(self, number: int) -> None:
        for row in self.model.rows[number : number + 1]:
            batch = await self.queue.cancel_queued_work_batch(row.session_id, row.batch_id)
            assert (batch is not None) == self.model.free(row)
            if batch is not None:
                self.model.rows.remove(row)

    async def wait(self, ms: int) -> None:
        self.model.now += ms
        self.queue.hand_clock.now += ms

    async def check(self) -> None:
        for session_id in SESSIONS:
            rows = [row for row in self.model.rows if row.session_id == session_id]
            listed = await self.queue.list_queued_work(session_id)
            pending = await self.queue.list_pending_queued_work(session_id)
            assert [batch.batch_id for batch in listed] == [row.batch_id for row in rows]
            assert [batch.batch_id for batch in pending] == [row.batch_id for row in rows if self.model.free(row)]
        assert await self.queue.fencing() == [row.fencing for row in self.model.rows]


@settings(max_examples=400)
@given(actions=ACTIONS)
def test_the_queue_agrees_with_its_model(actions: list[Action]) -> None:
    async def act() -> None:
        async with await Queue.open(None) as queue:
            run = Run(queue)
            for name, what in actions:
                await getattr(run, name)(what)
            await run.check()

    asyncio.run(act())
