"""The state a runtime works on: what commits and loads do to it (specification 4.30)."""

import msgspec
import pytest

from lash_store.errors import StoreCorrupt
from lash_store.records.checkpoint import HydratedSessionCheckpoint, SessionCheckpoint
from lash_store.records.commit import RuntimeCommit
from lash_store.records.commit_result import RuntimeCommitResult
from lash_store.records.config import PersistedSessionConfig
from lash_store.records.frames import AgentFrameStatus, PluginSource
from lash_store.records.graph import SessionGraph
from lash_store.records.head import PersistedSessionRead
from lash_store.records.state import RuntimeSessionState, rfc3339
from tests.records.examples import FRAME, MODEL, OPTIONS, TURN


class At:
    """A clock that stands still."""

    def __init__(self, epoch_ms: int) -> None:
        self.epoch_ms = epoch_ms

    def now_ms(self) -> int:
        return self.epoch_ms


@pytest.mark.parametrize(
    ("epoch_ms", "text"),
    [
        (0, "1970-01-01T00:00:00+00:00"),
        (1, "1970-01-01T00:00:00.001+00:00"),
        (1_780_358_400_120, "2026-06-02T00:00:00.120+00:00"),
    ],
)
def test_times_look_as_upstream_writes_them(epoch_ms: int, text: str) -> None:
    assert rfc3339(epoch_ms) == text
    assert RuntimeSessionState.new(clock=At(epoch_ms)).agent_frames[0].created_at == text


def test_a_default_state() -> None:
    state = RuntimeSessionState.new("x")
    (frame,) = state.agent_frames
    assert (state.session_id, state.current_agent_frame_id) == ("x", "root:frame:initial")
    assert (frame.frame_id, frame.session_id, frame.status) == ("root:frame:initial", "root", AgentFrameStatus.ACTIVE)
    assert frame.assignment.plugin_source is PluginSource.CURRENT_HOST_FRESH
    assert (state.graph, state.turn_index, state.head_revision) == (SessionGraph(), 0, None)


def test_a_snapshot_is_on_the_state_and_on_the_current_frame() -> None:
    state = RuntimeSessionState.new()
    state.execution_state_ref = "old"
    state.set_execution_state(b"vm")
    assert snapshots(state) == [b"vm", "old", b"vm", None]
    state.set_execution_state(None)
    assert snapshots(state) == [None, None, None, None]


def snapshots(state: RuntimeSessionState) -> list[bytes | str | None]:
    """Return snapshot and ref, first the state's, then the current frame's."""
    frame = state.agent_frames[0]
    return [
        state.execution_state,
        state.execution_state_ref,
        frame.execution_state_snapshot,
        frame.execution_state_ref,
    ]


def test_an_appended_frame_takes_over() -> None:
    state = RuntimeSessionState.new()
    frame = msgspec.structs.replace(FRAME, previous_frame_id=None)
    state.append_frame(frame)
    old, new = state.agent_frames
    assert (old.status, new.status) == (AgentFrameStatus.SUPERSEDED, AgentFrameStatus.ACTIVE)
    assert (new.previous_frame_id, state.current_agent_frame_id) == ("root:frame:initial", "f")
    assert (state.policy, state.protocol_turn_options) == (frame.assignment.policy, OPTIONS)
    assert (state.execution_state_ref, state.execution_state) == ("ee", b"\x00\xff")
    state.append_frame(msgspec.structs.replace(FRAME, frame_id="g", previous_frame_id="named"))
    assert state.agent_frames[-1].previous_frame_id == "named"


def test_after_a_commit_the_refs_stand_for_the_snapshots() -> None:
    state = RuntimeSessionState.new()
    state.set_execution_state(b"vm")
    state.tool_state, state.plugin_snapshot, state.replace_graph = {"generation": 1}, {}, True
    result = RuntimeCommitResult(4, "cc", SessionCheckpoint(TURN, "a", "b", 12, "c"))
    assert state.apply_commit(result) is state
    assert (state.head_revision, state.checkpoint_ref, state.replace_graph) == (4, "cc", False)
    assert (state.tool_state_ref, state.plugin_snapshot_ref, state.execution_state_ref) == ("a", "b", "c")
    assert (state.tool_state, state.plugin_snapshot, state.execution_state) == (None, None, None)
    assert state.plugin_snapshot_revision == 12
    (frame,) = state.agent_frames
    assert (frame.execution_state_ref, frame.execution_state_snapshot) == ("c", None)


def loaded(current: str, checkpoint: HydratedSessionCheckpoint | None) -> PersistedSessionRead:
    return PersistedSessionRead(
        session_id="s",
        head_revision=2,
        config=PersistedSessionConfig("stored", MODEL),
        agent_frames=[FRAME],
        current_agent_frame_id=current,
        graph=SessionGraph(leaf_node_id="m1"),
        checkpoint_ref="cc",
        checkpoint=checkpoint,
    )


def test_a_load_takes_over_the_checkpoint() -> None:
    hydrated = HydratedSessionCheckpoint(TURN, "a", {"generation": 1}, "b", {"plugins": {}}, 12, "c", b"vm")
    state = RuntimeSessionState.from_read(loaded("f", hydrated))
    assert state.agent_frames == [FRAME]
    assert (state.turn_index, state.token_usage) == (TURN.turn_index, TURN.token_usage)
    assert (state.last_prompt_usage, state.protocol_turn_options) == (TURN.last_prompt_usage, OPTIONS)
    assert (state.tool_state_ref, state.tool_state) == ("a", {"generation": 1})
    assert (state.plugin_snapshot_ref, state.plugin_snapshot, state.plugin_snapshot_revision) == (
        "b",
        {"plugins": {}},
        12,
    )
    assert (state.execution_state_ref, state.execution_state, state.checkpoint_ref) == ("c", b"vm", "cc")
    assert (state.policy.provider_id, state.policy.max_turns) == ("stored", FRAME.assignment.policy.max_turns)


def test_a_missing_current_frame_is_added() -> None:
    hydrated = HydratedSessionCheckpoint(TURN, execution_state_ref="c", execution_state=b"vm")
    state = RuntimeSessionState.from_read(loaded("gone", hydrated), clock=At(0))
    added = state.agent_frames[-1]
    assert (added.frame_id, added.session_id, added.created_at) == ("gone", "s", "1970-01-01T00:00:00+00:00")
    assert (added.protocol_turn_options, added.execution_state_ref) == (OPTIONS, "c")
    assert added.execution_state_snapshot == b"vm"


def test_a_load_whose_manifest_is_missing_is_no_fresh_state() -> None:
    read = loaded("f", None)
    with pytest.raises(StoreCorrupt) as raised:
        RuntimeSessionState.from_read(read)
    assert (raised.value.kind, raised.value.key) == ("checkpoint manifest", "cc")
    state = RuntimeSessionState.from_read(msgspec.structs.replace(read, checkpoint_ref=None))
    assert (state.turn_index, state.execution_state, state.checkpoint_ref) == (0, None, None)


def test_a_part_that_is_missing_stays_named() -> None:
    hydrated = HydratedSessionCheckpoint(
        TURN, tool_state_ref="a", plugin_snapshot_ref="b", plugin_snapshot_revision=12, execution_state_ref="c"
    )
    state = RuntimeSessionState.from_read(loaded("f", hydrated))
    assert RuntimeCommit.persisted_state(state).checkpoint == hydrated
