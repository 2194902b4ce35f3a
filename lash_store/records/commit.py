"""The runtime commit, its parts, and the hash that makes it idempotent (specification 3.13, 4.8, 4.30)."""

import hashlib
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias

import msgspec

from lash_store.records import encoder, json_text
from lash_store.records.checkpoint import HydratedSessionCheckpoint
from lash_store.records.config import PersistedSessionConfig
from lash_store.records.frames import AgentFrameRecord
from lash_store.records.graph import SessionNodeRecord
from lash_store.records.layout import Unfit
from lash_store.records.queue import QueuedWorkCompletion
from lash_store.records.record import Record, raise_public
from lash_store.records.shape import ALWAYS, NULL_WHEN_HASHED, Uint
from lash_store.records.state import RuntimeSessionState
from lash_store.records.text import trimmed
from lash_store.records.usage import PersistedTurnState, TokenLedgerEntry

_NEVER_HASHED: Final = frozenset({"node_id", "parent_node_id", "leaf_node_id", "timestamp"})
_PART_KEYS: Final = frozenset({"kind", "content", "prune_state"})
"""Whatever has these keys is taken for a part of a message."""
_SCRUB_MARKS: Final = tuple(f'"{key}":'.encode() for key in (*sorted(_NEVER_HASHED), "parts", "prune_state"))
"""Where `_scrub` has something to remove, one of these stands in the compact text."""


class Unchanged(Record, frozen=True):
    """Graph delta: no new nodes, only the leaf."""

    VARIANT: ClassVar[str] = "Unchanged"

    leaf_node_id: Annotated[str | None, ALWAYS] = None


class Append(Record, frozen=True):
    """Graph delta: new nodes, in order, and the leaf."""

    VARIANT: ClassVar[str] = "Append"

    nodes: list[SessionNodeRecord]
    leaf_node_id: Annotated[str | None, ALWAYS] = None


class ReplaceFull(Record, frozen=True):
    """Graph delta: these nodes instead of all that there are."""

    VARIANT: ClassVar[str] = "ReplaceFull"

    nodes: list[SessionNodeRecord] = msgspec.field(default_factory=list)
    leaf_node_id: str | None = None


GraphCommitDelta: TypeAlias = Unchanged | Append | ReplaceFull
"""What a commit does to the graph."""


class RuntimeTurnCommitStamp(Record, frozen=True):
    """Names the turn that a commit ends; the same stamp again is a replay, another hash for the turn a conflict."""

    session_id: str
    turn_id: str
    turn_commit_hash: str


