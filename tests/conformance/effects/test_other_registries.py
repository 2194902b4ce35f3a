"""Process commands against registries of others (4.8), and after claims of others (4.4)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from lash_store.errors import RuntimeEffectControllerError, StoreBusy
from lash_store.records.effect_command import (
    ProcessCommandDeleteSession,
    ProcessCommandSignal,
    ProcessCommandTransfer,
    RuntimeEffectCommandProcess,
)
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_outcome import (
    ProcessEffectOutcomeDeleteSession,
    ProcessEffectOutcomeSignal,
    ProcessEffectOutcomeTransfer,
    RuntimeEffectOutcomeProcess,
)
from lash_store.records.invocation import RuntimeReplay
from lash_store.records.process import ProcessRegistration, ProcessScope
from lash_store.records.process_event import ProcessEventAppendRequest
from lash_store.records.process_event_type import (
    LashSchema,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    lashlang_process_event_types,
)
from lash_store.records.process_grant import ProcessHandleDescriptor, ProcessSessionDeleteReport
from lash_store.records.process_input import ProcessInputExternal
from lash_store.rules.effect_invocations import process_command_invocation
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.clocks import ManualClock
from tests.conformance.effects.conftest import Effects, change, rows

HERE, THERE = ProcessScope("here"), ProcessScope("there")
HANDLE = ProcessHandleDescriptor("tool", "label")


def envelope(command: Any, session_id: str = "s") -> RuntimeEffectEnvelope:
    invocation = process_command_invocation(command, session_id)
    return RuntimeEffectEnvelope.new(invocation, RuntimeEffectCommandProcess(command))


@pytest_asyncio.fixture
async def registry(clock: ManualClock) -> AsyncIterator[SqliteProcessRegistry]:
    async with await SqliteProcessRegistry.memory(clock=clock) as opened:
        for process_id in ("p", "q"):
            types = lashlang_process_event_types()
            await opened.register_process(ProcessRegistration(process_id, ProcessInputExternal(), types))
        yield opened


class Specified:
    """A registry with the operations of the specification (process registry, 4.13), and no more."""

    def __init__(self, registry: SqliteProcessRegistry) -> None:
        self._registry = registry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    async def delete_session_process_state(self, session_id: str) -> ProcessSessionDeleteReport:
        return await self._registry.delete_session_process_state(session_id)


class Dying(Specified):
    """The first append is committed, and then nobody is there to be told."""

    dead = False

    async def append_event(self, *arguments: Any) -> Any:
        result = await self._registry.append_event(*arguments)
        if not self.dead:
            self.dead = True
            raise StoreBusy(1)
        return result


async def test_a_session_is_deleted_in_a_registry_of_the_specification(
    controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry
) -> None:
    for process_id in ("p", "q"):
        await registry.grant_handle(HERE, process_id, HANDLE)
    await registry.grant_handle(THERE, "q", HANDLE)
    command: Any = envelope(ProcessCommandDeleteSession("here"))
    outcome = await controller.execute_effect(command, process_registry=Specified(registry))
    report = ProcessSessionDeleteReport("here", 2, 0, ["p"], ["q"])
    assert outcome == RuntimeEffectOutcomeProcess(ProcessEffectOutcomeDeleteSession(report))
    [event] = await registry.events_after("p", 0)
    assert (event.event_type, event.payload) == ("process.cancel_requested", {"reason": "session deleted"})
    assert await registry.events_after("q", 0) == []


async def test_a_session_goes_whatever_its_processes_say(
    controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry
) -> None:
    """One that refuses the request makes the command fail, as it does upstream, where the handles are gone by then."""
    deaf = ProcessEventType("process.cancel_requested", LashSchema({"type": "string"}), ProcessEventSemanticsSpec())
    await registry.register_process(ProcessRegistration("deaf", ProcessInputExternal(), [deaf]))
    for process_id in ("deaf", "p"):
        await registry.grant_handle(HERE, process_id, HANDLE)
    with pytest.raises(RuntimeEffectControllerError, match="refuse the cancel request") as refused:
        await controller.execute_effect(envelope(ProcessCommandDeleteSession("here")), process_registry=registry)
    assert refused.value.code == "plugin"
    assert await registry.list_handle_grants(HERE) == []
    assert [len(await registry.events_after(process_id, 0)) for process_id in ("deaf", "p")] == [0, 1]


async def signal(
    controller: SqliteRuntimeEffectController, registry: Any, request: ProcessEventAppendRequest, session_id: str = "s"
) -> Any:
    asked = envelope(ProcessCommandSignal("p", "sig", request), session_id)
    outcome: Any = await controller.execute_effect(asked, process_registry=registry)
    assert isinstance(outcome.result, ProcessEffectOutcomeSignal)
    return outcome.result.event


async def test_an_interrupted_signal_is_one_event(
    controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry
) -> None:
    """Also without a replay key of its own, which is how programs send them (process registry, 2.4)."""
    request = ProcessEventAppendRequest("process.signal", {"payload": 1})
    dying = Dying(registry)
    with pytest.raises(StoreBusy):
        await signal(controller, dying, request)
    event = await signal(controller, dying, request)
    assert await registry.events_after("p", 0) == [event]
    assert event.sequence == 1


async def test_signals_of_two_effects_are_two(
    controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry
) -> None:
    """A program may number its signals anew in each run."""
    request = ProcessEventAppendRequest("process.signal", {"payload": 1})
    one, two = [await signal(controller, registry, request, session_id) for session_id in ("s", "t")]
    assert [one.sequence, two.sequence] == [1, 2]
    assert await signal(controller, registry, request) == one


async def test_a_signal_keeps_its_own_key(
    controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry
) -> None:
    key = RuntimeReplay("process:p:signal:sig")
    event = await signal(controller, registry, ProcessEventAppendRequest("process.signal", {}, key))
    assert event.invocation.replay == key


@pytest.mark.parametrize("begun_by", ["alpha.40", "nobody"])
async def test_a_transfer_that_another_program_may_have_made(
    effects: Effects, registry: SqliteProcessRegistry, clock: ManualClock, begun_by: str
) -> None:
    controller = await effects.controller()
    await registry.grant_handle(THERE, "p", HANDLE)  # the handle is there already
    asked = envelope(ProcessCommandTransfer(HERE, THERE, ["p"]))
    if begun_by == "alpha.40":
        await change(
            controller,
            "INSERT INTO runtime_effect_replay VALUES (?, ?, ?, 'in_progress', NULL, NULL, 'p', 'p:1', ?, NULL, 1, 1)",
            *("turn", asked.replay_key, asked.stable_hash(), clock.now),
        )
        outcome = await controller.execute_effect(asked, process_registry=registry)
        assert outcome == RuntimeEffectOutcomeProcess(ProcessEffectOutcomeTransfer())
    else:
        with pytest.raises(RuntimeEffectControllerError, match="is not granted"):
            await controller.execute_effect(asked, process_registry=registry)
    assert await rows(controller, "SELECT attempts FROM lash_effect_attempts") == [(1,)]
