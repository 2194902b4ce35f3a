"""What the store writes into the tables is, text for text, what appendix A shows of upstream's writing."""

import hashlib
from typing import Any

import msgspec
import pytest

from lash_store import (
    HydratedSessionCheckpoint,
    MergeKeyGroup,
    MergeKeyNever,
    MergeKeyPayloadDefault,
    PersistedTurnState,
    QueuedWorkBatchDraft,
    QueuedWorkPayloadProcessWake,
    QueuedWorkPayloadSessionCommand,
    QueuedWorkPayloadTurnInput,
    ReplaceFull,
    RuntimeCommit,
    SessionCheckpoint,
    SessionHeadMeta,
    SessionNodeRecord,
    TokenUsage,
)
from tests.clocks import NOW_MS, ManualClock
from tests.conformance.session_store import alpha40
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import (
    AFTER_COMMIT,
    EARLIEST,
    EXCLUSIVE,
    JOIN,
    NO_PLUGINS,
    TTL_MS,
    claimed,
    commit_of,
    enqueued,
    intent,
    root_commit,
    session_state,
    tools,
    used,
)
from tests.conformance.session_store.rows import query, stored_envelope
from tests.golden import vectors

NODES = ("node_message", "node_protocol", "node_plugin")
PAYLOADS: dict[str, Any] = {
    "payload_turn_input_full": QueuedWorkPayloadTurnInput,
    "payload_turn_input_smallest": QueuedWorkPayloadTurnInput,
    "payload_process_wake": QueuedWorkPayloadProcessWake,
    "payload_session_command": QueuedWorkPayloadSessionCommand,
}
CLAIM_COLUMNS = (
    "SELECT claim_id, claim_owner_id, claim_token, claim_fencing_token, claim_claimed_at_ms, claim_expires_at_ms "
    "FROM queued_work_batches ORDER BY enqueue_seq"
)


def appendix_commit(nodes: int) -> RuntimeCommit:
    """A commit of the head of appendix A.8 with the first nodes there."""
    head = SessionHeadMeta.from_json(vectors.text("head_two_frames.json"))
    graph = [SessionNodeRecord.from_json(vectors.text(f"{name}.json")) for name in NODES[:nodes]]
    return RuntimeCommit(
        session_id="root",
        config=head.config,
        agent_frames=head.agent_frames,
        current_agent_frame_id=head.current_agent_frame_id,
        graph=ReplaceFull(graph, "m1"),
    )


async def test_the_row_of_a_head(stores: Stores) -> None:
    """The checkpoint is that of an empty state: the default manifest of appendix A.2."""
    async with await stores.file() as store:
        await store.commit_runtime_state(appendix_commit(1))
    default_manifest = "7a0875fc9b90b0591775a60b872fc008c068a1e9050bddbc2bd7e20ff319117f"
    text = vectors.text("head_two_frames.json").replace('"cc"', f'"{default_manifest}"')
    assert query(stores.path, "SELECT * FROM session_head") == [(1, "root", text, 1)]


async def test_revision_and_node_count_in_column_and_text(stores: Stores) -> None:
    async with await stores.file() as store:
        await store.commit_runtime_state(appendix_commit(3))
        await store.tombstone_nodes(["plugin:1"])
        await store.commit_runtime_state(root_commit())
        await store.commit_runtime_state(appendix_commit(2))
    ((text, revision),) = query(stores.path, "SELECT head_json, head_revision FROM session_head")
    assert revision == 3
    assert '"head_revision":3' in text
    assert text.endswith('"leaf_node_id":"m1","graph_node_count":2}')


async def test_the_rows_of_nodes(stores: Stores) -> None:
    async with await stores.file() as store:
        await store.commit_runtime_state(appendix_commit(3))
        await store.tombstone_nodes(["protocol:1"])
    assert query(stores.path, "SELECT seq, node_id, node_json, tombstoned FROM graph_nodes ORDER BY seq") == [
        (1, "m1", vectors.text("node_message.json"), 0),
        (2, "protocol:1", vectors.text("node_protocol.json"), 1),
        (3, "plugin:1", vectors.text("node_plugin.json"), 0),
    ]


