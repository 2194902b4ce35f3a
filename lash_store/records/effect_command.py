"""Commands: what an effect is to do (effects specification 2.3)."""

import enum
import hashlib
from typing import Annotated, Any, ClassVar, TypeAlias

import msgspec

from lash_store.errors import InvalidRecord
from lash_store.records import json_text
from lash_store.records.effect_layouts import REQUEST
from lash_store.records.invocation import RuntimeEffectKind, RuntimeInvocation
from lash_store.records.layout import Plain, stored_form
from lash_store.records.process import ProcessRegistration, ProcessScope
from lash_store.records.process_event import ProcessEventAppendRequest
from lash_store.records.process_grant import ProcessHandleDescriptor
from lash_store.records.process_input_shapes import TOOL_CALL
from lash_store.records.process_shaped import ShapedRecord
from lash_store.records.record import Record
from lash_store.records.shape import ALWAYS, Omit, Uint

Request = Annotated[Any, REQUEST]


class ProcessListMode(str, enum.Enum):
    """Which processes are listed: those that have not ended, or all."""

    LIVE = "live"
    ALL = "all"


class CheckpointKind(str, enum.Enum):
    """At which point of a turn a checkpoint stands."""

    AFTER_WORK = "after_work"
    BEFORE_COMPLETION = "before_completion"


class ProcessStartGrant(Record, frozen=True):
    """The handle that the starter of a process gets."""

    owner_scope: ProcessScope
    descriptor: ProcessHandleDescriptor


class ProcessExecutionContext(Record, frozen=True):
    """What a started process is told about where it comes from."""

    causal_invocation: RuntimeInvocation | None = None
    wake_target_scope: ProcessScope | None = None


_OMIT_BARE = Omit(lambda value, hashed: value == ProcessExecutionContext())


class ProcessCommandStart(Record, frozen=True, tag_field="op", tag="start"):
    """Register a process, and grant its handle if `grant` says to whom."""

    registration: ProcessRegistration
    grant: ProcessStartGrant | None = None
    execution_context: Annotated[ProcessExecutionContext, _OMIT_BARE] = msgspec.field(
        default_factory=ProcessExecutionContext
    )


class ProcessCommandList(Record, frozen=True, tag_field="op", tag="list"):
    """List the processes granted to a scope."""

    owner_scope: ProcessScope
    mode: ProcessListMode = ProcessListMode.LIVE


class ProcessCommandTransfer(Record, frozen=True, tag_field="op", tag="transfer"):
    """Move handles from one scope to another."""

    from_scope: ProcessScope
    to_scope: ProcessScope
    process_ids: list[str]


class ProcessCommandDeleteSession(Record, frozen=True, tag_field="op", tag="delete_session"):
    """Drop a session's handles, and ask the processes that nobody else holds to stop."""

    session_id: str


class ProcessCommandAwait(Record, frozen=True, tag_field="op", tag="await"):
    """Wait for a process to end."""

    process_id: str


class ProcessCommandCancel(Record, frozen=True, tag_field="op", tag="cancel"):
    """Ask a process to stop."""

    process_id: str
    reason: Annotated[str | None, ALWAYS] = None


class ProcessCommandSignal(Record, frozen=True, tag_field="op", tag="signal"):
    """Append an event to a process."""

    process_id: str
    signal_id: str
    request: ProcessEventAppendRequest


ProcessCommand: TypeAlias = (
    ProcessCommandStart
    | ProcessCommandList
    | ProcessCommandTransfer
    | ProcessCommandDeleteSession
    | ProcessCommandAwait
    | ProcessCommandCancel
    | ProcessCommandSignal
)
"""What is asked of the process registry, tagged by `op`."""


def process_command_effect_id(command: ProcessCommand) -> str:
    """The effect id of a process command. Raises InvalidRecord for what is none."""
    if not isinstance(command, ProcessCommand):
        raise InvalidRecord("ProcessCommand", "$", f"expected a process command, got a {type(command).__name__}")
    if isinstance(command, ProcessCommandStart):
        return f"process:start:{command.registration.id}"
    if isinstance(command, ProcessCommandList):
        return f"process:list:{command.owner_scope.id}:{command.mode.value}"
    if isinstance(command, ProcessCommandTransfer):
        ids = hashlib.sha256(json_text.compact(stored_form(command.process_ids))).hexdigest()
        return f"process:transfer:{command.from_scope.id}:{command.to_scope.id}:{ids}"
    if isinstance(command, ProcessCommandDeleteSession):
        return f"process:delete-session:{command.session_id}"
    if isinstance(command, ProcessCommandSignal):
        return f"process:signal:{command.process_id}:{command.signal_id}"
    return f"process:{command.__struct_config__.tag}:{command.process_id}"


class _Command(ShapedRecord, frozen=True):
    @property
    def kind(self) -> RuntimeEffectKind:
        """The kind of effect that the command makes."""
        return RuntimeEffectKind(self.__struct_config__.tag)


class RuntimeEffectCommandLlmCall(_Command, frozen=True, tag_field="type", tag="llm_call"):
    """Call a model: a mapping with `model`, `messages` and so on."""

    request: Request


class RuntimeEffectCommandDirect(_Command, frozen=True, tag_field="type", tag="direct"):
    """Call a model outside of the conversation; `usage_source` says on whose account."""

    request: Request
    usage_source: str


class RuntimeEffectCommandToolCall(_Command, frozen=True, tag_field="type", tag="tool_call"):
    """Call a tool: a mapping with `call_id`, `tool_name`, `args` and so on."""

    SHAPES: ClassVar = {"call": TOOL_CALL}

    call: Annotated[Any, Plain.AS_GIVEN]


class RuntimeEffectCommandProcess(_Command, frozen=True, tag_field="type", tag="process"):
    """Ask something of the process registry."""

    command: ProcessCommand


class RuntimeEffectCommandExecCode(_Command, frozen=True, tag_field="type", tag="exec_code"):
    """Run code."""

    code: str


class RuntimeEffectCommandCheckpoint(_Command, frozen=True, tag_field="type", tag="checkpoint"):
    """Stop at a checkpoint of the turn."""

    checkpoint: CheckpointKind


class RuntimeEffectCommandSyncExecutionSurface(_Command, frozen=True, tag_field="type", tag="sync_execution_surface"):
    """Bring the execution surface up to date."""

    update_machine_config: bool


class RuntimeEffectCommandSleep(_Command, frozen=True, tag_field="type", tag="sleep"):
    """Wait for `duration_ms` milliseconds, counted from the first time it is asked for."""

    duration_ms: Uint


RuntimeEffectCommand: TypeAlias = (
    RuntimeEffectCommandLlmCall
    | RuntimeEffectCommandDirect
    | RuntimeEffectCommandToolCall
    | RuntimeEffectCommandProcess
    | RuntimeEffectCommandExecCode
    | RuntimeEffectCommandCheckpoint
    | RuntimeEffectCommandSyncExecutionSurface
    | RuntimeEffectCommandSleep
)
"""What an effect is to do, tagged by `type`."""
