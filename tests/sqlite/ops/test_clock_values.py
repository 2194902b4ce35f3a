"""A clock that shows no time writes nothing: a row that held it could not be read again."""

import math
from typing import Any

import pytest

from lash_store import (
    EffectScopeTurn,
    HostEventOccurrenceRequest,
    ProcessInputExternal,
    ProcessRegistration,
    SqliteEffectHost,
    SqliteHostEventStore,
    SqliteProcessRegistry,
    StoreError,
)
from tests.effects import Executor, exec_envelope, exec_outcome

NO_TIMES: list[Any] = [-1, -5, 1.5, 1_780_358_400_000.0, 2**63, math.nan, None, "5", True, b"5"]


REQUEST = HostEventOccurrenceRequest(source_type="t", source_key="k", idempotency_key="i")


class OddClock:
    """Shows anything."""

    def __init__(self, now: Any) -> None:
        self.now = now

    def now_ms(self) -> Any:
        return self.now


@pytest.mark.parametrize("now", NO_TIMES, ids=repr)
async def test_no_time_in_a_registry(now: Any) -> None:
    async with await SqliteProcessRegistry.memory(clock=OddClock(now)) as registry:
        with pytest.raises(StoreError, match="the clock shows"):
            await registry.register_process(ProcessRegistration("p", ProcessInputExternal()))
        assert await registry.list_non_terminal() == []


@pytest.mark.parametrize("now", NO_TIMES, ids=repr)
async def test_no_time_for_effects(now: Any) -> None:
    async with await SqliteEffectHost.memory(clock=OddClock(now)) as host:
        executor = Executor(exec_outcome("m"))
        with pytest.raises(StoreError, match="the clock shows"):
            await host.scoped(EffectScopeTurn("s", "t")).execute_effect(exec_envelope("k", "c"), executor)
        with pytest.raises(StoreError, match="the clock shows"):
            await host.list_abandoned_effects()
        assert (executor.calls, await host.list_effects("t")) == (0, [])


@pytest.mark.parametrize("now", NO_TIMES, ids=repr)
async def test_no_time_for_host_events(now: Any) -> None:
    async with await SqliteHostEventStore.memory(clock=OddClock(now)) as store:
        with pytest.raises(StoreError, match="the clock shows"):
            await store.resume_deliveries()
        with pytest.raises(StoreError, match="the clock shows"):
            await store.record_occurrence(REQUEST)
        assert await store.list_occurrences("t") == []


@pytest.mark.parametrize("now", [0, 2**63 - 1])
async def test_the_first_and_the_last_time(now: int) -> None:
    async with await SqliteHostEventStore.memory(clock=OddClock(now)) as store:
        assert (await store.record_occurrence(REQUEST)).occurred_at_ms == now
