"""Leases: who runs a process just now (process specification 2.8)."""

from typing import Self

from lash_store.records.record import Record
from lash_store.records.shape import Uint


class ProcessLease(Record, frozen=True, kw_only=True):
    """A lease; times in epoch milliseconds. Of two leases on a process the later one has the larger fencing token."""

    schema_version: Uint = 1
    process_id: str
    owner_id: str
    lease_token: str
    fencing_token: Uint
    claimed_at_epoch_ms: Uint
    expires_at_epoch_ms: Uint


class ProcessLeaseCompletion(Record, frozen=True):
    """Says that the work under a lease is done."""

    process_id: str
    lease_token: str

    @classmethod
    def from_lease(cls, lease: ProcessLease) -> Self:
        """The completion of `lease`."""
        return cls(lease.process_id, lease.lease_token)
