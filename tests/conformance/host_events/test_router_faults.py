"""What goes wrong on the way from an event to its processes, and what comes of it all the same (4.7)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from lash_store.errors import (
    EffectEnvelopeChanged,
    InvalidRecord,
    InvalidTriggerPayload,
    StoreBusy,
    TriggerDeliveryCorrupt,
)
from lash_store.records.effect_scope import EffectScopeTurn
from lash_store.records.host_event import HostEventEmitReport
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from lash_store.sqlite.host_event_store.router import HostEventRouter
from lash_store.sqlite.host_event_store.store import SqliteHostEventStore
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.host_event_examples import OCCURRENCE_ID, PROCESS_ID, draft, pressed


class Stage:
    """A store, a registry and a controller, and routers on them."""

    def __init__(
        self, store: SqliteHostEventStore, registry: SqliteProcessRegistry, controller: SqliteRuntimeEffectController
    ) -> None:
        self.store = store
        self.registry = registry
        self.controller = controller

    def router(self, **options: Any) -> HostEventRouter:
        return HostEventRouter(self.store, self.registry, **options)

    async def running(self) -> list[str]:
        return [record.id for record in await self.registry.list_non_terminal()]

    async def states(self) -> list[str]:
        return [delivery.state.value for delivery in await self.store.list_deliveries()]


@pytest_asyncio.fixture
async def stage(store: SqliteHostEventStore) -> AsyncIterator[Stage]:
    async with (
        await SqliteProcessRegistry.memory() as registry,
        await SqliteRuntimeEffectController.memory(EffectScopeTurn("session", "turn")) as controller,
    ):
        yield Stage(store, registry, controller)


@pytest.mark.parametrize("profile", ["", " ", "\u2003", None, 7, "\ud800", b"x"], ids=ascii)
async def test_a_profile_that_no_process_could_have(stage: Stage, profile: Any) -> None:
    await stage.store.register_subscription(draft())
    with pytest.raises(Exception, match=r"\$\.host_profile_id") as refused:
        stage.router(host_profile_id=profile)
    assert type(refused.value).__name__ in {"InvalidRecord", "InvalidJsonValue"}
    assert await stage.states() == []


@pytest.mark.parametrize("scope", ["turn", "another turn"])
async def test_a_router_of_another_profile_takes_over(
    stage: Stage, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first has started the process and died before it said so; its id and cause are those of the delivery."""
    await stage.store.register_subscription(draft())

    async def die(*_: object) -> None:
        raise StoreBusy(1)

    with monkeypatch.context() as dying:
        dying.setattr(stage.store, "mark_delivery_started", die)
        with pytest.raises(StoreBusy):
            await stage.router(host_profile_id="A").emit(pressed(), stage.controller)
    assert (await stage.states(), await stage.running()) == (["reserved"], [PROCESS_ID])
    async with await SqliteRuntimeEffectController.memory(EffectScopeTurn("session", scope)) as other:
        controller = stage.controller if scope == "turn" else other
        assert await stage.router(host_profile_id="B").resume(controller, idle_ms=0) == [PROCESS_ID]
    assert (await stage.states(), await stage.running()) == (["started"], [PROCESS_ID])
    record = await stage.registry.get_process(PROCESS_ID)
    assert record is not None
    assert record.provenance.host_profile_id == "A"


async def test_a_changed_start_without_a_process_stays(stage: Stage) -> None:
    await stage.store.register_subscription(draft())
    await stage.router(host_profile_id="A").emit(pressed(), stage.controller)
    async with await SqliteProcessRegistry.memory() as empty:
        await _reopen(stage.store)
        with pytest.raises(EffectEnvelopeChanged):
            await HostEventRouter(stage.store, empty, host_profile_id="B").resume(stage.controller, idle_ms=0)
    assert await stage.states() == ["reserved"]


