"""Scenarios 19 to 29, 32 and 33: which batches a claim takes, how long it holds them, and how a commit ends it."""

import msgspec
import pytest

from lash_store import (
    GcOutcome,
    MergeKeyNever,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkClaimExpired,
    QueuedWorkCompletion,
    RuntimeCommit,
    Store,
)
from tests.clocks import NOW_MS, ManualClock
from tests.conformance.session_store.examples import (
    AFTER_COMMIT,
    CHECKPOINT,
    IDLE,
    JOIN,
    TTL_MS,
    claimed,
    commit_of,
    draft,
    enqueued,
    listed,
    pending,
    root_commit,
    session_state,
    texts_of,
)
from tests.conformance.session_store.rows import everything


async def blocked(store: Store) -> None:
    await enqueued(store, "A", policy=AFTER_COMMIT)
    await enqueued(store, "B")


async def test_scenario_19_the_head_of_the_queue_blocks_a_checkpoint(store: Store) -> None:
    await blocked(store)
    assert await store.claim_ready_queued_work("root", "owner-a", CHECKPOINT, TTL_MS, 10) is None
    assert await pending(store) == ["A", "B"]


async def taken_one_by_one(store: Store) -> tuple[QueuedWorkClaim, QueuedWorkClaim]:
    await blocked(store)
    first = await claimed(store, "owner-a")
    return first, await claimed(store, "owner-b", boundary=CHECKPOINT)


async def test_scenario_20_the_blocking_one_is_taken_alone_and_then_the_next(store: Store) -> None:
    first, second = await taken_one_by_one(store)
    assert texts_of(first.batches) == ["A"]
    assert texts_of(second.batches)[0] == "B"
    assert (first.owner_id, second.owner_id) == ("owner-a", "owner-b")


async def taken_again(store: Store) -> tuple[QueuedWorkClaim, QueuedWorkClaim]:
    first, _ = await taken_one_by_one(store)
    await store.abandon_queued_work_claim(first)
    return first, await claimed(store, "owner-c")


async def test_scenario_21_abandoned_work_is_taken_again_with_a_greater_fencing_token(store: Store) -> None:
    first, again = await taken_again(store)
    assert texts_of(again.batches) == ["A"]
    assert again.fencing_token > first.fencing_token
    assert again.lease_token != first.lease_token


async def test_scenario_22_renewing_moves_only_the_expiry(store: Store, clock: ManualClock) -> None:
    _, claim = await taken_again(store)
    clock.advance(1_000)
    renewed = await store.renew_queued_work_claim(claim, TTL_MS)
    assert renewed == msgspec.structs.replace(claim, expires_at_epoch_ms=NOW_MS + 1_000 + TTL_MS)
    assert renewed.expires_at_epoch_ms >= claim.expires_at_epoch_ms


async def several_sessions(store: Store) -> None:
    await enqueued(store, "later", available=4_102_444_800_000)
    await enqueued(store, "E")
    await enqueued(store, "J", slot=JOIN, group="root")
    await enqueued(store, "O", session="other")


async def test_scenario_23_what_is_not_yet_available_is_skipped_and_exclusive_work_stands_alone(store: Store) -> None:
    await several_sessions(store)
    assert texts_of((await claimed(store)).batches) == ["E"]


async def test_scenario_24_sessions_do_not_affect_one_another(store: Store) -> None:
    await several_sessions(store)
    await claimed(store)
    assert texts_of((await claimed(store)).batches)[0] == "J"
    assert texts_of((await claimed(store, session="other")).batches) == ["O"]
    assert await listed(store) == ["later", "E", "J"]


async def test_scenario_25_a_lease_of_no_time_is_taken_over_at_once(store: Store) -> None:
    await enqueued(store, "work", session="reclaim")
    first = await claimed(store, "owner-a", session="reclaim", ttl=0)
    second = await claimed(store, "owner-b", session="reclaim")
    assert second.batches == first.batches
    assert second.fencing_token > first.fencing_token
    assert (first.expires_at_epoch_ms, second.expires_at_epoch_ms) == (NOW_MS, NOW_MS + TTL_MS)


async def test_scenario_26_a_claim_stops_at_its_limit(store: Store) -> None:
    await enqueued(store, "one", "two", "three", session="limited", slot=JOIN, group="limited")
    first = await claimed(store, limit=2, session="limited")
    assert texts_of(first.batches) == ["one", "two"]
    second = await claimed(store, session="limited")
    assert texts_of(second.batches) == ["three"]


