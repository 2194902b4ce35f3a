"""Scenarios 7 to 10, 37, 39 and 41: replays, conflicts, leases that end, sleeps."""

import asyncio
import time

import pytest

from lash_store.errors import EffectEnvelopeChanged, EffectLeaseLost, RuntimeEffectControllerError
from lash_store.records.effect_outcome import RuntimeEffectOutcomeSleep
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from tests.clocks import ManualClock
from tests.conformance.effects.conftest import Effects, change, rows
from tests.effects import SCOPE, Executor, exec_envelope, exec_outcome, napping, refusing, sleep_envelope, soon, until

INSERT_SLEEP = """
INSERT INTO runtime_effect_replay (scope_id, replay_key, envelope_hash, status, outcome_json, lease_owner_id,
    lease_token, lease_expires_at_ms, due_at_ms, created_at_ms, updated_at_ms)
VALUES ('turn', 'sleep-key', ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)
"""


async def test_scenario_7_a_replay(controller: SqliteRuntimeEffectController) -> None:
    envelope = exec_envelope("exec-replay", "first")
    assert await controller.execute_effect(envelope, Executor(exec_outcome("recorded"))) == exec_outcome("recorded")
    controller.start_replay()
    unused = refusing()
    assert await controller.execute_effect(envelope, unused) == exec_outcome("recorded")
    assert unused.calls == 0


async def test_scenario_7_what_is_stored(controller: SqliteRuntimeEffectController, clock: ManualClock) -> None:
    began = clock.now
    executor = Executor(exec_outcome("recorded"), held=True)
    running = asyncio.create_task(controller.execute_effect(exec_envelope("exec-replay", "first"), executor))
    await soon(asyncio.ensure_future(executor.started.wait()))
    query = "SELECT * FROM runtime_effect_replay"
    ((scope, key, envelope_hash, status, outcome, error, owner, token, *times),) = await rows(controller, query)
    assert (scope, key, status, outcome, error) == ("turn", "exec-replay", "in_progress", None, None)
    assert envelope_hash == "d6b6c4d17025bd1ba201dccdedea1f3bba168a405e0c771fa9b23899a4adb1bc"  # E1
    assert owner
    assert token
    assert times == [began + 30_000, None, began, began]
    clock.advance(5)
    executor.release()
    await soon(running)
    stored = (
        '{"type":"exec_code","result":{"Ok":{"observations":[],"observation_truncation":[],"tool_calls":[],"images":[],'
        '"printed_images":[],"error":null,"duration_ms":0,"terminal_finish":"recorded"}}}'
    )
    assert await rows(controller, query) == [
        (scope, key, envelope_hash, "completed", stored, None, None, None, 0, None, began, began + 5)
    ]


async def test_scenario_8_a_changed_envelope(controller: SqliteRuntimeEffectController) -> None:
    await controller.execute_effect(exec_envelope("same-key", "first"), Executor(exec_outcome("x")))
    before = await rows(controller, "SELECT * FROM runtime_effect_replay")
    unused = refusing()
    with pytest.raises(EffectEnvelopeChanged, match=r"at \$\.command\.code;") as changed:
        await controller.execute_effect(exec_envelope("same-key", "changed"), unused)
    assert changed.value.code == "sqlite_effect_replay_hash_conflict"
    assert changed.value.paths == ("$.command.code",)
    assert "'same-key'" in changed.value.message
    assert "'turn'" in changed.value.message
    assert unused.calls == 0
    assert await rows(controller, "SELECT * FROM runtime_effect_replay") == before


async def test_scenario_9_a_lease_that_ended(effects: Effects, clock: ManualClock) -> None:
    """The first caller's host is stalled: its clock goes on, and its renewals (every 7 s) do not come."""
    host = await effects.host(lease_ttl_ms=20_000)
    controller = host.scoped(SCOPE)
    envelope = exec_envelope("stale-lease", "work")
    stale = Executor(exec_outcome("stale-owner"), held=True)
    first = asyncio.create_task(controller.execute_effect(envelope, stale))
    await soon(asyncio.ensure_future(stale.started.wait()))
    clock.advance(40_000)
    second = host.scoped(SCOPE).execute_effect(envelope, Executor(exec_outcome("reclaimed-owner")))
    assert await soon(asyncio.ensure_future(second)) == exec_outcome("reclaimed-owner")
    stale.release()
    with pytest.raises(EffectLeaseLost) as lost:
        await soon(first)
    assert lost.value.code == "sqlite_effect_replay_lease_lost"
    assert "'stale-lease'" in lost.value.message
    assert "'turn'" in lost.value.message
    host.start_replay()
    assert await controller.execute_effect(envelope, refusing()) == exec_outcome("reclaimed-owner")


