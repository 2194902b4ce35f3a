"""Many write at once, and one collects meanwhile: nothing acknowledged is lost, nothing needed is collected."""

import asyncio
import random

import msgspec

from lash_store import (
    ActivePath,
    Append,
    GcOutcome,
    HeadRevisionConflict,
    PersistedSessionRead,
    QueuedWorkClaimExpired,
    RuntimeCommit,
    Store,
    load_persisted_session_state,
)
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import (
    IDLE,
    NO_PLUGINS,
    TTL_MS,
    commit_of,
    draft,
    message,
    node_ids,
    session_state,
    texts_of,
    tools,
    used,
)
from tests.conformance.session_store.rows import query
from tests.conformance.session_store.test_two_handles import together

TURNS = 12


async def next_commit(store: Store, name: str, dice: random.Random) -> RuntimeCommit:
    """A turn on what is stored now: a node behind the leaf, usage, and one of few tool states, so that blobs recur."""
    state = await load_persisted_session_state(store, ActivePath())
    if state is None:
        state = session_state()
    state.tool_state, state.plugin_snapshot = tools(dice.randrange(3)), NO_PLUGINS
    state.set_execution_state(bytes([dice.randrange(3)]) * dice.choice([1, 5_000]))
    leaf = state.graph.leaf_node_id
    commit = commit_of(state, [used("turn", "m", 1, 2, 3, 4)], expected=state.head_revision or 0)
    return msgspec.structs.replace(commit, graph=Append([message(name, leaf)], name))


async def take_turns(store: Store, number: int) -> list[str]:
    """Optimistic commits, each tried until it fits; the ids of the nodes that were committed."""
    dice = random.Random(number)
    names = [f"{number}-{turn}" for turn in range(TURNS)]
    for name in names:
        done = False
        while not done:
            try:
                await store.commit_runtime_state(await next_commit(store, name, dice))
                done = True
            except HeadRevisionConflict:
                await asyncio.sleep(dice.random() * 0.005)
    return names


async def collect_meanwhile(store: Store) -> list[str]:
    """What is loaded between collections is whole."""
    for _ in range(4 * TURNS):
        report = await store.gc_unreachable()
        assert report.outcome in {GcOutcome.SWEPT, GcOutcome.OVERTAKEN}
        require_whole(await store.load_session(ActivePath()))
        await asyncio.sleep(0.002)
    return []


def require_whole(read: PersistedSessionRead | None) -> None:
    if read is None:
        return
    checkpoint = read.checkpoint
    assert checkpoint is not None
    assert None not in (checkpoint.tool_state, checkpoint.plugin_snapshot, checkpoint.execution_state)
    assert len(read.graph.nodes) == read.head_revision
    assert read.token_ledger == [used("turn", "m", *(count * read.head_revision for count in (1, 2, 3, 4)))]


def test_threads_that_commit_lose_nothing_while_another_collects(stores: Stores) -> None:
    """Loads are one snapshot (weakness 25), blobs of a commit are safe from any collector (weakness 10)."""

    async def work(store: Store, number: int) -> list[str]:
        return await (take_turns(store, number) if number else collect_meanwhile(store))

    committed = [name for names in together(stores.path, 4, work) for name in names]
    assert len(committed) == 3 * TURNS
    assert query(stores.path, "SELECT head_revision FROM session_head") == [(3 * TURNS,)]
    assert query(stores.path, "SELECT count(*) FROM usage_deltas") == [(3 * TURNS,)]


async def test_tasks_that_commit_lose_nothing_while_another_collects(stores: Stores) -> None:
    first, second = await stores.file(), await stores.file(auto_gc_every_commits=3)
    workers = [take_turns(store, number) for number, store in enumerate([first, second, first], 1)]
    *committed, _ = await asyncio.gather(*workers, collect_meanwhile(second))
    read = await first.load_session()
    require_whole(read)
    assert read is not None
    assert sorted(node_ids(read.graph.nodes)) == sorted(name for names in committed for name in names)
    path = await second.load_session(ActivePath())
    assert path is not None
    assert path.graph.nodes == read.graph.nodes


async def test_tasks_that_work_the_queue_do_everything_once(stores: Stores) -> None:
    """Claims on two handles, some of which run out: each batch is completed in exactly one commit."""
    handles = [await stores.file(), await stores.file()]
    wanted = [f"work {number}" for number in range(30)]
    await asyncio.gather(*(handles[0].enqueue_queued_work(draft(text)) for text in wanted))
    done: list[str] = []

    async def work(store: Store, number: int) -> None:
        dice = random.Random(number)
        while await store.list_queued_work("root"):
            ttl = 0 if dice.random() < 0.3 else TTL_MS
            claim = await store.claim_ready_queued_work("root", f"owner-{number}", IDLE, ttl, 1)
            if claim is None:
                await asyncio.sleep(0)
                continue
            if dice.random() < 0.2:
                await store.abandon_queued_work_claim(claim)
                continue
            name = claim.lease_token
            commit = msgspec.structs.replace(commit_of(session_state()), graph=Append([message(name)], name))
            try:
                await store.commit_runtime_state(commit.completing_queue_claims([claim.completion()]))
            except QueuedWorkClaimExpired:  # somebody else has it now
                continue
            done.extend(texts_of(claim.batches))

    await asyncio.gather(*(work(handles[number % 2], number) for number in range(6)))
    assert sorted(done) == sorted(wanted)
    assert query(stores.path, "SELECT count(*) FROM graph_nodes") == [(len(wanted),)]
