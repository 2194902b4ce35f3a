"""Handle grants (process specification 4.8, 4.9)."""

from collections.abc import Sequence
from functools import partial

from lash_store.errors import ConstraintViolation, GuardFailed, UnknownProcess
from lash_store.records.process import ProcessScope
from lash_store.records.process_grant import (
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessHandleGrantEntry,
    ProcessSessionDeleteReport,
)
from lash_store.sqlite.ops import process_grants, process_session_delete
from lash_store.sqlite.ops.process_session_delete import Orphan
from lash_store.sqlite.process_registry.handle import RegistryHandle


class GrantOperations(RegistryHandle):
    """What can be done with the handles of scopes on processes. None of it appends an event."""

    async def grant_handle(
        self, owner_scope: ProcessScope, process_id: str, descriptor: ProcessHandleDescriptor
    ) -> ProcessHandleGrant:
        """Let a scope address a process; a second grant replaces the descriptor.

        Raises UnknownProcess, InvalidRecord or InvalidJsonValue. One transaction.
        """
        try:
            await self._run(process_grants.prepare_grant(owner_scope, process_id, descriptor))
        except GuardFailed as failed:
            raise UnknownProcess(process_id) from failed
        return ProcessHandleGrant(owner_scope.session_id, process_id, descriptor)

    async def revoke_handle(self, owner_scope: ProcessScope, process_id: str) -> None:
        """Take a handle back; nothing happens if there is none."""
        await self._run(process_grants.prepare_revocation(owner_scope, process_id))

    async def transfer_handle_grants(
        self, from_scope: ProcessScope, to_scope: ProcessScope, process_ids: Sequence[str]
    ) -> None:
        """Move handles from one scope to another with their descriptors, all of them or none.

        Raises HandleNotGranted for the first that `from_scope` does not have (any more: an id given twice has gone).
        """
        if not process_ids:
            return
        try:
            await self._run(process_grants.prepare_transfer(from_scope, to_scope, process_ids))
        except GuardFailed as failed:
            raise process_grants.transfer_refusal(failed, from_scope, process_ids) from failed

    async def list_handle_grants(self, owner_scope: ProcessScope) -> list[ProcessHandleGrantEntry]:
        """The handles of exactly this scope with their processes, by process id. Raises StoreCorrupt."""
        return await self._read(partial(process_grants.read_entries, scope=owner_scope, live=False))

    async def list_live_handle_grants(self, owner_scope: ProcessScope) -> list[ProcessHandleGrantEntry]:
        """Of these handles those on processes that have not ended. Raises StoreCorrupt."""
        return await self._read(partial(process_grants.read_entries, scope=owner_scope, live=True))

    async def has_handle_grant(self, owner_scope: ProcessScope, process_id: str) -> bool:
        """Whether the scope has a handle on the process; False for an unknown process."""
        return await self._read(partial(process_grants.has_grant, scope=owner_scope, process_id=process_id))

    async def handle_grants_for_process(self, process_id: str) -> list[ProcessHandleGrant]:
        """All handles on a process, by session id, then scope id. Raises UnknownProcess, StoreCorrupt."""
        return await self._read(partial(process_grants.read_grants, process_id=process_id))

    async def delete_session_process_state(
        self, session_id: str, *, cancel_reason: str | None = None
    ) -> ProcessSessionDeleteReport:
        """Revoke all handles of a session, those of its frames too, and say what they left running.

        With `cancel_reason` (upstream's is "session deleted") every process that nobody can address any more gets the
        standard cancel request, in the same transaction; without it that is the caller's to do, and a crash before it
        leaves such processes running. Raises StoreCorrupt, and what `append_event` refuses a cancel request with.
        """
        await self._read(partial(process_session_delete.require_readable, session_id=session_id))
        seen = None
        while True:
            orphans = await self._orphans(session_id, cancel_reason)
            try:
                result = await self._run_on(process_session_delete.prepare_session_delete(session_id, orphans), ())
            except (GuardFailed, ConstraintViolation):
                # Who is left behind, or was asked, changed in between; if not, starting over would not help.
                state = [(orphan.definition.record, orphan.draft is None) for orphan in orphans or ()]
                if orphans is None or state == seen:
                    raise
                seen = state
                continue
            if orphans:
                self._tell()
            return process_session_delete.session_deleted(session_id, result)

    async def _orphans(self, session_id: str, cancel_reason: str | None) -> list[Orphan] | None:
        if cancel_reason is None:
            return None
        return await self._read(
            partial(process_session_delete.read_orphans, session_id=session_id, cancel_reason=cancel_reason)
        )