async def test_scenario_27_a_group_ends_where_key_or_policy_differs(store: Store) -> None:
    await enqueued(store, "a1", "a2", slot=JOIN, group="a")
    await enqueued(store, "b", slot=JOIN, group="b")
    await enqueued(store, "c", slot=JOIN, group="a", policy=AFTER_COMMIT)
    taken = [texts_of((await claimed(store)).batches) for _ in range(3)]
    assert taken == [["a1", "a2"], ["b"], ["c"]]


async def joined(store: Store) -> QueuedWorkClaim:
    await enqueued(store, "one", "two", slot=JOIN, group="joined")
    claim = await claimed(store)
    assert texts_of(claim.batches) == ["one", "two"]
    return claim


def stale(claim: QueuedWorkClaim) -> QueuedWorkCompletion:
    return msgspec.structs.replace(claim.completion(), lease_token=f"{claim.lease_token}:stale")


async def refused(store: Store, commit: RuntimeCommit, claim: QueuedWorkClaim) -> None:
    before = await everything(store)
    with pytest.raises(QueuedWorkClaimExpired) as caught:
        await store.commit_runtime_state(commit)
    assert (caught.value.session_id, caught.value.claim_id) == ("root", claim.claim_id)
    assert await everything(store) == before


async def test_scenario_28_a_stale_token_fails_the_commit(store: Store) -> None:
    claim = await joined(store)
    await refused(store, root_commit().completing_queue_claims([stale(claim)]), claim)
    assert await store.load_session() is None
    assert await listed(store) == ["one", "two"]


async def test_scenario_29_the_right_completion_consumes_the_work(store: Store) -> None:
    claim = await joined(store)
    result = await store.commit_runtime_state(root_commit().completing_queue_claims([claim.completion()]))
    assert result.head_revision == 1
    assert await listed(store) == []
    assert (await everything(store))["queued_work_items"] == []


def atomic_turn() -> RuntimeCommit:
    state = session_state()
    state.turn_index = 41
    return commit_of(state).with_turn_commit("turn-atomic")


async def test_scenario_32_nothing_of_a_refused_turn_is_written(store: Store) -> None:
    await enqueued(store, "work")
    claim = await claimed(store)
    await refused(store, atomic_turn().completing_queue_claims([stale(claim)]), claim)
    assert await store.load_session() is None
    assert await listed(store) == ["work"]


async def test_scenario_33_and_once_it_is_written_it_can_be_sent_again(store: Store) -> None:
    await enqueued(store, "work")
    claim = await claimed(store)
    with pytest.raises(QueuedWorkClaimExpired):
        await store.commit_runtime_state(atomic_turn().completing_queue_claims([stale(claim)]))
    commit = atomic_turn().completing_queue_claims([claim.completion()])
    result = await store.commit_runtime_state(commit)
    before = await everything(store)
    assert await store.commit_runtime_state(commit) == result
    assert await everything(store) == before
    read = await store.load_session()
    assert read is not None
    assert (read.head_revision, read.checkpoint_ref) == (1, result.checkpoint_ref)
    assert read.checkpoint is not None
    assert read.checkpoint.turn_state.turn_index == 41
    assert await listed(store) == []


@pytest.mark.parametrize("change", ["fewer", "more", "other", "repeated", "session", "claim", "none"])
async def test_a_completion_names_exactly_what_its_claim_holds(store: Store, change: str) -> None:
    """Weakness 13: upstream compares numbers only, so that a wrong list of the right length passes."""
    claim = await joined(store)
    (free,) = await enqueued(store, "free")
    one, two = (batch.batch_id for batch in claim.batches)
    done = claim.completion()
    completion = msgspec.structs.replace(
        done,
        batch_ids={"fewer": [one], "more": [one, two, free.batch_id], "other": [one, free.batch_id],
                   "repeated": [one, one]}.get(change, done.batch_ids),
        session_id="other" if change == "session" else "root",
        claim_id=f"{claim.claim_id}0" if change in {"claim", "none"} else claim.claim_id,
    )  # fmt: skip
    if change == "none":
        completion = msgspec.structs.replace(completion, batch_ids=[])
    before = await everything(store)
    with pytest.raises(QueuedWorkClaimExpired) as caught:
        await store.commit_runtime_state(root_commit().completing_queue_claims([completion]))
    assert (caught.value.session_id, caught.value.claim_id) == (completion.session_id, completion.claim_id)
    assert await everything(store) == before
    assert texts_of(await store.list_queued_work("root")) == ["one", "two", "free"]


