"""Free JSON wherever the store takes it: stored exactly, or refused before anything is written."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

import msgspec
import pytest

from lash_store import (
    AgentFrameAssignment,
    AgentFrameRecord,
    DeliveryPolicy,
    FullGraph,
    InvalidJsonValue,
    InvalidRecord,
    PluginOptions,
    ProtocolEvent,
    ProtocolTurnOptions,
    QueuedWorkBatchDraft,
    QueuedWorkPayload,
    QueuedWorkPayloadProcessWake,
    QueuedWorkPayloadSessionCommand,
    QueuedWorkPayloadTurnInput,
    RuntimeCommit,
    SessionNodePayloadEvent,
    SessionNodePayloadPlugin,
    SessionNodeRecord,
    SessionPolicy,
    SlotPolicy,
    Store,
    ToolAccess,
)
from tests.sqlite.session_store.hostile import REFUSED, STORED, commit_of, fill, refused, same
from tests.sqlite.session_store.samples import TIME, query

Put: TypeAlias = Callable[[Store, Any], Awaitable[object]]
Get: TypeAlias = Callable[[Store], Awaitable[Any]]

# -- where free JSON may stand: how to put a value there, and how to get it back ---------------------------------------


def _commit(**changes: Any) -> Put:
    def put(store: Store, value: Any) -> Awaitable[object]:
        return store.commit_runtime_state(commit_of(**{name: make(value) for name, make in changes.items()}))

    return put


def _checkpoint(path: Callable[[Any], Any]) -> Get:
    async def get(store: Store) -> Any:
        read = await store.load_session()
        assert read is not None
        assert read.checkpoint is not None
        return path(read.checkpoint)

    return get


def _frame(make: Callable[[Any], AgentFrameRecord]) -> Put:
    def put(store: Store, value: Any) -> Awaitable[object]:
        return store.commit_runtime_state(msgspec.structs.replace(commit_of(), agent_frames=[make(value)]))

    return put


def _in_frame(path: Callable[[AgentFrameRecord], Any]) -> Get:
    async def get(store: Store) -> Any:
        read = await store.load_session()
        assert read is not None
        return path(read.agent_frames[0])

    return get


def _frame_of(**changes: Any) -> AgentFrameRecord:
    whole: dict[str, Any] = {"assignment": AgentFrameAssignment(SessionPolicy()), **changes}
    return AgentFrameRecord(frame_id="f", session_id="root", created_at=TIME, **whole)


def _assigned(**changes: Any) -> AgentFrameRecord:
    return _frame_of(assignment=AgentFrameAssignment(**{"policy": SessionPolicy(), **changes}))


def _node(make: Callable[[Any], Any]) -> Put:
    def put(store: Store, value: Any) -> Awaitable[object]:
        node = SessionNodeRecord(node_id="second", timestamp=TIME, payload=make(value))
        return store.commit_runtime_state(appending_to(node))

    return put


def appending_to(*nodes: SessionNodeRecord) -> RuntimeCommit:
    commit = commit_of()
    return msgspec.structs.replace(commit, graph=msgspec.structs.replace(commit.graph, nodes=list(nodes)))


def _in_node(path: Callable[[Any], Any]) -> Get:
    async def get(store: Store) -> Any:
        node = await store.load_node("second")
        assert node is not None
        return path(node.payload)

    return get


def _queued(make: Callable[[Any], QueuedWorkPayload]) -> Put:
    def put(store: Store, value: Any) -> Awaitable[object]:
        return store.enqueue_queued_work(
            QueuedWorkBatchDraft(
                session_id="root",
                delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
                slot_policy=SlotPolicy.JOIN,
                payloads=[make({"x": 1}), make(value)],
            )
        )

    return put


def _in_queue(path: Callable[[Any], Any]) -> Get:
    async def get(store: Store) -> Any:
        [batch] = await store.list_queued_work("root")
        return path(batch.items[1].payload)

    return get


PLACES: dict[str, tuple[Put, Get]] = {
    "tool state": (
        _commit(tool_state=lambda value: {"generation": 1, "tools": {}, "x": value}),
        _checkpoint(lambda checkpoint: checkpoint.tool_state["x"]),
    ),
    "tool": (
        _commit(tool_state=lambda value: {"generation": 1, "tools": {"t": {"manifest": {"id": "t", "x": value}}}}),
        _checkpoint(lambda checkpoint: checkpoint.tool_state["tools"]["t"]["manifest"]["x"]),
    ),
    "plugin snapshot": (
        _commit(plugin_snapshot=lambda value: {"plugins": {"p": {"meta": {"state": value}}}}),
        _checkpoint(lambda checkpoint: checkpoint.plugin_snapshot["plugins"]["p"]["meta"]["state"]),
    ),
    "options of the turn": (
        _commit(protocol_turn_options=ProtocolTurnOptions),
        _checkpoint(lambda checkpoint: checkpoint.turn_state.protocol_turn_options.payload),
    ),
    "options of a frame": (
        _frame(lambda value: _frame_of(protocol_turn_options=ProtocolTurnOptions(value))),
        _in_frame(lambda frame: frame.protocol_turn_options.payload),
    ),
    "plugin options": (
        _frame(lambda value: _assigned(plugin_options=PluginOptions({"p": value}))),
        _in_frame(lambda frame: frame.assignment.plugin_options.plugins["p"]),
    ),
    "tool definition": (
        _frame(lambda value: _assigned(tool_access=ToolAccess([{"id": "i", "name": "n", "input_schema": value}]))),
        _in_frame(lambda frame: frame.assignment.tool_access.tools[0]["input_schema"]),
    ),
    "prompt": (
        _frame(lambda value: _assigned(policy=SessionPolicy(prompt={"slots": {"intro": {"x": value}}}))),
        _in_frame(lambda frame: frame.assignment.policy.prompt["slots"]["intro"]["x"]),
    ),
    "body of a node": (
        _node(lambda value: SessionNodePayloadPlugin("p", value)),
        _in_node(lambda payload: payload.body),
    ),
    "payload of an event": (
        _node(lambda value: SessionNodePayloadEvent(ProtocolEvent("p", value))),
        _in_node(lambda payload: payload.event.payload),
    ),
    "turn input": (
        _queued(lambda value: QueuedWorkPayloadTurnInput({"items": [], "image_blobs": {}, "x": value})),
        _in_queue(lambda payload: payload.input["x"]),
    ),
    "wake": (
        _queued(lambda value: QueuedWorkPayloadProcessWake({"wake_id": "w", "x": value})),
        _in_queue(lambda payload: payload.wake["x"]),
    ),
    "command": (
        _queued(lambda value: QueuedWorkPayloadSessionCommand({"kind": "reset_session", "reason": value})),
        _in_queue(lambda payload: payload.command["reason"]),
    ),
}


@pytest.fixture
async def full() -> AsyncIterator[Store]:
    """A store with something in it; in memory, as what is refused never comes to the file."""
    async with await Store.memory() as store:
        await fill(store)
        yield store


@pytest.mark.parametrize("place", PLACES)
async def test_what_json_can_say_is_stored_exactly(store: Store, place: str) -> None:
    put, get = PLACES[place]
    await put(store, STORED)
    assert same(await get(store), STORED)


@pytest.mark.parametrize("place", PLACES)
async def test_each_by_itself_is_stored_exactly(place: str) -> None:
    put, get = PLACES[place]
    for name, value in STORED.items():
        async with await Store.memory() as store:
            await put(store, value)
            assert same(await get(store), value), name


@pytest.mark.parametrize("place", PLACES)
async def test_what_json_cannot_say_is_refused(full: Store, place: str) -> None:
    put, _ = PLACES[place]
    for name, value in REFUSED.items():
        error = await refused(full, partial(put, full, value))
        assert isinstance(error, (InvalidJsonValue, InvalidRecord)), name


@pytest.mark.parametrize(
    "value", [{}, {"generation": -1, "tools": {}}, {"generation": 2**64, "tools": {}}, {"tools": {}}]
)
async def test_a_tool_state_without_a_generation_is_refused(full: Store, value: Any) -> None:
    await refused(full, lambda: full.commit_runtime_state(commit_of(tool_state=value)))


async def test_of_a_key_that_stands_twice_in_free_json_the_last_one_is_stored(store: Store) -> None:
    text = (
        '{"node_id":"second","timestamp":"t","kind":"plugin","plugin_type":"p","body":{"a":1,"b":{"c":1,"c":2},"a":3}}'
    )
    await store.commit_runtime_state(appending_to(SessionNodeRecord.from_json(text)))
    node = await store.load_node("second")
    assert node is not None
    assert same(node.payload.body, {"a": 3, "b": {"c": 2}})  # type: ignore[union-attr]
    [(stored,)] = await query(store, "SELECT node_json FROM graph_nodes")
    assert stored.count('"a"') == stored.count('"c"') == 1


async def test_a_text_of_a_million_characters_is_stored_exactly(store: Store) -> None:
    text = "é\0\n" * 333_334
    node = SessionNodeRecord(node_id="second", timestamp=TIME, payload=SessionNodePayloadPlugin("p", text))
    await store.commit_runtime_state(appending_to(node))
    read = await store.load_session(FullGraph())
    assert read is not None
    assert read.graph.nodes == [node]
