"""Scenarios 29 to 34: what an emitted event starts, and what a catalogue refuses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from lash_store.codecs.host_event_ids import default_host_event_source_key
from lash_store.errors import (
    DuplicateHostEvent,
    EffectRefused,
    HostEventDeliveryUnavailable,
    InvalidTriggerPayload,
    RuntimeEffectControllerError,
    StoreBusy,
)
from lash_store.records.causal import CausalRefHostEvent
from lash_store.records.effect_outcome import RuntimeEffectOutcomeSleep
from lash_store.records.effect_scope import EffectScopeTurn
from lash_store.records.host_event import HostEvent, HostEventEmitReport, HostEventPayloadType
from lash_store.records.host_event_trigger import (
    TriggerDeliveryState,
    TriggerInputBindingEvent,
    TriggerInputBindingFixed,
    TriggerRegistration,
    TriggerSubscriptionFilter,
)
from lash_store.records.process import ProcessRecord, ProcessRegistration, ProcessScope
from lash_store.records.process_input import ProcessInputExternal, ProcessInputLashlangProcess
from lash_store.records.process_output import ProcessAwaitOutputSuccess
from lash_store.rules.host_event_catalog import HostEventCatalog
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from lash_store.sqlite.host_event_store.router import HostEventRouter
from lash_store.sqlite.host_event_store.store import SqliteHostEventStore
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.host_event_examples import BUTTON, EVENT_TY, OCCURRENCE_ID, PROCESS_ID, draft, pressed

SCOPE = EffectScopeTurn("session", "turn")
COLOURS = {"Object": [{"name": "button", "ty": {"Enum": ["Blue", "Red"]}, "optional": False}]}


class Stage:
    """A router with all that it needs, and what it has poked."""

    def __init__(
        self,
        store: SqliteHostEventStore,
        registry: SqliteProcessRegistry,
        controller: SqliteRuntimeEffectController,
    ) -> None:
        self.store = store
        self.registry = registry
        self.controller = controller
        self.pokes = 0
        self.router = HostEventRouter(store, registry, host_profile_id="desk", poke=self.poke)

    def poke(self) -> None:
        self.pokes += 1

    async def emit(self, *key: str, **changed: Any) -> HostEventEmitReport:
        return await self.router.emit(pressed(*key, **changed), self.controller)

    async def processes(self) -> list[ProcessRecord]:
        return await self.registry.list_non_terminal()

    async def states(self) -> list[str]:
        return [delivery.state.value for delivery in await self.store.list_deliveries()]


class Interposed:
    """A controller that does something before the first effect."""

    def __init__(self, controller: SqliteRuntimeEffectController, first: Callable[[], Awaitable[object]]) -> None:
        self.controller = controller
        self.first: Callable[[], Awaitable[object]] | None = first

    async def execute_effect(self, *given: Any, **named: Any) -> Any:
        first, self.first = self.first, None
        if first is not None:
            await first()
        return await self.controller.execute_effect(*given, **named)


@pytest_asyncio.fixture
async def stage(store: SqliteHostEventStore) -> AsyncIterator[Stage]:
    async with (
        await SqliteProcessRegistry.memory() as registry,
        await SqliteRuntimeEffectController.memory(SCOPE) as controller,
    ):
        yield Stage(store, registry, controller)


async def test_scenario_29_nobody_has_subscribed(stage: Stage) -> None:
    assert await stage.emit() == HostEventEmitReport(OCCURRENCE_ID, [])
    assert (await stage.processes(), stage.pokes) == ([], 0)
    without = HostEventRouter(stage.store)
    assert (await without.emit(pressed("other"), stage.controller)).started_process_ids == []


@pytest.mark.parametrize("payload", [{"button": "Green"}, {}, {"Button": "Blue"}, "Blue", None])
async def test_scenario_30_a_payload_of_another_type_starts_nothing(stage: Stage, payload: object) -> None:
    await stage.store.register_subscription(draft(event_ty=COLOURS))
    with pytest.raises(InvalidTriggerPayload, match="invalid payload for trigger 'trigger:1'") as refused:
        await stage.emit(payload=payload)
    assert refused.value.handle == "trigger:1"
    assert (await stage.processes(), stage.pokes) == ([], 0)
    [delivery] = await stage.store.list_deliveries()
    assert delivery.state is TriggerDeliveryState.DROPPED
    assert "invalid payload" in str(delivery.reason)
    assert await stage.router.resume(stage.controller, idle_ms=0) == []


async def test_scenario_31_after_the_cancellation(stage: Stage) -> None:
    subscription = await stage.store.register_subscription(draft())
    [before] = (await stage.emit()).started_process_ids
    assert await stage.store.cancel_subscription("session-a", subscription.handle)
    assert (await stage.emit("button-blue-2")).started_process_ids == []
    assert [process.id for process in await stage.processes()] == [before]
    ended = await stage.registry.complete_process(before, ProcessAwaitOutputSuccess("done"))
    assert ended.is_terminal
    assert await stage.states() == ["started"]


async def test_scenario_32_two_sources_of_one_type(stage: Stage) -> None:
    keys = [default_host_event_source_key(BUTTON, {"button": button}) for button in ("Blue", "Red")]
    assert keys[0] != keys[1]
    first = await stage.store.register_subscription(draft("first", source_key=keys[0]))
    second = await stage.store.register_subscription(draft("second", source_key=keys[1]))
    report = await stage.emit("red-1", button="Red", source_key=keys[1])
    [process] = await stage.processes()
    assert report.started_process_ids == [process.id]
    assert isinstance(process.input, ProcessInputLashlangProcess)
    assert process.input.args == {"event": {"button": "Red"}}
    [delivery] = await stage.store.list_deliveries()
    assert delivery.subscription_id == second.subscription_id
    found = await stage.store.list_subscriptions(TriggerSubscriptionFilter(source_type=BUTTON))
    assert [record.handle for record in found] == [first.handle, second.handle]
    assert await stage.store.cancel_subscription("session-b", first.handle) is False


async def test_scenario_33_what_a_started_process_is_like(stage: Stage) -> None:
    template = {
        "event": TriggerInputBindingEvent(),
        "count": TriggerInputBindingFixed({"n": 1.0, "big": 9007199254740993}),
    }
    subscription = await stage.store.register_subscription(draft(input_template=template))
    assert subscription.source_key.startswith(f"source:{BUTTON}:sha256:")
    report = await stage.emit()
    assert report.started_process_ids == [PROCESS_ID]
    [process] = await stage.processes()
    assert isinstance(process.input, ProcessInputLashlangProcess)
    assert process.input.process_name == subscription.process_name
    assert process.input.args == {"count": {"big": 9007199254740992, "n": 1}, "event": {"button": "Blue"}}
    assert process.provenance.caused_by == CausalRefHostEvent(str(report.occurrence_id))
    assert process.provenance.host_profile_id == "desk"
    [(grant, _)] = await stage.registry.list_handle_grants(ProcessScope("session-a"))
    assert (grant.process_id, grant.descriptor.kind, grant.descriptor.label) == (PROCESS_ID, "lashlang", "on_button")
    assert stage.pokes == 1


def test_scenario_34_a_source_type_is_declared_once() -> None:
    ty = HostEventPayloadType("Pressed", EVENT_TY)
    catalog = HostEventCatalog()
    catalog.declare(HostEvent("ui.button", "ui.button", "pressed", ty))
    for resource_type in ("ui.button", "ui.other"):
        with pytest.raises(DuplicateHostEvent, match=r"ui\.button\.pressed") as refused:
            catalog.declare(HostEvent(resource_type, "ui.button", "pressed", ty))
        assert refused.value.source_type == BUTTON
    catalog.declare(HostEvent("ui.button", "ui.button", "released", ty))
    assert [event.event for event in catalog.events()] == ["pressed", "released"]
    assert catalog.event(BUTTON) == catalog.events()[0]
    assert catalog.event("ui.button.held") is None


async def test_a_repeated_event_starts_nothing_more(stage: Stage) -> None:
    await stage.store.register_subscription(draft())
    assert len((await stage.emit()).started_process_ids) == 1
    assert await stage.emit() == HostEventEmitReport(OCCURRENCE_ID, [])
    assert stage.pokes == 1


async def test_one_delivery_that_cannot_be_started_keeps_no_other(stage: Stage) -> None:
    """Weakness 16: upstream's emit ends at the first error, and what lies behind it is lost."""
    await stage.store.register_subscription(draft("choosy", event_ty=COLOURS))
    await stage.store.register_subscription(draft("easy", "session-b"))
    with pytest.raises(InvalidTriggerPayload):
        await stage.emit(button="Green")
    assert len(await stage.processes()) == 1
    assert await stage.states() == ["dropped", "started"]


