"""What becomes of a request to append an event (process specification 4.3).

In two parts, because sequence and time of an event are given where it is written: `draft_event` does all that can be
refused and all that costs something, `finished` puts sequence and time in. `prepare_process_event_append` is the whole.
"""

from typing import Any

import msgspec

from lash_store.codecs.process_event_text import NO_SEMANTICS, EventText
from lash_store.errors import (
    InvalidJsonValue,
    InvalidProcessPayload,
    InvalidRecord,
    MissingWakeTarget,
    ProcessAlreadyTerminal,
    ProcessReplayKeyConflict,
    ProcessReplayKeyRequired,
)
from lash_store.records import json_text
from lash_store.records.causal import CausalRefProcess
from lash_store.records.invocation import (
    RuntimeInvocation,
    RuntimeReplay,
    RuntimeScope,
    RuntimeSubjectProcessEvent,
)
from lash_store.records.layout import Unfit, stored_form, text_form
from lash_store.records.process import ProcessRecord, ProcessScope
from lash_store.records.process_event import (
    ProcessEvent,
    ProcessEventAppendRequest,
    ProcessEventSemantics,
    ProcessWake,
    ProcessWakeDelivery,
    SystemTime,
)
from lash_store.records.process_ids import event_identity, hash_of_texts, wake_id
from lash_store.records.process_output import ProcessTerminalStatus, terminal_status
from lash_store.rules.process_definition import DeclaredEvent, ProcessDefinition
from lash_store.rules.process_payload import misfit
from lash_store.rules.process_semantics import materialize_process_event_semantics


class RequestedEvent(msgspec.Struct, frozen=True, gc=False):
    """A request with its payload in stored form, and the payload's text and hash."""

    request: ProcessEventAppendRequest
    payload: Any
    payload_text: bytes
    payload_hash: str

    @property
    def replay_key(self) -> str | None:
        """The request's replay key. An empty one is one."""
        return None if self.request.replay is None else self.request.replay.key


class EventDraft(msgspec.Struct, frozen=True, gc=False):
    """An event that may be appended; its semantics as of sequence 0 if `declared` says that they hold the sequence."""

    requested: RequestedEvent
    declared: DeclaredEvent
    semantics: ProcessEventSemantics
    text: EventText

    @property
    def status(self) -> ProcessTerminalStatus | None:
        """The status that the event gives its process, as it is written."""
        ends = self.semantics.terminal
        return None if ends is None else terminal_status(ends.state, ends.await_output)


class PreparedProcessEventAppend(msgspec.Struct, frozen=True):
    """An event as it is to be appended, or as it was: then `replayed`, and nothing is to be written but the status.

    `status_update` is the status to set, if any; `occurred_at_ms` the event's time in epoch milliseconds.
    """

    event: ProcessEvent
    payload_hash: str
    status_update: ProcessTerminalStatus | None
    wake_delivery: ProcessWakeDelivery | None
    occurred_at_ms: int
    replayed: bool


def prepare_process_event_append(
    record: ProcessRecord,
    request: ProcessEventAppendRequest,
    sequence: int,
    replay_lookup: tuple[str, ProcessEvent] | None,
    occurred_at_ms: int,
) -> PreparedProcessEventAppend:
    """The event that `request` appends to the process of `record` as its `sequence`-th, in the order of checks of 4.3.

    `replay_lookup` is the payload hash and event stored under the request's replay key. Raises ProcessRegistryError's
    subclasses of 4.3, InvalidRecord, InvalidJsonValue.
    """
    requested = requested_event(request)
    definition = ProcessDefinition(record)
    if replay_lookup is not None:
        return replayed(definition, requested, *replay_lookup, is_terminal=record.is_terminal)
    draft = draft_event(definition, requested)
    if draft.semantics.terminal is not None and record.is_terminal:
        raise ProcessAlreadyTerminal(record.id)
    require_wake_target(definition, draft)
    return finished(definition, draft, sequence, occurred_at_ms)


def requested_event(request: ProcessEventAppendRequest) -> RequestedEvent:
    """The request with its payload ready to be stored.

    Raises InvalidRecord if it, its replay key or its wake target is none, InvalidJsonValue if it has no stored form.
    """
    _require_request(request)
    try:
        event_type = json_text.compact(_text(request.event_type, "event_type"))
        payload = stored_form(request.payload)
        if request.replay is not None:
            _text(request.replay.key, "replay")
    except Unfit as unfit:
        raise InvalidJsonValue(unfit.path, unfit.reason) from None
    payload_text = json_text.compact(payload)
    return RequestedEvent(request, payload, payload_text, hash_of_texts(event_type, payload_text))


def replayed(
    definition: ProcessDefinition,
    requested: RequestedEvent,
    payload_hash: str,
    event: ProcessEvent,
    *,
    is_terminal: bool,
) -> PreparedProcessEventAppend:
    """The stored event under the request's key, again. Raises ProcessReplayKeyConflict, MissingWakeTarget.

    A process that the event should have ended and that still runs (it is not `is_terminal`) is to get its status.
    """
    if payload_hash != requested.payload_hash:
        raise ProcessReplayKeyConflict(definition.process_id, requested.replay_key or "")
    ends, wakes = event.semantics.terminal, event.semantics.wake
    target = requested.request.wake_target_scope
    if wakes is not None and target is None:
        raise MissingWakeTarget(definition.process_id, event.event_type)
    return PreparedProcessEventAppend(
        event,
        payload_hash,
        None if ends is None or is_terminal else terminal_status(ends.state, ends.await_output),
        None if wakes is None or target is None else _delivery(definition, event, wakes, target),
        event.occurred_at.epoch_ms,
        True,
    )


