"""Effects to try hosts and controllers with, and executors that say how often they ran."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from lash_store.records.effect_command import RuntimeEffectCommandExecCode, RuntimeEffectCommandSleep
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_outcome import RuntimeEffectOutcomeExecCode
from lash_store.records.effect_scope import EffectScope, EffectScopeTurn
from lash_store.records.invocation import RuntimeEffectKind, RuntimeInvocation, RuntimeScope
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from lash_store.sqlite.effect_host.host import SqliteEffectHost
from lash_store.sqlite.ops.effects import EffectKey
from tests.clocks import ManualClock
from tests.sqlite.waiting.rooms import at_rest

SCOPE: Final = EffectScopeTurn("session", "turn")
SLEEP_SCOPE: Final = RuntimeScope.for_turn("session", "turn", 1, 0)
PATIENCE_S: Final = 20.0
"""How long anything may take before a test calls it a hang."""


def exec_envelope(key: str, code: str) -> RuntimeEffectEnvelope:
    """The "exec envelope (key, code)" of the catalogue."""
    scope = RuntimeScope.for_turn("effect-session", "effect-turn", 1, 0)
    invocation = RuntimeInvocation.effect(scope, key, RuntimeEffectKind.EXEC_CODE, key)
    return RuntimeEffectEnvelope.new(invocation, RuntimeEffectCommandExecCode(code))


def sleep_envelope(duration_ms: int) -> RuntimeEffectEnvelope:
    """The sleep of scenario 10, of any length."""
    invocation = RuntimeInvocation.effect(SLEEP_SCOPE, "sleep", RuntimeEffectKind.SLEEP, "sleep-key")
    return RuntimeEffectEnvelope.new(invocation, RuntimeEffectCommandSleep(duration_ms))


def exec_outcome(marker: Any) -> RuntimeEffectOutcomeExecCode:
    """The "exec outcome" of the catalogue."""
    execution = {
        "observations": [],
        "observation_truncation": [],
        "tool_calls": [],
        "images": [],
        "printed_images": [],
        "error": None,
        "duration_ms": 0,
        "terminal_finish": marker,
    }
    return RuntimeEffectOutcomeExecCode({"Ok": execution})


class Executor:
    """Returns `result`, or raises it, once `release` is called (at once unless it is `held`); counts its calls."""

    def __init__(self, result: Any = None, *, held: bool = False) -> None:
        self.result = result
        self.calls = 0
        self.started = asyncio.Event()
        self._free = asyncio.Event()
        if not held:
            self._free.set()

    def release(self) -> None:
        self._free.set()

    async def __call__(self, _: RuntimeEffectEnvelope) -> Any:
        self.calls += 1
        self.started.set()
        await self._free.wait()
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


def refusing() -> Executor:
    """An executor that must not be used."""
    return Executor(AssertionError("the executor was used"))


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Return when `condition` is true."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110  no event announces it
            await asyncio.sleep(0.001)


async def seated(
    opened: SqliteEffectHost | SqliteRuntimeEffectController,
    envelope: RuntimeEffectEnvelope,
    scope: EffectScope = SCOPE,
    *,
    callers: int = 1,
) -> None:
    """Return when `callers` of `opened` wait for others to end the effect: they have looked, and found it held."""
    room = opened._engine._room
    key = EffectKey(scope.scope_id, envelope.replay_key or "")

    async def waiting() -> bool:
        return at_rest(room) and len(room._waiters.get(key, ())) == callers

    await until(waiting)


async def napping(clock: ManualClock, sleeping: "asyncio.Task[Any]") -> None:
    """Return when the only one who sleeps by the clock looks at it again and again, or does not any more."""
    before = clock.asked

    async def asked_often() -> bool:
        return clock.asked > before + 6 or sleeping.done()

    await until(asked_often)


@contextlib.asynccontextmanager
async def ticking(clock: ManualClock) -> AsyncIterator[None]:
    """Meanwhile the clock goes on by itself: whoever has to look again in a millisecond does."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(0.002)
            clock.advance(1)

    task = asyncio.ensure_future(tick())
    try:
        yield
    finally:
        task.cancel()


async def soon(task: "asyncio.Future[Any]") -> Any:
    """The result of a task that must end."""
    async with asyncio.timeout(PATIENCE_S):
        return await task