async def test_a_stored_event_type_that_is_none_keeps_no_other(stage: Stage) -> None:
    await stage.store.register_subscription(draft("odd"))
    await stage.store.register_subscription(draft("easy", "session-b"))
    odd = "json_set(record_json, '$.event_ty', json('{\"Enum\":null}')) WHERE session_id = 'session-a'"
    update = f"UPDATE host_event_trigger_subscriptions SET record_json = {odd}"
    await stage.store._connection.write(lambda tx: tx.execute(update))
    with pytest.raises(InvalidTriggerPayload):
        await stage.emit()
    assert (len(await stage.processes()), stage.pokes) == (1, 1)
    assert await stage.states() == ["dropped", "started"]


@pytest.mark.parametrize(
    "error", [KeyError("a mistake"), StoreBusy(1), EffectRefused("some_code", "not now")], ids=repr
)
async def test_an_error_of_any_kind_keeps_no_other(stage: Stage, error: Exception) -> None:
    async def fail() -> None:
        raise error

    await stage.store.register_subscription(draft("one"))
    await stage.store.register_subscription(draft("two", "session-b"))
    with pytest.raises(type(error)) as raised:
        await stage.router.emit(pressed(), Interposed(stage.controller, fail))
    assert raised.value is error
    assert (len(await stage.processes()), stage.pokes) == (1, 1)
    assert await stage.states() == ["reserved", "started"]
    assert await stage.router.resume(stage.controller, idle_ms=0) == [PROCESS_ID]


