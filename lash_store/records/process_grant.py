"""Handle grants: which scopes may address a process (process specification 2.7, 2.8)."""

from typing import TypeAlias

from lash_store.records.process import ProcessRecord
from lash_store.records.record import Record
from lash_store.records.shape import Uint


class ProcessHandleDescriptor(Record, frozen=True):
    """How a handle is shown."""

    kind: str | None = None
    label: str | None = None


class ProcessHandleGrant(Record, frozen=True):
    """A session's handle on a process."""

    session_id: str
    process_id: str
    descriptor: ProcessHandleDescriptor


ProcessHandleGrantEntry: TypeAlias = tuple[ProcessHandleGrant, ProcessRecord]
"""A grant and its process."""


class ProcessSessionDeleteReport(Record, frozen=True):
    """What deleting a session's grants left running: what nobody can address now, and what somebody else still can.

    Wakes lie in another database, so `deleted_wake_count` is always 0.
    """

    session_id: str
    revoked_handle_count: Uint
    deleted_wake_count: Uint
    cancel_process_ids: list[str]
    preserved_process_ids: list[str]
