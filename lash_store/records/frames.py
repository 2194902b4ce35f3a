"""Agent frames and what is assigned to them (specification 3.4 and 3.4.1)."""

import enum
from typing import Annotated, Any, Final

import msgspec

from lash_store.records.causal import CausalRef
from lash_store.records.config import TOOL_DEFINITION, SessionPolicy
from lash_store.records.record import Record
from lash_store.records.shape import AS_SET, OMIT_EMPTY, U8, Opaque
from lash_store.records.usage import ProtocolTurnOptions

INITIAL: Final = "initial"
"""The reason of a session's first frame."""


class AgentFrameStatus(str, enum.Enum):
    """Whether a frame is the one in use."""

    ACTIVE = "active"
    SUPERSEDED = "superseded"


class PluginSource(str, enum.Enum):
    """Where a frame's plugins come from."""

    CURRENT_HOST_FRESH = "current_host_fresh"
    CURRENT_SESSION_FORK = "current_session_fork"


class PluginOptions(Record, frozen=True):
    """Options by plugin name; opaque, for example `{"my-plugin": {"level": 2}}`."""

    plugins: Annotated[dict[str, Opaque], OMIT_EMPTY] = msgspec.field(default_factory=dict)


class ToolAccess(Record, frozen=True):
    """Tool definitions (opaque) added to a frame, and names of tools hidden from it (written sorted, each once).

    A definition is `{"id": "tool:search", "name": "search", "input_schema": {...}, "output_schema": None}`.
    """

    tools: Annotated[list[Annotated[Any, TOOL_DEFINITION]], OMIT_EMPTY] = msgspec.field(default_factory=list)
    hidden_tools: Annotated[list[str], AS_SET, OMIT_EMPTY] = msgspec.field(default_factory=list)


class SubagentContext(Record, frozen=True):
    """Whose subagent a frame is, for which capability, and how deep."""

    parent_session_id: str
    capability: str
    depth: U8
    max_depth: U8


class AgentFrameAssignment(Record, frozen=True):
    """What a frame runs with."""

    policy: SessionPolicy
    plugin_options: PluginOptions = msgspec.field(default_factory=PluginOptions)
    plugin_source: PluginSource = PluginSource.CURRENT_SESSION_FORK
    tool_access: ToolAccess = msgspec.field(default_factory=ToolAccess)
    subagent: SubagentContext | None = None
    usage_source: str | None = None


class AgentFrameRecord(Record, frozen=True, kw_only=True):
    """One stretch of a session under one assignment.

    `reason` is free text (`initial`, `continue_as`, `compaction`, ...), `created_at` an RFC 3339 time. The execution
    state is either referenced (`blobs.hash`) or, before its first commit, held inline.
    """

    frame_id: str
    session_id: str
    previous_frame_id: str | None = None
    status: AgentFrameStatus = AgentFrameStatus.ACTIVE
    reason: str = INITIAL
    caused_by: CausalRef | None = None
    created_at: str
    assignment: AgentFrameAssignment
    protocol_turn_options: ProtocolTurnOptions = msgspec.field(default_factory=ProtocolTurnOptions)
    execution_state_ref: str | None = None
    execution_state_snapshot: bytes | None = None


def initial_frame_id(session_id: str) -> str:
    """The id of a session's first frame."""
    return f"{session_id}:frame:initial"


def initial_frame(session_id: str, policy: SessionPolicy, created_at: str) -> AgentFrameRecord:
    """The first frame of a session: no predecessor, no cause, plugins as the host has them."""
    return AgentFrameRecord(
        frame_id=initial_frame_id(session_id),
        session_id=session_id,
        created_at=created_at,
        assignment=AgentFrameAssignment(policy, plugin_source=PluginSource.CURRENT_HOST_FRESH),
    )
