"""Process commands, run against a process registry (effects specification 4.4)."""

from collections.abc import Sequence
from typing import Protocol

from lash_store.errors import (
    HandleNotGranted,
    InvalidJsonValue,
    InvalidRecord,
    ProcessRegistryError,
    RuntimeEffectControllerError,
)
from lash_store.records.effect_command import (
    ProcessCommand,
    ProcessCommandAwait,
    ProcessCommandCancel,
    ProcessCommandDeleteSession,
    ProcessCommandList,
    ProcessCommandSignal,
    ProcessCommandStart,
    ProcessCommandTransfer,
    ProcessListMode,
)
from lash_store.records.effect_outcome import (
    ProcessEffectOutcome,
    ProcessEffectOutcomeAwait,
    ProcessEffectOutcomeCancel,
    ProcessEffectOutcomeDeleteSession,
    ProcessEffectOutcomeList,
    ProcessEffectOutcomeSignal,
    ProcessEffectOutcomeStart,
    ProcessEffectOutcomeTransfer,
    RuntimeEffectOutcomeProcess,
)
from lash_store.records.process import ProcessRecord, ProcessRegistration, ProcessScope
from lash_store.records.process_event import ProcessEventAppendRequest, ProcessEventAppendResult
from lash_store.records.process_grant import (
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessHandleGrantEntry,
    ProcessSessionDeleteReport,
)
from lash_store.records.process_output import ProcessAwaitOutput

_SESSION_DELETED = "session deleted"


class ProcessOperations(Protocol):
    """What process commands need of a registry; `SqliteProcessRegistry` has it all."""

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

    async def delete_session_process_state(
        self, session_id: str, *, cancel_reason: str | None = None
    ) -> ProcessSessionDeleteReport:
        """Drop a session's grants and ask what nobody can address any more to end, all of it or nothing."""
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


async def run_process_command(
    command: ProcessCommand, registry: ProcessOperations, attempt: int
) -> RuntimeEffectOutcomeProcess:
    """Run `command`, for the `attempt`-th time; what the registry has committed stays, whatever comes after it.

    A command that was interrupted before its outcome was recorded is run again by the next one who claims the effect.
    To repeat `start`, `cancel` and `signal` changes nothing more. A `transfer` counts as done if an earlier attempt may
    have done it and the receiver has all handles. A `delete_session` that has happened finds nothing left: its report
    is empty then, though the cancel requests are made.

    What the registry refuses is raised as RuntimeEffectControllerError with the code `plugin`; other failures, of its
    file for example, pass through: they say nothing about the effect.
    """
    try:
        return RuntimeEffectOutcomeProcess(await _answer(command, registry, attempt))
    except (ProcessRegistryError, InvalidRecord, InvalidJsonValue) as refusal:
        raise RuntimeEffectControllerError("plugin", f"plugin session error: {refusal}") from refusal


async def _answer(command: ProcessCommand, registry: ProcessOperations, attempt: int) -> ProcessEffectOutcome:
    match command:
        case ProcessCommandStart():
            return await _start(command, registry)
        case ProcessCommandList():
            live = command.mode == ProcessListMode.LIVE
            listing = registry.list_live_handle_grants if live else registry.list_handle_grants
            return ProcessEffectOutcomeList(await listing(command.owner_scope))
        case ProcessCommandTransfer():
            return await _transfer(command, registry, attempt)
        case ProcessCommandDeleteSession():
            delete = registry.delete_session_process_state
            return ProcessEffectOutcomeDeleteSession(await delete(command.session_id, cancel_reason=_SESSION_DELETED))
        case ProcessCommandAwait():
            return ProcessEffectOutcomeAwait(await registry.await_process(command.process_id))
        case ProcessCommandCancel():
            return await _cancel(command, registry)
        case ProcessCommandSignal():
            return ProcessEffectOutcomeSignal((await registry.append_event(command.process_id, command.request)).event)


async def _start(command: ProcessCommandStart, registry: ProcessOperations) -> ProcessEffectOutcome:
    record = await registry.register_process(command.registration)
    if command.grant is not None:
        await registry.grant_handle(command.grant.owner_scope, command.registration.id, command.grant.descriptor)
    return ProcessEffectOutcomeStart(record)


async def _transfer(command: ProcessCommandTransfer, registry: ProcessOperations, attempt: int) -> ProcessEffectOutcome:
    try:
        await registry.transfer_handle_grants(command.from_scope, command.to_scope, command.process_ids)
    except HandleNotGranted:
        if attempt == 1:
            raise
        received = {grant.process_id for grant, _ in await registry.list_handle_grants(command.to_scope)}
        if not received.issuperset(command.process_ids):
            raise
    return ProcessEffectOutcomeTransfer()


async def _cancel(command: ProcessCommandCancel, registry: ProcessOperations) -> ProcessEffectOutcome:
    request = ProcessEventAppendRequest.cancel_requested(command.process_id, command.reason)
    await registry.append_event(command.process_id, request)
    record = await registry.get_process(command.process_id)
    if record is None:
        raise RuntimeEffectControllerError("plugin", f"plugin session error: unknown process {command.process_id!r}")
    return ProcessEffectOutcomeCancel(record)
