"""The example under docs/ does what it says."""

import asyncio
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from lash_store import QueuedWorkBatchDraft, QueuedWorkClaim, SqliteSessionStoreFactory, Store

LOOP = Path(__file__).parent.parent / "docs" / "agent_loop.py"


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_agents_at_once_survive_being_killed(tmp_path: Path) -> None:
    said = loaded(LOOP).demonstrate(tmp_path, kills=5)
    assert said == "2 agents, killed 5 times; 30 questions, each answered once, in 30 commits"


async def test_agents_in_one_process_answer_each_question_once(tmp_path: Path) -> None:
    """Four at once, so that nearly every commit meets another's; and asking again doubles nothing."""
    loop = loaded(LOOP)
    await loop.prepare(tmp_path)
    await loop.prepare(tmp_path)
    async with asyncio.TaskGroup() as agents:
        for _ in range(4):
            agents.create_task(loop.work(tmp_path))
    await loop.prepare(tmp_path)
    assert await loop.check(tmp_path) == (30, 30)


async def test_a_question_that_was_answered_is_not_answered_again(tmp_path: Path) -> None:
    """Asked in the moment between the look and the answer: it stands in the queue once more."""
    loop = loaded(LOOP)
    await loop.prepare(tmp_path)
    async with await SqliteSessionStoreFactory(tmp_path).create_store(loop.SESSION) as store:
        (batch, *_) = await store.list_queued_work(loop.SESSION)
        await loop.work(tmp_path)
        again = QueuedWorkBatchDraft(
            session_id=loop.SESSION,
            source_key=batch.source_key,
            delivery_policy=batch.delivery_policy,
            slot_policy=batch.slot_policy,
            payloads=[item.payload for item in batch.items],
        )
        await store.enqueue_queued_work(again)
    await loop.work(tmp_path)
    assert await loop.check(tmp_path) == (30, 30)


async def test_an_agent_that_lost_its_claim_leaves_the_question_to_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None renews its lease, and slow answers take longer than that: others answer these questions, too."""
    loop = loaded(LOOP)
    lost: list[str] = []

    async def forget(store: Store, claim: QueuedWorkClaim) -> None:
        await asyncio.sleep(loop.LEASE_MS * 2 / 1000)
        lost.append(claim.claim_id)

    monkeypatch.setattr(loop, "LEASE_MS", 60)
    monkeypatch.setattr(loop, "renew", forget)
    await loop.prepare(tmp_path)
    async with asyncio.TaskGroup() as agents:
        for _ in range(3):
            agents.create_task(loop.work(tmp_path))
    assert lost
    assert await loop.check(tmp_path) == (30, 30)
