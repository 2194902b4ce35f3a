"""`ProcessWorkObserver`: what a session may address, as a host shows it (process specification 4.12)."""

from lash_store.records.process import ProcessScope
from lash_store.records.process_work import ObservedProcess, ProcessWorkSnapshot
from lash_store.rules.process_work import observed_process, work_item, work_snapshot
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry


class ProcessWorkObserver:
    """A view on a registry; it holds nothing of its own."""

    def __init__(self, registry: SqliteProcessRegistry) -> None:
        """The registry stays its caller's."""
        self._registry = registry

    async def snapshot_for_session(self, session_id: str) -> ProcessWorkSnapshot:
        """All processes granted to the session itself (not to its frames), with all their events.

        Grants and records are of one moment, the events of each process of a slightly later one. Raises StoreCorrupt.
        """
        entries = await self._registry.list_handle_grants(ProcessScope(session_id))
        items = [work_item(entry, await self._registry.events_after(entry[1].id, 0)) for entry in entries]
        return work_snapshot(session_id, items)

    async def process(self, process_id: str) -> ObservedProcess | None:
        """One process, None if it is not registered. Raises StoreCorrupt."""
        record = await self._registry.get_process(process_id)
        return None if record is None else observed_process(record)
