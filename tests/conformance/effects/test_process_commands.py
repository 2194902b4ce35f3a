"""Scenario 16, and what the other process commands do to a registry (specification 4.4)."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from lash_store.errors import EffectRefused, RuntimeEffectControllerError, StoreBusy, StoreClosed
from lash_store.records.effect_command import (
    ProcessCommand,
    ProcessCommandAwait,
    ProcessCommandCancel,
    ProcessCommandDeleteSession,
    ProcessCommandList,
    ProcessCommandSignal,
    ProcessCommandStart,
    ProcessCommandTransfer,
    ProcessListMode,
    ProcessStartGrant,
    RuntimeEffectCommandProcess,
)
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_outcome import (
    ProcessEffectOutcomeAwait,
    ProcessEffectOutcomeCancel,
    ProcessEffectOutcomeDeleteSession,
    ProcessEffectOutcomeList,
    ProcessEffectOutcomeSignal,
    ProcessEffectOutcomeStart,
    ProcessEffectOutcomeTransfer,
    RuntimeEffectOutcomeProcess,
)
from lash_store.records.process import ProcessRegistration, ProcessScope
from lash_store.records.process_event import ProcessEventAppendRequest
from lash_store.records.process_event_type import LashSchema, ProcessEventSemanticsSpec, ProcessEventType
from lash_store.records.process_grant import ProcessHandleDescriptor
from lash_store.records.process_input import ProcessInputExternal
from lash_store.records.process_output import ProcessAwaitOutputSuccess
from lash_store.rules.effect_invocations import process_command_invocation
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.clocks import ManualClock
from tests.conformance.effects.conftest import rows
from tests.effects import Executor, exec_envelope, exec_outcome, refusing

DELETED, REMAINING = ProcessScope("deleted"), ProcessScope("remaining")
HANDLE = ProcessHandleDescriptor("tool", "label")


def envelope(command: ProcessCommand) -> RuntimeEffectEnvelope:
    return RuntimeEffectEnvelope.new(process_command_invocation(command, "s"), RuntimeEffectCommandProcess(command))


def registration(process_id: str) -> ProcessRegistration:
    signal = ProcessEventType("signal", LashSchema({}), ProcessEventSemanticsSpec())
    return ProcessRegistration(process_id, ProcessInputExternal(), [signal])


@pytest_asyncio.fixture
async def registry(clock: ManualClock) -> AsyncIterator[SqliteProcessRegistry]:
    async with await SqliteProcessRegistry.memory(clock=clock) as opened:
        yield opened


async def run(controller: SqliteRuntimeEffectController, registry: Any, command: ProcessCommand) -> Any:
    """The outcome of a command, which is the same when it is replayed from its row without a registry."""
    outcome = await controller.execute_effect(envelope(command), process_registry=registry)
    assert isinstance(outcome, RuntimeEffectOutcomeProcess)
    assert await controller.execute_effect(envelope(command)) == outcome
    return outcome.result


async def test_scenario_16_delete_session(
    controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry
) -> None:
    for process_id in ("sole", "shared"):
        await registry.register_process(registration(process_id))
        await registry.grant_handle(DELETED, process_id, HANDLE)
    await registry.grant_handle(REMAINING, "shared", HANDLE)
    result = await run(controller, registry, ProcessCommandDeleteSession("deleted"))
    assert isinstance(result, ProcessEffectOutcomeDeleteSession)
    assert (result.report.cancel_process_ids, result.report.preserved_process_ids) == (["sole"], ["shared"])
    (event,) = await registry.events_after("sole", 0)
    assert (event.event_type, event.payload) == ("process.cancel_requested", {"reason": "session deleted"})
    assert await registry.events_after("shared", 0) == []


async def test_start(controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry) -> None:
    command = ProcessCommandStart(registration("p"), ProcessStartGrant(REMAINING, HANDLE))
    result = await run(controller, registry, command)
    assert isinstance(result, ProcessEffectOutcomeStart)
    assert result.record == await registry.get_process("p")
    assert await registry.has_handle_grant(REMAINING, "p")
    await run(controller, registry, ProcessCommandStart(registration("q")))
    assert await registry.handle_grants_for_process("q") == []


async def test_list(controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry) -> None:
    for process_id in ("live", "ended"):
        await registry.register_process(registration(process_id))
        await registry.grant_handle(REMAINING, process_id, HANDLE)
    await registry.complete_process("ended", ProcessAwaitOutputSuccess(1))
    live = await run(controller, registry, ProcessCommandList(REMAINING))
    every = await run(controller, registry, ProcessCommandList(REMAINING, ProcessListMode.ALL))
    assert isinstance(live, ProcessEffectOutcomeList)
    assert live.entries == await registry.list_live_handle_grants(REMAINING)
    assert every.entries == await registry.list_handle_grants(REMAINING)
    assert (len(live.entries), len(every.entries)) == (1, 2)


async def test_transfer(controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry) -> None:
    await registry.register_process(registration("p"))
    await registry.grant_handle(DELETED, "p", HANDLE)
    result = await run(controller, registry, ProcessCommandTransfer(DELETED, REMAINING, ["p"]))
    assert result == ProcessEffectOutcomeTransfer()
    assert await registry.has_handle_grant(REMAINING, "p")
    assert not await registry.has_handle_grant(DELETED, "p")


async def test_await(controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry) -> None:
    await registry.register_process(registration("p"))
    await registry.complete_process("p", ProcessAwaitOutputSuccess({"ok": True}))
    result = await run(controller, registry, ProcessCommandAwait("p"))
    assert result == ProcessEffectOutcomeAwait(ProcessAwaitOutputSuccess({"ok": True}))


async def test_cancel(controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry) -> None:
    await registry.register_process(registration("p"))
    result = await run(controller, registry, ProcessCommandCancel("p", "stop"))
    assert isinstance(result, ProcessEffectOutcomeCancel)
    assert result.record == await registry.get_process("p")
    (event,) = await registry.events_after("p", 0)
    assert event.payload == {"reason": "stop"}


async def test_signal(controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry) -> None:
    await registry.register_process(registration("p"))
    command = ProcessCommandSignal("p", "1", ProcessEventAppendRequest("signal", {"a": 1}))
    result = await run(controller, registry, command)
    assert result == ProcessEffectOutcomeSignal((await registry.events_after("p", 0))[0])
    assert len(await registry.events_after("p", 0)) == 1


async def test_a_refusal_of_the_registry_is_recorded(
    controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry
) -> None:
    for _ in range(2):
        with pytest.raises(RuntimeEffectControllerError, match=r"^plugin: plugin session error: .*'nobody'") as failed:
            await controller.execute_effect(envelope(ProcessCommandAwait("nobody")), process_registry=registry)
        assert failed.value.code == "plugin"
        await registry.register_process(registration("nobody"))  # too late: the effect has failed
    assert await rows(controller, "SELECT status FROM runtime_effect_replay") == [("failed",)]


class Unreachable:
    """A registry whose file cannot be used for a while."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def await_process(self, _: str) -> Any:
        raise self.error