async def test_the_row_of_a_turn_commit(stores: Stores, clock: ManualClock) -> None:
    state = session_state()
    state.plugin_snapshot_revision = 0
    commit = commit_of(state)
    async with await stores.file() as store:
        result = await store.commit_runtime_state(commit.with_turn_commit("turn-1"))
        clock.advance(5)
        await store.commit_runtime_state(commit.with_turn_commit("turn-1"))
    text = vectors.text("commit_result.json").replace('"cc"', f'"{result.checkpoint_ref}"')
    assert query(stores.path, "SELECT * FROM runtime_turn_commits") == [
        ("root", "turn-1", commit.turn_commit_hash(), text, NOW_MS)
    ]


async def test_the_rows_of_a_batch(stores: Stores) -> None:
    payloads = [kind.from_json(vectors.text(f"{name}.json")) for name, kind in PAYLOADS.items()]
    draft = QueuedWorkBatchDraft(
        session_id="root",
        source_key="source:first",
        delivery_policy=EARLIEST,
        slot_policy=JOIN,
        merge_key=MergeKeyGroup("g"),
        available_at_ms=7,
        payloads=payloads,
    )
    async with await stores.file() as store:
        batch = await store.enqueue_queued_work(draft)
    head, _, digits = batch.batch_id.partition(":")
    assert head == "qwb"
    assert len(bytes.fromhex(digits)) == 32
    policies = ("earliest_safe_boundary", "join", '{"group":"g"}')
    columns = "enqueue_seq, batch_id, session_id, source_key, delivery_policy, slot_policy, merge_key_json"
    assert query(stores.path, f"SELECT {columns}, available_at_ms, enqueued_at_ms FROM queued_work_batches") == [
        (1, batch.batch_id, "root", "source:first", *policies, 7, NOW_MS)
    ]
    assert query(stores.path, CLAIM_COLUMNS) == [(None, None, None, 0, 0, 0)]
    assert query(stores.path, "SELECT * FROM queued_work_items ORDER BY item_index") == [
        (batch.batch_id, index, f"{batch.batch_id}:item:{index}", vectors.text(f"{name}.json"))
        for index, name in enumerate(PAYLOADS)
    ]


@pytest.mark.parametrize(
    ("merge_key", "text"),
    [(MergeKeyNever(), '"never"'), (MergeKeyPayloadDefault(), '"payload_default"')],
)
async def test_the_row_of_a_batch_without_a_group(stores: Stores, merge_key: Any, text: str) -> None:
    async with await stores.file() as store:
        await store.enqueue_queued_work(
            QueuedWorkBatchDraft(
                session_id="root", delivery_policy=AFTER_COMMIT, slot_policy=EXCLUSIVE, merge_key=merge_key
            )
        )
    columns = "source_key, delivery_policy, slot_policy, merge_key_json, available_at_ms"
    assert query(stores.path, f"SELECT {columns} FROM queued_work_batches") == [
        (None, "after_current_turn_commit", "exclusive", text, 0)
    ]


async def test_the_claim_columns_of_a_batch(stores: Stores, clock: ManualClock) -> None:
    """As section 2.7 and 4.10 to 4.13 say, after each step; fencing tokens count the claims of their own row."""
    store = await stores.file()
    await enqueued(store, "one", slot=JOIN)
    first = await claimed(store)
    held = (first.claim_id, "owner-a", first.lease_token)
    assert first.claim_id.startswith("qwc:1:1")
    assert query(stores.path, CLAIM_COLUMNS) == [(*held, 1, NOW_MS, NOW_MS + TTL_MS)]
    clock.advance(10)
    await store.renew_queued_work_claim(first, TTL_MS)
    assert query(stores.path, CLAIM_COLUMNS) == [(*held, 1, NOW_MS, NOW_MS + 10 + TTL_MS)]
    await store.abandon_queued_work_claim(first)
    assert query(stores.path, CLAIM_COLUMNS) == [(None, None, None, 1, 0, 0)]
    await enqueued(store, "two", slot=JOIN)
    second = await claimed(store, "owner-b")
    assert second.fencing_token == 2
    held = (second.claim_id, "owner-b", second.lease_token)
    times = (NOW_MS + 10, NOW_MS + 10 + TTL_MS)
    assert query(stores.path, CLAIM_COLUMNS) == [(*held, 2, *times), (*held, 1, *times)]
    await store.commit_runtime_state(root_commit().completing_queue_claims([second.completion()]))
    assert query(stores.path, CLAIM_COLUMNS) == []
    assert query(stores.path, "SELECT * FROM queued_work_items") == []


