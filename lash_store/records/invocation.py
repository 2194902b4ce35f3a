"""Invocations: in which scope something runs, what it is, what caused it, and the key by which it is known again.

Shared by process events, wakes and effect envelopes (effects specification 2.1, process specification 2.6).
"""

import enum
from typing import Self, TypeAlias

from lash_store.records.causal import (
    CausalRef,
    CausalRefEffect,
    CausalRefHostEvent,
    CausalRefProcess,
    CausalRefProcessEvent,
    CausalRefSessionNode,
)
from lash_store.records.record import Record
from lash_store.records.shape import Uint


class RuntimeEffectKind(str, enum.Enum):
    """What an effect does."""

    LLM_CALL = "llm_call"
    DIRECT = "direct"
    TOOL_CALL = "tool_call"
    PROCESS = "process"
    EXEC_CODE = "exec_code"
    CHECKPOINT = "checkpoint"
    SYNC_EXECUTION_SURFACE = "sync_execution_surface"
    SLEEP = "sleep"


class RuntimeScope(Record, frozen=True):
    """Where something runs: a session, and as far as known the turn and the iteration of its protocol."""

    session_id: str
    turn_id: str | None = None
    turn_index: Uint | None = None
    protocol_iteration: Uint | None = None

    @classmethod
    def for_turn(cls, session_id: str, turn_id: str, turn_index: int, protocol_iteration: int) -> Self:
        """The scope of one protocol iteration of a turn."""
        return cls(session_id, turn_id, turn_index, protocol_iteration)


class RuntimeSubjectEffect(Record, frozen=True, tag_field="type", tag="effect"):
    """An effect."""

    effect_id: str
    kind: RuntimeEffectKind


class RuntimeSubjectProcess(Record, frozen=True, tag_field="type", tag="process"):
    """A process."""

    process_id: str


class RuntimeSubjectProcessEvent(Record, frozen=True, tag_field="type", tag="process_event"):
    """The event `sequence` of a process."""

    process_id: str
    sequence: Uint
    event_type: str


class RuntimeSubjectHostEvent(Record, frozen=True, tag_field="type", tag="host_event"):
    """An occurrence of a host event."""

    occurrence_id: str


class RuntimeSubjectSessionNode(Record, frozen=True, tag_field="type", tag="session_node"):
    """A node of the graph of the scope's session."""

    node_id: str


RuntimeSubject: TypeAlias = (
    RuntimeSubjectEffect
    | RuntimeSubjectProcess
    | RuntimeSubjectProcessEvent
    | RuntimeSubjectHostEvent
    | RuntimeSubjectSessionNode
)
"""What is invoked, tagged by `type`."""


class RuntimeReplay(Record, frozen=True):
    """The key under which a repetition is known again; to an effect an empty one is none."""

    key: str


class RuntimeInvocation(Record, frozen=True):
    """Scope, subject, cause and replay key of something that runs."""

    scope: RuntimeScope
    subject: RuntimeSubject
    caused_by: CausalRef | None = None
    replay: RuntimeReplay | None = None

    @classmethod
    def effect(cls, scope: RuntimeScope, effect_id: str, kind: RuntimeEffectKind, replay_key: str) -> Self:
        """The invocation of an effect, without a cause."""
        return cls(scope, RuntimeSubjectEffect(effect_id, kind), None, RuntimeReplay(replay_key))

    def as_cause(self) -> CausalRef:
        """The reference to this invocation's subject, for what it causes (effects specification 3.2)."""
        subject = self.subject
        if isinstance(subject, RuntimeSubjectEffect):
            return CausalRefEffect(
                session_id=self.scope.session_id, turn_id=self.scope.turn_id, effect_id=subject.effect_id
            )
        if isinstance(subject, RuntimeSubjectProcess):
            return CausalRefProcess(subject.process_id)
        if isinstance(subject, RuntimeSubjectProcessEvent):
            return CausalRefProcessEvent(subject.process_id, subject.sequence)
        if isinstance(subject, RuntimeSubjectHostEvent):
            return CausalRefHostEvent(subject.occurrence_id)
        return CausalRefSessionNode(self.scope.session_id, subject.node_id)
