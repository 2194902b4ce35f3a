"""How a process is shown: labels, errors, order (process specification 4.12)."""

from collections.abc import Iterable, Mapping
from typing import Any

from lash_store.records.process import ProcessRecord
from lash_store.records.process_event import ProcessEvent
from lash_store.records.process_grant import ProcessHandleGrantEntry
from lash_store.records.process_input import (
    ProcessInput,
    ProcessInputExternal,
    ProcessInputLashlangProcess,
    ProcessInputSessionTurn,
    ProcessInputToolCall,
)
from lash_store.records.process_output import ProcessAwaitOutputSuccess, ProcessStatusRunning
from lash_store.records.process_work import ObservedProcess, ObservedProcessEvent, ProcessWorkItem, ProcessWorkSnapshot


def observed_process(record: ProcessRecord) -> ObservedProcess:
    """A process as it is shown."""
    status = record.status.label
    return ObservedProcess(
        process_id=record.id,
        graph_key=f"process:{record.id}",
        lifecycle=status,
        status_label=status,
        terminal=record.is_terminal,
        error=_error_of(record),
        created_at_ms=record.created_at_ms,
        updated_at_ms=record.updated_at_ms,
        input=record.input,
        external_ref=record.external_ref,
        child_session_id=_child_session_id(record.input),
        label=_typed_label(record.input) or _kind_of(record.input),
    )


def work_item(entry: ProcessHandleGrantEntry, events: Iterable[ProcessEvent]) -> ProcessWorkItem:
    """A granted process as it is shown."""
    grant, record = entry
    kind = grant.descriptor.kind or _kind_of(record.input)
    return ProcessWorkItem(
        observed_process(record),
        grant.descriptor,
        [
            ObservedProcessEvent(event.sequence, event.event_type, event.occurred_at.epoch_ms, event.payload)
            for event in events
        ],
        kind,
        _typed_label(record.input) or grant.descriptor.label or kind,
    )


def work_snapshot(session_id: str, items: Iterable[ProcessWorkItem]) -> ProcessWorkSnapshot:
    """All items of a session, those changed last first, then those made last, then by id."""

    def order(item: ProcessWorkItem) -> tuple[int, int, str]:
        return -item.process.updated_at_ms, -item.process.created_at_ms, item.process.process_id

    ordered = sorted(items, key=order)
    return ProcessWorkSnapshot(session_id, [item.process.process_id for item in ordered], ordered)


def _error_of(record: ProcessRecord) -> str | None:
    if isinstance(record.status, ProcessStatusRunning):
        return None
    output = record.status.await_output
    return None if isinstance(output, ProcessAwaitOutputSuccess) else output.message


def _kind_of(process_input: ProcessInput) -> str:
    match process_input:
        case ProcessInputToolCall():
            return "tool"
        case ProcessInputLashlangProcess():
            return "lashlang"
        case ProcessInputSessionTurn():
            return "session_turn"
        case ProcessInputExternal():
            return "external"


def _typed_label(process_input: ProcessInput) -> str | None:
    match process_input:
        case ProcessInputToolCall():
            return _text(process_input.call, "tool_name")
        case ProcessInputLashlangProcess():
            return process_input.process_name
        case ProcessInputSessionTurn():
            request = process_input.create_request
            capability = _text(request.get("subagent"), "capability")
            return capability or _text(request, "usage_source") or _text(request, "session_id")
        case ProcessInputExternal():
            return _metadata_label(process_input.metadata)


def _metadata_label(metadata: Any) -> str | None:
    """The first of three keys that is there, if it is a text; another one does not stand in for it."""
    if isinstance(metadata, Mapping):
        for key in ("label", "name", "title"):
            if key in metadata:
                return _text(metadata, key)
    return None


def _child_session_id(process_input: ProcessInput) -> str | None:
    if isinstance(process_input, ProcessInputSessionTurn):
        return _text(process_input.create_request, "session_id")
    return None


def _text(value: Any, key: str) -> str | None:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else None
