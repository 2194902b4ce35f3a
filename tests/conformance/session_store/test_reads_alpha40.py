"""Files of lash v0.1.0-alpha.40 are read, and carried on; what is not touched keeps its rows."""

import msgspec
import pytest

from lash_store import (
    ActivePath,
    Append,
    CausalRefToolCall,
    GcOutcome,
    MergeKeyGroup,
    MergeKeyPayloadDefault,
    QueuedWorkClaim,
    RuntimeCommitResult,
    SessionBindingMismatch,
    SessionGraph,
    SessionHeadMeta,
    SessionMeta,
    SessionNodeRecord,
    SessionRelationChild,
    SessionRelationRoot,
    Store,
    load_persisted_session_state,
)
from tests.conformance.session_store import alpha40
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import (
    claimed,
    commit_of,
    draft,
    message,
    node_ids,
    root_commit,
    session_state,
    uncommitted,
    used,
)
from tests.conformance.session_store.rows import TABLES, query
from tests.golden import vectors
from tests.golden.test_blob_contents import ONE_PLUGIN

NODES = [
    SessionNodeRecord.from_json(vectors.text(f"{name}.json"))
    for name in ("node_message", "node_protocol", "node_plugin")
]


@pytest.fixture(params=["writable", "read-only"])
async def alpha(request: pytest.FixtureRequest, stores: Stores) -> Store:
    """A handle on a file of alpha.40; the read-only one has had no chance to add anything to it."""
    alpha40.write_session(stores.path)
    return await (stores.readonly() if request.param == "read-only" else stores.file())


async def test_its_session_is_loaded(alpha: Store, stores: Stores) -> None:
    read = await alpha.load_session()
    assert read is not None
    head = SessionHeadMeta.from_json(vectors.text("head_two_frames.json"))
    assert (read.session_id, read.head_revision, read.config) == ("root", 1, head.config)
    assert read.agent_frames == head.agent_frames
    assert read.current_agent_frame_id == "f2"
    assert read.graph == SessionGraph(NODES, "m1")
    assert read.token_ledger == [used("turn", "m", 11, 22, 33, 44)]
    ((ref,),) = query(stores.path, "SELECT json_extract(head_json, '$.checkpoint_ref') FROM session_head")
    assert read.checkpoint_ref == ref
    checkpoint = read.checkpoint
    assert checkpoint is not None
    assert checkpoint.tool_state == {"generation": 3, "tools": {}}
    assert checkpoint.plugin_snapshot == ONE_PLUGIN
    assert (checkpoint.plugin_snapshot_revision, checkpoint.execution_state) == (12, b"\xde\xad\xbe\xef")
    turn = msgspec.json.decode(vectors.text("manifest_m2.json"))["turn_state"]
    assert msgspec.json.decode(checkpoint.turn_state.to_json()) == turn


async def test_its_paths_are_loaded(alpha: Store) -> None:
    for leaf, path in (("plugin:1", ["m1", "protocol:1", "plugin:1"]), ("gone", []), (None, ["m1"])):
        read = await alpha.load_session(ActivePath(leaf))
        assert read is not None
        assert node_ids(read.graph.nodes) == path
        assert read.graph.leaf_node_id == (leaf or "m1")
    assert await alpha.load_node("gone") is None
    assert await alpha.load_node("protocol:1") == NODES[1]


async def test_its_meta_and_picker_info_are_loaded(alpha: Store) -> None:
    relation = SessionRelationChild("p", CausalRefToolCall("p", "c"))
    meta = SessionMeta("root", "Alpha", "unix:1700000000", "m", "/srv/app", relation)
    assert await alpha.load_session_meta() == meta
    info = await alpha.load_picker_info()
    assert info is not None
    assert (info.session_id, info.cwd, info.relation, info.parent_session_id) == ("root", "/srv/app", relation, "p")
    assert (info.user_message_count, info.first_user_message) == (1, "é")


async def test_its_queue_is_listed(alpha: Store) -> None:
    first, second = await alpha.list_queued_work("root")
    assert (first.batch_id, first.source_key, first.merge_key) == (
        alpha40.KEYED_BATCH,
        "source:first",
        MergeKeyGroup("g"),
    )
    assert [item.payload.to_json().decode() for item in first.items] == [
        vectors.text(f"payload_{name}.json")
        for name in ("turn_input_full", "turn_input_smallest", "process_wake", "session_command")
    ]
    assert (second.batch_id, second.source_key) == (alpha40.KEYLESS_BATCH, None)
    assert second.merge_key == MergeKeyPayloadDefault()
    assert await alpha.list_pending_queued_work("root") == [first, second]
    assert await uncommitted(alpha) == ["a"]


def claim_of_alpha(batches: list[str]) -> QueuedWorkClaim:
    """The claim that its owner holds, as alpha.40 gave it out."""
    return QueuedWorkClaim.from_json(
        msgspec.json.encode(
            {
                "session_id": "root",
                "claim_id": "qwc:1:1",
                "owner_id": "owner-a",
                "lease_token": alpha40.LEASE_TOKEN,
                "fencing_token": 1,
                "claimed_at_epoch_ms": alpha40.CLAIMED_AT_MS,
                "expires_at_epoch_ms": alpha40.CLAIMED_AT_MS + alpha40.LEASE_MS,
                "batches": [msgspec.Raw(batch) for batch in batches],
            }
        )
    )


