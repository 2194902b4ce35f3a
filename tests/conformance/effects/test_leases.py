"""Leases: what keeps them, what ends them, and what a claim that was lost can still do (none of it recorded)."""

import asyncio
import time
from typing import Any

import pytest

from lash_store.errors import EffectLeaseLost, EffectRefused, InvalidRecord, RuntimeEffectControllerError
from lash_store.records.effect_command import RuntimeEffectCommandSleep
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_outcome import RuntimeEffectOutcomeExecCode, RuntimeEffectOutcomeSleep
from lash_store.records.invocation import RuntimeEffectKind, RuntimeInvocation
from lash_store.sqlite.database import Database
from lash_store.sqlite.effect_host.host import SqliteEffectHost
from tests.clocks import ManualClock
from tests.conformance.effects.conftest import Effects, change, rows
from tests.effects import (
    PATIENCE_S,
    SCOPE,
    SLEEP_SCOPE,
    Executor,
    exec_envelope,
    exec_outcome,
    napping,
    refusing,
    seated,
    soon,
    ticking,
    until,
)

WORK = exec_envelope("work", "w")
LEASE = "SELECT lease_expires_at_ms FROM runtime_effect_replay"
ATTEMPTS = "SELECT attempts FROM lash_effect_attempts"


async def begin(host: SqliteEffectHost, executor: Executor) -> "asyncio.Task[object]":
    """Have `host` run the work, up to where its executor is held."""
    task: asyncio.Task[object] = asyncio.ensure_future(host.scoped(SCOPE).execute_effect(WORK, executor))
    await soon(asyncio.ensure_future(executor.started.wait()))
    return task


async def test_a_renewed_lease_holds(effects: Effects, clock: ManualClock) -> None:
    host = await effects.host(lease_ttl_ms=20_000)
    first, second = Executor(exec_outcome("first"), held=True), refusing()
    running = await begin(host, first)
    for _ in range(4):
        clock.advance(15_000)
        host._engine.renewals.renew_now()
    assert await rows(host, LEASE) == [(clock.now + 20_000,)]
    waiting = asyncio.create_task(host.scoped(SCOPE).execute_effect(WORK, second))
    await seated(host, WORK)
    first.release()
    assert await soon(waiting) == await soon(running) == exec_outcome("first")
    assert second.calls == 0


async def test_a_busy_event_loop_does_not_cost_the_lease(file_effects: Effects) -> None:
    """The executor blocks the loop until another handle has seen the lease move on three times."""
    host = await SqliteEffectHost.open(file_effects.path or "")
    async with host:
        renewals = host._engine.renewals
        assert 2 * renewals._interval_s * 1000 < host._engine.lease_ttl_ms
        renewals._interval_s = 0.02  # a lease that is so short would run out on a slow machine

        async def block(_: RuntimeEffectEnvelope) -> RuntimeEffectOutcomeExecCode:
            seen: set[Any] = set()
            gives_up = time.monotonic() + PATIENCE_S
            with Database.open(host.path) as other:
                while len(seen) <= 3:
                    assert time.monotonic() < gives_up, "the lease is not renewed"
                    time.sleep(0.005)  # noqa: ASYNC251  the point of it
                    found: list[Any] = other.read(lambda connection: connection.execute(LEASE).fetchall())
                    seen.update(found)
            return exec_outcome("done")

        assert await host.scoped(SCOPE).execute_effect(WORK, block) == exec_outcome("done")
        assert await rows(host, ATTEMPTS) == [(1,)]


async def test_a_lost_lease_ends_the_executor(effects: Effects, clock: ManualClock) -> None:
    host = await effects.host(lease_ttl_ms=20_000)
    stale = Executor(exec_outcome("stale"), held=True)
    first = await begin(host, stale)
    clock.advance(20_000)
    assert await host.scoped(SCOPE).execute_effect(WORK, Executor(exec_outcome("fresh"))) == exec_outcome("fresh")
    host._engine.renewals.renew_now()
    with pytest.raises(EffectLeaseLost):
        await soon(first)
    assert await host.scoped(SCOPE).execute_effect(WORK, refusing()) == exec_outcome("fresh")


