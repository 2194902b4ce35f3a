"""The work queue, as a store offers it (specification 4.9 to 4.17)."""

from collections.abc import Sequence
from functools import partial

from lash_store.errors import GuardFailed, StoreCorrupt, StoreError
from lash_store.records.queue import QueuedWorkBatch, QueuedWorkBatchDraft, QueuedWorkClaim, QueuedWorkClaimBoundary
from lash_store.sqlite.ops import queue, queue_claim
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.ops.texts import column_text
from lash_store.sqlite.store_handle import StoreHandle


class QueueOperations(StoreHandle):
    """Enqueue batches, claim them for a time, complete them in a commit.

    Every operation is one transaction, and raises InvalidRecord (inside a draft also InvalidJsonValue) for what cannot
    be stored: a text with lone surrogates, a number or time outside 0 ... 2^63-1, a value where an enumeration or a
    record is wanted. What is read and cannot be understood raises StoreCorrupt with kind "queued_work_batch" and the
    batch's id as key, and nothing is changed; `discard_queued_work_batch` removes it, so that it does not block its
    session. (A claim that meets such a batch is given back in a second transaction; an expired one that it took over
    stays lost, as it would by any other claim, and can no longer be completed late.) There is no operation to complete
    a claim: its completion travels in a commit, and must list exactly the batches that the claim holds.
    """

    async def enqueue_queued_work(self, draft: QueuedWorkBatchDraft) -> QueuedWorkBatch:
        """Put a batch at the end of its session's queue.

        While a batch with the same session and source key is in the queue, claimed or not, that one is returned as it
        is stored and nothing is written, also if the draft has other content. A completed or cancelled batch has left
        the queue, and its key enqueues anew.
        """
        prepared = queue.prepare_enqueue(draft, self._clock.now_ms())
        return queue.enqueued(prepared, await self._run(prepared.plan))

    async def claim_ready_queued_work(
        self,
        session_id: str,
        owner_id: str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        max_batches: int,
    ) -> QueuedWorkClaim | None:
        """Claim the work at the head of the queue for `lease_ttl_ms` from now on, or None if there is none for now.

        A batch is ready if it is available and nobody holds it: never claimed, given back, or expired. The first ready
        one decides: an exclusive one is taken alone, one that joins together with the ready ones behind it, as long as
        they join, too, and have the same delivery policy and an equal merge key, up to `max_batches` in all. At an
        active turn's checkpoint it blocks the queue if it has to be delivered after the turn's commit.

        An exclusive batch shares its claim with no other batch; it does not lock the session. Two owners that claim at
        once hold two batches of one session, and only one of the commits made from the same revision stands: the other
        one raises HeadRevisionConflict, leaves its claim as it is, and is made anew on the loaded session.

        The claim bears the first batch's fencing token, which is greater at every claim of that batch, and a random
        lease token. Its expiry is at most 2^63-1. A ttl of 0 has expired at once. If the call is cancelled after it was
        started, a claim that it makes stands until it expires.
        """
        if column_integer("QueuedWorkClaim", "max_batches", max_batches) == 0:
            return None
        return await self._claim(queue_claim.prepare_claim(session_id, owner_id, boundary, lease_ttl_ms, max_batches))

    async def claim_ready_queued_work_by_batch_ids(
        self,
        session_id: str,
        owner_id: str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        batch_ids: Sequence[str],
    ) -> QueuedWorkClaim | None:
        """Claim exactly these batches, or nothing: None unless `claim_ready_queued_work` would take them and no other.

        The order of the ids does not matter (alpha.40 wants queue order); the claim has its batches in queue order. An
        attempt that fails leaves no trace: nothing is hidden from others in between, no fencing token is raised.
        """
        if not batch_ids:
            return None
        prepared = queue_claim.prepare_exact_claim(session_id, owner_id, boundary, lease_ttl_ms, batch_ids)
        try:
            return await self._claim(prepared)
        except GuardFailed as failed:
            if queue_claim.not_what_was_listed(failed):
                return None
            raise

    async def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: int) -> QueuedWorkClaim:
        """The same claim, with an expiry of `lease_ttl_ms` from now; that may be earlier than before.

        For whoever works longer than the lease: renew well before it ends, from a task beside the work. Raises
        QueuedWorkClaimExpired, and changes nothing, if it has expired or does not hold all its batches.
        """
        plan = queue_claim.prepare_renewal(claim, lease_ttl_ms)
        try:
            result = await self._run(plan)
        except GuardFailed:
            raise queue_claim.renewal_error(claim) from None
        return queue_claim.renewed(claim, result)

    async def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """Give a claim back: its batches are ready again. What it does not hold any more is left alone."""
        await self._run(queue_claim.prepare_abandonment(claim))

    async def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
        """Remove a batch that nobody holds, and return it; None if there is no such batch, or a live claim holds it.

        Raises StoreCorrupt for one that cannot be read, and leaves it.
        """
        key = queue.checked_key(session_id, batch_id)
        # It is read outside the lock: what a batch holds never changes, only who holds it, and that the plan asks.
        batch = await self._read(partial(queue.read_one, session_id=key[0], batch_id=key[1]))
        if batch is None:
            return None
        return batch if queue.removed(await self._run(queue.prepare_removal(*key))) else None

    async def discard_queued_work_batch(self, session_id: str, batch_id: str) -> bool:
        """Remove a batch that nobody holds without reading it; whether there was one.

        For an operator: the way out when StoreCorrupt names a batch, which would block the queue of its session.
        """
        return queue.removed(await self._run(queue.prepare_removal(*queue.checked_key(session_id, batch_id))))

    async def list_queued_work(self, session_id: str) -> list[QueuedWorkBatch]:
        """All batches of a session, claimed or not, available or not, in queue order."""
        session = column_text("QueuedWorkBatch", "session_id", session_id)
        return await self._read(partial(queue.read_all, session_id=session))

    async def list_pending_queued_work(self, session_id: str) -> list[QueuedWorkBatch]:
        """Those of them that nobody holds now, in queue order; they may wait for their time."""
        session = column_text("QueuedWorkBatch", "session_id", session_id)
        return await self._read(partial(queue.read_pending, session_id=session, now_ms=self._clock.now_ms()))

    async def _claim(self, prepared: queue_claim.PreparedClaim) -> QueuedWorkClaim | None:
        result = await self._run(prepared.plan)
        try:
            return queue_claim.claimed(result)
        except StoreCorrupt as damage:
            # Reading takes the interpreter, so it cannot be done under the lock; the claim was never handed out.
            try:
                await self._run(queue_claim.prepare_undo(prepared))
            except StoreError as error:
                damage.add_note(f"what was claimed stays hidden until its lease ends; giving it back failed: {error}")
            raise
