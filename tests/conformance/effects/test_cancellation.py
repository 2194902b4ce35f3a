"""Cancellation while something is written: nothing stays claimed for nobody, and whoever waits is told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lash_store.errors import StoreBusy
from lash_store.sqlite.effect_host.host import SqliteEffectHost
from lash_store.sqlite.ops.effects import EffectKey
from tests.clocks import ManualClock
from tests.conformance.effects.conftest import Effects, change, rows
from tests.effects import SCOPE, Executor, exec_envelope, exec_outcome, refusing, seated, sleep_envelope, soon

WORK = exec_envelope("work", "w")
STATE = "SELECT status, lease_token, lease_expires_at_ms FROM runtime_effect_replay"
FREE = [("in_progress", None, 0)]

Between = Callable[[], Awaitable[object]]


def after_the_next_commit(host: SqliteEffectHost, monkeypatch: pytest.MonkeyPatch, then: Between) -> None:
    """Have `then` run between the next commit and the moment its caller goes on."""
    connection = host._connection
    original = connection.run

    async def run(plan: Any) -> Any:
        monkeypatch.setattr(connection, "run", original)
        result = await original(plan)
        await then()
        return result

    monkeypatch.setattr(connection, "run", run)


async def cancelled() -> None:
    raise asyncio.CancelledError


async def run_held(host: SqliteEffectHost) -> "tuple[asyncio.Task[Any], Executor]":
    """The work, up to where its executor is held."""
    executor = Executor(exec_outcome("first"), held=True)
    task = asyncio.create_task(host.scoped(SCOPE).execute_effect(WORK, executor))
    await soon(asyncio.ensure_future(executor.started.wait()))
    return task, executor


async def test_a_claim_that_is_cancelled_while_it_commits_is_given_up(
    effects: Effects, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await effects.host()
    next_one = Executor(exec_outcome("next"))
    waiting: list[asyncio.Task[Any]] = []

    async def wait_then_cancel() -> None:
        assert (await rows(host, STATE))[0][2] > 0
        waiting.append(asyncio.create_task(host.scoped(SCOPE).execute_effect(WORK, next_one)))
        await seated(host, WORK)
        assert next_one.calls == 0
        await cancelled()

    after_the_next_commit(host, monkeypatch, wait_then_cancel)
    with pytest.raises(asyncio.CancelledError):
        await host.scoped(SCOPE).execute_effect(WORK, refusing())
    assert await soon(waiting[0]) == exec_outcome("next")
    assert host._engine.renewals._held == {}


@pytest.mark.parametrize("turns", range(6))
async def test_a_claim_that_is_cancelled_at_any_moment_leaves_nothing(effects: Effects, turns: int) -> None:
    host = await effects.host()
    claiming = asyncio.create_task(host.scoped(SCOPE).execute_effect(WORK, Executor(held=True)))
    while not host._engine.renewals._held:  # noqa: ASYNC110  no event announces it
        await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    assert await rows(host, STATE) in ([], FREE)
    assert host._engine.renewals._held == {}


async def test_a_claim_is_renewed_before_its_caller_goes_on(
    effects: Effects, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop may be busy for long between the commit of a claim and the run of its executor."""
    host = await effects.host(lease_ttl_ms=20_000)

    async def renew() -> None:
        for _ in range(3):
            clock.advance(15_000)
            host._engine.renewals.renew_now()
        assert (await rows(host, STATE))[0][2] == clock.now + 20_000

    after_the_next_commit(host, monkeypatch, renew)
    assert await host.scoped(SCOPE).execute_effect(WORK, Executor(exec_outcome("x"))) == exec_outcome("x")


async def test_a_claim_that_is_not_made_is_not_renewed(effects: Effects, monkeypatch: pytest.MonkeyPatch) -> None:
    host = await effects.host()
    engine = host._engine
    running, executor = await run_held(host)
    held = dict(engine.renewals._held)
    asked = host.scoped(SCOPE)._asked(WORK)
    assert await engine.claim(asked) is None
    assert engine.renewals._held == held

    async def busy(_: Any) -> Any:
        raise StoreBusy(1)

    with monkeypatch.context() as patch:
        patch.setattr(host._connection, "run", busy)
        with pytest.raises(StoreBusy):
            await engine.claim(asked)
    assert engine.renewals._held == held
    executor.release()
    await soon(running)


async def test_an_outcome_that_is_recorded_after_a_cancellation_is_told(
    effects: Effects, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await effects.host()
    running, executor = await run_held(host)
    waiting = asyncio.create_task(host.scoped(SCOPE).execute_effect(WORK, refusing()))
    await seated(host, WORK)

    async def cancel() -> None:
        running.cancel()
        await asyncio.sleep(0)

    after_the_next_commit(host, monkeypatch, cancel)
    executor.release()
    with pytest.raises(asyncio.CancelledError):
        await soon(running)
    assert await soon(waiting) == exec_outcome("first")


async def test_a_sleep_that_is_recorded_in_spite_of_a_cancellation_is_told(
    effects: Effects, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await effects.host()
    asked = host.scoped(SCOPE)._asked(sleep_envelope(1))
    insert = """
        INSERT INTO runtime_effect_replay
        VALUES ('turn', ?1, ?2, 'in_progress', NULL, NULL, 'o', 't', -1, NULL, 1, 1)
    """
    await change(host, insert, asked.replay_key, asked.envelope_hash)
    waiting = asyncio.create_task(host._engine.wait(EffectKey("turn", asked.replay_key)))
    await seated(host, sleep_envelope(1))

    async def end_it() -> None:
        await change(host, "UPDATE runtime_effect_replay SET status = 'completed'")
        await cancelled()

    after_the_next_commit(host, monkeypatch, end_it)
    with pytest.raises(asyncio.CancelledError):
        await host._engine.begin_sleep(asked, "{}", 1)
    stored = await soon(waiting)
    assert stored is not None
    assert stored.status == "completed"


@pytest.mark.parametrize("turns", range(4))
async def test_a_second_cancellation_does_not_keep_the_claim(effects: Effects, turns: int) -> None:
    host = await effects.host()
    running, _ = await run_held(host)
    waiting = asyncio.create_task(host.scoped(SCOPE).execute_effect(WORK, Executor(exec_outcome("next"))))
    await seated(host, WORK)
    running.cancel()
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await soon(waiting) == exec_outcome("next")


async def test_a_second_cancellation_waits_for_the_outcome(effects: Effects, monkeypatch: pytest.MonkeyPatch) -> None:
    host = await effects.host()
    running, executor = await run_held(host)
    recorded = asyncio.Event()

    async def slow() -> None:
        for _ in range(3):
            running.cancel()
            await asyncio.sleep(0.01)
        recorded.set()

    after_the_next_commit(host, monkeypatch, slow)
    executor.release()
    with pytest.raises(asyncio.CancelledError):
        await soon(running)
    assert recorded.is_set()
