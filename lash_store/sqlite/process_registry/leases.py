"""Leases (process specification 4.10)."""

import asyncio

import msgspec

from lash_store.errors import GuardFailed, StoreError, UnknownProcess
from lash_store.records.process_lease import ProcessLease, ProcessLeaseCompletion
from lash_store.sqlite.delivery import until_done
from lash_store.sqlite.ops import process_leases
from lash_store.sqlite.process_registry.handle import RegistryHandle


class LeaseOperations(RegistryHandle):
    """Who runs a process. A lease is over when the clock shows its expiry; nobody is told."""

    async def claim_process_lease(self, process_id: str, owner_id: str, lease_ttl_ms: int) -> ProcessLease:
        """Claim a process for `lease_ttl_ms` from now, with a fencing token larger than all before.

        The owner of a live lease may claim again, which ends the lease it has. An ended process can be claimed, too:
        look at `get_process` after claiming, before any work.

        Raises UnknownProcess, ProcessLeaseConflict while another owner's lease lives, InvalidRecord for a time to live
        outside 0 ... 2^63-1, StoreCorrupt for a damaged lease. One transaction; if it is cancelled, and has claimed the
        process all the same, another one releases it.
        """
        token = process_leases.new_token()
        try:
            result = await self._run(process_leases.prepare_claim(process_id, owner_id, token, lease_ttl_ms))
        except GuardFailed as failed:
            raise _refusal(process_id, failed) from failed
        except asyncio.CancelledError as cancelled:
            await self._give_up(ProcessLeaseCompletion(process_id, token), cancelled)
            raise
        return process_leases.claimed(process_id, owner_id, token, result)

    async def renew_process_lease(self, lease: ProcessLease, lease_ttl_ms: int) -> ProcessLease:
        """The lease with the expiry set to `lease_ttl_ms` from now, which may be earlier than it was.

        Raises ProcessLeaseLost if it is not the live lease on its process (any more), InvalidRecord for a time to live
        outside 0 ... 2^63-1, or what is no lease. One transaction.
        """
        try:
            result = await self._run(process_leases.prepare_renewal(lease, lease_ttl_ms))
        except GuardFailed as failed:
            raise _refusal(lease.process_id, failed) from failed
        return msgspec.structs.replace(lease, expires_at_epoch_ms=process_leases.renewed_until(result))

    async def complete_process_lease(self, completion: ProcessLeaseCompletion) -> None:
        """Release a lease; nothing happens if it is not there any more. Its expiry does not matter.

        Raises InvalidRecord for what is no completion. One transaction.
        """
        await self._run(process_leases.prepare_completion(completion))

    async def _give_up(self, completion: ProcessLeaseCompletion, reason: BaseException) -> None:
        """Release a lease, for a `reason` that is to be raised afterwards; it gets a note if that fails."""
        releasing = asyncio.ensure_future(self.complete_process_lease(completion))
        await until_done(releasing)
        if not releasing.cancelled() and (failure := releasing.exception()) is not None:
            reason.add_note(f"the process {completion.process_id!r} may stay claimed until its lease ends: {failure}")


def _refusal(process_id: str, failed: GuardFailed) -> StoreError:
    return process_leases.refusal(process_id, failed) or UnknownProcess(process_id)