async def test_a_damaged_subscriber_keeps_no_other_from_being_started(stage: Stage) -> None:
    for session_id in ("a", "b", "c"):
        await stage.store.register_subscription(draft(session_id=session_id))
    await _damage(stage.store, "b")
    with pytest.raises(TriggerDeliveryCorrupt) as damaged:
        await stage.router().emit(pressed(), stage.controller)
    assert damaged.value.subscription_id == "subscription:2"
    report = vars(damaged.value)["emit_report"]
    assert report == HostEventEmitReport(OCCURRENCE_ID, [each.process_id for each in damaged.value.reservations])
    assert sorted(report.started_process_ids) == await stage.running()
    assert sorted(await stage.states()) == ["reserved", "started", "started"]
    for _ in range(2):
        with pytest.raises(TriggerDeliveryCorrupt):
            await stage.router().resume(stage.controller, idle_ms=0)
    assert await stage.store.drop_delivery(damaged.value.occurrence_id, damaged.value.subscription_id, "damaged")
    assert await stage.router().resume(stage.controller, idle_ms=0) == []


async def test_a_failing_poke_hides_nothing(stage: Stage) -> None:
    def fail() -> None:
        raise RuntimeError("nobody is there to be poked")

    await stage.store.register_subscription(draft())
    with pytest.raises(RuntimeError, match="poked") as alone:
        await stage.router(poke=fail).emit(pressed(), stage.controller)
    assert vars(alone.value)["emit_report"] == HostEventEmitReport(OCCURRENCE_ID, [PROCESS_ID])
    await stage.store.register_subscription(draft(event_ty="Null"))
    with pytest.raises(InvalidTriggerPayload) as both:
        await stage.router(poke=fail).emit(pressed("second"), stage.controller)
    assert "poked" in "".join(both.value.__notes__)
    assert len(vars(both.value)["emit_report"].started_process_ids) == 1


async def test_a_failing_poke_does_not_stop_a_cancellation(stage: Stage) -> None:
    def fail() -> None:
        raise RuntimeError("nobody is there to be poked")

    class Stuck:
        """Starts one, and then never ends."""

        def __init__(self, controller: SqliteRuntimeEffectController) -> None:
            self.controller = controller
            self.started = asyncio.Event()
            self.calls = 0

        async def execute_effect(self, *given: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls > 1:
                self.started.set()
                await asyncio.Event().wait()
            return await self.controller.execute_effect(*given, **named)

    for session_id in ("a", "b"):
        await stage.store.register_subscription(draft(session_id=session_id))
    stuck = Stuck(stage.controller)
    emitting = asyncio.ensure_future(stage.router(poke=fail).emit(pressed(), stuck))
    await stuck.started.wait()
    emitting.cancel()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await emitting
    assert "poked" in "".join(cancelled.value.__notes__)


@pytest.mark.parametrize(
    ("event_ty", "payload", "path"),
    [
        ("Str", 5, "$"),
        ({"Object": [{"name": "a", "ty": {"List": "Int"}, "optional": False}]}, {"a": [1, "x"]}, "$.a[1]"),
        ({"Object": [{"name": "a", "ty": "Int", "optional": False}]}, {}, "$.a"),
        ({"Union": ["Str", {"List": "Str"}]}, [1], "$"),
        ({"List": {"Object": [{"name": "b", "ty": {"Enum": ["x"]}, "optional": True}]}}, [{}, {"b": "y"}], "$[1].b"),
    ],
    ids=str,
)
async def test_where_a_payload_does_not_fit(stage: Stage, event_ty: Any, payload: Any, path: str) -> None:
    await stage.store.register_subscription(draft(event_ty=event_ty))
    with pytest.raises(InvalidTriggerPayload, match="invalid payload for trigger 'trigger:1'") as refused:
        await stage.router().emit(pressed(payload=payload), stage.controller)
    error = refused.value
    assert (error.handle, error.occurrence_id, error.path) == ("trigger:1", OCCURRENCE_ID, path)


@pytest.mark.parametrize("bad", [None, {}, "x", 5], ids=repr)
async def test_what_is_no_request(stage: Stage, bad: Any) -> None:
    with pytest.raises(InvalidRecord):
        await stage.router().emit(bad, stage.controller)


async def _damage(store: SqliteHostEventStore, session_id: str) -> None:
    statement = "UPDATE host_event_trigger_subscriptions SET record_json = '{oops' WHERE session_id = ?"
    await store._connection.call(lambda connection: connection.execute(statement, (session_id,)).fetchall())


async def _reopen(store: SqliteHostEventStore) -> None:
    """As if nobody had said that anything was started."""
    statement = "UPDATE lash_host_event_starts SET state = 'reserved'"
    await store._connection.call(lambda connection: connection.execute(statement).fetchall())