@pytest.mark.parametrize(
    "end", [exec_outcome("stale"), RuntimeEffectControllerError("no", "stale"), ValueError("stale")]
)
async def test_a_stale_end_does_not_touch_the_claim_that_came_after(
    effects: Effects, clock: ManualClock, end: object
) -> None:
    """Both callers belong to one host: the owner is the same, the token is not."""
    host = await effects.host(lease_ttl_ms=20_000)
    stale, fresh = Executor(end, held=True), Executor(exec_outcome("fresh"), held=True)
    first = await begin(host, stale)
    clock.advance(20_000)
    second = await begin(host, fresh)
    before = await rows(host, "SELECT * FROM runtime_effect_replay")
    stale.release()
    with pytest.raises((EffectLeaseLost, ValueError)):
        await soon(first)
    assert await rows(host, "SELECT * FROM runtime_effect_replay") == before
    fresh.release()
    assert await soon(second) == exec_outcome("fresh")


async def test_an_expired_lease_that_nobody_took_still_counts(effects: Effects, clock: ManualClock) -> None:
    host = await effects.host(lease_ttl_ms=20_000)
    executor = Executor(exec_outcome("late"), held=True)
    running = await begin(host, executor)
    clock.advance(60_000)
    executor.release()
    assert await soon(running) == exec_outcome("late")


async def test_waiters_take_over_when_the_lease_ends(file_effects: Effects, clock: ManualClock) -> None:
    """The first host is stalled: it renews nothing."""
    hosts = [await file_effects.host(lease_ttl_ms=20_000) for _ in range(3)]
    first = await begin(hosts[0], Executor(exec_outcome("stale"), held=True))
    second = Executor(exec_outcome("second"))
    waiting = [asyncio.create_task(host.scoped(SCOPE).execute_effect(WORK, second)) for host in hosts[1:]]
    for host in hosts[1:]:
        await seated(host, WORK)
    clock.advance(19_999)
    for host in hosts[1:]:
        host._engine._room.changed()
        await seated(host, WORK)
    assert second.calls == 0
    clock.advance(1)
    async with ticking(clock):
        assert [await soon(task) for task in waiting] == [exec_outcome("second")] * 2
    assert second.calls == 1
    assert await rows(hosts[1], ATTEMPTS) == [(2,)]
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_clock_that_steps_back(file_effects: Effects, clock: ManualClock) -> None:
    host, other = await file_effects.host(), await file_effects.host()
    executor, unused = Executor(exec_outcome("one"), held=True), refusing()
    running = await begin(host, executor)
    began = clock.now
    clock.advance(-3_600_000)
    host._engine.renewals.renew_now()
    assert await rows(host, LEASE) == [(began + 30_000,)]  # no shorter than others believe it to be
    waiting = asyncio.create_task(other.scoped(SCOPE).execute_effect(WORK, unused))
    await seated(other, WORK)
    clock.advance(3_600_000 + 20_000)
    other._engine._room.changed()
    await seated(other, WORK)
    executor.release()
    assert await soon(running) == await soon(waiting) == exec_outcome("one")
    assert unused.calls == 0


async def test_a_clock_that_steps_back_does_not_prolong_a_sleep(effects: Effects, clock: ManualClock) -> None:
    host = await effects.host()
    invocation = RuntimeInvocation.effect(SLEEP_SCOPE, "nap", RuntimeEffectKind.SLEEP, "nap")
    nap = RuntimeEffectEnvelope.new(invocation, RuntimeEffectCommandSleep(200))
    sleeping = asyncio.create_task(host.scoped(SCOPE).execute_effect(nap))
    await until(lambda: rows(host, LEASE))
    await napping(clock, sleeping)
    clock.advance(-3_600_000)
    assert await soon(sleeping) == RuntimeEffectOutcomeSleep()


@pytest.mark.parametrize("error", [ValueError("a bug"), TimeoutError("slow"), EffectLeaseLost("inner", "effect")])
async def test_what_is_no_verdict_is_not_recorded(effects: Effects, error: Exception) -> None:
    host = await effects.host()
    with pytest.raises(type(error)) as raised:
        await host.scoped(SCOPE).execute_effect(WORK, Executor(error))
    assert raised.value is error
    assert await rows(host, "SELECT status, lease_token, lease_expires_at_ms FROM runtime_effect_replay") == [
        ("in_progress", None, 0)
    ]
    assert await host.scoped(SCOPE).execute_effect(WORK, Executor(exec_outcome("x"))) == exec_outcome("x")
    assert await rows(host, ATTEMPTS) == [(2,)]