def draft_event(definition: ProcessDefinition, requested: RequestedEvent) -> EventDraft:
    """The event as far as it does not depend on the state of its process.

    Raises UndeclaredProcessEvent, ProcessReplayKeyRequired, InvalidProcessPayload, SelectorMismatch, InvalidJsonValue.
    """
    process_id, key = definition.process_id, requested.replay_key
    declared = definition.event_type(requested.request.event_type)
    if declared.needs_key and not key:
        raise ProcessReplayKeyRequired(process_id, declared.name)
    if declared.schema and (wrong := misfit(declared.schema, requested.payload)) is not None:
        raise InvalidProcessPayload(declared.name, wrong.location, wrong.reason)
    semantics, has_gap = NO_SEMANTICS, False
    if not declared.is_plain:
        semantics = materialize_process_event_semantics(process_id, 0, requested.payload, declared.semantics)
        has_gap = declared.has_identity_key and semantics.wake is not None
    return EventDraft(requested, declared, semantics, _text_of(definition, declared, requested, semantics, has_gap))


def require_wake_target(definition: ProcessDefinition, draft: EventDraft) -> None:
    """Raises MissingWakeTarget if the event wakes and nobody is named."""
    if draft.semantics.wake is not None and draft.requested.request.wake_target_scope is None:
        raise MissingWakeTarget(definition.process_id, draft.declared.name)


def finished(
    definition: ProcessDefinition, draft: EventDraft, sequence: int, occurred_at_ms: int
) -> PreparedProcessEventAppend:
    """The event of a draft that passed `require_wake_target`, at its place and time, as it will be read."""
    process_id, request = definition.process_id, draft.requested.request
    wakes, ends = draft.semantics.wake, draft.semantics.terminal
    semantics = draft.semantics
    if semantics is not NO_SEMANTICS:
        if wakes is not None and draft.declared.has_identity_key:
            wakes = ProcessWake(wakes.input, event_identity(process_id, sequence))
        if ends is not None and ends.await_output.other_keys:
            ends = msgspec.structs.replace(
                ends, await_output=msgspec.structs.replace(ends.await_output, other_keys=None)
            )
        semantics = ProcessEventSemantics(ends, wakes)
    event = ProcessEvent(
        process_id,
        sequence,
        draft.declared.name,
        draft.requested.payload,
        RuntimeInvocation(
            RuntimeScope(definition.session_id),
            RuntimeSubjectProcessEvent(process_id, sequence, draft.declared.name),
            CausalRefProcess(process_id),
            request.replay,
        ),
        semantics,
        SystemTime.from_ms(occurred_at_ms),
    )
    target = request.wake_target_scope
    return PreparedProcessEventAppend(
        event,
        draft.requested.payload_hash,
        None if ends is None else terminal_status(ends.state, ends.await_output),
        None if wakes is None or target is None else _delivery(definition, event, wakes, target),
        occurred_at_ms,
        False,
    )


def _text_of(
    definition: ProcessDefinition,
    declared: DeclaredEvent,
    requested: RequestedEvent,
    semantics: ProcessEventSemantics,
    has_gap: bool,
) -> EventText:
    """The event's text, its dedupe key open at the end if `has_gap`."""
    if has_gap and semantics.wake is not None:
        open_key = event_identity(definition.process_id, 0)[:-1]
        semantics = ProcessEventSemantics(semantics.terminal, ProcessWake(semantics.wake.input, open_key))
    try:
        text = definition.frame.event(
            declared.text, requested.payload_text.decode(), requested.replay_key, semantics, ends_with_sequence=has_gap
        )
        json_text.require_depth(text.all.encode())
    except Unfit as unfit:
        raise InvalidJsonValue(unfit.path, unfit.reason) from None
    return text


def _delivery(
    definition: ProcessDefinition, event: ProcessEvent, wake: ProcessWake, target: ProcessScope
) -> ProcessWakeDelivery:
    return ProcessWakeDelivery(
        wake_id=wake_id(target.id, wake.dedupe_key),
        target_session_id=target.session_id,
        target_scope_id=target.id,
        process_id=definition.process_id,
        sequence=event.sequence,
        event_type=event.event_type,
        event_invocation=event.invocation,
        process_caused_by=definition.caused_by,
        dedupe_key=wake.dedupe_key,
        input=wake.input,
        created_at_ms=event.occurred_at.epoch_ms,
    )


def _require_request(request: Any) -> None:
    if not isinstance(request, ProcessEventAppendRequest):
        raise _no_record(ProcessEventAppendRequest, "$", request)
    if request.replay is not None and not isinstance(request.replay, RuntimeReplay):
        raise _no_record(RuntimeReplay, "$.replay", request.replay)
    target = request.wake_target_scope
    if target is not None:
        if not isinstance(target, ProcessScope):
            raise _no_record(ProcessScope, "$.wake_target_scope", target)
        target.to_json()


def _no_record(kind: type, path: str, value: Any) -> InvalidRecord:
    return InvalidRecord(kind.__name__, path, f"expected a {kind.__name__}, got a {type(value).__name__}")


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise Unfit(f"expected a string, got a {type(value).__name__}").at(key)
    try:
        return text_form(value)
    except Unfit as unfit:
        raise unfit.at(key) from None
