"""What the parts of the process registry share: the handle, the definitions of processes, and who waits in it."""

import asyncio
from collections.abc import Collection
from functools import partial
from typing import Final

from lash_store.clock import Clock
from lash_store.errors import StoreBackend
from lash_store.records.process import ProcessRecord
from lash_store.rules.process_definition import ProcessDefinition
from lash_store.sqlite.async_connection import SqliteConnection
from lash_store.sqlite.ops import process_events, processes
from lash_store.sqlite.ops.process_events import AwaitedEvent, EndedProcess, StoredEvent
from lash_store.sqlite.plan import Plan, PlanResult
from lash_store.sqlite.store_handle import StoreHandle
from lash_store.sqlite.waiting import WaitingRoom

_MOST_DEFINITIONS: Final = 4096


class RegistryHandle(StoreHandle):
    """The handle on a registry's database."""

    def __init__(self, connection: SqliteConnection, clock: Clock) -> None:
        """For the `open` methods. The handle owns `connection` from now on."""
        super().__init__(connection, clock)
        self._definitions: dict[str, ProcessDefinition] = {}
        self._events: WaitingRoom[AwaitedEvent, StoredEvent] = WaitingRoom(
            connection, process_events.look_for_events, clock=clock
        )
        self._ends: WaitingRoom[str, EndedProcess] = WaitingRoom(connection, process_events.look_for_ends, clock=clock)

    async def close(self) -> None:
        """Finish what is queued, then close; who waits gets StoreClosed. A second call does nothing.

        Raises StoreWrongLoop in another event loop, and then nothing is closed.
        """
        self._events.close()
        self._ends.close()
        await super().close()

    def _remember(self, record: ProcessRecord) -> None:
        """Keep the definition of a process that was just read: plans check that it still holds."""
        definitions = self._definitions
        definitions.pop(record.id, None)
        definitions[record.id] = ProcessDefinition(record)
        if len(definitions) > _MOST_DEFINITIONS:
            del definitions[next(iter(definitions))]

    def _tell(self) -> None:
        """Wake those who wait for what was committed just now."""
        self._events.changed()
        self._ends.changed()

    async def _run_on(self, plan: Plan, process_ids: Collection[str]) -> PlanResult:
        """Run a plan that looks into the records of these processes. Raises StoreCorrupt if one cannot be read."""
        try:
            return await self._connection.run(plan)
        except asyncio.CancelledError:
            self._tell()  # it may be committed all the same, and of a database in memory nobody else tells
            raise
        except StoreBackend:
            # SQLite's words for a damaged record are "malformed JSON"; ours say which one.
            await self._read(partial(processes.require_readable, process_ids=process_ids))
            raise
