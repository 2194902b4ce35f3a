"""One work queue in the hands of both programs."""

import pytest

from lash_store import (
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkClaimExpired,
    RuntimeCommit,
    Unchanged,
)
from tests.conformance.session_store.examples import (
    AFTER_COMMIT,
    CHECKPOINT,
    EXCLUSIVE,
    IDLE,
    JOIN,
    TTL_MS,
    draft,
    root_commit,
    texts_of,
)
from tests.interop.examples import RECORDS
from tests.interop.stores import Both, Session


async def same_queues(both: Both, session: str = "root") -> list[QueuedWorkBatch]:
    """What both list; pending ones, too."""
    listed = await both.one.list_queued_work(session)
    assert listed == await both.other.list_queued_work(session)
    assert await both.one.list_pending_queued_work(session) == await both.other.list_pending_queued_work(session)
    return listed


async def pending(both: Both) -> list[str]:
    await same_queues(both)
    return texts_of(await both.one.list_pending_queued_work("root"))


async def claimed(
    session: Session, limit: int = 10, *, ttl: int = TTL_MS, boundary: QueuedWorkClaimBoundary = IDLE
) -> QueuedWorkClaim:
    claim = await session.claim_ready_queued_work("root", "owner", boundary, ttl, limit)
    assert claim is not None
    return claim


def completing(*claims: QueuedWorkClaim) -> RuntimeCommit:
    commit = root_commit(graph=Unchanged(None))
    return commit.completing_queue_claims([claim.completion() for claim in claims])


@pytest.mark.parametrize("wanted", [record for record in RECORDS if isinstance(record, QueuedWorkBatchDraft)])
async def test_a_batch_with_payloads_of_every_kind(wanted: QueuedWorkBatchDraft, both: Both) -> None:
    batch = await both.one.enqueue_queued_work(wanted)
    (listed,) = await same_queues(both, wanted.session_id)
    assert listed == batch
    assert [item.payload for item in batch.items] == list(wanted.payloads)
    assert (batch.source_key, batch.merge_key, batch.slot_policy) == (
        wanted.source_key,
        wanted.merge_key,
        wanted.slot_policy,
    )
    assert (batch.delivery_policy, batch.available_at_ms) == (wanted.delivery_policy, wanted.available_at_ms)


async def test_batches_of_both_stand_in_order(both: Both) -> None:
    for number in range(6):
        await (both.other if number % 2 else both.one).enqueue_queued_work(draft(str(number)))
    listed = await same_queues(both)
    assert texts_of(listed) == ["0", "1", "2", "3", "4", "5"]
    assert [batch.enqueue_seq for batch in listed] == sorted({batch.enqueue_seq for batch in listed})
    assert len({batch.batch_id for batch in listed}) == 6


async def test_a_source_key_enqueues_once(both: Both) -> None:
    first = await both.one.enqueue_queued_work(draft("first", key="k"))
    assert await both.other.enqueue_queued_work(draft("another", key="k")) == first
    assert await both.other.enqueue_queued_work(draft("elsewhere", key="k", session="other")) != first
    assert await same_queues(both) == [first]


async def test_what_one_has_claimed_the_other_does_not_get(both: Both) -> None:
    await both.one.enqueue_queued_work(draft("a"))
    claim = await claimed(both.one)
    assert await both.other.claim_ready_queued_work("root", "thief", IDLE, TTL_MS, 10) is None
    ids = [batch.batch_id for batch in claim.batches]
    assert await both.other.claim_ready_queued_work_by_batch_ids("root", "thief", IDLE, TTL_MS, ids) is None
    assert await both.other.cancel_queued_work_batch("root", ids[0]) is None
    assert await pending(both) == []
    await both.one.enqueue_queued_work(draft("b"))
    other = await claimed(both.other)
    assert texts_of(other.batches) == ["b"]
    assert other.lease_token != claim.lease_token


async def test_fencing_tokens_go_on(both: Both) -> None:
    await both.one.enqueue_queued_work(draft("a"))
    tokens = []
    for number in range(6):
        session = both.other if number % 2 else both.one
        claim = await claimed(session)
        tokens.append((claim.fencing_token, claim.claim_id))
        await (both.one if number % 2 else both.other).abandon_queued_work_claim(claim)
    assert tokens == [(number, f"qwc:1:{number}") for number in range(1, 7)]


