"""Emits the same events as all others of its kind, and resumes what they have left, until it is killed."""

import asyncio
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

from lash_store.records.effect_scope import EffectScopeRuntimeOperation
from lash_store.records.host_event import HostEventEmitReport, HostEventOccurrenceRequest
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from lash_store.sqlite.host_event_store.router import HostEventRouter
from lash_store.sqlite.host_event_store.store import SqliteHostEventStore
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.host_event_examples import pressed

LEASE_TTL_MS = 200
IDLE_MS = 20
SCOPE = EffectScopeRuntimeOperation("router")


def request(number: int) -> HostEventOccurrenceRequest:
    """The event `number`."""
    return pressed(f"press {number}")


class Desk:
    """Everything that a router needs, in the three files of a folder."""

    def __init__(
        self, store: SqliteHostEventStore, registry: SqliteProcessRegistry, controller: SqliteRuntimeEffectController
    ) -> None:
        self.store = store
        self.registry = registry
        self.controller = controller
        self.router = HostEventRouter(store, registry)

    @classmethod
    async def open(cls, folder: Path) -> "Desk":
        return cls(
            await SqliteHostEventStore.open(folder / "host-events.db"),
            await SqliteProcessRegistry.open(folder / "processes.db"),
            await SqliteRuntimeEffectController.open(folder / "effects.db", SCOPE, lease_ttl_ms=LEASE_TTL_MS),
        )

    async def emit(self, number: int) -> HostEventEmitReport:
        return await self.router.emit(request(number), self.controller)

    async def close(self) -> None:
        await self.controller.close()
        await self.registry.close()
        await self.store.close()


def work(folder: str, first: int, sending: Connection) -> None:
    """Emit `first` and all numbers from there on; each is sent when it was acknowledged."""

    async def emit_all() -> None:
        desk = await Desk.open(Path(folder))
        for number in count(first):
            await desk.emit(number)
            sending.send(number)
            await desk.router.resume(desk.controller, idle_ms=IDLE_MS)

    asyncio.run(emit_all())