async def test_scenario_10_a_sleep() -> None:
    controller = await SqliteRuntimeEffectController.memory(SCOPE)
    async with controller:
        began = time.monotonic()
        assert await controller.execute_effect(sleep_envelope(120)) == RuntimeEffectOutcomeSleep()
        assert time.monotonic() - began >= 0.1
        controller.start_replay()
        assert await controller.execute_effect(sleep_envelope(120)) == RuntimeEffectOutcomeSleep()


async def test_scenario_10_a_sleep_that_is_over_is_not_slept_again(
    controller: SqliteRuntimeEffectController, clock: ManualClock
) -> None:
    """The clock stands still while it is replayed: who slept again would sleep for an hour."""
    sleeping = asyncio.create_task(controller.execute_effect(sleep_envelope(3_600_000)))
    await until(lambda: rows(controller, "SELECT 1 FROM runtime_effect_replay"))
    clock.advance(3_600_000)
    assert await soon(sleeping) == RuntimeEffectOutcomeSleep()
    controller.start_replay()
    replayed = asyncio.create_task(controller.execute_effect(sleep_envelope(3_600_000)))
    assert await soon(replayed) == RuntimeEffectOutcomeSleep()


async def test_scenario_37_a_failure_is_replayed(controller: SqliteRuntimeEffectController) -> None:
    envelope = exec_envelope("failing", "work")
    failing = Executor(RuntimeEffectControllerError("plugin_checkpoint", "no luck"))
    for _ in range(3):
        with pytest.raises(RuntimeEffectControllerError) as failed:
            await controller.execute_effect(envelope, failing)
        assert (failed.value.code, failed.value.message) == ("plugin_checkpoint", "no luck")
        assert str(failed.value) == "plugin_checkpoint: no luck"
    assert failing.calls == 1
    stored = await rows(controller, "SELECT status, outcome_json, error_json FROM runtime_effect_replay")
    assert stored == [("failed", None, '{"code":"plugin_checkpoint","message":"no luck"}')]


async def test_scenario_39_a_reclaimed_sleep(controller: SqliteRuntimeEffectController, clock: ManualClock) -> None:
    """The row is one that lash has left behind, half a minute before its due time."""
    envelope = sleep_envelope(60_000)
    due = clock.now + 30_000
    values = (envelope.stable_hash(), "in_progress", None, "pid1-1-1", "pid1-1-1:1", clock.now - 1, due, clock.now - 9)
    await change(controller, INSERT_SLEEP, *values)
    sleeping = asyncio.create_task(controller.execute_effect(envelope))
    await until(lambda: rows(controller, "SELECT 1 FROM runtime_effect_replay WHERE status = 'completed'"))
    await napping(clock, sleeping)
    assert not sleeping.done()
    assert await rows(controller, "SELECT due_at_ms FROM runtime_effect_replay") == [(due,)]
    clock.now = due
    assert await soon(sleeping) == RuntimeEffectOutcomeSleep()
    assert await rows(controller, "SELECT due_at_ms FROM runtime_effect_replay") == [(due,)]


async def test_scenario_41_a_completed_sleep_that_is_not_due(
    controller: SqliteRuntimeEffectController, clock: ManualClock
) -> None:
    envelope = sleep_envelope(60_000)
    due = clock.now + 30_000
    values = (envelope.stable_hash(), "completed", '{"type":"sleep"}', None, None, 0, due, clock.now)
    await change(controller, INSERT_SLEEP, *values)
    controller.start_replay()
    sleeping = asyncio.create_task(controller.execute_effect(envelope))
    await napping(clock, sleeping)
    assert not sleeping.done()
    clock.now = due
    assert await soon(sleeping) == RuntimeEffectOutcomeSleep()