async def test_its_claim_can_be_renewed_and_completed(stores: Stores) -> None:
    alpha40.write_session(stores.path)
    stores.clock.now = alpha40.CLAIMED_AT_MS + 1
    store = await stores.file()
    (first, _) = await store.list_queued_work("root")
    claim = await store.renew_queued_work_claim(claim_of_alpha([first.to_json().decode()]), alpha40.LEASE_MS)
    assert claim.expires_at_epoch_ms == stores.clock.now + alpha40.LEASE_MS
    result = await store.commit_runtime_state(
        root_commit(expected_head_revision=1).completing_queue_claims([claim.completion()])
    )
    assert result.head_revision == 2
    assert [batch.batch_id for batch in await store.list_queued_work("root")] == [alpha40.KEYLESS_BATCH]


async def test_its_expired_claim_is_taken_over(stores: Stores) -> None:
    alpha40.write_session(stores.path)
    stores.clock.now = alpha40.CLAIMED_AT_MS + alpha40.LEASE_MS
    store = await stores.file()
    claim = await claimed(store, "owner-b")
    assert [batch.batch_id for batch in claim.batches] == [alpha40.KEYED_BATCH]
    assert claim.fencing_token == 2
    again = await store.enqueue_queued_work(draft("other", key="source:first"))
    assert again.batch_id == alpha40.KEYED_BATCH


async def test_its_turn_is_replayed(stores: Stores) -> None:
    """The hash of appendix A.5 stands for a commit of State(root), whoever computed it."""
    alpha40.write_session(stores.path)
    store = await stores.file()
    stored = RuntimeCommitResult.from_json(vectors.text("commit_result.json"))
    assert await store.commit_runtime_state(root_commit().with_turn_commit("turn-1")) == stored
    assert query(stores.path, "SELECT head_revision FROM session_head") == [(1,)]


async def test_the_session_of_a_head_is_that_in_its_text(stores: Stores) -> None:
    """The column beside it is a copy that is never read back (2.2)."""
    alpha40.create(stores.path)
    text = vectors.text("head_two_frames.json").replace('{"session_id":"root"', '{"session_id":"alpha"', 1)
    alpha40.insert(stores.path, "session_head", singleton=1, head_json=text.replace('"checkpoint_ref":"cc",', ""))
    store = await stores.file()
    read = await store.load_session()
    assert read is not None
    assert read.session_id == "alpha"
    with pytest.raises(SessionBindingMismatch) as caught:
        await store.commit_runtime_state(root_commit())
    assert caught.value.bound_session_id == "alpha"
    assert (await store.commit_runtime_state(commit_of(session_state("alpha")))).head_revision == 1


async def test_its_state_is_carried_on(stores: Stores) -> None:
    """Load, add a node, commit: what the turn did not touch keeps its rows, and refs stay what they were."""
    ref = alpha40.write_session(stores.path)
    store = await stores.file()
    state = await load_persisted_session_state(store)
    assert state is not None
    blobs = query(stores.path, "SELECT * FROM blobs ORDER BY hash")
    commit = msgspec.structs.replace(
        commit_of(state, expected=1), graph=Append([message("m2", "m1", text="next")], "m2")
    )
    result = await store.commit_runtime_state(commit)
    assert (result.head_revision, result.checkpoint_ref) == (2, ref)
    assert query(stores.path, "SELECT * FROM blobs ORDER BY hash") == blobs
    rows = query(stores.path, "SELECT seq, node_id, node_json FROM graph_nodes ORDER BY seq")
    assert rows[:3] == [(index + 1, node.node_id, node.to_json().decode()) for index, node in enumerate(NODES)]
    assert rows[4][:2] == (5, "m2")
    report = await store.gc_unreachable()
    assert (report.outcome, report.deleted_blob_count) == (GcOutcome.SWEPT, 0)
    info = await store.load_picker_info()
    assert info is not None
    assert (info.user_message_count, info.first_user_message) == (2, "é")


async def test_opening_its_file_leaves_every_row_as_it_was(stores: Stores) -> None:
    alpha40.write_session(stores.path)
    before = {table: query(stores.path, f"SELECT * FROM {table}") for table in TABLES}
    async with await stores.file() as store:
        await store.load_session()
    assert {table: query(stores.path, f"SELECT * FROM {table}") for table in TABLES} == before
    assert query(stores.path, "PRAGMA user_version") == [(3,)]


async def test_a_meta_without_relation_is_that_of_a_root(stores: Stores) -> None:
    alpha40.create(stores.path)
    alpha40.insert(
        stores.path,
        "session_meta",
        singleton=1,
        session_id="root",
        session_name="n",
        created_at="c",
        model="m",
    )
    meta = await (await stores.file()).load_session_meta()
    assert meta == SessionMeta("root", "n", "c", "m", None, SessionRelationRoot())
