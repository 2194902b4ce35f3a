"""What a random run works on, and the commits that it makes of what there is."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec
import pytest

from lash_store import (
    Append,
    ConversationRecord,
    GraphCommitDelta,
    HydratedSessionCheckpoint,
    MessagePart,
    MessageRole,
    ModelLimits,
    ModelSpec,
    PartKind,
    PersistedSessionConfig,
    PersistedTurnState,
    PruneState,
    PruneStateDeleted,
    PruneStateIntact,
    QueuedWorkClaim,
    QueuedWorkCompletion,
    ReplaceFull,
    RuntimeCommit,
    RuntimeSessionState,
    RuntimeTurnCommitStamp,
    SessionCheckpoint,
    SessionNodePayloadEvent,
    SessionNodePayloadPlugin,
    SessionNodeRecord,
    Store,
    TokenLedgerEntry,
    Unchanged,
)
from tests.clocks import ManualClock
from tests.property.session_model import Model
from tests.property.session_queue_model import Refused

T = TypeVar("T")
CONFIG: Final = PersistedSessionConfig("p", ModelSpec(id="m", limits=ModelLimits(8000)))
FRAMES: Final = tuple(RuntimeSessionState.new(clock=ManualClock()).agent_frames)


@dataclass
class World:
    """The store's handles, the model, and what was given out so far. `commits` counts those of each handle."""

    stores: Sequence[Store]
    clock: ManualClock
    auto_gc: int | None
    model: Model = field(default_factory=Model)
    claims: list[QueuedWorkClaim] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)
    parts: list[SessionCheckpoint] = field(default_factory=list)
    commits: dict[int, int] = field(default_factory=dict)
    last_node: int = 0
    sent: list[RuntimeCommit] = field(default_factory=list)

    def new_node(self) -> int:
        self.last_node += 1
        return self.last_node

    def leaf(self, back: int | None) -> str | None:
        """The node that was made `back` nodes ago."""
        return None if back is None else f"n{max(0, self.last_node - back)}"

    def ref(self, number: int | None) -> str | None:
        """One of the refs known so far, by number; None if there is none."""
        return self.refs[number % len(self.refs)] if self.refs and number is not None else None

    def part(self, name: str, number: int | None) -> str | None:
        """A ref of this kind that an earlier manifest had; its blob may be gone."""
        known = [ref for manifest in self.parts if (ref := getattr(manifest, name)) is not None]
        return known[-1 - number % len(known)] if known and number is not None else None

    def note(self, *refs: str) -> None:
        self.refs += [ref for ref in refs if ref not in self.refs]

    def after_commit(self, handle: int) -> None:
        """Section 4.20: replays count."""
        self.commits[handle] = self.commits.get(handle, 0) + 1
        if self.auto_gc is not None and self.commits[handle] % self.auto_gc == 0:
            self.model.collect()


async def same(real: Awaitable[T], expected: Callable[[], Any]) -> T | None:
    """Both give the same, which is returned, or both refuse it in the same way, and None is."""
    refused: Refused | None = None
    wanted = None
    try:
        wanted = expected()
    except Refused as refusal:
        refused = refusal
    if refused is not None:
        with pytest.raises(refused.kind):
            await real
        return None
    value = await real
    assert value == wanted
    return value


@dataclass(frozen=True)
class NodeSpec:
    """A new node, or one that may be `taken`; its parent has a smaller number, so that there are no circles."""

    taken: int | None
    parent: int | None
    role: MessageRole | None
    archive: int | None

    def record(self, world: World) -> SessionNodeRecord:
        number = world.new_node() if self.taken is None else self.taken % (world.last_node + 1)
        parent = None if self.parent is None or number == 0 else f"n{max(0, number - 1 - self.parent)}"
        return SessionNodeRecord(
            node_id=f"n{number}", parent_node_id=parent, timestamp="t", payload=self._payload(world, number)
        )

    def _payload(self, world: World, number: int) -> SessionNodePayloadEvent | SessionNodePayloadPlugin:
        if self.role is None:
            return SessionNodePayloadPlugin("x", {"b": [number], "a": None})
        archive = world.ref(self.archive)
        state: PruneState = PruneStateIntact() if archive is None else PruneStateDeleted("b", archive)
        part = MessagePart(id="p", kind=PartKind.TEXT, content=f"text {number}", prune_state=state)
        return SessionNodePayloadEvent(ConversationRecord(f"n{number}", self.role, [part]))


@dataclass(frozen=True)
class CommitSpec:
    """A commit, or an earlier one `again`; `expected` is relative to what is stored, `completes` names a claim."""

    session: str
    expected: int | None
    delta: str
    nodes: list[NodeSpec]
    leaf: int | None
    turn_index: int
    generation: int | None
    plugins: int | None
    execution: bytes | None
    given: tuple[int | None, int | None, int | None]
    frame_state: int | None
    usage: list[TokenLedgerEntry]
    turn: int | None
    again: bool
    completes: int | None
    spoilt: str
    attachments: list[str]

    def build(self, world: World) -> RuntimeCommit:
        if self.again and world.sent:
            return world.sent[self.turn_index % len(world.sent)]
        head = world.model.head
        revision = 0 if head is None else head.head_revision
        frames = [msgspec.structs.replace(frame, execution_state_ref=world.ref(self.frame_state)) for frame in FRAMES]
        commit = RuntimeCommit(
            session_id=self.session,
            expected_head_revision=None if self.expected is None else max(0, revision - self.expected),
            config=CONFIG,
            agent_frames=frames,
            current_agent_frame_id=frames[0].frame_id,
            graph=self._graph(world),
            checkpoint=self._checkpoint(world),
            usage_deltas=self.usage,
            committed_attachment_ids=self.attachments,
        )
        if self.turn is not None:
            commit = commit.with_turn_commit(f"turn-{self.turn}-{world.commits.get(0, 0) // 4}")
        if self.turn == 3:
            commit = msgspec.structs.replace(commit, turn_commit=RuntimeTurnCommitStamp("stranger", "turn", "hash"))
        return commit.completing_queue_claims(self._completions(world))

    def _graph(self, world: World) -> GraphCommitDelta:
        nodes = [node.record(world) for node in self.nodes]
        leaf = world.leaf(self.leaf)
        if self.delta == "unchanged":
            return Unchanged(leaf)
        return Append(nodes, leaf) if self.delta == "append" else ReplaceFull(nodes, leaf)

    def _checkpoint(self, world: World) -> HydratedSessionCheckpoint:
        names = ("tool_state_ref", "plugin_snapshot_ref", "execution_state_ref")
        tools, plugins, execution = map(world.part, names, self.given)
        return HydratedSessionCheckpoint(
            PersistedTurnState(turn_index=self.turn_index),
            tools,
            None if self.generation is None else {"generation": self.generation, "tools": {}},
            plugins,
            None if self.plugins is None else {"plugins": {}},
            self.plugins,
            execution,
            self.execution,
        )

    def _completions(self, world: World) -> list[QueuedWorkCompletion]:
        if self.completes is None or not world.claims:
            return []
        completion = world.claims[-1 - self.completes % len(world.claims)].completion()
        if self.spoilt == "token":
            completion = msgspec.structs.replace(completion, lease_token=f"{completion.lease_token}:stale")
        if self.spoilt == "fewer":
            completion = msgspec.structs.replace(completion, batch_ids=completion.batch_ids[1:])
        if self.spoilt == "session":
            completion = msgspec.structs.replace(completion, session_id="other")
        return [completion]
