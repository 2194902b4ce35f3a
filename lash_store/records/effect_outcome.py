"""Outcomes: what is recorded of an effect, and returned at every replay (effects specification 2.4, 2.5).

The store interprets nothing below the tag. Results are externally tagged: `{"Ok": ...}` or `{"Err": ...}`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeAlias

import msgspec

from lash_store.records.effect_layouts import (
    CHECKPOINT_RESULT,
    COMPLETED_CALL,
    EXECUTION_RESULT,
    MODEL_RESULT,
    SURFACE_RESULT,
    TOOL_HOST_EVENT,
)
from lash_store.records.invocation import RuntimeEffectKind
from lash_store.records.layout import Plain, Unfit
from lash_store.records.process import ProcessRecord
from lash_store.records.process_event import ProcessEvent
from lash_store.records.process_grant import ProcessHandleGrant, ProcessHandleGrantEntry, ProcessSessionDeleteReport
from lash_store.records.process_output import ProcessAwaitOutput
from lash_store.records.process_shaped import only_entry
from lash_store.records.record import Record
from lash_store.records.shape import OMIT_EMPTY


class ProcessEffectOutcomeStart(Record, frozen=True, tag_field="op", tag="start"):
    """The registered process."""

    record: ProcessRecord


class ProcessEffectOutcomeList(Record, frozen=True, tag_field="op", tag="list"):
    """Grants with their processes; a pair is stored as an array of two."""

    entries: Annotated[list[ProcessHandleGrantEntry], Plain.AS_GIVEN]

    @classmethod
    def read_fields(cls, value: Mapping[str, Any], fields: Any) -> dict[str, Any]:
        """As `Record.read_fields`."""
        found = super().read_fields(value, fields)
        return found | {"entries": _each(found["entries"], _read_entry)}

    def write_fields(self, plain: dict[str, Any], hashed: bool) -> None:
        """As `Record.write_fields`."""
        plain["entries"] = _each(self.entries, lambda entry: _write_entry(entry, hashed))


class ProcessEffectOutcomeTransfer(Record, frozen=True, tag_field="op", tag="transfer"):
    """The handles were moved."""


class ProcessEffectOutcomeDeleteSession(Record, frozen=True, tag_field="op", tag="delete_session"):
    """What the deletion left running."""

    report: ProcessSessionDeleteReport


class ProcessEffectOutcomeAwait(Record, frozen=True, tag_field="op", tag="await"):
    """How the process ended."""

    output: ProcessAwaitOutput


class ProcessEffectOutcomeCancel(Record, frozen=True, tag_field="op", tag="cancel"):
    """The process that was asked to stop."""

    record: ProcessRecord


class ProcessEffectOutcomeSignal(Record, frozen=True, tag_field="op", tag="signal"):
    """The appended event."""

    event: ProcessEvent


ProcessEffectOutcome: TypeAlias = (
    ProcessEffectOutcomeStart
    | ProcessEffectOutcomeList
    | ProcessEffectOutcomeTransfer
    | ProcessEffectOutcomeDeleteSession
    | ProcessEffectOutcomeAwait
    | ProcessEffectOutcomeCancel
    | ProcessEffectOutcomeSignal
)
"""What the process registry answered, tagged by `op`."""


class _Outcome(Record, frozen=True):
    @property
    def kind(self) -> RuntimeEffectKind:
        """The kind of effect that has this outcome."""
        return RuntimeEffectKind(self.__struct_config__.tag)


class _ResultOutcome(_Outcome, frozen=True):
    """Its `result` is an `Ok` or an `Err`, and nothing else: other readers could not read the row."""

    @classmethod
    def read_fields(cls, value: Mapping[str, Any], fields: Any) -> dict[str, Any]:
        """As `Record.read_fields`."""
        found = super().read_fields(value, fields)
        _require_result(found["result"])
        return found

    def write_fields(self, plain: dict[str, Any], hashed: bool) -> None:
        """As `Record.write_fields`."""
        super().write_fields(plain, hashed)
        _require_result(plain["result"])


class RuntimeEffectOutcomeLlmCall(_ResultOutcome, frozen=True, tag_field="type", tag="llm_call"):
    """A model's response or call error; whether its text was streamed."""

    result: Annotated[Any, MODEL_RESULT]
    text_streamed: bool


