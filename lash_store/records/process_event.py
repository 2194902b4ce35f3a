"""Events of processes, how they are asked for, and the wakes that they bring (process specification 2.6, 2.8)."""

from typing import Annotated, ClassVar, Final, Self

import msgspec

from lash_store.errors import InvalidRecord
from lash_store.records.causal import CausalRef
from lash_store.records.invocation import RuntimeInvocation, RuntimeReplay, RuntimeScope, RuntimeSubjectProcessEvent
from lash_store.records.process import ProcessScope
from lash_store.records.process_event_type import CANCEL_REQUESTED, TERMINAL_STATE
from lash_store.records.process_ids import cancel_replay_key
from lash_store.records.process_output import ProcessAwaitOutput
from lash_store.records.process_shaped import ShapedRecord
from lash_store.records.record import Record
from lash_store.records.scalars import Range
from lash_store.records.shape import EpochMs, Opaque, Uint

_WAKE: Final = "process.wake"
_NANOSECONDS: Final = 10**9
_PER_MS: Final = 10**6

Nanoseconds = Annotated[int, Range(0, _NANOSECONDS - 1)]


class SystemTime(Record, frozen=True, forbid_unknown_fields=True):
    """A time since 1970-01-01T00:00:00Z; those of events are whole milliseconds."""

    secs_since_epoch: Uint
    nanos_since_epoch: Nanoseconds

    @classmethod
    def from_ms(cls, epoch_ms: int) -> Self:
        """The time of so many milliseconds."""
        return cls(epoch_ms // 1000, epoch_ms % 1000 * _PER_MS)

    @property
    def epoch_ms(self) -> int:
        """The time in whole milliseconds."""
        return self.secs_since_epoch * 1000 + self.nanos_since_epoch // _PER_MS


class ProcessTerminalSemantics(ShapedRecord, frozen=True):
    """The event ended its process in `state`, with `await_output`."""

    SHAPES: ClassVar = {"state": TERMINAL_STATE}

    state: str
    await_output: ProcessAwaitOutput


class ProcessWake(Record, frozen=True):
    """The event wakes its target with the text `input`; wakes with one dedupe key are one wake to a target."""

    input: str
    dedupe_key: str


class ProcessEventSemantics(Record, frozen=True):
    """What an event turned out to mean."""

    terminal: ProcessTerminalSemantics | None = None
    wake: ProcessWake | None = None


class ProcessEvent(Record, frozen=True):
    """An event of a process, the `sequence`-th of its log, counted from 1."""

    process_id: str
    sequence: Uint
    event_type: str
    payload: Opaque
    invocation: RuntimeInvocation
    semantics: ProcessEventSemantics
    occurred_at: SystemTime


class ProcessEventAppendRequest(Record, frozen=True):
    """An event to be appended. With a replay key it is appended once, however often it is asked for."""

    event_type: str
    payload: Opaque
    replay: RuntimeReplay | None = None
    wake_target_scope: ProcessScope | None = None

    @classmethod
    def cancel_requested(cls, process_id: str, reason: str | None = None) -> Self:
        """The standard cancel request: of several with one reason the first stands.

        Raises InvalidRecord for an id that is no text, or a reason that is neither a text nor None.
        """
        for path, text in (("$.process_id", process_id), ("$.reason", "" if reason is None else reason)):
            if not isinstance(text, str):
                raise InvalidRecord(cls.__name__, path, f"expected a string, got a {type(text).__name__}")
        return cls(CANCEL_REQUESTED, {"reason": reason}, RuntimeReplay(cancel_replay_key(process_id, reason)))


def _unknown_invocation() -> RuntimeInvocation:
    return RuntimeInvocation(RuntimeScope(""), RuntimeSubjectProcessEvent("", 0, _WAKE))


class ProcessWakeDelivery(Record, frozen=True, kw_only=True):
    """A wake for its target; the caller enqueues it there. `created_at_ms` is the event's time in epoch ms."""

    wake_id: str
    target_session_id: str
    target_scope_id: str
    process_id: str
    sequence: Uint
    event_type: str = _WAKE
    event_invocation: RuntimeInvocation = msgspec.field(default_factory=_unknown_invocation)
    process_caused_by: CausalRef | None = None
    dedupe_key: str
    input: str
    created_at_ms: EpochMs


class ProcessEventAppendResult(Record, frozen=True):
    """The event, new or as it was stored before, and the wake it brings."""

    event: ProcessEvent
    wake_delivery: ProcessWakeDelivery | None = None
