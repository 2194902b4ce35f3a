"""The session state a runtime works on between two commits (specification 4.30). Not stored; it may be changed."""

import datetime as dt
from typing import Any, Final, Self

import msgspec

from lash_store.clock import SYSTEM_CLOCK, Clock
from lash_store.errors import StoreCorrupt
from lash_store.records.commit_result import RuntimeCommitResult
from lash_store.records.config import SessionPolicy
from lash_store.records.frames import AgentFrameRecord, AgentFrameStatus, initial_frame, initial_frame_id
from lash_store.records.graph import SessionGraph
from lash_store.records.head import PersistedSessionRead
from lash_store.records.usage import NO_USAGE, PromptUsage, ProtocolTurnOptions, TokenUsage

_ROOT: Final = "root"


class RuntimeSessionState(msgspec.Struct, kw_only=True):
    """A session in memory.

    The three snapshots are opaque and set only when they changed since the last commit; the refs name what is stored.
    `head_revision` is the revision last seen, None for a session never committed; `replace_graph` asks the next commit
    to write every node.
    """

    session_id: str
    policy: SessionPolicy
    agent_frames: list[AgentFrameRecord]
    current_agent_frame_id: str
    graph: SessionGraph = msgspec.field(default_factory=SessionGraph)
    turn_index: int = 0
    token_usage: TokenUsage = NO_USAGE
    last_prompt_usage: PromptUsage | None = None
    protocol_turn_options: ProtocolTurnOptions = msgspec.field(default_factory=ProtocolTurnOptions)
    tool_state_ref: str | None = None
    tool_state: Any = None
    plugin_snapshot_ref: str | None = None
    plugin_snapshot: Any = None
    plugin_snapshot_revision: int | None = None
    execution_state_ref: str | None = None
    execution_state: bytes | None = None
    head_revision: int | None = None
    checkpoint_ref: str | None = None
    replace_graph: bool = False

    @classmethod
    def new(cls, session_id: str = _ROOT, *, clock: Clock = SYSTEM_CLOCK) -> Self:
        """The default state. Its one frame is `root:frame:initial` of session `root`, whatever the id of the session.

        So lash makes it (specification 4.30): its default state is that of `root`, and takes an id only then. Frame ids
        stand in the file and in nodes, so a session begun here has the frame that lash would have given it.
        """
        policy = SessionPolicy()
        frame = initial_frame(_ROOT, policy, rfc3339(clock.now_ms()))
        return cls(session_id=session_id, policy=policy, agent_frames=[frame], current_agent_frame_id=frame.frame_id)

    @classmethod
    def from_read(cls, read: PersistedSessionRead, *, clock: Clock = SYSTEM_CLOCK) -> Self:
        """The state of a loaded session. A current frame that is not there is added, made like an initial one.

        A part of the checkpoint that is not stored stays named by its ref, and so the next commit names it, too. Raises
        StoreCorrupt if the manifest itself is not stored: what the session was is not known then, and the next commit
        would write a fresh state over it. Whoever means that reads on without its `checkpoint_ref`.
        """
        if read.checkpoint_ref is not None and read.checkpoint is None:
            raise StoreCorrupt("checkpoint manifest", read.checkpoint_ref)
        current = read.current_agent_frame_id or initial_frame_id(read.session_id)
        frames = {frame.frame_id: frame for frame in read.agent_frames}
        policy = msgspec.structs.replace(
            frames[current].assignment.policy if current in frames else SessionPolicy(),
            provider_id=read.config.provider_id,
            model=read.config.model,
        )
        state = cls(
            session_id=read.session_id,
            policy=policy,
            agent_frames=list(read.agent_frames),
            current_agent_frame_id=current,
            graph=read.graph,
            head_revision=read.head_revision,
            checkpoint_ref=read.checkpoint_ref,
        )
        state._take_checkpoint(read)
        if current not in frames:
            state._add_current_frame(clock)
        return state

    def set_execution_state(self, snapshot: bytes | None) -> None:
        """Sets the snapshot here and on the current frame; None also forgets what is stored."""
        cleared: dict[str, Any] = {} if snapshot is not None else {"execution_state_ref": None}
        self.execution_state = snapshot
        if snapshot is None:
            self.execution_state_ref = None
        self._change_current_frame(execution_state_snapshot=snapshot, **cleared)

    def append_frame(self, frame: AgentFrameRecord) -> None:
        """Makes `frame` the current one, after the frame that was; the state takes over what it runs with."""
        previous = self.current_agent_frame_id
        self._change_current_frame(status=AgentFrameStatus.SUPERSEDED)
        self.agent_frames.append(
            msgspec.structs.replace(
                frame,
                previous_frame_id=previous if frame.previous_frame_id is None else frame.previous_frame_id,
                status=AgentFrameStatus.ACTIVE,
            )
        )
        self.current_agent_frame_id = frame.frame_id
        self.policy = frame.assignment.policy
        self.protocol_turn_options = frame.protocol_turn_options
        self.execution_state_ref = frame.execution_state_ref
        self.execution_state = frame.execution_state_snapshot

    def apply_commit(self, result: RuntimeCommitResult) -> Self:
        """Takes over what a commit of this state made, drops the snapshots it wrote, and returns the same state."""
        manifest = result.manifest
        self.head_revision = result.head_revision
        self.checkpoint_ref = result.checkpoint_ref
        self.tool_state_ref = manifest.tool_state_ref
        self.plugin_snapshot_ref = manifest.plugin_snapshot_ref
        self.plugin_snapshot_revision = manifest.plugin_snapshot_revision
        self.execution_state_ref = manifest.execution_state_ref
        self.tool_state = self.plugin_snapshot = self.execution_state = None
        self.replace_graph = False
        self._change_current_frame(execution_state_ref=manifest.execution_state_ref, execution_state_snapshot=None)
        return self

    def _change_current_frame(self, **changes: Any) -> None:
        self.agent_frames = [
            msgspec.structs.replace(frame, **changes) if frame.frame_id == self.current_agent_frame_id else frame
            for frame in self.agent_frames
        ]

    def _take_checkpoint(self, read: PersistedSessionRead) -> None:
        if read.checkpoint is None:
            return
        turn, checkpoint = read.checkpoint.turn_state, read.checkpoint
        self.turn_index = turn.turn_index
        self.token_usage = turn.token_usage
        self.last_prompt_usage = turn.last_prompt_usage
        self.protocol_turn_options = turn.protocol_turn_options
        self.tool_state_ref, self.tool_state = checkpoint.tool_state_ref, checkpoint.tool_state
        self.plugin_snapshot_ref, self.plugin_snapshot = checkpoint.plugin_snapshot_ref, checkpoint.plugin_snapshot
        self.plugin_snapshot_revision = checkpoint.plugin_snapshot_revision
        self.execution_state_ref, self.execution_state = checkpoint.execution_state_ref, checkpoint.execution_state

    def _add_current_frame(self, clock: Clock) -> None:
        frame = initial_frame(self.session_id, self.policy, rfc3339(clock.now_ms()))
        self.agent_frames.append(
            msgspec.structs.replace(
                frame,
                frame_id=self.current_agent_frame_id,
                protocol_turn_options=self.protocol_turn_options,
                execution_state_ref=self.execution_state_ref,
                execution_state_snapshot=self.execution_state,
            )
        )


def rfc3339(epoch_ms: int) -> str:
    """The time as upstream writes it: UTC, offset `+00:00`, 0 or 3 fractional digits."""
    seconds, milliseconds = divmod(epoch_ms, 1000)
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC) + dt.timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds" if milliseconds else "seconds")
