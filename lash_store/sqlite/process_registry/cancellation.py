"""`ProcessCancellation`: what a session may ask to end (process specification 4.12)."""

from lash_store.errors import ProcessCancelRefused, ProcessNotVisible, ProcessRegistryError, UnknownProcess
from lash_store.records.process import ProcessScope
from lash_store.records.process_event import ProcessEventAppendRequest
from lash_store.records.process_work import ProcessCancelSummary
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry


class ProcessCancellation:
    """Cancel requests to processes that a session has handles on; it holds nothing of its own.

    A request is an event. Whoever runs the process reads it and ends the process, or does not.
    """

    def __init__(self, registry: SqliteProcessRegistry) -> None:
        """The registry stays its caller's."""
        self._registry = registry

    async def cancel(self, session_id: str, process_id: str, reason: str | None = None) -> ProcessCancelSummary:
        """Ask one process to end; asked twice for one `reason`, it is asked once.

        Raises ProcessNotVisible, and then nothing was asked, and what `append_event` raises.
        """
        if not await self._registry.has_handle_grant(ProcessScope(session_id), process_id):
            raise ProcessNotVisible(process_id, session_id)
        return await self._ask(process_id, reason)

    async def cancel_all(self, session_id: str, reason: str | None = None) -> list[ProcessCancelSummary]:
        """Ask all that have not ended, in the order of the session's handles.

        One that ends meanwhile is asked all the same: a request harms no one. Raises ProcessCancelRefused, when all
        others were asked, if a process refuses the request; else as `list_live_handle_grants` and `append_event`.
        """
        entries = await self._registry.list_live_handle_grants(ProcessScope(session_id))
        summaries: list[ProcessCancelSummary] = []
        refusals: dict[str, ProcessRegistryError] = {}
        for _, record in entries:
            try:
                summaries.append(await self._ask(record.id, reason))
            except ProcessRegistryError as refusal:
                refusals[record.id] = refusal
        if refusals:
            reasons = {process_id: str(refusal) for process_id, refusal in refusals.items()}
            raise ProcessCancelRefused(session_id, reasons, summaries) from next(iter(refusals.values()))
        return summaries

    async def _ask(self, process_id: str, reason: str | None) -> ProcessCancelSummary:
        await self._registry.append_event(process_id, ProcessEventAppendRequest.cancel_requested(process_id, reason))
        record = await self._registry.get_process(process_id)
        if record is None:
            raise UnknownProcess(process_id)
        return ProcessCancelSummary(process_id, record.status.label)
