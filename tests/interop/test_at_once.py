"""Both programs at work on one session file at the same time: nothing is lost or done twice, nobody is busy."""

import asyncio
import random
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from lash_store import (
    Append,
    GcOutcome,
    HeadRevisionConflict,
    QueuedWorkClaimExpired,
    RuntimeCommitResult,
    Store,
    Unchanged,
)
from tests.conformance.session_store.examples import IDLE, JOIN, draft, message, node_ids, root_commit, texts_of, used
from tests.interop.conftest import Opener
from tests.interop.examples import EVERYTHING
from tests.interop.stores import Session, TheirStore, same_loads
from tests.interop.test_queue import completing

PATIENCE_S = 100


async def sessions(opener: Opener, path: Path, of_each: int) -> list[Session]:
    """Handles of both programs by turns, each of alpha.40's in a process of its own."""
    opened: list[Session] = []
    for _ in range(of_each):
        opened += [await opener.ours(path), await opener.theirs(path)]
    return opened


async def test_commits_race_for_every_revision(opener: Opener, tmp_path: Path) -> None:
    """200 commits of each program, each on the head that it has seen; who is overtaken looks again."""
    racers = await sessions(opener, tmp_path / "s.db", 2)
    start = asyncio.Event()

    async def race(number: int, session: Session) -> list[tuple[int, str]]:
        await start.wait()
        revision, leaf, won = 0, None, []
        dice = random.Random(number)
        for turn in range(100):
            node_id = f"{number}-{turn}"
            await asyncio.sleep(dice.random() * 0.004)  # or the faster program would win until it is done
            while True:
                commit = root_commit(
                    expected_head_revision=revision,
                    graph=Append([message(node_id, leaf)], node_id),
                    usage_deltas=[used(f"racer-{number}", "m", 1, 1, 1, 1)],
                )
                try:
                    result = await session.commit_runtime_state(commit.with_turn_commit(node_id))
                except HeadRevisionConflict as overtaken:
                    read = await session.load_session()
                    assert read is not None
                    revisions = revision, overtaken.actual, read.head_revision
                    assert list(revisions) == sorted(revisions)
                    revision, leaf = read.head_revision, read.graph.leaf_node_id
                else:
                    won.append((result.head_revision, node_id))
                    revision, leaf = result.head_revision, node_id
                    break
        return won

    async with asyncio.timeout(PATIENCE_S):
        running = [asyncio.ensure_future(race(number, session)) for number, session in enumerate(racers)]
        start.set()
        won = [pair for pairs in await asyncio.gather(*running) for pair in pairs]
    assert sorted(revision for revision, _ in won) == list(range(1, 401))
    read = await same_loads(*racers)
    assert read.head_revision == 400
    assert node_ids(read.graph.nodes) == [node_id for _, node_id in sorted(won)]
    assert {entry.source: entry.usage.input_tokens for entry in read.token_ledger} == {
        f"racer-{number}": 100 for number in range(4)
    }
    programs = [int(node_id[0]) % 2 for _, node_id in sorted(won)]
    assert sum(one != next_one for one, next_one in pairwise(programs)) > 50  # they did meet


async def test_a_stamped_commit_sent_by_both_counts_once(opener: Opener, tmp_path: Path) -> None:
    senders = await sessions(opener, tmp_path / "s.db", 2)
    for turn in range(40):
        commit = root_commit(
            graph=Append([message(f"n{turn}")], f"n{turn}"), usage_deltas=[used("t", "m", 1, 0, 0, 0)]
        ).with_turn_commit(f"turn-{turn}")
        results: list[RuntimeCommitResult] = await asyncio.gather(*(s.commit_runtime_state(commit) for s in senders))
        assert all(result == results[0] for result in results)
        assert results[0].head_revision == turn + 1
    read = await same_loads(*senders)
    assert len(read.graph.nodes) == read.head_revision == read.token_ledger[0].usage.input_tokens == 40