@pytest.mark.parametrize("error", [StoreBusy(15_000), StoreClosed("p.db"), OSError("gone")])
async def test_a_failure_of_the_registry_is_not_recorded(
    controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry, error: Exception
) -> None:
    command = envelope(ProcessCommandAwait("p"))
    with pytest.raises(type(error)):
        await controller.execute_effect(command, process_registry=Unreachable(error))  # type: ignore[arg-type]
    await registry.register_process(registration("p"))
    await registry.complete_process("p", ProcessAwaitOutputSuccess(1))
    result = await run(controller, registry, ProcessCommandAwait("p"))
    assert result == ProcessEffectOutcomeAwait(ProcessAwaitOutputSuccess(1))


class Interrupted:
    """A registry that cannot be used any more once `operation` was asked for; it is done then, or not."""

    def __init__(self, registry: SqliteProcessRegistry, operation: str, *, done: bool) -> None:
        self._registry = registry
        self._operation = operation
        self._done = done

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._registry, name)

        async def interrupted(*args: Any, **options: Any) -> Any:
            if self._done:
                await real(*args, **options)
            raise StoreBusy(1)

        return interrupted if name == self._operation else real


async def test_a_transfer_that_was_interrupted_is_completed(
    controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry
) -> None:
    await registry.register_process(registration("p"))
    await registry.grant_handle(DELETED, "p", HANDLE)
    command = ProcessCommandTransfer(DELETED, REMAINING, ["p"])
    failing: Any = Interrupted(registry, "transfer_handle_grants", done=True)
    with pytest.raises(StoreBusy):
        await controller.execute_effect(envelope(command), process_registry=failing)
    assert await run(controller, registry, command) == ProcessEffectOutcomeTransfer()
    assert await registry.has_handle_grant(REMAINING, "p")