async def test_who_runs_processes_is_woken_though_a_start_cannot_be_reported(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: object) -> bool:
        raise StoreBusy(1)

    await stage.store.register_subscription(draft())
    monkeypatch.setattr(stage.store, "mark_delivery_started", busy)
    with pytest.raises(StoreBusy):
        await stage.emit()
    assert (len(await stage.processes()), stage.pokes) == (1, 1)


async def test_who_runs_processes_is_woken_though_the_rest_is_cancelled(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporting = asyncio.Event()

    async def for_ever(*_: object) -> bool:
        reporting.set()
        return bool(await asyncio.get_running_loop().create_future())

    await stage.store.register_subscription(draft())
    monkeypatch.setattr(stage.store, "mark_delivery_started", for_ever)
    emitting = asyncio.create_task(stage.emit())
    await reporting.wait()
    emitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await emitting
    assert stage.pokes == 1


async def test_a_start_that_has_failed_for_good_is_not_tried_again(stage: Stage) -> None:
    await stage.registry.register_process(ProcessRegistration(PROCESS_ID, ProcessInputExternal("another")))
    await stage.store.register_subscription(draft())
    with pytest.raises(RuntimeEffectControllerError) as failed:
        await stage.emit()
    assert failed.value.code == "plugin"
    [delivery] = await stage.store.list_deliveries()
    assert (delivery.state, delivery.reason) == (TriggerDeliveryState.DROPPED, str(failed.value))
    assert await stage.router.resume(stage.controller, idle_ms=0) == []


async def test_a_start_that_has_no_envelope_is_not_tried_again(stage: Stage) -> None:
    payload: object = "deep"
    for _ in range(122):  # as deep as an occurrence may be; the command that starts a process is deeper
        payload = [payload]
    await stage.store.register_subscription(draft(event_ty="Any"))
    with pytest.raises(EffectRefused) as refused:
        await stage.emit(payload=payload)
    assert refused.value.code == "runtime_effect_envelope_hash"
    [delivery] = await stage.store.list_deliveries()
    assert (delivery.state, delivery.reason) == (TriggerDeliveryState.DROPPED, str(refused.value))
    assert await stage.router.resume(stage.controller, idle_ms=0) == []


async def test_what_could_not_be_started_is_resumed(stage: Stage) -> None:
    """Weakness 16: upstream never offers it again."""
    await stage.store.register_subscription(draft("one"))
    await stage.store.register_subscription(draft("two", "session-b"))
    without = HostEventRouter(stage.store)
    with pytest.raises(HostEventDeliveryUnavailable, match=OCCURRENCE_ID) as unavailable:
        await without.emit(pressed(), stage.controller)
    assert len(unavailable.value.__notes__) == 1
    assert await stage.states() == ["reserved", "reserved"]
    assert await stage.router.resume(stage.controller) == []  # somebody may be about to
    started = await stage.router.resume(stage.controller, idle_ms=0)
    assert started[0] == PROCESS_ID
    assert sorted(started) == sorted(process.id for process in await stage.processes())
    assert await stage.states() == ["started", "started"]
    assert await stage.router.resume(stage.controller, idle_ms=0) == []


async def test_a_start_that_was_not_reported_is_repeated_without_a_second_process(stage: Stage) -> None:
    await stage.store.register_subscription(draft())
    await stage.emit()
    [before] = await stage.processes()
    await stage.store._connection.write(lambda tx: tx.execute("UPDATE lash_host_event_starts SET state = 'reserved'"))
    assert await stage.router.resume(stage.controller, idle_ms=0) == [before.id]
    assert await stage.processes() == [before]


async def test_another_outcome_than_a_start_is_an_error(stage: Stage) -> None:
    class Sleepy:
        async def execute_effect(self, *_: Any, **__: Any) -> Any:
            return RuntimeEffectOutcomeSleep()

    await stage.store.register_subscription(draft())
    with pytest.raises(RuntimeEffectControllerError) as wrong:
        await stage.router.emit(pressed(), Sleepy())
    assert wrong.value.code == "runtime_effect_wrong_outcome"
    assert await stage.states() == ["reserved"]


async def test_hosts_see_a_registration_without_its_references(stage: Stage) -> None:
    record = await stage.store.register_subscription(draft())
    assert TriggerRegistration.from_record(record).to_json() == (
        b'{"handle":"trigger:1","source_key":"%b","name":"on_button","source_type":"ui.button.pressed","source":{},'
        b'"target":{"process_name":"on_button","inputs":{"event":{"kind":"event"}}},"enabled":true}'
        % record.source_key.encode()
    )
