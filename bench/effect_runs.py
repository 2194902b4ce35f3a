"""What bench.effects measures: effects run and replayed by one process, and asked for by several at once."""

import asyncio
import contextlib
import time
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Final

from bench.measure import Waits, summarise_waits
from lash_store.records.effect_command import RuntimeEffectCommandExecCode
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_outcome import RuntimeEffectOutcome, RuntimeEffectOutcomeExecCode
from lash_store.records.effect_scope import EffectScopeTurn
from lash_store.records.invocation import RuntimeEffectKind, RuntimeInvocation, RuntimeScope
from lash_store.sqlite.effect_host.host import SqliteEffectHost

if TYPE_CHECKING:
    import apsw

SCOPE: Final = EffectScopeTurn("session", "turn")
EFFECT_S: Final = 0.002
"""How long a contended effect runs: long enough for the others to find it taken."""
SLICE_S: Final = 0.001
"""How long a busy event loop is kept from its other tasks at a time."""
_POINT_READ: Final = "SELECT outcome_json FROM runtime_effect_replay WHERE scope_id = ?1 AND replay_key = ?2"
_CHUNK: Final = 50


@dataclass(frozen=True, slots=True)
class Alone:
    """One process, one effect at a time, then `tasks` at once. `ratio` is a replay over a point read of its row."""

    first_run: Waits
    replay: Waits
    point_read: Waits
    ratio: float
    tasks: int
    first_runs_per_s: float
    replays_per_s: float


@dataclass(frozen=True, slots=True)
class Contention:
    """Processes that ask for the same effects in the same order; `busy`: their event loops are kept busy."""

    processes: int
    effects: int
    busy: bool


@dataclass(slots=True)
class ProcessLog:
    """What one process lived through: its `waits` (s) for effects that another one ran, and how many it ran itself."""

    waits: "array[float]" = field(default_factory=lambda: array("d"))
    runs: int = 0
    ended: float = 0.0


def envelope(key: str) -> RuntimeEffectEnvelope:
    """An effect."""
    scope = RuntimeScope.for_turn("session", "turn", 1, 0)
    invocation = RuntimeInvocation.effect(scope, key, RuntimeEffectKind.EXEC_CODE, key)
    return RuntimeEffectEnvelope.new(invocation, RuntimeEffectCommandExecCode("print(1)"))


async def execute(_: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
    """An executor that takes no time."""
    return RuntimeEffectOutcomeExecCode({"Ok": {"observations": ["1"], "error": None, "duration_ms": 0}})


async def measure_alone(path: str, effects: int, tasks: int) -> Alone:
    """Run and replay `effects` effects. Replays and point reads take turns, so that a slow spell hits both."""
    keys = _keys(effects)
    async with await SqliteEffectHost.open(path) as host:
        controller = host.scoped(SCOPE)
        first = await _timed([partial(controller.execute_effect, envelope(key), execute) for key in keys])
        replays, reads, ratios = array("d"), array("d"), []
        for start in range(0, effects, _CHUNK):
            chunk = keys[start : start + _CHUNK]
            replayed = await _timed([partial(controller.execute_effect, envelope(key)) for key in chunk])
            read = await _timed([partial(_point_read, host, key) for key in chunk])
            ratios.append(median(replayed) / median(read))
            replays += replayed
            reads += read
        crowd = [envelope(f"t{key}") for key in keys]
        began = time.perf_counter()
        await _at_once([partial(controller.execute_effect, asked, execute) for asked in crowd], tasks)
        ran = time.perf_counter()
        await _at_once([partial(controller.execute_effect, asked) for asked in crowd], tasks)
        ended = time.perf_counter()
    return Alone(
        summarise_waits([first]),
        summarise_waits([replays]),
        summarise_waits([reads]),
        median(ratios),
        tasks,
        effects / (ran - began),
        effects / (ended - ran),
    )


async def contend(path: str, run: Contention, start: Callable[[], None]) -> ProcessLog:
    """Ask for the effects of `run`, one after another, from when `start` returns."""
    log = ProcessLog()

    async def work(asked: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
        log.runs += 1
        await asyncio.sleep(EFFECT_S)
        return await execute(asked)

    async with await SqliteEffectHost.open(path) as host:
        controller = host.scoped(SCOPE)
        await host.list_effects(SCOPE.scope_id, limit=1)  # the first read opens what later ones use
        start()
        burning = asyncio.ensure_future(_keep_busy()) if run.busy else None
        for key in _keys(run.effects):
            runs, began = log.runs, time.perf_counter()
            await controller.execute_effect(envelope(key), work)
            if log.runs == runs:
                log.waits.append(time.perf_counter() - began)
        log.ended = time.monotonic()
        if burning is not None:
            burning.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await burning
    return log


async def block_the_loop(path: str, lease_ttl_ms: int, seconds: float, start: Callable[[], None]) -> ProcessLog:
    """Ask for one effect, whose executor keeps the event loop from everything else for longer than the lease."""
    log = ProcessLog()

    async def work(asked: RuntimeEffectEnvelope) -> RuntimeEffectOutcome:
        log.runs += 1
        time.sleep(seconds)  # noqa: ASYNC251 - the point of it
        return await execute(asked)

    async with await SqliteEffectHost.open(path, lease_ttl_ms=lease_ttl_ms) as host:
        start()
        await host.scoped(SCOPE).execute_effect(envelope("blocking"), work)
    log.ended = time.monotonic()
    return log


async def _keep_busy() -> None:
    while True:
        until = time.perf_counter() + SLICE_S
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0)


def _keys(effects: int) -> list[str]:
    return [f"{number:06}" for number in range(effects)]


async def _point_read(host: SqliteEffectHost, key: str) -> object:
    def read(connection: "apsw.Connection") -> object:
        return connection.execute(_POINT_READ, (SCOPE.scope_id, key)).fetchone()

    return await host._connection.read(read)  # noqa: SLF001 - beside what the host does with it


async def _timed(calls: list[Callable[[], Awaitable[object]]]) -> "array[float]":
    waits = array("d")
    for call in calls:
        began = time.perf_counter()
        await call()
        waits.append(time.perf_counter() - began)
    return waits


async def _at_once(calls: list[Callable[[], Awaitable[object]]], tasks: int) -> None:
    async def take_turns(place: int) -> None:
        for call in calls[place::tasks]:
            await call()

    await asyncio.gather(*(take_turns(place) for place in range(tasks)))
