"""Other things where records, lists and bytes are wanted: refused with a typed error, and nothing written."""

from collections.abc import AsyncIterator
from functools import partial

import pytest

from lash_store import QueuedWorkCompletion, ReplaceFull, SessionMeta, Store
from tests.sqlite.session_store.hostile import IDLE, Operation, changed, commit_of, draft, fill, refused
from tests.sqlite.session_store.samples import plugin_node

OTHER_THINGS: dict[str, Operation] = {
    "commit": lambda s, x: s.commit_runtime_state(x),
    "config": lambda s, x: s.commit_runtime_state(changed(config=x)),
    "frames": lambda s, x: s.commit_runtime_state(changed(agent_frames=[x])),
    "graph": lambda s, x: s.commit_runtime_state(changed(graph=x)),
    "nodes": lambda s, x: s.commit_runtime_state(changed(graph=ReplaceFull([x], None))),
    "commit's checkpoint": lambda s, x: s.commit_runtime_state(changed(checkpoint=x)),
    "stamp": lambda s, x: s.commit_runtime_state(changed(turn_commit=5 if x is None else x)),
    "completions": lambda s, x: s.commit_runtime_state(changed(completed_queue_claims=[x])),
    "usage": lambda s, x: s.commit_runtime_state(changed(usage_deltas=[x])),
    "appended usage": lambda s, x: s.append_usage_deltas([x]),
    "scope": lambda s, x: s.load_session(x),
    "checkpoint": lambda s, x: s.put_checkpoint(x),
    "draft": lambda s, x: s.enqueue_queued_work(x),
    "payload": lambda s, x: s.enqueue_queued_work(draft(payloads=[x])),
    "merge key": lambda s, x: s.enqueue_queued_work(draft(merge_key=x)),
    "delivery policy": lambda s, x: s.enqueue_queued_work(draft(delivery_policy=x)),
    "slot policy": lambda s, x: s.enqueue_queued_work(draft(slot_policy=x)),
    "boundary": lambda s, x: s.claim_ready_queued_work("root", "o", x, 1, 1),
    "renewed claim": lambda s, x: s.renew_queued_work_claim(x, 1),
    "abandoned claim": lambda s, x: s.abandon_queued_work_claim(x),
    "meta": lambda s, x: s.save_session_meta(x),
    "relation": lambda s, x: s.save_session_meta(SessionMeta("root", "n", "t", "m", None, x)),
    "head": lambda s, x: s.save_session_head(x),
    "head's row": lambda s, x: s.save_session_head_meta(x),
    "replaced graph": lambda s, x: s.replace_session_graph(x),
    "appended nodes": lambda s, x: s.append_session_graph_nodes([x]),
    "copied store": lambda s, x: s.head_copy_from_store(x),
    "intent": lambda s, x: s.record_intent(x),
    "descriptor": lambda s, x: s.put_artifact_blob(x, b"x"),
}
LISTS: dict[str, Operation] = {
    "nodes": lambda s, x: s.commit_runtime_state(changed(graph=ReplaceFull(x, None))),
    "frames": lambda s, x: s.commit_runtime_state(changed(agent_frames=x)),
    "usage": lambda s, x: s.commit_runtime_state(changed(usage_deltas=x)),
    "completions": lambda s, x: s.commit_runtime_state(changed(completed_queue_claims=x)),
    "completed batches": lambda s, x: s.commit_runtime_state(
        changed(completed_queue_claims=[QueuedWorkCompletion("root", "c", "t", x)])
    ),
    "committed attachments": lambda s, x: s.commit_runtime_state(changed(committed_attachment_ids=x)),
    "payloads": lambda s, x: s.enqueue_queued_work(draft(payloads=x)),
    "batches": lambda s, x: s.claim_ready_queued_work_by_batch_ids("root", "o", IDLE, 1, x),
    "tombstoned nodes": lambda s, x: s.tombstone_nodes(x),
    "attachments": lambda s, x: s.commit_refs("root", x),
    "appended usage": lambda s, x: s.append_usage_deltas(x),
    "appended nodes": lambda s, x: s.append_session_graph_nodes(x),
}
BYTES: dict[str, Operation] = {
    "blob": lambda s, x: s.put_blob(x),
    "execution state": lambda s, x: s.commit_runtime_state(commit_of(execution_state=x)),
    "module": lambda s, x: s.put_module_artifact(x),
}


@pytest.fixture
async def full() -> AsyncIterator[Store]:
    """A store with something in it; in memory, as what is refused never comes to the file."""
    async with await Store.memory() as store:
        await fill(store)
        yield store


@pytest.mark.parametrize("where", OTHER_THINGS)
async def test_what_is_no_record_is_refused(full: Store, where: str) -> None:
    for value in [{}, {"kind": "root"}, [], "idle", "join", 5, b"x", None, plugin_node("n").payload]:
        await refused(full, partial(OTHER_THINGS[where], full, value))


@pytest.mark.parametrize("where", LISTS)
async def test_what_is_no_list_is_refused(full: Store, where: str) -> None:
    for value in ["first", b"first", 5]:
        await refused(full, partial(LISTS[where], full, value))


@pytest.mark.parametrize("where", BYTES)
async def test_what_is_no_byte_string_is_refused(full: Store, where: str) -> None:
    for value in ["text", 5, [1, 2], {"a": 1}]:
        await refused(full, partial(BYTES[where], full, value))
