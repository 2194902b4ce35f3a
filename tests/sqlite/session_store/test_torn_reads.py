"""Every load is one snapshot: beside a process that publishes turns, all parts of what is read are of one turn."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest

from lash_store import (
    ActivePath,
    ConversationRecord,
    PersistedSessionRead,
    QueuedWorkBatch,
    QueuedWorkPayloadTurnInput,
    SessionGraph,
    SessionMeta,
    SessionNodePayloadEvent,
    SessionPickerInfo,
    Store,
)
from lash_store.records.head import SessionHead
from lash_store.sqlite.ops import checkpoints, graph, head, usage
from tests.programs.session_turns import BACKLOG, ITEMS, SESSION, messages_of, publish
from tests.watchdog import LIMIT_S, Program

TURNS = 300
"""Beyond the 256th turn, at which the usage is merged."""

Read: TypeAlias = Callable[[Store], Awaitable[int]]
"""Reads, and returns the number of the turn that it found, in all its parts."""


class Torn(AssertionError):
    """Parts of several turns."""


def one_turn(**parts: int) -> int:
    if len(set(parts.values())) != 1:
        raise Torn(parts)
    return parts.popitem()[1]


def text_of(record: Any) -> str:
    assert isinstance(record.payload, SessionNodePayloadEvent)
    assert isinstance(record.payload.event, ConversationRecord)
    return record.payload.event.parts[0].content


def turn_of_session(read: PersistedSessionRead | None) -> int:
    assert read is not None
    checkpoint = read.checkpoint
    if checkpoint is None or not (checkpoint.tool_state and checkpoint.plugin_snapshot and checkpoint.execution_state):
        raise Torn("the checkpoint of the head was collected since")
    number = one_turn(
        head=read.head_revision - 1,
        turn_state=checkpoint.turn_state.turn_index,
        tool_state=checkpoint.tool_state["generation"],
        plugin_snapshot=checkpoint.plugin_snapshot["plugins"]["example"]["meta"]["revision"],
        execution_state=int(checkpoint.execution_state),
        usage=sum(entry.usage.input_tokens for entry in read.token_ledger) - 1,
        **{f"node {index}": int(text_of(node)) for index, node in enumerate(read.graph.nodes)},
    )
    assert len(read.graph.nodes) == messages_of(number)
    assert read.graph.leaf_node_id == read.graph.nodes[-1].node_id
    return number


def turn_of_head(read: SessionHead | None) -> int:
    assert read is not None
    number = one_turn(
        head=read.head_revision - 1,
        usage=sum(entry.usage.input_tokens for entry in read.token_ledger) - 1,
        **{f"node {index}": int(text_of(node)) for index, node in enumerate(read.graph.nodes)},
    )
    assert len(read.graph.nodes) == messages_of(number)
    return number


def turn_of_picker(info: SessionPickerInfo | None) -> int:
    assert info is not None
    number = int(info.first_user_message)
    if info.user_message_count != messages_of(number):
        raise Torn(info)
    return number


def turn_of_queue(batches: list[QueuedWorkBatch]) -> int:
    """The first batch that waits is of the turn that comes next; all that waits is whole, and in order."""
    numbers = [int(str(batch.source_key).removeprefix("turn:")) for batch in batches]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))) or len(numbers) not in (BACKLOG, BACKLOG + 1):
        raise Torn(numbers)
    for number, batch in zip(numbers, batches, strict=True):
        payloads = [item.payload for item in batch.items]
        assert all(isinstance(payload, QueuedWorkPayloadTurnInput) for payload in payloads)
        texts = [payload.input["items"][0]["text"] for payload in payloads]  # type: ignore[union-attr]
        if texts != [str(number)] * ITEMS:
            raise Torn(number, texts)
    return numbers[0] - 1


async def session(store: Store) -> int:
    return turn_of_session(await store.load_session())


async def active_path(store: Store) -> int:
    return turn_of_session(await store.load_session(ActivePath()))


async def session_head(store: Store) -> int:
    return turn_of_head(await store.load_session_head())


async def picker(store: Store) -> int:
    return turn_of_picker(await store.load_picker_info())


async def queue(store: Store) -> int:
    return turn_of_queue(await store.list_queued_work(SESSION))


async def pending_queue(store: Store) -> int:
    return turn_of_queue(await store.list_pending_queued_work(SESSION))


READS: list[Read] = [session, active_path, session_head, picker, queue, pending_queue]


async def watch(store: Store, reads: list[Read], turns: int = TURNS) -> None:
    """Read again and again until so many turns have passed; nothing is torn, and no turn comes before an older one."""
    latest = [0] * len(reads)
    ends = time.monotonic() + 2 * LIMIT_S
    while min(latest) < turns:
        for index, read in enumerate(reads):
            number = await read(store)
            assert number >= latest[index]
            latest[index] = number
        assert time.monotonic() < ends, f"after {2 * LIMIT_S} s the turns are at {latest}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.db"


@pytest.fixture
def publisher(path: Path) -> Iterator[Program]:
    with Program("session_publisher", path) as program:
        assert program.hear() == "ready"
        yield program


@pytest.fixture(params=["writable", "read-only"])
async def store(request: pytest.FixtureRequest, path: Path, publisher: Program) -> AsyncIterator[Store]:
    opening = Store.open_readonly(path) if request.param == "read-only" else Store.open(path)
    async with await opening as opened:
        yield opened


async def test_no_load_is_torn(store: Store, publisher: Program) -> None:
    await watch(store, READS)


# -- the same handle, other tasks --------------------------------------------------------------------------------------


@pytest.fixture(params=["file", "memory"])
async def own(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Store]:
    """A store in which another task of this process publishes turns."""
    opening = Store.open(path) if request.param == "file" else Store.memory()
    async with await opening as opened:
        await opened.save_session_meta(SessionMeta(SESSION, SESSION, "unix:0", "model"))
        await publish(opened, 0)

        async def go_on() -> None:
            for number in count(1):
                await publish(opened, number)

        publishing = asyncio.create_task(go_on())
        yield opened
        publishing.cancel()
        with suppress(asyncio.CancelledError):
            await publishing


async def test_no_load_beside_the_commits_of_its_own_handle_is_torn(own: Store) -> None:
    await watch(own, READS, turns=50)


# -- the watch sees what is torn ---------------------------------------------------------------------------------------


async def torn_session(store: Store) -> int:
    """As load_session, but a snapshot for each part."""
    found = await store._read(head.read_head)
    assert found is not None
    assert found.checkpoint_ref is not None
    return turn_of_session(
        PersistedSessionRead(
            session_id=found.session_id,
            head_revision=found.head_revision,
            config=found.config,
            agent_frames=found.agent_frames,
            current_agent_frame_id=found.current_agent_frame_id,
            checkpoint=await store._read(partial(checkpoints.read_checkpoint, checkpoint_ref=found.checkpoint_ref)),
            graph=SessionGraph(await store._read(graph.read_nodes), found.leaf_node_id),
            token_ledger=await store._read(usage.read_ledger),
        )
    )


async def torn_picker(store: Store) -> int:
    info, later = await store.load_picker_info(), await store.load_picker_info()
    assert info is not None
    assert later is not None
    return turn_of_picker(msgspec.structs.replace(info, first_user_message=later.first_user_message))


async def torn_queue(store: Store) -> int:
    batches = await store.list_queued_work(SESSION)
    items = {batch.batch_id: batch.items for batch in await store.list_queued_work(SESSION)}
    return turn_of_queue([msgspec.structs.replace(batch, items=items.get(batch.batch_id, [])) for batch in batches])


@pytest.mark.parametrize("read", [torn_session, torn_picker, torn_queue])
async def test_the_watch_sees_a_torn_read(read: Read, path: Path, publisher: Program) -> None:
    async with await Store.open(path) as store:
        with pytest.raises(Torn):
            await watch(store, [read], turns=10**9)
