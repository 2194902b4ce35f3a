"""Closing a host: from the wrong place, cancelled, and while others keep the threads of the loop busy."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lash_store.errors import StoreWrongLoop
from lash_store.sqlite.effect_host.host import SqliteEffectHost
from tests.conformance.effects.conftest import Effects
from tests.effects import PATIENCE_S, SCOPE, Executor, exec_envelope, exec_outcome, seated, soon

WORK = exec_envelope("work", "w")


def renewing() -> list[str]:
    """The threads that renew leases."""
    return [thread.name for thread in threading.enumerate() if "effect leases" in thread.name]


async def run_held(host: SqliteEffectHost, executor: Executor) -> "asyncio.Task[object]":
    task: asyncio.Task[object] = asyncio.ensure_future(host.scoped(SCOPE).execute_effect(WORK, executor))
    await soon(asyncio.ensure_future(executor.started.wait()))
    return task


async def test_closing_in_another_loop_closes_nothing(effects: Effects) -> None:
    host = await effects.host()
    executor = Executor(exec_outcome("x"), held=True)
    running = await run_held(host, executor)
    waiting = asyncio.create_task(host.scoped(SCOPE).execute_effect(WORK, Executor()))
    await seated(host, WORK)
    with pytest.raises(StoreWrongLoop):
        await asyncio.to_thread(asyncio.run, host.close())
    assert not host.closed
    await asyncio.sleep(0)
    executor.release()
    assert await soon(running) == await soon(waiting) == exec_outcome("x")


@pytest.mark.parametrize("turns", range(4))
async def test_a_close_that_is_cancelled_leaves_no_thread(effects: Effects, turns: int) -> None:
    host = await effects.host(lease_ttl_ms=3_600_000)  # by itself the thread would see the end of the handle late
    running = await run_held(host, Executor(held=True))
    assert renewing()
    closing = asyncio.create_task(host.close())
    for _ in range(turns):
        await asyncio.sleep(0)
    closing.cancel()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    if turns:  # or it was cancelled before it began
        async with asyncio.timeout(PATIENCE_S):
            while renewing():  # noqa: ASYNC110  no event announces it
                await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_closing_does_not_wait_for_the_threads_of_the_loop(effects: Effects) -> None:
    host = await effects.host()
    running = await run_held(host, executor := Executor(exec_outcome("x"), held=True))
    executor.release()
    await soon(running)
    go = threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(pool := ThreadPoolExecutor(1))
    busy = loop.run_in_executor(None, go.wait, 60)
    try:
        async with asyncio.timeout(30):
            await host.close()
    finally:
        go.set()
    assert await busy
    pool.shutdown()
    assert not renewing()
