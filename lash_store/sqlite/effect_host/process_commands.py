"""Process commands, run against a process registry (effects specification 4.4)."""

import inspect
from typing import Protocol, TypeGuard

import msgspec

from lash_store.codecs.content_hash import content_hash
from lash_store.errors import (
    HandleNotGranted,
    InvalidJsonValue,
    InvalidRecord,
    ProcessRegistryError,
    RuntimeEffectControllerError,
)
from lash_store.protocols import ProcessOperations
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
from lash_store.records.invocation import RuntimeReplay
from lash_store.records.process_event import ProcessEventAppendRequest
from lash_store.records.process_grant import ProcessSessionDeleteReport
from lash_store.rules.effect_replay import AskedEffect

__all__ = ["ProcessOperations", "run_process_command"]

_SESSION_DELETED = "session deleted"


class _Deletes(Protocol):
    """A registry that deletes and asks in one transaction."""

    async def delete_session_process_state(
        self, session_id: str, *, cancel_reason: str | None = None
    ) -> ProcessSessionDeleteReport:
        """Drop a session's grants and ask what nobody can address any more to end, all of it or nothing."""
        ...


async def run_process_command(
    command: ProcessCommand, registry: ProcessOperations, asked: AskedEffect, attempt: int
) -> RuntimeEffectOutcomeProcess:
    """Run `command`, for the `attempt`-th time; what the registry has committed stays, whatever comes after it.

    A command that was interrupted before its outcome was recorded is run again by the next one who claims the effect.
    To repeat `start`, `cancel` and `signal` changes nothing more: a signal without a replay key gets one that stands
    for the effect `asked` for. A `transfer` counts as done if an earlier attempt may have done it and the receiver has
    all handles. A `delete_session` that has happened finds nothing left: its report is empty then, though the cancel
    requests are made (by a registry that takes a `cancel_reason`; by another one, unless the crash fell in between).

    What the registry refuses is raised as RuntimeEffectControllerError with the code `plugin`; other failures, of its
    file for example, pass through: they say nothing about the effect.
    """
    try:
        return RuntimeEffectOutcomeProcess(await _answer(command, registry, asked, attempt))
    except (ProcessRegistryError, InvalidRecord, InvalidJsonValue) as refusal:
        raise RuntimeEffectControllerError("plugin", f"plugin session error: {refusal}") from refusal


async def _answer(
    command: ProcessCommand, registry: ProcessOperations, asked: AskedEffect, attempt: int
) -> ProcessEffectOutcome:
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
            return ProcessEffectOutcomeDeleteSession(await _delete_session(command.session_id, registry))
        case ProcessCommandAwait():
            return ProcessEffectOutcomeAwait(await registry.await_process(command.process_id))
        case ProcessCommandCancel():
            return await _cancel(command, registry)
        case ProcessCommandSignal():
            return ProcessEffectOutcomeSignal(
                (await registry.append_event(command.process_id, _signal(command, asked))).event
            )


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


async def _delete_session(session_id: str, registry: ProcessOperations) -> ProcessSessionDeleteReport:
    if _asks_itself(registry):
        return await registry.delete_session_process_state(session_id, cancel_reason=_SESSION_DELETED)
    report = await registry.delete_session_process_state(session_id)
    for process_id in report.cancel_process_ids:
        request = ProcessEventAppendRequest.cancel_requested(process_id, _SESSION_DELETED)
        await registry.append_event(process_id, request)
    return report


def _asks_itself(registry: ProcessOperations) -> TypeGuard[_Deletes]:
    parameters = inspect.signature(registry.delete_session_process_state).parameters
    passes_on = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return passes_on or "cancel_reason" in parameters


def _signal(command: ProcessCommandSignal, asked: AskedEffect) -> ProcessEventAppendRequest:
    """The request with a replay key: its own, or one that is this effect's alone.

    Not the bare `process:<id>:signal:<signal id>` of a host's signals: a program may number its signals anew in each
    run, and a second one under the key of the first would be taken for its repetition.
    """
    if command.request.replay is not None:
        return command.request
    effect = content_hash(asked.scope_text + asked.envelope_hash.encode())
    key = f"process:{command.process_id}:signal:{command.signal_id}:{effect}"
    return msgspec.structs.replace(command.request, replay=RuntimeReplay(key))


async def _cancel(command: ProcessCommandCancel, registry: ProcessOperations) -> ProcessEffectOutcome:
    request = ProcessEventAppendRequest.cancel_requested(command.process_id, command.reason)
    await registry.append_event(command.process_id, request)
    record = await registry.get_process(command.process_id)
    if record is None:
        raise RuntimeEffectControllerError("plugin", f"plugin session error: unknown process {command.process_id!r}")
    return ProcessEffectOutcomeCancel(record)
