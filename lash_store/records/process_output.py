"""How a process ends: await outputs and statuses (process specification 2.5)."""

from typing import Any, ClassVar, Final, TypeAlias

from lash_store.records.process_control import CONTROL, FAILURE_CLASS
from lash_store.records.process_event_type import CANCELLED, COMPLETED, FAILED
from lash_store.records.process_shaped import ShapedRecord, optional
from lash_store.records.record import Record
from lash_store.records.scalars import Codec
from lash_store.records.shape import Opaque, codec_of

RUNNING: Final = "running"


class ProcessAwaitOutputSuccess(ShapedRecord, frozen=True, tag_field="type", tag="success"):
    """A result. `control` is a plain control effect, which the registry only carries."""

    SHAPES: ClassVar = {"control": optional(CONTROL)}
    STATE: ClassVar[str] = COMPLETED

    value: Opaque
    control: Opaque = None


class ProcessAwaitOutputFailure(ShapedRecord, frozen=True, tag_field="type", tag="failure"):
    """A failure.

    `class_` is one of `invalid_request`, `unavailable`, `permission_denied`, `timeout`, `execution`, `external`,
    `resource_limit` and `internal`.
    """

    SHAPES: ClassVar = {"class_": FAILURE_CLASS, "control": optional(CONTROL)}
    RENAMED: ClassVar = {"class": "class_"}
    STATE: ClassVar[str] = FAILED

    class_: str
    code: str
    message: str
    raw: Opaque = None
    control: Opaque = None

    def known_keys(self) -> frozenset[str]:
        """As `Record.known_keys`."""
        return _but_null_raw(super().known_keys(), self)


class ProcessAwaitOutputCancelled(ShapedRecord, frozen=True, tag_field="type", tag="cancelled"):
    """A cancellation."""

    SHAPES: ClassVar = {"control": optional(CONTROL)}
    STATE: ClassVar[str] = CANCELLED

    message: str
    raw: Opaque = None
    control: Opaque = None

    def known_keys(self) -> frozenset[str]:
        """As `Record.known_keys`."""
        return _but_null_raw(super().known_keys(), self)


ProcessAwaitOutput: TypeAlias = ProcessAwaitOutputSuccess | ProcessAwaitOutputFailure | ProcessAwaitOutputCancelled
"""What somebody who awaits a process gets, tagged by `type`. `STATE` is the terminal state that it stands for."""

AWAIT_OUTPUT: Final[Codec] = codec_of(ProcessAwaitOutput)


def _but_null_raw(
    known: frozenset[str], output: ProcessAwaitOutputFailure | ProcessAwaitOutputCancelled
) -> frozenset[str]:
    """Without `raw` if it stands beside them as a null: so upstream writes a null that was selected (4.4)."""
    stands = output.raw is None and (output.other_keys or {}).get("raw", False) is None
    return known - {"raw"} if stands else known


class _Status(Record, frozen=True):
    """A status; `label` is the tag."""

    @property
    def label(self) -> str:
        """`running`, `completed`, `failed` or `cancelled`."""
        return str(self.__struct_config__.tag)


class ProcessStatusRunning(_Status, frozen=True, tag_field="state", tag=RUNNING):
    """The process has not ended."""


class ProcessStatusCompleted(_Status, frozen=True, tag_field="state", tag=COMPLETED):
    """The process has ended with a result."""

    await_output: ProcessAwaitOutput


class ProcessStatusFailed(_Status, frozen=True, tag_field="state", tag=FAILED):
    """The process has ended with a failure."""

    await_output: ProcessAwaitOutput


class ProcessStatusCancelled(_Status, frozen=True, tag_field="state", tag=CANCELLED):
    """The process was cancelled."""

    await_output: ProcessAwaitOutput


ProcessTerminalStatus: TypeAlias = ProcessStatusCompleted | ProcessStatusFailed | ProcessStatusCancelled
"""A status that never changes again."""
ProcessStatus: TypeAlias = ProcessStatusRunning | ProcessTerminalStatus
"""Where a process stands, tagged by `state`."""

_TERMINAL_STATUS: Final[dict[str, Any]] = {
    COMPLETED: ProcessStatusCompleted,
    FAILED: ProcessStatusFailed,
    CANCELLED: ProcessStatusCancelled,
}


def terminal_status(state: str, await_output: ProcessAwaitOutput) -> ProcessTerminalStatus:
    """The status of a process that has ended in `state` (the declared one, whatever the output stands for)."""
    status: ProcessTerminalStatus = _TERMINAL_STATUS[state](await_output)
    return status