async def test_a_queue_is_drained_by_both(opener: Opener, tmp_path: Path) -> None:
    """Each batch is done once, whoever claims it; some claims run out, or are given back."""
    workers = await sessions(opener, tmp_path / "s.db", 2)
    for number in range(120):
        wanted = draft(str(number), slot=JOIN, group=f"g{number // 10 % 2}") if number % 3 else draft(str(number))
        # Two handles of alpha.40 may give two batches of one millisecond the same id.
        await workers[number % 2].enqueue_queued_work(wanted)
    done: list[str] = []
    tokens: list[tuple[str, int]] = []

    async def work(number: int, session: Session) -> None:
        dice = random.Random(number)
        while True:
            claim = await session.claim_ready_queued_work("root", f"w{number}", IDLE, dice.choice([0, 60_000]), 3)
            if claim is None:
                if not await session.list_queued_work("root"):
                    return
                continue
            tokens.append((claim.batches[0].batch_id, claim.fencing_token))
            if dice.random() < 0.2:
                await session.abandon_queued_work_claim(claim)
                continue
            await asyncio.sleep(0)
            try:
                await session.commit_runtime_state(completing(claim))
            except QueuedWorkClaimExpired:
                continue  # somebody else has taken it
            done.extend(texts_of(claim.batches))

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(work(number, session) for number, session in enumerate(workers)))
    assert sorted(done, key=int) == [str(number) for number in range(120)]
    assert len(set(tokens)) == len(tokens)


async def test_batches_enqueued_by_both_at_once(opener: Opener, tmp_path: Path) -> None:
    ours, theirs = await opener.ours(tmp_path / "s.db"), await opener.theirs(tmp_path / "s.db")

    async def enqueue(session: Session, name: str) -> None:
        for number in range(100):
            await session.enqueue_queued_work(draft(f"{name}-{number}"))
            await session.enqueue_queued_work(draft("shared", key=f"key-{number}"))

    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(enqueue(ours, "ours"), enqueue(theirs, "theirs"))
    listed = await ours.list_queued_work("root")
    assert listed == await theirs.list_queued_work("root")
    texts = texts_of(listed)
    assert texts.count("shared") == 100
    for name in ("ours", "theirs"):
        assert [text for text in texts if text.startswith(name)] == [f"{name}-{number}" for number in range(100)]


@pytest.mark.parametrize("collector", ["ours", "theirs"])
async def test_collections_beside_the_others_commits(collector: str, opener: Opener, tmp_path: Path) -> None:
    """A checkpoint that one program commits is whole, however often the other one collects."""
    ours, theirs = await opener.ours(tmp_path / "s.db"), await opener.theirs(tmp_path / "s.db")
    writer: Session = theirs if collector == "ours" else ours
    states = [bytes([number]) * 500 for number in range(5)]
    finished = asyncio.Event()

    async def collect() -> int:
        rounds = 0
        while not finished.is_set():
            rounds += 1
            await _collect(ours if collector == "ours" else theirs)
        return rounds

    async with asyncio.timeout(PATIENCE_S):
        collecting = asyncio.ensure_future(collect())
        for number in range(150):
            checkpoint = msgspec.structs.replace(EVERYTHING.checkpoint, execution_state=states[number % 5])
            await writer.commit_runtime_state(root_commit(graph=Unchanged(None), checkpoint=checkpoint))
            found = (await same_loads(ours, theirs)).checkpoint
            assert found is not None
            assert (found.execution_state, found.tool_state) == (states[number % 5], EVERYTHING.checkpoint.tool_state)
        finished.set()
        assert await collecting > 10


async def _collect(session: Session) -> None:
    if isinstance(session, TheirStore):
        await session.alpha("gc")
    else:
        assert isinstance(session, Store)
        assert (await session.gc_unreachable()).outcome in (GcOutcome.SWEPT, GcOutcome.OVERTAKEN)
