"""Listing effects, forgetting and pruning them: additions of this package."""

import asyncio
from functools import partial

import pytest

from lash_store.errors import InvalidRecord
from lash_store.records.effect_scope import EffectScopeTurn
from lash_store.sqlite.effect_host.host import SqliteEffectHost
from lash_store.sqlite.ops import effect_history
from tests.clocks import ManualClock
from tests.conformance.effects.conftest import Effects, change, rows
from tests.effects import SCOPE, Executor, exec_envelope, exec_outcome, sleep_envelope, soon, until


async def run(host: SqliteEffectHost, key: str, session: str = "session", turn: str = "turn") -> None:
    controller = host.scoped(EffectScopeTurn(session, turn))
    await controller.execute_effect(exec_envelope(key, "c"), Executor(exec_outcome(key)))


async def test_a_scope_is_listed_page_by_page(effects: Effects, clock: ManualClock) -> None:
    host = await effects.host()
    began = clock.now
    for key in ("b", "c", "a"):
        await run(host, key)
        clock.advance(1)
    await run(host, "x", turn="other")
    first = await host.list_effects("turn", limit=2)
    assert [entry.replay_key for entry in first] == ["a", "b"]
    assert first[1].created_at_ms == first[1].updated_at_ms == began
    assert (first[1].status, first[1].attempts, first[1].lease_owner_id) == ("completed", 1, None)
    rest = await host.list_effects("turn", after_replay_key="b", limit=2)
    assert [entry.replay_key for entry in rest] == ["c"]
    assert await host.list_effects("nobody") == []


async def test_abandoned_effects_are_found(effects: Effects, clock: ManualClock) -> None:
    host = await effects.host()
    await run(host, "done")
    running = asyncio.ensure_future(
        host.scoped(SCOPE).execute_effect(exec_envelope("dead", "c"), held := Executor(exec_outcome(1), held=True))
    )
    await soon(asyncio.ensure_future(held.started.wait()))
    assert await host.list_abandoned_effects() == []
    assert not await host.forget_effect("turn", "dead")
    clock.advance(30_000)
    (entry,) = await host.list_abandoned_effects()
    assert (entry.replay_key, entry.status, entry.attempts) == ("dead", "in_progress", 1)
    assert entry.lease_owner_id == host._engine.owner_id
    assert await host.list_abandoned_effects(limit=0) == []
    held.release()
    await soon(running)


async def test_abandoned_effects_are_found_by_the_index(effects: Effects) -> None:
    host = await effects.host()
    plan = await rows(
        host,
        "EXPLAIN QUERY PLAN SELECT 1 FROM runtime_effect_replay WHERE status = 'in_progress' "
        "AND lease_expires_at_ms BETWEEN 0 AND ?1 ORDER BY lease_expires_at_ms LIMIT 1",
        1,
    )
    assert any("idx_runtime_effect_replay_lease" in str(row) for row in plan)


async def test_what_is_forgotten_is_run_again(effects: Effects) -> None:
    host = await effects.host()
    await run(host, "k")
    assert await host.forget_effect("turn", "k")
    assert not await host.forget_effect("turn", "k")
    assert await rows(host, "SELECT count(*) FROM lash_effect_attempts") == [(0,)]
    changed = exec_envelope("k", "changed")
    assert await host.scoped(SCOPE).execute_effect(changed, Executor(exec_outcome(2))) == exec_outcome(2)


async def test_pruning_spares_what_is_younger_or_has_not_ended(effects: Effects, clock: ManualClock) -> None:
    host = await effects.host()
    for key in ("a", "b", "c"):
        await run(host, key)
    with pytest.raises(ValueError, match="no verdict"):
        await host.scoped(SCOPE).execute_effect(exec_envelope("open", "c"), Executor(ValueError("no verdict")))
    sleeping = asyncio.ensure_future(host.scoped(SCOPE).execute_effect(sleep_envelope(60_000)))
    await until(lambda: rows(host, "SELECT 1 FROM runtime_effect_replay WHERE due_at_ms IS NOT NULL"))
    sleeping.cancel()
    clock.advance(10)
    await run(host, "young")
    assert await host.prune_effects(clock.now, limit=2) == 2
    assert await host.prune_effects(clock.now) == 1
    assert await host.prune_effects(clock.now) == 0
    kept = [entry.replay_key for entry in await host.list_effects("turn")]
    assert kept == ["open", "sleep-key", "young"]
    assert [key for (key,) in await rows(host, "SELECT replay_key FROM lash_effect_attempts")] == kept
    assert await host.prune_effects(clock.now + 120_000) == 2


FILL = """
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
INSERT INTO runtime_effect_replay
SELECT 'turn', printf('%05d', i), 'h', 'completed', '{}', NULL, NULL, NULL, 0, NULL, 1, i FROM n
"""


async def test_many_are_pruned_in_short_transactions(effects: Effects) -> None:
    host = await effects.host()
    await change(host, FILL, 700)
    before = host.stats().commits
    assert await host.prune_effects(650, limit=600) == 600
    assert host.stats().commits - before == 3
    assert await host.prune_effects(650) == 50
    left = await rows(host, "SELECT replay_key FROM runtime_effect_replay ORDER BY replay_key")
    assert left == [(f"{number:05}",) for number in range(650, 700)]


async def test_what_is_found_is_looked_at_again_when_it_is_pruned(effects: Effects) -> None:
    """Between the two it may have been forgotten, and its row be another's."""
    host = await effects.host()
    await change(host, FILL, 3)
    found = await host._read(partial(effect_history.ended, 100, 10, effect_history.BEFORE_ALL_ROWS))
    assert len(found) == 3
    await change(host, "UPDATE runtime_effect_replay SET updated_at_ms = 100 WHERE replay_key = '00000'")
    await change(host, "UPDATE runtime_effect_replay SET status = 'in_progress' WHERE replay_key = '00001'")
    assert effect_history.removed(await host._run(effect_history.prune(100, found))) == 1
    assert [entry.replay_key for entry in await host.list_effects("turn")] == ["00000", "00001"]


async def test_pruning_sorts_nothing_and_searches_nothing_under_the_lock(effects: Effects) -> None:
    host = await effects.host()
    find = await rows(host, f"EXPLAIN QUERY PLAN {effect_history._ENDED}", 1, 1, 1)
    assert [str(row[3]) for row in find] == ["SEARCH runtime_effect_replay USING INTEGER PRIMARY KEY (rowid>?)"]
    prune = await rows(host, f"EXPLAIN QUERY PLAN {effect_history._PRUNE}", 1, 1)
    assert [str(row[3]) for row in prune] == ["SEARCH runtime_effect_replay USING INTEGER PRIMARY KEY (rowid=?)"]


async def test_arguments_that_no_column_holds(effects: Effects) -> None:
    host = await effects.host()
    with pytest.raises(InvalidRecord):
        await host.prune_effects(2**63)
    with pytest.raises(InvalidRecord):
        await host.list_effects("turn", limit=-1)
    with pytest.raises(InvalidRecord):
        await host.forget_effect("\ud800", "k")