async def test_a_commit_completes_work_of_its_own_session_only(store: Store) -> None:
    """Section 4.7 step 6."""
    await enqueued(store, "work", session="other")
    completion = (await claimed(store, session="other")).completion()
    before = await everything(store)
    with pytest.raises(QueuedWorkClaimExpired) as caught:
        await store.commit_runtime_state(root_commit().completing_queue_claims([completion]))
    assert caught.value.session_id == "other"
    assert await everything(store) == before


async def test_a_lease_that_ran_out_is_not_renewed(store: Store, clock: ManualClock) -> None:
    """Weakness 12: upstream prolongs a lease that has run out, and part of one whose rows are gone."""
    await enqueued(store, "work")
    claim = await claimed(store)
    clock.advance(TTL_MS)
    before = await everything(store)
    with pytest.raises(QueuedWorkClaimExpired):
        await store.renew_queued_work_claim(claim, TTL_MS)
    assert await everything(store) == before
    assert await pending(store) == ["work"]


async def test_a_claim_that_was_taken_over_holds_nothing(store: Store, clock: ManualClock) -> None:
    await enqueued(store, "work")
    first = await claimed(store, "owner-a")
    clock.advance(TTL_MS)
    second = await claimed(store, "owner-b")
    with pytest.raises(QueuedWorkClaimExpired):
        await store.renew_queued_work_claim(first, TTL_MS)
    await store.abandon_queued_work_claim(first)
    assert await pending(store) == []
    await refused(store, root_commit().completing_queue_claims([first.completion()]), first)
    await store.commit_runtime_state(root_commit().completing_queue_claims([second.completion()]))
    assert await listed(store) == []


async def test_a_short_renewal_shortens_the_lease(store: Store, clock: ManualClock) -> None:
    """Section 4.12. The lease is live while its expiry is strictly greater than now (2.7)."""
    await enqueued(store, "work")
    claim = await store.renew_queued_work_claim(await claimed(store), 10)
    assert claim.expires_at_epoch_ms == NOW_MS + 10
    clock.advance(9)
    assert await pending(store) == []
    clock.advance(1)
    assert await pending(store) == ["work"]


async def test_an_endless_lease_never_ends(store: Store, clock: ManualClock) -> None:
    """Weakness 24: upstream's wraps to a negative time and is expired at once."""
    await enqueued(store, "work")
    claim = await claimed(store, ttl=2**63 - 1)
    assert claim.expires_at_epoch_ms == 2**63 - 1
    clock.now = 2**62
    assert await pending(store) == []
    await store.renew_queued_work_claim(claim, 2**63 - 1)


async def test_claimed_and_unavailable_rows_do_not_interrupt_a_group(store: Store) -> None:
    """Section 4.10 step 3; the same step says that two keys `never` are equal."""
    await enqueued(store, "one", slot=JOIN)
    await enqueued(store, "later", available=NOW_MS + 1)
    batches: list[QueuedWorkBatch] = await enqueued(store, "two", slot=JOIN)
    assert batches[0].merge_key == MergeKeyNever()
    claim = await claimed(store)
    assert texts_of(claim.batches) == ["one", "two"]
    await store.enqueue_queued_work(draft("three", slot=JOIN))
    assert texts_of((await claimed(store)).batches) == ["three"]


async def test_work_becomes_available_at_its_time(store: Store, clock: ManualClock) -> None:
    await enqueued(store, "later", available=NOW_MS + 5)
    clock.advance(4)
    assert await store.claim_ready_queued_work("root", "owner-a", IDLE, TTL_MS, 10) is None
    clock.advance(1)
    assert texts_of((await claimed(store)).batches) == ["later"]
    assert (await store.gc_unreachable()).outcome is GcOutcome.SWEPT


async def test_work_whose_claim_ran_out_is_cancelled(store: Store, clock: ManualClock) -> None:
    """Section 4.14: the row is free from the millisecond of its expiry on."""
    (batch,) = await enqueued(store, "work")
    await claimed(store)
    clock.advance(TTL_MS - 1)
    assert await store.cancel_queued_work_batch("root", batch.batch_id) is None
    clock.advance(1)
    assert await store.cancel_queued_work_batch("root", batch.batch_id) == batch
