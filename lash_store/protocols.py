"""What one part of the package asks of another, so that a host can put something of its own in its place."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_outcome import RuntimeEffectOutcome
from lash_store.records.process import ProcessRecord, ProcessRegistration, ProcessScope
from lash_store.records.process_event import ProcessEventAppendRequest, ProcessEventAppendResult
from lash_store.records.process_grant import (
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessHandleGrantEntry,
    ProcessSessionDeleteReport,
)
from lash_store.records.process_output import ProcessAwaitOutput

LocalExecutor: TypeAlias = Callable[[RuntimeEffectEnvelope], Awaitable[RuntimeEffectOutcome]]
"""Runs an effect here and returns its outcome; what it raises is told in `execute_effect`."""


class ProcessOperations(Protocol):
    """What process commands need of a registry; `SqliteProcessRegistry` has it all.

    If `delete_session_process_state` takes a `cancel_reason`, as that one's does, it also asks what nobody can address
    any more to end, all of it or nothing; if not, the command asks for that afterwards.
    """

    async def register_process(self, registration: ProcessRegistration) -> ProcessRecord:
        """Register a process, or find it registered with the same content."""
        ...

    async def grant_handle(
        self, owner_scope: ProcessScope, process_id: str, descriptor: ProcessHandleDescriptor
    ) -> ProcessHandleGrant:
        """Grant a handle."""
        ...

    async def list_handle_grants(self, owner_scope: ProcessScope) -> list[ProcessHandleGrantEntry]:
        """All grants of a scope."""
        ...

    async def list_live_handle_grants(self, owner_scope: ProcessScope) -> list[ProcessHandleGrantEntry]:
        """The grants of a scope whose processes have not ended."""
        ...

    async def transfer_handle_grants(
        self, from_scope: ProcessScope, to_scope: ProcessScope, process_ids: Sequence[str]
    ) -> None:
        """Move grants."""
        ...

    async def delete_session_process_state(self, session_id: str) -> ProcessSessionDeleteReport:
        """Drop a session's grants, and say what nobody can address any more."""
        ...

    async def append_event(self, process_id: str, request: ProcessEventAppendRequest) -> ProcessEventAppendResult:
        """Append an event."""
        ...

    async def get_process(self, process_id: str) -> ProcessRecord | None:
        """The record of a process."""
        ...

    async def await_process(self, process_id: str) -> ProcessAwaitOutput:
        """Wait for a process to end."""
        ...


class EffectController(Protocol):
    """What runs effects, and remembers that it has: `SqliteRuntimeEffectController`, or any like it."""

    async def execute_effect(
        self,
        envelope: RuntimeEffectEnvelope,
        local_executor: LocalExecutor | None = None,
        *,
        process_registry: ProcessOperations | None = None,
    ) -> RuntimeEffectOutcome:
        """The outcome of the effect, now or from before."""
        ...