async def test_a_transfer_that_never_was_is_refused(
    controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry
) -> None:
    """Neither at once, though the receiver has the handle already, nor after an interruption, as it lacks one."""
    for process_id in ("p", "q"):
        await registry.register_process(registration(process_id))
    await registry.grant_handle(REMAINING, "p", HANDLE)
    first = envelope(ProcessCommandTransfer(DELETED, REMAINING, ["p"]))
    second = envelope(ProcessCommandTransfer(DELETED, REMAINING, ["p", "q"]))
    with pytest.raises(RuntimeEffectControllerError, match="is not granted"):
        await controller.execute_effect(first, process_registry=registry)
    failing: Any = Interrupted(registry, "transfer_handle_grants", done=False)
    with pytest.raises(StoreBusy):
        await controller.execute_effect(second, process_registry=failing)
    with pytest.raises(RuntimeEffectControllerError, match="is not granted"):
        await controller.execute_effect(second, process_registry=registry)


@pytest.mark.parametrize("operation", ["delete_session_process_state", "append_event"])
async def test_a_session_delete_that_was_interrupted_has_asked_all_to_end(
    controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry, operation: str
) -> None:
    """The grants and the requests go together, so there is no moment between them to be interrupted at."""
    await registry.register_process(registration("sole"))
    await registry.grant_handle(DELETED, "sole", HANDLE)
    command = ProcessCommandDeleteSession("deleted")
    failing: Any = Interrupted(registry, operation, done=operation == "delete_session_process_state")
    try:
        await controller.execute_effect(envelope(command), process_registry=failing)
    except StoreBusy:
        await run(controller, registry, command)
    assert await registry.handle_grants_for_process("sole") == []
    (event,) = await registry.events_after("sole", 0)
    assert (event.event_type, event.payload) == ("process.cancel_requested", {"reason": "session deleted"})


async def test_who_cannot_run_an_effect_does_not_claim_it(
    controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry
) -> None:
    process, code = envelope(ProcessCommandAwait("p")), exec_envelope("k", "c")
    unavailable, mismatch = "runtime_effect_local_executor_unavailable", "runtime_effect_local_executor_mismatch"
    for effect, executor, given, expected in (
        (process, None, None, unavailable),
        (process, refusing(), None, unavailable),
        (code, None, None, unavailable),
        (code, None, registry, mismatch),
    ):
        with pytest.raises(EffectRefused) as refused:
            await controller.execute_effect(effect, executor, process_registry=given)
        assert refused.value.code == expected
    assert await rows(controller, "SELECT * FROM runtime_effect_replay") == []


async def test_with_both_given_each_runs_its_own(
    controller: SqliteRuntimeEffectController, registry: SqliteProcessRegistry
) -> None:
    await registry.register_process(registration("p"))
    unused = refusing()
    await controller.execute_effect(envelope(ProcessCommandCancel("p")), unused, process_registry=registry)
    assert unused.calls == 0
    executor = Executor(exec_outcome("x"))
    await controller.execute_effect(exec_envelope("k", "c"), executor, process_registry=registry)
    assert executor.calls == 1