async def test_cancelling_an_effect_leaves_it_to_the_next(file_effects: Effects) -> None:
    host, other = await file_effects.host(), await file_effects.host()
    running = await begin(host, Executor(exec_outcome("x"), held=True))
    waiting = asyncio.create_task(other.scoped(SCOPE).execute_effect(WORK, Executor(exec_outcome("next"))))
    await seated(other, WORK)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await soon(waiting) == exec_outcome("next")


async def test_a_renewal_under_way_does_not_keep_a_cancelled_effect(effects: Effects) -> None:
    host = await effects.host()
    running = await begin(host, Executor(held=True))
    (claim,) = host._engine.renewals._held
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    host._engine.renewals._renew({claim: None})
    assert await rows(host, LEASE) == [(0,)]


async def test_cancelling_a_waiter_changes_nothing(effects: Effects) -> None:
    host = await effects.host()
    executor = Executor(exec_outcome("x"), held=True)
    running = await begin(host, executor)
    waiting = asyncio.create_task(host.scoped(SCOPE).execute_effect(WORK, refusing()))
    await seated(host, WORK)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    executor.release()
    assert await soon(running) == exec_outcome("x")


async def test_cancelling_while_the_outcome_is_written(effects: Effects, monkeypatch: pytest.MonkeyPatch) -> None:
    """The effect has happened: its outcome is recorded, and only then is the cancellation heard."""
    host = await effects.host()
    executor = Executor(exec_outcome("x"), held=True)
    running = await begin(host, executor)
    connection, go, cancelled = host._connection, asyncio.Event(), asyncio.Event()
    original = connection.run

    async def slow(plan: object) -> object:
        go.set()
        await cancelled.wait()
        return await original(plan)  # type: ignore[arg-type]

    monkeypatch.setattr(connection, "run", slow)
    executor.release()
    await soon(asyncio.ensure_future(go.wait()))
    running.cancel()
    await asyncio.sleep(0)
    cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await soon(running)
    monkeypatch.undo()
    assert await host.scoped(SCOPE).execute_effect(WORK, refusing()) == exec_outcome("x")


@pytest.mark.parametrize("wrong", [RuntimeEffectOutcomeSleep(), None, {"type": "exec_code"}])
async def test_an_outcome_of_another_kind_is_refused(effects: Effects, wrong: object) -> None:
    host = await effects.host()
    with pytest.raises(EffectRefused) as refused:
        await host.scoped(SCOPE).execute_effect(WORK, Executor(wrong))
    assert refused.value.code == "runtime_effect_wrong_outcome"
    assert await host.scoped(SCOPE).execute_effect(WORK, Executor(exec_outcome("x"))) == exec_outcome("x")


@pytest.mark.parametrize(
    "unfit",
    [
        RuntimeEffectOutcomeExecCode({"Ok": {"terminal_finish": float("nan")}}),
        RuntimeEffectOutcomeExecCode({"Ok": None, "Err": "x"}),
        RuntimeEffectOutcomeExecCode({"Fine": None}),
        RuntimeEffectControllerError("\ud800", "m"),
    ],
)
async def test_a_result_that_cannot_be_stored_is_refused(effects: Effects, unfit: object) -> None:
    host = await effects.host()
    with pytest.raises(EffectRefused) as refused:
        await host.scoped(SCOPE).execute_effect(WORK, Executor(unfit))
    assert refused.value.code == "sqlite_effect_replay_encode"
    assert await host.scoped(SCOPE).execute_effect(WORK, Executor(exec_outcome("x"))) == exec_outcome("x")


