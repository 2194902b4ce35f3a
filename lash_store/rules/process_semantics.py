"""What an event means: how it ends its process, whom it wakes (process specification 4.4)."""

from typing import Any

from lash_store.records.layout import Unfit
from lash_store.records.process_event import ProcessEventSemantics, ProcessTerminalSemantics, ProcessWake
from lash_store.records.process_event_type import (
    COMPLETED,
    FAILED,
    ProcessEventSemanticsSpec,
    ProcessTerminalSpec,
    ProcessWakeSpec,
)
from lash_store.records.process_ids import event_identity
from lash_store.records.process_output import (
    AWAIT_OUTPUT,
    ProcessAwaitOutput,
    ProcessAwaitOutputCancelled,
    ProcessAwaitOutputFailure,
    ProcessAwaitOutputSuccess,
)
from lash_store.records.process_selector import EVENT_IDENTITY
from lash_store.rules.process_selection import is_truthy, select, text_of

_NULL_RAW = {"raw": None}
"""Upstream writes a selected null as `"raw":null`; read back it is absent. So the record has it beside its keys."""


def materialize_process_event_semantics(
    process_id: str, sequence: int, payload: Any, spec: ProcessEventSemanticsSpec
) -> ProcessEventSemantics:
    """What the event `sequence` means by its declaration; `payload` in stored form. The end first, then the wake.

    Raises SelectorMismatch, InvalidJsonValue if what is selected has no stored form.
    """
    return ProcessEventSemantics(
        None if spec.terminal is None else _terminal(spec.terminal, payload),
        None if spec.wake is None else _wake(spec.wake, payload, process_id, sequence),
    )


def has_identity_dedupe_key(spec: ProcessEventSemanticsSpec) -> bool:
    """Whether the wake of such an event is known by the event's sequence."""
    return spec.wake is not None and spec.wake.dedupe_key == EVENT_IDENTITY


def _terminal(spec: ProcessTerminalSpec, payload: Any) -> ProcessTerminalSemantics:
    if spec.await_output is None:
        return ProcessTerminalSemantics(spec.state, ProcessAwaitOutputSuccess(payload))
    value = select(spec.await_output, payload)
    return ProcessTerminalSemantics(spec.state, _decoded(value) or _converted(spec.state, value))


def _decoded(value: Any) -> ProcessAwaitOutput | None:
    """The await output that `value` stands for, with nothing but what upstream knows; None if it is none."""
    try:
        plain = AWAIT_OUTPUT.write(AWAIT_OUTPUT.read(value), True)
    except Unfit:
        return None
    output: ProcessAwaitOutput = AWAIT_OUTPUT.read(plain)
    return output


def _converted(state: str, value: Any) -> ProcessAwaitOutput:
    if state == COMPLETED:
        return ProcessAwaitOutputSuccess(value)
    others = dict(_NULL_RAW) if value is None else None
    if state == FAILED:
        return ProcessAwaitOutputFailure("execution", "process_failed", text_of(value), value, other_keys=others)
    return ProcessAwaitOutputCancelled(text_of(value), value, other_keys=others)


def _wake(spec: ProcessWakeSpec, payload: Any, process_id: str, sequence: int) -> ProcessWake | None:
    if spec.when is not None and not is_truthy(select(spec.when, payload)):
        return None
    return ProcessWake(
        text_of(select(spec.input, payload)), _dedupe_key(spec.dedupe_key, payload, process_id, sequence)
    )


def _dedupe_key(dedupe_key: Any, payload: Any, process_id: str, sequence: int) -> str:
    if dedupe_key == EVENT_IDENTITY:
        return event_identity(process_id, sequence)
    if "const" in dedupe_key:
        return str(dedupe_key["const"])
    return text_of(select(dedupe_key["selector"], payload))