async def test_the_blobs_of_a_checkpoint(stores: Stores) -> None:
    """Contents, keys and descriptors of appendix A.2 and 3.10."""
    turn = SessionCheckpoint.from_json(vectors.text("manifest_m2.json")).turn_state
    checkpoint = HydratedSessionCheckpoint(
        turn,
        tool_state=tools(3),
        plugin_snapshot=NO_PLUGINS,
        plugin_snapshot_revision=12,
        execution_state=b"\xde\xad\xbe\xef",
    )
    async with await stores.file() as store:
        ref, manifest = await store.put_checkpoint(checkpoint)
        assert (await store.put_checkpoint(checkpoint)) == (ref, manifest)
    children = {
        "ToolState": vectors.binary("tool_state"),
        "PluginSessionSnapshot": vectors.binary("plugin_snapshot_empty"),
        "ExecutionStateSnapshot": vectors.binary("execution_state"),
    }
    refs = {kind: hashlib.sha256(content).hexdigest() for kind, content in children.items()}
    for kind, content in children.items():
        assert stored_envelope(stores.path, refs[kind]) == {
            "descriptor": {"kind": kind, "hints": ["Compressible", "LargePayload"]},
            "compression": "None",
            "content": content,
        }
    content = alpha40.manifest_content(refs["ToolState"], refs["PluginSessionSnapshot"], refs["ExecutionStateSnapshot"])
    assert ref == hashlib.sha256(content).hexdigest()
    assert stored_envelope(stores.path, ref) == {
        "descriptor": {"kind": "CheckpointManifest", "hints": ["Compressible"]},
        "compression": "None",
        "content": content,
    }
    assert len(query(stores.path, "SELECT hash FROM blobs")) == 4


async def test_a_checkpoint_with_given_refs_is_the_manifest_of_the_appendix(stores: Stores) -> None:
    """Refs are kept (4.23) where their blobs are stored; an empty execution state is a value."""
    async with await stores.file() as store:
        _, first = await store.put_checkpoint(HydratedSessionCheckpoint(execution_state=b"", tool_state=tools(3)))
        _, second = await store.put_checkpoint(
            HydratedSessionCheckpoint(
                PersistedTurnState(turn_index=1),
                tool_state_ref=first.tool_state_ref,
                execution_state_ref=first.execution_state_ref,
            )
        )
    assert first.execution_state_ref == hashlib.sha256(b"\x90").hexdigest()
    assert second == msgspec.structs.replace(first, turn_state=PersistedTurnState(turn_index=1))


async def test_the_rows_of_usage(stores: Stores) -> None:
    entries = [used("turn", "m", 1, 2, 3, 4), used("x", "é", -(2**63), 2**63 - 1, 0, -1)]
    async with await stores.file() as store:
        await store.commit_runtime_state(commit_of(session_state(), entries))
    assert query(stores.path, "SELECT * FROM usage_deltas") == [
        (1, "turn", "m", 1, 2, 3, 4),
        (2, "x", "é", -(2**63), 2**63 - 1, 0, -1),
    ]
    assert entries[1].usage == TokenUsage(-(2**63), 2**63 - 1, 0, -1)


async def test_the_rows_of_attachments(stores: Stores, clock: ManualClock) -> None:
    async with await stores.file() as store:
        await store.record_intent(intent("a"))
        await store.record_intent(intent("b", at_ms=0, session="other"))
        clock.advance(3)
        await store.commit_runtime_state(root_commit().with_committed_attachments(["a", "b", "unknown"]))
    assert query(stores.path, "SELECT * FROM attachment_manifest ORDER BY 1") == [
        ("a", "root", "sha256:a", 100, NOW_MS + 3),
        ("b", "other", "sha256:b", 0, None),
    ]