async def test_a_lease_of_lash_is_waited_for(effects: Effects, clock: ManualClock) -> None:
    """Also one that looks negative: it was stored unsigned, and never ends."""
    host = await effects.host()
    insert = """
        INSERT INTO runtime_effect_replay
        VALUES ('turn', 'work', ?1, 'in_progress', NULL, NULL, 'pid1-1-1', 'pid1-1-1:1', ?2, NULL, 1, 1)
    """
    await change(host, insert, WORK.stable_hash(), -1)
    executor = Executor(exec_outcome("x"))
    waiting = asyncio.create_task(host.scoped(SCOPE).execute_effect(WORK, executor))
    for _ in range(5):
        await seated(host, WORK)
        host._engine._room.changed()
    await seated(host, WORK)
    assert executor.calls == 0
    assert host.stats().commits == 0  # nobody tries to claim it again and again
    await change(host, "UPDATE runtime_effect_replay SET lease_expires_at_ms = ?1", clock.now + 1)
    clock.advance(1)
    host._engine._room.changed()
    async with ticking(clock):
        assert await soon(waiting) == exec_outcome("x")
    assert await rows(host, ATTEMPTS) == [(1,)]


@pytest.mark.parametrize(("ttl", "held"), [(0, 1), (1, 1), (2**63 - 1, 2**63 - 1)])
async def test_the_length_of_a_lease(effects: Effects, clock: ManualClock, ttl: int, held: int) -> None:
    host = await effects.host(lease_ttl_ms=ttl)
    executor = Executor(exec_outcome("x"), held=True)
    running = await begin(host, executor)
    assert await rows(host, LEASE) == [(min(clock.now + held, 2**63 - 1),)]
    host._engine.renewals.renew_now()
    assert await rows(host, LEASE) == [(min(clock.now + held, 2**63 - 1),)]
    executor.release()
    await soon(running)


@pytest.mark.parametrize("ttl", [-1, 2**63, 1.5, True])
async def test_a_lease_that_no_column_holds(effects: Effects, ttl: int) -> None:
    with pytest.raises(InvalidRecord):
        await effects.host(lease_ttl_ms=ttl)


async def test_the_longest_sleeps(effects: Effects, clock: ManualClock) -> None:
    host = await effects.host()

    def sleep(duration_ms: int) -> RuntimeEffectEnvelope:
        invocation = RuntimeInvocation.effect(SLEEP_SCOPE, "s", RuntimeEffectKind.SLEEP, f"{duration_ms}")
        return RuntimeEffectEnvelope.new(invocation, RuntimeEffectCommandSleep(duration_ms))

    with pytest.raises(InvalidRecord, match="duration_ms"):
        await host.scoped(SCOPE).execute_effect(sleep(2**63))
    sleeping = asyncio.ensure_future(host.scoped(SCOPE).execute_effect(sleep(2**63 - 1)))
    await until(lambda: rows(host, LEASE))
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    assert await rows(host, "SELECT due_at_ms FROM runtime_effect_replay") == [(2**63 - 1,)]
    assert clock.now < 2**62


async def test_a_sleep_of_lash_that_is_due_beyond_the_column(effects: Effects, clock: ManualClock) -> None:
    """Taken over from the one who began it, it keeps its due time, which was stored unsigned."""
    host = await effects.host()
    invocation = RuntimeInvocation.effect(SLEEP_SCOPE, "s", RuntimeEffectKind.SLEEP, "s")
    nap = RuntimeEffectEnvelope.new(invocation, RuntimeEffectCommandSleep(1))
    insert = """
        INSERT INTO runtime_effect_replay
        VALUES ('turn', 's', ?1, 'in_progress', NULL, NULL, 'pid1-1-1', 'pid1-1-1:1', 1, -1, 1, 1)
    """
    await change(host, insert, nap.stable_hash())
    for _ in range(2):  # when it is taken over, and when it is replayed
        sleeping = asyncio.create_task(host.scoped(SCOPE).execute_effect(nap))
        await until(lambda: rows(host, f"{LEASE} WHERE status = 'completed'"))
        await napping(clock, sleeping)
        assert not sleeping.done()
        sleeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeping
    assert await rows(host, "SELECT status, due_at_ms FROM runtime_effect_replay") == [("completed", -1)]


async def test_closing_ends_the_waiting(effects: Effects) -> None:
    host = await effects.host()
    running = await begin(host, Executor(held=True))
    waiting = asyncio.create_task(host.scoped(SCOPE).execute_effect(WORK, refusing()))
    await seated(host, WORK)
    async with asyncio.timeout(PATIENCE_S):
        await host.close()
    with pytest.raises(Exception, match="is closed"):
        await soon(waiting)
    running.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await running
    assert any("may stay claimed until its lease ends" in note for note in cancelled.value.__notes__)