class RuntimeCommit(Record, frozen=True, kw_only=True):
    """Everything that one commit writes. `expected_head_revision` None applies to any revision."""

    session_id: str
    expected_head_revision: Annotated[Uint | None, ALWAYS, NULL_WHEN_HASHED] = None
    config: PersistedSessionConfig
    agent_frames: list[AgentFrameRecord] = msgspec.field(default_factory=list)
    current_agent_frame_id: str = ""
    graph: GraphCommitDelta
    checkpoint: HydratedSessionCheckpoint = msgspec.field(default_factory=HydratedSessionCheckpoint)
    usage_deltas: list[TokenLedgerEntry] = msgspec.field(default_factory=list)
    turn_commit: Annotated[RuntimeTurnCommitStamp | None, ALWAYS, NULL_WHEN_HASHED] = None
    completed_queue_claims: list[QueuedWorkCompletion] = msgspec.field(default_factory=list)
    committed_attachment_ids: list[str] = msgspec.field(default_factory=list)

    @classmethod
    def persisted_state(cls, state: RuntimeSessionState, usage_deltas: Sequence[TokenLedgerEntry] = ()) -> Self:
        """The commit that writes `state`: it expects the revision last seen and carries no stamp and no completions.

        A state that has seen none expects none, so its commit replaces whatever is there (specification 4.30): whoever
        means to make the first one says so by `with_expected_head_revision(0)`. The whole graph is written if no
        revision was seen yet, or if the state asks for it; else only the leaf.
        """
        whole = state.replace_graph or state.head_revision is None
        leaf = state.graph.leaf_node_id
        return cls(
            session_id=state.session_id,
            expected_head_revision=state.head_revision,
            config=PersistedSessionConfig(trimmed(state.policy.provider_id), state.policy.model),
            agent_frames=list(state.agent_frames),
            current_agent_frame_id=state.current_agent_frame_id,
            graph=ReplaceFull(list(state.graph.nodes), leaf) if whole else Unchanged(leaf),
            checkpoint=_checkpoint_of(state),
            usage_deltas=list(usage_deltas),
        )

    def with_expected_head_revision(self, revision: int | None) -> Self:
        """A copy that applies to this revision only; 0 to a session that has no head yet, None to any revision."""
        return msgspec.structs.replace(self, expected_head_revision=revision)

    def with_appended_nodes(self, nodes: Sequence[SessionNodeRecord]) -> Self:
        """A copy that appends these nodes, in order, instead of writing the whole graph; the last one is the leaf.

        Without nodes only the leaf is written. For a state whose other nodes are stored already.
        """
        leaf = nodes[-1].node_id if nodes else self.graph.leaf_node_id
        return msgspec.structs.replace(self, graph=Append(list(nodes), leaf))

    def turn_commit_hash(self) -> str:
        """The hex sha256 by which a retry of this commit is known: the same whatever revision is expected.

        Node ids, message and part ids and timestamps do not count, nor does an earlier stamp. The `created_at` of the
        frames and the completed claims do. Raises InvalidRecord or InvalidJsonValue as `to_json` does.
        """
        return hashlib.sha256(self.hashed_text()).hexdigest()

    def hashed_text(self) -> bytes:
        """The text whose sha256 is the turn-commit hash."""
        written = encoder.hashed(self)
        if written is not None:
            return written
        try:
            plain = self.write_plain(True)
        except Unfit as unfit:
            raise_public(type(self).__name__, unfit)
        return json_text.canonical({key: _scrubbed_text(item) for key, item in plain.items()})

    def with_turn_commit(self, turn_id: str, turn_commit_hash: str | None = None) -> Self:
        """A copy stamped with `turn_id` and the given hash, by default its own."""
        stamped = self.turn_commit_hash() if turn_commit_hash is None else turn_commit_hash
        return msgspec.structs.replace(self, turn_commit=RuntimeTurnCommitStamp(self.session_id, turn_id, stamped))

    def completing_queue_claims(self, completions: Sequence[QueuedWorkCompletion]) -> Self:
        """A copy that completes these claims."""
        return msgspec.structs.replace(self, completed_queue_claims=list(completions))

    def with_committed_attachments(self, attachment_ids: Sequence[str]) -> Self:
        """A copy that commits these attachments."""
        return msgspec.structs.replace(self, committed_attachment_ids=list(attachment_ids))


def _checkpoint_of(state: RuntimeSessionState) -> HydratedSessionCheckpoint:
    return HydratedSessionCheckpoint(
        turn_state=PersistedTurnState(
            turn_index=state.turn_index,
            token_usage=state.token_usage,
            last_prompt_usage=state.last_prompt_usage,
            protocol_turn_options=state.protocol_turn_options,
        ),
        tool_state_ref=state.tool_state_ref,
        tool_state=state.tool_state,
        plugin_snapshot_ref=state.plugin_snapshot_ref,
        plugin_snapshot=state.plugin_snapshot,
        plugin_snapshot_revision=state.plugin_snapshot_revision,
        execution_state_ref=state.execution_state_ref,
        execution_state=state.execution_state,
    )


def _scrubbed_text(value: Any) -> msgspec.Raw:
    """The canonical text of a value after `_scrub`, which is spared where the text shows that it would find nothing."""
    text = json_text.canonical(value)
    if any(mark in text for mark in _SCRUB_MARKS):
        _scrub(value)
        text = json_text.canonical(value)
    return msgspec.Raw(text)


def _scrub(value: Any) -> None:
    """Removes in place what differs between two attempts at one turn, inside opaque values too (4.8 step 3)."""
    pending = [value]
    while pending:
        value = pending.pop()
        if type(value) is dict:
            if ("role" in value and "parts" in value) or value.keys() >= _PART_KEYS:
                value.pop("id", None)
            if not _NEVER_HASHED.isdisjoint(value):
                for key in _NEVER_HASHED:
                    value.pop(key, None)
            value = value.values()
        pending += [item for item in value if type(item) is dict or type(item) is list]