class RuntimeEffectOutcomeDirect(_ResultOutcome, frozen=True, tag_field="type", tag="direct"):
    """A model's response or call error."""

    result: Annotated[Any, MODEL_RESULT]


class RuntimeEffectOutcomeToolCall(_Outcome, frozen=True, tag_field="type", tag="tool_call"):
    """A completed tool call, and the host events that it emitted."""

    result: Annotated[Any, COMPLETED_CALL]
    host_events: Annotated[list[Annotated[Any, TOOL_HOST_EVENT]], OMIT_EMPTY] = msgspec.field(default_factory=list)


class RuntimeEffectOutcomeProcess(_Outcome, frozen=True, tag_field="type", tag="process"):
    """What the process registry answered."""

    result: ProcessEffectOutcome


class RuntimeEffectOutcomeExecCode(_ResultOutcome, frozen=True, tag_field="type", tag="exec_code"):
    """What running the code did, or a text."""

    result: Annotated[Any, EXECUTION_RESULT]


class RuntimeEffectOutcomeCheckpoint(_ResultOutcome, frozen=True, tag_field="type", tag="checkpoint"):
    """What is to be delivered at the checkpoint, or an error record."""

    result: Annotated[Any, CHECKPOINT_RESULT]


class RuntimeEffectOutcomeSyncExecutionSurface(
    _ResultOutcome, frozen=True, tag_field="type", tag="sync_execution_surface"
):
    """The new execution surface, null for an unchanged one, or a text."""

    result: Annotated[Any, SURFACE_RESULT]


class RuntimeEffectOutcomeSleep(_Outcome, frozen=True, tag_field="type", tag="sleep"):
    """The time has passed."""


RuntimeEffectOutcome: TypeAlias = (
    RuntimeEffectOutcomeLlmCall
    | RuntimeEffectOutcomeDirect
    | RuntimeEffectOutcomeToolCall
    | RuntimeEffectOutcomeProcess
    | RuntimeEffectOutcomeExecCode
    | RuntimeEffectOutcomeCheckpoint
    | RuntimeEffectOutcomeSyncExecutionSurface
    | RuntimeEffectOutcomeSleep
)
"""What came of an effect, tagged by `type`."""


class RuntimeEffectFailure(Record, frozen=True):
    """How an effect failed: recorded in place of an outcome, and replayed verbatim."""

    code: str
    message: str


def _require_result(value: Any) -> None:
    try:
        name, _ = only_entry(value)
    except Unfit as unfit:
        raise unfit.at("result") from None
    if name not in ("Ok", "Err"):
        raise Unfit(f"expected Ok or Err, got {name!r}").at("result")


def _each(entries: Any, convert: Any) -> list[Any]:
    if not isinstance(entries, (list, tuple)):
        raise Unfit("expected a list").at("entries")
    done: list[Any] = []
    try:
        done.extend(map(convert, entries))
    except Unfit as unfit:
        raise unfit.at(len(done)).at("entries") from None
    return done


def _pair(entry: Any) -> tuple[Any, Any]:
    if not isinstance(entry, (list, tuple)) or len(entry) != 2:
        raise Unfit("expected a grant and a process")
    return entry[0], entry[1]


def _read_entry(entry: Any) -> ProcessHandleGrantEntry:
    grant, process = _pair(entry)
    return ProcessHandleGrant.read_plain(grant), ProcessRecord.read_plain(process)


def _write_entry(entry: Any, hashed: bool) -> list[Any]:
    grant, process = _pair(entry)
    if not isinstance(grant, ProcessHandleGrant) or not isinstance(process, ProcessRecord):
        raise Unfit("expected a grant and a process")
    return [grant.write_plain(hashed), process.write_plain(hashed)]