async def test_the_other_renews_gives_back_and_cancels(both: Both) -> None:
    await both.one.enqueue_queued_work(draft("a"))
    claim = await claimed(both.one)
    renewed = await both.other.renew_queued_work_claim(claim, 2 * TTL_MS)
    assert renewed.expires_at_epoch_ms >= claim.expires_at_epoch_ms + TTL_MS
    assert renewed.lease_token == claim.lease_token
    await both.other.abandon_queued_work_claim(renewed)
    assert await pending(both) == ["a"]
    with pytest.raises(QueuedWorkClaimExpired) as caught:
        await both.other.renew_queued_work_claim(claim, TTL_MS)
    assert (caught.value.session_id, caught.value.claim_id) == ("root", claim.claim_id)
    assert await both.other.cancel_queued_work_batch("root", claim.batches[0].batch_id) == claim.batches[0]
    assert await same_queues(both) == []


async def test_the_other_completes(both: Both) -> None:
    """A commit of the other program removes what a claim holds, once; the rest stays."""
    for text in "abc":
        await both.one.enqueue_queued_work(draft(text, slot=JOIN, group="g"))
    await both.one.enqueue_queued_work(draft("d"))
    claim = await claimed(both.one)
    assert texts_of(claim.batches) == ["a", "b", "c"]
    await both.other.commit_runtime_state(completing(claim))
    assert texts_of(await same_queues(both)) == ["d"]
    for session in (both.one, both.other):
        with pytest.raises(QueuedWorkClaimExpired):
            await session.commit_runtime_state(completing(claim))


async def test_a_stolen_claim_completes_nothing(both: Both) -> None:
    await both.one.enqueue_queued_work(draft("a"))
    stolen = await claimed(both.one, ttl=0)
    taken = await claimed(both.other)
    assert taken.batches == stolen.batches
    assert taken.fencing_token == stolen.fencing_token + 1
    with pytest.raises(QueuedWorkClaimExpired) as caught:
        await both.one.commit_runtime_state(completing(stolen))
    assert (caught.value.session_id, caught.value.claim_id) == ("root", stolen.claim_id)
    with pytest.raises(QueuedWorkClaimExpired):
        await both.one.renew_queued_work_claim(stolen, TTL_MS)
    await both.one.abandon_queued_work_claim(stolen)
    assert await pending(both) == []
    await both.one.commit_runtime_state(completing(taken))
    assert await same_queues(both) == []


async def test_joining_delivery_and_exact_claims(both: Both) -> None:
    """The same queue gives both programs the same groups."""
    await both.one.enqueue_queued_work(draft("0", policy=AFTER_COMMIT))
    await both.one.enqueue_queued_work(draft("1", slot=JOIN, group="g"))
    await both.other.enqueue_queued_work(draft("2", slot=JOIN, group="g"))
    await both.other.enqueue_queued_work(draft("3", slot=JOIN, group="h"))
    await both.other.enqueue_queued_work(draft("4", slot=EXCLUSIVE))
    ids = [batch.batch_id for batch in await same_queues(both)]
    for session in (both.one, both.other):
        assert await session.claim_ready_queued_work("root", "o", CHECKPOINT, TTL_MS, 9) is None
    groups = []
    for number in range(4):
        claims = []
        for session in (both.one, both.other):
            claims.append(await claimed(session, 9))
            if not claims[1:]:
                await session.abandon_queued_work_claim(claims[0])
        assert claims[0].batches == claims[1].batches
        groups.append(texts_of(claims[number % 2].batches))
    assert groups == [["0"], ["1", "2"], ["3"], ["4"]]
    assert await both.one.claim_ready_queued_work_by_batch_ids("root", "o", IDLE, TTL_MS, ids[:1]) is None


async def test_what_is_not_available_yet_waits_for_both(both: Both) -> None:
    await both.one.enqueue_queued_work(draft("later", available=2**50))
    await both.other.enqueue_queued_work(draft("now"))
    assert texts_of((await claimed(both.one)).batches) == ["now"]
    assert await both.other.claim_ready_queued_work("root", "o", IDLE, TTL_MS, 9) is None
    assert await pending(both) == ["later"]
