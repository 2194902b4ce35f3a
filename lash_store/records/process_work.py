"""Processes as a host shows them: read models made of records, events and grants (process specification 4.12)."""

from collections.abc import Mapping
from typing import Any, Final, Self

import msgspec

from lash_store.records.effect_command import ProcessListMode
from lash_store.records.layout import Unfit
from lash_store.records.process import ProcessExternalRef
from lash_store.records.process_event_type import CANCELLED, COMPLETED, FAILED
from lash_store.records.process_grant import ProcessHandleDescriptor, ProcessHandleGrantEntry
from lash_store.records.process_input import ProcessInput, ProcessInputLashlangProcess, ProcessRef
from lash_store.records.process_output import RUNNING
from lash_store.records.record import Record, raise_public
from lash_store.records.shape import Opaque, Uint

_ANY: Final = "any"
_MARK: Final = "$lash_process"


class ObservedProcess(Record, frozen=True, kw_only=True):
    """A process; `lifecycle` and `status_label` are its status' label, times in epoch milliseconds."""

    process_id: str
    graph_key: str
    lifecycle: str
    status_label: str
    terminal: bool
    error: str | None = None
    created_at_ms: Uint
    updated_at_ms: Uint
    input: ProcessInput
    external_ref: ProcessExternalRef | None = None
    child_session_id: str | None = None
    label: str


class ObservedProcessEvent(Record, frozen=True):
    """An event of a process; its time in epoch milliseconds."""

    sequence: Uint
    event_type: str
    occurred_at_ms: Uint
    payload: Opaque


class ProcessWorkItem(Record, frozen=True):
    """A process that a session may address, with all its events."""

    process: ObservedProcess
    descriptor: ProcessHandleDescriptor
    events: list[ObservedProcessEvent]
    kind: str
    label: str


class ProcessCancelSummary(Record, frozen=True):
    """A process that was asked to end, and the label of the status that it had by then."""

    process_id: str
    status: str


class ProcessWorkSnapshot(Record, frozen=True):
    """What a session may address: the processes changed last come first."""

    session_id: str
    visible_process_ids: list[str]
    items: list[ProcessWorkItem]


class _Definition(msgspec.Struct, frozen=True):
    module_ref: str
    required_surface_ref: str
    process_ref: ProcessRef
    process_name: str


class ProcessListFilter(msgspec.Struct, frozen=True):
    """Which of a session's processes to list: in `status` (or `any`), and of a lashlang `definition` if it is given."""

    status: str = RUNNING
    definition: _Definition | None = None

    @classmethod
    def decode(cls, args: Any) -> Self:
        """The filter of a caller's arguments: an object with `status` and `definition`, or neither.

        Raises InvalidRecord for other keys, an unknown status, a definition that is none.
        """
        try:
            return cls(*_filter_of(args))
        except Unfit as unfit:
            raise_public(cls.__name__, unfit)

    @property
    def list_mode(self) -> ProcessListMode:
        """The list that holds all that can match."""
        return ProcessListMode.LIVE if self.status == RUNNING else ProcessListMode.ALL

    def matches_entry(self, entry: ProcessHandleGrantEntry) -> bool:
        """Whether a grant's process is one of those asked for."""
        _, record = entry
        if self.status not in (_ANY, record.status.label):
            return False
        if self.definition is None:
            return True
        return isinstance(record.input, ProcessInputLashlangProcess) and self.definition == _definition_of(record.input)


def _filter_of(args: Any) -> tuple[str, _Definition | None]:
    if not isinstance(args, Mapping):
        raise Unfit(f"expected an object, got a {type(args).__name__}")
    for key in args.keys() - {"definition", "status"}:
        raise Unfit("there is no such key").at(str(key))
    status = args.get("status")
    if not isinstance(status, str):
        status = RUNNING
    if status not in (RUNNING, COMPLETED, FAILED, CANCELLED, _ANY):
        raise Unfit(f"there is no status {status!r}").at("status")
    definition = args.get("definition")
    if definition is None:
        return status, None
    try:
        return status, _read_definition(definition)
    except Unfit as unfit:
        raise unfit.at("definition") from None


def _read_definition(value: Any) -> _Definition:
    if not isinstance(value, Mapping) or value.get(_MARK) is not True:
        raise Unfit(f"expected an object with {_MARK} = true")
    named = {key: value[key] for key in _Definition.__struct_fields__ if key in value}
    return _definition_of(ProcessInputLashlangProcess.read_plain({"type": "lashlang_process", **named}))


def _definition_of(process_input: ProcessInputLashlangProcess) -> _Definition:
    return _Definition(*(getattr(process_input, key) for key in _Definition.__struct_fields__))
