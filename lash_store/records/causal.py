"""Causal references: what made a node, a frame, a session or a process come to be (specification 3.4.3)."""

from typing import TypeAlias

from lash_store.records.record import Record
from lash_store.records.shape import Uint


class CausalRefTurn(Record, frozen=True, tag_field="type", tag="turn"):
    """A turn of a session."""

    session_id: str
    turn_id: str


class CausalRefEffect(Record, frozen=True, tag_field="type", tag="effect", kw_only=True):
    """An effect of a session, within a turn or outside of any."""

    session_id: str
    turn_id: str | None = None
    effect_id: str


class CausalRefToolCall(Record, frozen=True, tag_field="type", tag="tool_call"):
    """A tool call of a session."""

    session_id: str
    call_id: str


class CausalRefProcess(Record, frozen=True, tag_field="type", tag="process"):
    """A process."""

    process_id: str


class CausalRefProcessEvent(Record, frozen=True, tag_field="type", tag="process_event"):
    """The event `sequence` of a process."""

    process_id: str
    sequence: Uint


class CausalRefHostEvent(Record, frozen=True, tag_field="type", tag="host_event"):
    """An occurrence of a host event."""

    occurrence_id: str


class CausalRefSessionNode(Record, frozen=True, tag_field="type", tag="session_node"):
    """A node of a session's graph."""

    session_id: str
    node_id: str


CausalRef: TypeAlias = (
    CausalRefTurn
    | CausalRefEffect
    | CausalRefToolCall
    | CausalRefProcess
    | CausalRefProcessEvent
    | CausalRefHostEvent
    | CausalRefSessionNode
)
"""A causal reference, tagged by `type`."""
