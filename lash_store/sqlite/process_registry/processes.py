"""Registering processes, and reading their records (process specification 4.1, 4.2)."""

from functools import partial

from lash_store.errors import GuardFailed, UnknownProcess
from lash_store.records.process import ProcessExternalRef, ProcessRecord, ProcessRegistration
from lash_store.rules.process_registration import prepare_process_registration
from lash_store.sqlite.ops import processes
from lash_store.sqlite.process_registry.handle import RegistryHandle


class ProcessOperations(RegistryHandle):
    """What can be done with processes as such."""

    async def register_process(self, registration: ProcessRegistration) -> ProcessRecord:
        """Register a process, once: the same registration again returns the record as it is now.

        The core event types are added where they are not declared. Keys that a registration does not know stay in the
        record, but for those that have a meaning there. Raises InvalidProcessRegistration,
        ProcessRegistrationConflict if another content is registered under the id, InvalidRecord or InvalidJsonValue if
        the registration has no stored form, StoreCorrupt. One transaction.
        """
        complete, registration_hash = prepare_process_registration(registration)
        result = await self._run(processes.prepare_registration(complete, registration_hash))
        record = processes.registered(result, registration_hash)
        self._remember(record)
        return record

    async def get_process(self, process_id: str) -> ProcessRecord | None:
        """The record of a process, None if it is not registered. Raises StoreCorrupt if it cannot be read."""
        return await self._read(partial(processes.find_process, process_id=process_id))

    async def list_non_terminal(self) -> list[ProcessRecord]:
        """The records of all processes that have not ended, by id. Raises StoreCorrupt if one cannot be read."""
        return await self._read(processes.read_running)

    async def set_external_ref(self, process_id: str, external_ref: ProcessExternalRef) -> ProcessRecord:
        """Say where a process runs, in place of what was said before, and return its record.

        Raises UnknownProcess, StoreCorrupt; InvalidRecord or InvalidJsonValue also for a reference that is nested too
        deeply for the record around it. One transaction.
        """
        plan = processes.prepare_external_ref(process_id, external_ref)
        try:
            return processes.updated(await self._run_on(plan, [process_id]))
        except GuardFailed as failed:
            raise UnknownProcess(process_id) from failed
