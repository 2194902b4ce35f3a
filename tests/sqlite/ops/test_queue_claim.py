"""Claims: which batches, for how long, and what becomes of them (specification 4.10 to 4.13; scenarios 15 to 27)."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from lash_store.errors import InvalidRecord, QueuedWorkClaimExpired
from tests.sqlite.ops.queue_rig import (
    AFTER_COMMIT,
    CHECKPOINT,
    EARLIEST,
    EXCLUSIVE,
    IDLE,
    JOIN,
    LEASE,
    NOW,
    Queue,
    draft,
    texts,
)


async def test_a_claim_holds_what_it_says(queue: Queue) -> None:
    batches = await queue.put(draft("a"), draft("b"))
    claim = await queue.claim_ready_queued_work("root", "owner-a", IDLE, LEASE, 10)
    assert claim is not None
    assert (claim.session_id, claim.owner_id, claim.claim_id) == ("root", "owner-a", "qwc:1:1")
    assert claim.fencing_token == 1
    assert (claim.claimed_at_epoch_ms, claim.expires_at_epoch_ms) == (NOW, NOW + LEASE)
    assert len(claim.lease_token) == 64
    assert claim.batches == batches
    columns = "claim_id, claim_owner_id, claim_token, claim_fencing_token, claim_claimed_at_ms, claim_expires_at_ms"
    row = ("qwc:1:1", "owner-a", claim.lease_token, 1, NOW, NOW + LEASE)
    assert await queue.rows(f"SELECT {columns} FROM queued_work_batches") == [row, row]


async def test_nothing_is_claimed_of_an_empty_queue(queue: Queue) -> None:
    assert await queue.claim() is None
    await queue.put(draft())
    assert await queue.claim(0) is None
    assert await queue.claim(session_id="other") is None
    assert await queue.fencing() == [0]


async def test_a_claimed_batch_is_claimed_again_only_after_it_was_abandoned(queue: Queue) -> None:
    await queue.put(draft("a"))
    claim = await queue.must_claim()
    assert await queue.claim() is None
    assert texts(await queue.list_pending_queued_work("root")) == []
    await queue.abandon_queued_work_claim(claim)
    columns = "claim_id, claim_owner_id, claim_token, claim_fencing_token, claim_claimed_at_ms, claim_expires_at_ms"
    assert await queue.rows(f"SELECT {columns} FROM queued_work_batches") == [(None, None, None, 1, 0, 0)]
    again = await queue.must_claim()
    assert (again.claim_id, again.fencing_token) == ("qwc:1:2", 2)
    assert again.lease_token != claim.lease_token


async def test_abandoning_what_was_taken_over_changes_nothing(queue: Queue) -> None:
    await queue.put(draft())
    stale = await queue.must_claim(ttl=0)
    await queue.must_claim()
    before = await queue.everything()
    await queue.abandon_queued_work_claim(stale)
    assert await queue.everything() == before


@pytest.mark.parametrize("ttl", [0, 1, LEASE])
async def test_an_expired_claim_can_be_taken_over(queue: Queue, ttl: int) -> None:
    await queue.put(draft("a"))
    first = await queue.must_claim(ttl=ttl)
    queue.hand_clock.now += max(ttl - 1, 0)
    assert (await queue.claim(ttl=0) is None) == (ttl > 0)
    queue.hand_clock.now = NOW + ttl
    second = await queue.must_claim()
    assert second.batches == first.batches
    assert second.fencing_token > first.fencing_token


async def test_a_lease_ends_no_later_than_a_column_can_say(queue: Queue) -> None:
    await queue.put(draft())
    claim = await queue.must_claim(ttl=2**63 - 1)
    assert claim.expires_at_epoch_ms == 2**63 - 1
    assert await queue.claim() is None
    claim = await queue.renew_queued_work_claim(claim, 2**63 - 1)
    assert claim.expires_at_epoch_ms == 2**63 - 1
    assert await queue.rows("SELECT claim_expires_at_ms FROM queued_work_batches") == [(2**63 - 1,)]


async def test_an_after_commit_batch_at_the_head_blocks_the_checkpoint(queue: Queue) -> None:
    await queue.put(draft("A", delivery=AFTER_COMMIT, slot=EXCLUSIVE), draft("B", slot=EXCLUSIVE))
    assert await queue.claim(boundary=CHECKPOINT) is None
    assert await queue.fencing() == [0, 0]
    first = await queue.claim(owner="owner-a")
    assert texts(first) == ["A"]
    assert texts(await queue.claim(owner="owner-b", boundary=CHECKPOINT)) == ["B"]
    assert first is not None
    await queue.abandon_queued_work_claim(first)
    again = await queue.claim(owner="owner-c")
    assert texts(again) == ["A"]
    assert again is not None
    assert again.fencing_token > first.fencing_token


async def test_sessions_and_unavailable_batches_do_not_hinder(queue: Queue) -> None:
    await queue.put(
        draft("late", available_at_ms=4_102_444_800_000), draft("E", slot=EXCLUSIVE), draft("J", group="root")
    )
    await queue.put(draft("O", "other"))
    assert texts(await queue.claim()) == ["E"]
    assert texts(await queue.claim()) == ["J"]
    assert texts(await queue.claim(session_id="other")) == ["O"]
    assert await queue.claim() is None
    queue.hand_clock.now = 4_102_444_800_000 - 1
    assert texts(await queue.claim()) == ["E"]  # its claim has expired
    assert texts(await queue.claim()) == ["J"]
    queue.hand_clock.now += 1
    assert texts(await queue.claim()) == ["late"]


async def test_a_claim_takes_no_more_than_its_limit(queue: Queue) -> None:
    await queue.put(*(draft(text, group="limited") for text in ("one", "two", "three")))
    assert texts(await queue.claim(2)) == ["one", "two"]
    assert texts(await queue.claim()) == ["three"]


async def test_joined_batches_agree_in_policy_and_group(queue: Queue) -> None:
    await queue.put(
        draft("a1", group="a"),
        draft("a2", group="a"),
        draft("b", group="b"),
        draft("c", group="a", delivery=AFTER_COMMIT),
    )
    assert [texts(await queue.claim()) for _ in range(4)] == [["a1", "a2"], ["b"], ["c"], None]


async def test_a_follower_of_another_policy_is_not_joined(queue: Queue) -> None:
    await queue.put(draft("a"), draft("b", delivery=AFTER_COMMIT), draft("c", delivery=AFTER_COMMIT))
    assert [texts(await queue.claim()) for _ in range(3)] == [["a"], ["b", "c"], None]


async def test_the_first_batch_that_differs_ends_a_group(queue: Queue) -> None:
    await queue.put(draft("a"), draft("b"), draft("alone", slot=EXCLUSIVE), draft("c"), draft("d", group="never"))
    assert [texts(await queue.claim()) for _ in range(5)] == [["a", "b"], ["alone"], ["c"], ["d"], None]


async def test_what_is_not_ready_does_not_interrupt_a_group(queue: Queue) -> None:
    batches = await queue.put(
        draft("a", slot=EXCLUSIVE), draft("b"), draft("c", slot=EXCLUSIVE, available_at_ms=NOW + 1), draft("d", "other")
    )
    await queue.put(draft("e"))
    await queue.must_claim()
    claim = await queue.must_claim()
    assert texts(claim) == ["b", "e"]
    assert claim.claim_id == f"qwc:{batches[1].enqueue_seq}:1"


async def test_groups_are_compared_by_name_however_they_are_spelt(queue: Queue) -> None:
    await queue.put(draft("a", group="g"), draft("b", group="g"), draft("c", group="g"), draft("d", group="h"))
    change = "UPDATE queued_work_batches SET merge_key_json = ?1 WHERE enqueue_seq = ?2"
    await queue.execute(change, '{ "group" : "g" }', 2)
    await queue.execute(change, '{"group":"\\u0067"}', 3)
    assert texts(await queue.claim()) == ["a", "b", "c"]


async def test_batches_ready_from_the_start_and_later_ones_are_claimed_in_queue_order(queue: Queue) -> None:
    await queue.put(draft("0"), draft("1", available_at_ms=NOW + 5), draft("2"), draft("3", available_at_ms=NOW + 4))
    await queue.put(draft("4", available_at_ms=NOW))
    queue.hand_clock.now += 5
    assert texts(await queue.claim(1)) == ["0"]
    assert texts(await queue.claim(2)) == ["1", "2"]
    assert texts(await queue.claim()) == ["3", "4"]


async def test_a_clock_that_was_set_back_makes_nothing_ready_too_early(queue: Queue) -> None:
    await queue.put(draft("now", available_at_ms=NOW))
    queue.hand_clock.now = NOW - 1
    assert await queue.claim() is None
    queue.hand_clock.now = NOW
    assert texts(await queue.claim()) == ["now"]


async def test_times_beyond_a_column_that_alpha_wrote_wrap_as_it_reads_them(queue: Queue) -> None:
    await queue.put(draft("a"))
    await queue.execute("UPDATE queued_work_batches SET available_at_ms = -1")
    claim = await queue.must_claim(ttl=5)
    assert claim.batches[0].available_at_ms == 2**64 - 1
    await queue.execute("UPDATE queued_work_batches SET claim_expires_at_ms = -1")
    assert (await queue.must_claim()).fencing_token == 2


async def test_an_expired_claim_makes_nothing_available_before_its_time(queue: Queue) -> None:
    await queue.put(draft("a", available_at_ms=NOW + 1))
    await queue.execute("UPDATE queued_work_batches SET claim_token = 'token', claim_expires_at_ms = 5")
    assert await queue.claim() is None
    queue.hand_clock.now += 1
    assert texts(await queue.claim()) == ["a"]


@pytest.mark.parametrize("backlog", [511, 512, 513])
async def test_a_long_backlog_of_late_rows_is_claimed_in_queue_order(queue: Queue, backlog: int) -> None:
    await queue.put(*(draft(str(number), available_at_ms=NOW + 9 * (number % 2)) for number in range(20)))
    await queue.execute(
        """
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
INSERT INTO queued_work_batches (batch_id, session_id, delivery_policy, slot_policy, merge_key_json, available_at_ms,
enqueued_at_ms) SELECT 'b' || n, 'root', 'earliest_safe_boundary', 'exclusive', '"never"', ?2, ?2 - 1 FROM number""",
        backlog - 10,
        NOW + 1,
    )
    queue.hand_clock.now += 9
    assert texts(await queue.claim(1)) == ["0"]
    assert texts(await queue.claim(15)) == [str(number) for number in range(1, 16)]
    assert texts(await queue.claim(15)) == ["16", "17", "18", "19"]
    claim = await queue.must_claim()
    assert [batch.batch_id for batch in claim.batches] == ["b1"]


async def test_an_exact_claim_does_not_jump_over_earlier_work(queue: Queue) -> None:
    first, second = await queue.put(*(draft(t, delivery=AFTER_COMMIT, slot=EXCLUSIVE) for t in ("first", "second")))
    before = await queue.everything()
    assert await queue.claim_exactly([second.batch_id]) is None
    assert await queue.everything() == before
    assert texts(await queue.list_pending_queued_work("root")) == ["first", "second"]
    assert texts(await queue.claim_exactly([first.batch_id])) == ["first"]
    assert texts(await queue.list_pending_queued_work("root")) == ["second"]


async def test_an_exact_claim_takes_all_or_nothing_in_any_order(queue: Queue) -> None:
    ids = [batch.batch_id for batch in await queue.put(draft("a"), draft("b"), draft("c"))]
    before = await queue.everything()
    wrong: list[Sequence[str]] = [
        [],
        ids[1:],
        [ids[0], ids[2]],
        [ids[0], ids[0]],
        [*ids, ids[0]],
        [*ids, "qwb:unknown"],
        ["qwb:unknown"],
    ]
    for listed in wrong:
        assert await queue.claim_exactly(listed) is None
    assert await queue.everything() == before
    claim = await queue.claim_exactly([ids[1], ids[0]])
    assert texts(claim) == ["a", "b"]
    assert claim is not None
    assert claim.fencing_token == 1


async def test_an_exact_claim_respects_the_boundary(queue: Queue) -> None:
    [batch] = await queue.put(draft(delivery=AFTER_COMMIT))
    ids = [batch.batch_id]
    assert await queue.claim_ready_queued_work_by_batch_ids("root", "o", CHECKPOINT, LEASE, ids) is None
    assert await queue.claim_ready_queued_work_by_batch_ids("other", "o", IDLE, LEASE, ids) is None
    assert await queue.claim_ready_queued_work_by_batch_ids("root", "o", IDLE, LEASE, ids) is not None


async def test_a_renewed_claim_is_the_same_with_another_expiry(queue: Queue) -> None:
    await queue.put(draft("a"), draft("b"))
    claim = await queue.must_claim()
    queue.hand_clock.now += 10
    longer = await queue.renew_queued_work_claim(claim, LEASE)
    assert longer == msgspec.structs.replace(claim, expires_at_epoch_ms=NOW + 10 + LEASE)
    shorter = await queue.renew_queued_work_claim(longer, 5)
    assert shorter.expires_at_epoch_ms == NOW + 15
    rows = await queue.rows("SELECT claim_claimed_at_ms, claim_expires_at_ms FROM queued_work_batches")
    assert rows == [(NOW, NOW + 15)] * 2
    ended = await queue.renew_queued_work_claim(shorter, 0)
    assert ended.expires_at_epoch_ms == NOW + 10
    with pytest.raises(QueuedWorkClaimExpired):
        await queue.renew_queued_work_claim(ended, LEASE)


async def test_an_expired_claim_cannot_be_renewed(queue: Queue) -> None:
    await queue.put(draft())
    claim = await queue.must_claim(ttl=10)
    queue.hand_clock.now += 10
    before = await queue.everything()
    with pytest.raises(QueuedWorkClaimExpired) as caught:
        await queue.renew_queued_work_claim(claim, LEASE)
    assert (caught.value.session_id, caught.value.claim_id) == ("root", claim.claim_id)
    assert await queue.everything() == before


async def test_a_claim_that_lost_a_batch_cannot_be_renewed(queue: Queue) -> None:
    await queue.put(draft("a"), draft("b"))
    claim = await queue.must_claim()
    await queue.execute("DELETE FROM queued_work_batches WHERE enqueue_seq = 2")
    before = await queue.everything()
    with pytest.raises(QueuedWorkClaimExpired):
        await queue.renew_queued_work_claim(claim, LEASE)
    assert await queue.everything() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"lease_token": "stale"},
        {"claim_id": "qwc:9:9"},
        {"session_id": "other"},
        {"batches": []},
        {"batches": [], "lease_token": "stale"},
    ],
    ids=repr,
)
async def test_a_claim_that_is_none_cannot_be_renewed(queue: Queue, changes: dict[str, Any]) -> None:
    await queue.put(draft())
    claim = await queue.must_claim()
    before = await queue.everything()
    with pytest.raises(QueuedWorkClaimExpired):
        await queue.renew_queued_work_claim(msgspec.structs.replace(claim, **changes), LEASE)
    assert await queue.everything() == before


@pytest.mark.parametrize(
    "arguments",
    [
        (1, "o", IDLE, 1, 1),
        ("s", None, IDLE, 1, 1),
        ("\ud800", "o", IDLE, 1, 1),
        ("s", "\ud800", IDLE, 1, 1),
        ("s", "o", "idle", 1, 1),
        ("s", "o", JOIN, 1, 1),
        ("s", "o", EARLIEST, 1, 1),
        ("s", "o", IDLE, -1, 1),
        ("s", "o", IDLE, 2**63, 1),
        ("s", "o", IDLE, 1.0, 1),
        ("s", "o", IDLE, 1, -1),
        ("s", "o", IDLE, 1, 2**63),
        ("s", "o", IDLE, 1, True),
    ],
    ids=repr,
)
async def test_what_is_no_claim_is_refused(queue: Queue, arguments: Any) -> None:
    await queue.put(draft(session_id="s"))
    with pytest.raises(InvalidRecord):
        await queue.claim_ready_queued_work(*arguments)
    assert await queue.fencing() == [0]


async def test_what_is_no_list_of_ids_or_no_claim_is_refused(queue: Queue) -> None:
    await queue.put(draft())
    claim = await queue.must_claim()
    before = await queue.everything()
    for ids in ("text", [1], ["\ud800"]):
        with pytest.raises(InvalidRecord):
            await queue.claim_exactly(ids)  # type: ignore[arg-type]
    for wrong in (claim.completion(), None, msgspec.structs.replace(claim, claim_id="\ud800")):
        with pytest.raises(InvalidRecord):
            await queue.renew_queued_work_claim(wrong, 1)  # type: ignore[arg-type]
        with pytest.raises(InvalidRecord):
            await queue.abandon_queued_work_claim(wrong)  # type: ignore[arg-type]
    for ttl in (-1, 2**63, None, 1.5):
        with pytest.raises(InvalidRecord):
            await queue.renew_queued_work_claim(claim, ttl)  # type: ignore[arg-type]
    assert await queue.everything() == before
