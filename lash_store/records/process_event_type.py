"""Event types: what a process declares about the events it may have (process specification 2.4)."""

from typing import ClassVar, Final

from lash_store.records.process_selector import DEDUPE_KEY, EVENT_IDENTITY, SELECTOR
from lash_store.records.process_shaped import ShapedRecord, choice, optional
from lash_store.records.record import Record
from lash_store.records.shape import Opaque

CANCEL_REQUESTED: Final = "process.cancel_requested"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
TERMINAL_STATE: Final = choice(COMPLETED, FAILED, CANCELLED)


class LashSchema(Record, frozen=True):
    """A JSON schema, of the small subset that payloads are checked against (4.5)."""

    schema: Opaque


class ProcessTerminalSpec(ShapedRecord, frozen=True):
    """An event of this type ends its process, in `state`; `await_output` selects what it ends with."""

    SHAPES: ClassVar = {"state": TERMINAL_STATE, "await_output": optional(SELECTOR)}

    state: str
    await_output: Opaque = None


class ProcessWakeSpec(ShapedRecord, frozen=True, kw_only=True):
    """An event of this type wakes a session with what `input` selects, if what `when` selects is truthy."""

    SHAPES: ClassVar = {"when": optional(SELECTOR), "input": SELECTOR, "dedupe_key": DEDUPE_KEY}

    when: Opaque = None
    input: Opaque
    dedupe_key: Opaque = EVENT_IDENTITY


class ProcessEventSemanticsSpec(Record, frozen=True):
    """What an event of a type means besides being in the log."""

    terminal: ProcessTerminalSpec | None = None
    wake: ProcessWakeSpec | None = None


class ProcessEventType(Record, frozen=True):
    """A declared event type."""

    name: str
    payload_schema: LashSchema
    semantics: ProcessEventSemanticsSpec


def terminal_event_name(state: str) -> str:
    """The core event type that ends a process in `state`."""
    return f"process.{state}"


def _plain_type(name: str) -> ProcessEventType:
    return ProcessEventType(name, LashSchema({}), ProcessEventSemanticsSpec())


def _terminal_type(state: str) -> ProcessEventType:
    terminal = ProcessTerminalSpec(state, {"pointer": "/await_output"})
    return ProcessEventType(terminal_event_name(state), LashSchema({}), ProcessEventSemanticsSpec(terminal))


def default_process_event_types() -> list[ProcessEventType]:
    """The core event types, in the order in which they are added to every registration."""
    return [_plain_type(CANCEL_REQUESTED), *map(_terminal_type, (COMPLETED, FAILED, CANCELLED))]


def lashlang_process_event_types() -> list[ProcessEventType]:
    """What the starter of a lashlang process declares besides."""
    wake = ProcessEventSemanticsSpec(wake=ProcessWakeSpec(input={"pointer": "/text"}))
    return [
        _plain_type("process.yield"),
        ProcessEventType("process.wake", LashSchema({}), wake),
        _plain_type("process.signal"),
    ]
