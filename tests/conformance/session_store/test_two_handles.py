"""Scenarios 40, 41, 43, 44, 46 and 59: several handles on one file, in one event loop and in threads."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lash_store import (
    HeadRevisionConflict,
    QueuedWorkClaim,
    RuntimeCommitResult,
    SessionMeta,
    Store,
    StoreOptions,
)
from tests.clocks import ManualClock
from tests.conformance.session_store.artifacts import ARTIFACT, MODULE_REF
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import (
    IDLE,
    TTL_MS,
    claimed,
    commit_of,
    draft,
    enqueued,
    intent,
    root_commit,
    session_state,
    texts_of,
    tools,
)
from tests.conformance.session_store.rows import query

T = TypeVar("T")
# How long a thread may wait for the others before a test calls it a hang, in seconds.
PATIENCE_S = 30.0


def together(path: Path, count: int, work: Callable[[Store, int], Awaitable[T]]) -> list[T]:
    """Run `work` in `count` threads with an event loop and a handle each, let go at the same time; what they return."""
    barrier = threading.Barrier(count)

    async def in_thread(number: int) -> T:
        async with await Store.open(path, StoreOptions(clock=ManualClock())) as store:
            barrier.wait(PATIENCE_S)
            return await work(store, number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(lambda number: asyncio.run(in_thread(number)), range(count)))


async def test_scenario_40_the_second_handle_sees_what_the_first_wrote(stores: Stores) -> None:
    first, second = await stores.file(), await stores.file()
    await first.save_session_meta(SessionMeta("root", "Durable Root", "2026-06-02T00:00:00Z", "m"))
    state = session_state()
    state.tool_state = tools(77)
    await first.commit_runtime_state(commit_of(state))
    batch = await first.enqueue_queued_work(draft("survives reopen", key="reopen:queued"))
    await first.record_intent(intent("reopen-attachment"))
    meta = await second.load_session_meta()
    assert meta is not None
    assert meta.session_name == "Durable Root"
    read = await second.load_session()
    assert read is not None
    assert read.session_id == "root"
    assert read.checkpoint is not None
    assert read.checkpoint.tool_state == {"generation": 77, "tools": {}}
    batches = await second.list_queued_work("root")
    assert batches == [batch]
    assert texts_of(batches) == ["survives reopen"]
    assert [entry.attachment_id for entry in await second.list_uncommitted(200)] == ["reopen-attachment"]


def test_scenario_41_of_two_first_commits_one_wins(stores: Stores) -> None:
    async def commit(store: Store, number: int) -> RuntimeCommitResult | HeadRevisionConflict:
        try:
            return await store.commit_runtime_state(root_commit(expected_head_revision=0))
        except HeadRevisionConflict as conflict:
            return conflict

    outcomes = together(stores.path, 2, commit)
    won = [outcome for outcome in outcomes if isinstance(outcome, RuntimeCommitResult)]
    lost = [outcome for outcome in outcomes if isinstance(outcome, HeadRevisionConflict)]
    assert [result.head_revision for result in won] == [1]
    assert [(conflict.expected, conflict.actual) for conflict in lost] == [(0, 1)]
    assert query(stores.path, "SELECT head_revision FROM session_head") == [(1,)]


async def test_scenario_43_claimed_work_is_not_claimed_again(stores: Stores) -> None:
    """On one handle as in the catalogue, and on a second one."""
    first, second = await stores.file(), await stores.file()
    await enqueued(first, "work")
    claim = await claimed(first, "owner-a")
    for store in (first, second):
        assert await store.claim_ready_queued_work("root", "owner-b", IDLE, TTL_MS, 10) is None
    assert (await first.renew_queued_work_claim(claim, TTL_MS)).claim_id == claim.claim_id


async def enqueue_one(path: Path) -> None:
    async with await Store.open(path) as store:
        await enqueued(store, "work")


async def renew_elsewhere(path: Path, claim: QueuedWorkClaim) -> QueuedWorkClaim:
    async with await Store.open(path, StoreOptions(clock=ManualClock())) as third:
        return await third.renew_queued_work_claim(claim, TTL_MS)


def test_scenario_44_of_two_claims_one_wins(stores: Stores) -> None:
    """Upstream's catalogue says at most one; somebody has to be first, so it is exactly one."""
    asyncio.run(enqueue_one(stores.path))

    async def claim_it(store: Store, number: int) -> QueuedWorkClaim | None:
        return await store.claim_ready_queued_work("root", f"owner-{number}", IDLE, TTL_MS, 10)

    claims = [claim for claim in together(stores.path, 2, claim_it) if claim is not None]
    assert len(claims) == 1
    assert asyncio.run(renew_elsewhere(stores.path, claims[0])) == claims[0]


def test_scenario_46_of_sixteen_first_openers_all_succeed(tmp_path: Path) -> None:
    """They are let go before they open, not after."""
    path = tmp_path / "new.db"
    barrier = threading.Barrier(16)

    async def opening() -> bool:
        barrier.wait(PATIENCE_S)
        async with await Store.open(path) as store:
            return await store.load_session() is None

    with ThreadPoolExecutor(16) as threads:
        opened = list(threads.map(lambda _: asyncio.run(opening()), range(16)))
    assert opened == [True] * 16
    assert query(path, "PRAGMA user_version") == [(3,)]


async def test_scenario_59_an_artifact_put_through_one_handle(stores: Stores) -> None:
    first, second = await stores.file(), await stores.file()
    assert await second.get_module_artifact(MODULE_REF) is None
    assert await first.put_module_artifact(ARTIFACT) == MODULE_REF
    assert await second.get_module_artifact(MODULE_REF) == ARTIFACT


def test_everything_enqueued_at_once_is_claimed_exactly_once(stores: Stores) -> None:
    """Weaknesses 14 and 16: keyless batches of one millisecond, from several handles, all have ids of their own."""

    async def work(store: Store, number: int) -> Sequence[str]:
        await enqueued(store, *(f"{number}-{turn}" for turn in range(8)))
        taken: list[str] = []
        while (claim := await store.claim_ready_queued_work("root", f"owner-{number}", IDLE, TTL_MS, 1)) is not None:
            taken += texts_of(claim.batches)
            await store.commit_runtime_state(root_commit().completing_queue_claims([claim.completion()]))
        return taken

    taken = [text for texts in together(stores.path, 4, work) for text in texts]
    assert sorted(taken) == sorted(f"{number}-{turn}" for number in range(4) for turn in range(8))
    assert query(stores.path, "SELECT count(*) FROM queued_work_batches") == [(0,)]
    assert query(stores.path, "SELECT head_revision FROM session_head") == [(32,)]
