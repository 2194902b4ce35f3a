"""Completions are exact, or the whole plan fails (specification 4.17; scenarios 28, 29, 32; weakness 13)."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from lash_store.errors import GuardFailed, InvalidJsonValue, InvalidRecord, QueuedWorkClaimExpired
from lash_store.records.queue import QueuedWorkCompletion
from lash_store.sqlite.ops.queue_completion import completion_error, completion_steps
from lash_store.sqlite.plan import Plan, Step
from tests.sqlite.ops.queue_rig import Queue, draft, texts


async def refused(queue: Queue, *completions: QueuedWorkCompletion) -> QueuedWorkClaimExpired:
    """Complete in one plan, which must fail and change nothing; the error that a commit would raise."""
    before = await queue.everything()
    steps = [Step("UPDATE queued_work_batches SET available_at_ms = 7"), *completion_steps(completions)]
    with pytest.raises(GuardFailed) as caught:
        await queue._run(Plan(steps))
    assert await queue.everything() == before
    error = completion_error(caught.value, completions)
    assert error is not None
    return error


def listing(completion: QueuedWorkCompletion, ids: Iterable[str]) -> QueuedWorkCompletion:
    return msgspec.structs.replace(completion, batch_ids=list(ids))


async def test_a_completion_removes_what_it_lists(queue: Queue) -> None:
    await queue.put(draft("a", group="joined"), draft("b", group="joined"), draft("c"), draft("d", "other"))
    claim = await queue.must_claim()
    assert texts(claim) == ["a", "b"]
    await queue.complete(claim.completion())
    assert texts(await queue.list_queued_work("root")) == ["c"]
    assert await queue.rows("SELECT count(*) FROM queued_work_items") == [(2,)]


async def test_the_order_of_the_ids_does_not_matter(queue: Queue) -> None:
    await queue.put(draft("a"), draft("b"))
    completion = (await queue.must_claim()).completion()
    await queue.complete(listing(completion, reversed(completion.batch_ids)))
    assert await queue.everything() == []


@pytest.mark.parametrize(
    "changes",
    [{"lease_token": "x:stale"}, {"claim_id": "qwc:1:2"}, {"session_id": "other"}],
    ids=repr,
)
async def test_a_stale_completion_removes_nothing(queue: Queue, changes: dict[str, Any]) -> None:
    await queue.put(draft("a"), draft("b"))
    completion = msgspec.structs.replace((await queue.must_claim()).completion(), **changes)
    error = await refused(queue, completion)
    assert (error.session_id, error.claim_id) == (completion.session_id, completion.claim_id)


async def test_the_listed_ids_must_be_all_that_the_claim_holds(queue: Queue) -> None:
    await queue.put(draft("a"), draft("b"), draft("alone", group="g"))
    completion = (await queue.must_claim()).completion()
    [foreign] = (await queue.must_claim()).completion().batch_ids
    one, two = completion.batch_ids
    for ids in ([], [one], [one, one], [one, foreign], [one, two, foreign], [one, two, two], [one, "qwb:unknown"]):
        await refused(queue, listing(completion, ids))
    await queue.complete(completion)
    assert texts(await queue.list_queued_work("root")) == ["alone"]


async def test_an_empty_list_completes_no_claim_that_holds_nothing(queue: Queue) -> None:
    await refused(queue, QueuedWorkCompletion("root", "qwc:1:1", "token", []))


async def test_a_claim_that_was_taken_over_or_given_back_completes_nothing(queue: Queue) -> None:
    await queue.put(draft("a"))
    old = await queue.must_claim(ttl=0)
    new = await queue.must_claim()
    await refused(queue, old.completion())
    await queue.abandon_queued_work_claim(new)
    await refused(queue, new.completion())


async def test_a_completed_claim_does_not_complete_again(queue: Queue) -> None:
    await queue.put(draft("a"))
    completion = (await queue.must_claim()).completion()
    await refused(queue, completion, completion)
    await queue.complete(completion)
    await refused(queue, completion)


async def test_a_partly_expired_claim_that_was_partly_taken_over_completes_nothing(queue: Queue) -> None:
    await queue.put(draft("a"), draft("b"))
    old = await queue.must_claim(ttl=0)
    await queue.must_claim(1)
    await refused(queue, old.completion())


async def test_an_expired_claim_that_nobody_took_over_still_completes(queue: Queue) -> None:
    await queue.put(draft("a"))
    completion = (await queue.must_claim(ttl=0)).completion()
    queue.hand_clock.now += 1_000
    await queue.complete(completion)
    assert await queue.everything() == []


async def test_of_several_completions_all_succeed_or_none(queue: Queue) -> None:
    await queue.put(draft("a", group="a"), draft("b", group="b"))
    one, two = [(await queue.must_claim()).completion() for _ in range(2)]
    stale = msgspec.structs.replace(two, claim_id="qwc:9:9")
    assert (await refused(queue, one, stale)).claim_id == "qwc:9:9"
    await queue.complete(one, two)
    assert await queue.everything() == []


async def test_the_failure_of_another_guard_is_none_of_a_completion(queue: Queue) -> None:
    assert completion_error(GuardFailed(0, "revision", "no row", (1,), 0), []) is None
    assert completion_steps([]) == []


def test_what_is_no_completion_makes_no_steps() -> None:
    for changes in ({"claim_id": 1}, {"batch_ids": "text"}, {"batch_ids": [None]}, {"lease_token": None}):
        with pytest.raises(InvalidRecord):
            completion_steps([msgspec.structs.replace(QueuedWorkCompletion("s", "c", "t", ["b"]), **changes)])
    with pytest.raises(InvalidJsonValue):
        completion_steps([QueuedWorkCompletion("\ud800", "c", "t", ["b"])])
