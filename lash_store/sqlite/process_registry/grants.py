"""Handle grants (process specification 4.8, 4.9)."""

from collections.abc import Iterable
from functools import partial

from lash_store.errors import (
    ConstraintViolation,
    GuardFailed,
    ProcessCancelRefused,
    StoreCorrupt,
    UnknownProcess,
)
from lash_store.records.process import ProcessScope
from lash_store.records.process_grant import (
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessHandleGrantEntry,
    ProcessSessionDeleteReport,
)
from lash_store.sqlite.ops import process_grants, process_session_delete
from lash_store.sqlite.ops.process_session_delete import SAME_LEFT_BEHIND, Orphan
from lash_store.sqlite.ops.texts import column_text, column_texts
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
        """Take a handle back; nothing happens if there is none. Raises InvalidRecord. One transaction."""
        await self._run(process_grants.prepare_revocation(owner_scope, process_id))

    async def transfer_handle_grants(
        self, from_scope: ProcessScope, to_scope: ProcessScope, process_ids: Iterable[str]
    ) -> None:
        """Move handles from one scope to another with their descriptors, all of them or none.

        Raises HandleNotGranted for the first that `from_scope` does not have (any more: an id given twice has gone),
        InvalidRecord, also for a single text in place of ids. One transaction.
        """
        ids = column_texts("process handle grant", "process_ids", process_ids)
        plan = process_grants.prepare_transfer(from_scope, to_scope, ids)
        if not ids:
            return
        try:
            await self._run(plan)
        except GuardFailed as failed:
            raise process_grants.transfer_refusal(failed, from_scope, ids) from failed

    async def list_handle_grants(self, owner_scope: ProcessScope) -> list[ProcessHandleGrantEntry]:
        """The handles of exactly this scope with their processes, by process id.

        Raises InvalidRecord, StoreCorrupt. One snapshot.
        """
        return await self._read(partial(process_grants.read_entries, scope=owner_scope, live=False))

    async def list_live_handle_grants(self, owner_scope: ProcessScope) -> list[ProcessHandleGrantEntry]:
        """Of these handles those on processes that have not ended; raises as `list_handle_grants`. One snapshot."""
        return await self._read(partial(process_grants.read_entries, scope=owner_scope, live=True))

    async def has_handle_grant(self, owner_scope: ProcessScope, process_id: str) -> bool:
        """Whether the scope has a handle on the process; False for an unknown process. Raises InvalidRecord."""
        return await self._read(partial(process_grants.has_grant, scope=owner_scope, process_id=process_id))

    async def handle_grants_for_process(self, process_id: str) -> list[ProcessHandleGrant]:
        """All handles on a process, by session id, then scope id.

        Raises UnknownProcess, InvalidRecord, StoreCorrupt. One snapshot.
        """
        return await self._read(partial(process_grants.read_grants, process_id=process_id))

    async def delete_session_process_state(
        self, session_id: str, *, cancel_reason: str | None = None
    ) -> ProcessSessionDeleteReport:
        """Revoke all handles of a session, those of its frames too, and say what they left running.

        With `cancel_reason` (upstream's is "session deleted") every process that nobody can address any more gets the
        standard cancel request, in the same transaction; without it that is the caller's to do, and a crash before it
        leaves such processes running. Raises InvalidRecord, StoreCorrupt.

        Raises ProcessCancelRefused if the own declaration of such a process refuses the request: when the handles are
        revoked and all others asked, because a session must be able to go. That is the only error after a commit.
        """
        column_text("process scope", "session_id", session_id)
        await self._read(partial(process_session_delete.require_readable, session_id=session_id))
        orphans, report = await self._delete_session(session_id, cancel_reason)
        if any(orphan.draft is not None for orphan in orphans):
            self._tell()
        refusals = {orphan.definition.process_id: orphan.refusal for orphan in orphans if orphan.refusal is not None}
        if refusals:
            reasons = {process_id: str(refusal) for process_id, refusal in refusals.items()}
            raise ProcessCancelRefused(session_id, reasons, report) from next(iter(refusals.values()))
        return report

    async def _delete_session(
        self, session_id: str, cancel_reason: str | None
    ) -> tuple[list[Orphan], ProcessSessionDeleteReport]:
        """Delete, and ask what is left behind, which is what a snapshot shows: others may start it over."""
        seen = None
        while True:
            orphans = await self._orphans(session_id, cancel_reason)
            plan = process_session_delete.prepare_session_delete(session_id, orphans)
            try:
                result = await self._run_on(plan, ())
            except (GuardFailed, ConstraintViolation) as failed:
                if isinstance(failed, GuardFailed) and failed.name == SAME_LEFT_BEHIND:
                    seen = None  # others have changed something; nothing but that bounds how often
                    continue
                # One was asked, or has ended, in between; if not, what is read is not what the plan finds.
                state = [(orphan.definition.process_id, orphan.draft is None) for orphan in orphans or ()]
                if state == seen:
                    raise StoreCorrupt("process state of session", session_id) from failed
                seen = state
                continue
            return orphans or [], process_session_delete.session_deleted(session_id, result)

    async def _orphans(self, session_id: str, cancel_reason: str | None) -> list[Orphan] | None:
        if cancel_reason is None:
            return None
        return await self._read(
            partial(process_session_delete.read_orphans, session_id=session_id, cancel_reason=cancel_reason)
        )
