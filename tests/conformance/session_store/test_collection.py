"""Scenarios 42 and 47 to 49: what a collection removes, and what it never does."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from lash_store import (
    BlobProfile,
    ConversationRecord,
    FullGraph,
    GcOutcome,
    GcReport,
    HydratedSessionCheckpoint,
    MessagePart,
    MessageRole,
    PartKind,
    PersistedArtifactKind,
    PersistedSessionConfig,
    PersistedTurnState,
    PruneStateDeleted,
    ReplaceFull,
    RuntimeCommitResult,
    SessionGraph,
    SessionHead,
    SessionNodePayloadEvent,
    SessionNodeRecord,
    Store,
)
from tests.conformance.session_store.artifacts import ARTIFACT, MODULE_REF
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import (
    CREATED,
    MODEL,
    NO_PLUGINS,
    commit_of,
    descriptor,
    message,
    root_commit,
    session_state,
    tools,
)
from tests.conformance.session_store.rows import change, everything, query

TOOL_STATE_3 = "ed2bdb993c6405a951dd57fb3d9240d5b2f793db7af595e6109c6bfef1dbcc84"
EMPTY_PLUGINS = "b678dd4fc5f9071190cf33cdc965c934ff1b2518b98fc18b843964421d376843"
EXECUTION = "f7b348c3a567f46f5c72f8870284f901284fa2ca1a3a79688574bdfb88037d59"


async def orphan_in(store: Store) -> str:
    return await store.put_artifact_blob(descriptor(PersistedArtifactKind.PLUGIN_SESSION_SNAPSHOT), b"orphan")


async def live_session(store: Store) -> RuntimeCommitResult:
    """The commit of scenario 42: a manifest with all three children (their refs as in appendix A.2)."""
    state = session_state()
    state.tool_state = tools(3)
    state.plugin_snapshot, state.plugin_snapshot_revision = NO_PLUGINS, 5
    state.set_execution_state(b"\xde\xad\xbe\xef")
    result = await store.commit_runtime_state(commit_of(state, expected=0))
    manifest = result.manifest
    assert (manifest.tool_state_ref, manifest.plugin_snapshot_ref) == (TOOL_STATE_3, EMPTY_PLUGINS)
    assert (manifest.execution_state_ref, manifest.plugin_snapshot_revision) == (EXECUTION, 5)
    return result


async def require_live(store: Store, result: RuntimeCommitResult) -> None:
    for ref in (result.checkpoint_ref, TOOL_STATE_3, EMPTY_PLUGINS, EXECUTION):
        assert await store.get_blob(ref) is not None
    checkpoint = await store.get_checkpoint(result.checkpoint_ref)
    assert checkpoint is not None
    assert (checkpoint.tool_state, checkpoint.plugin_snapshot) == (tools(3), NO_PLUGINS)
    assert checkpoint.execution_state == b"\xde\xad\xbe\xef"


async def test_scenario_42_an_orphan_goes_and_what_lives_stays(store: Store) -> None:
    orphan = await orphan_in(store)
    result = await live_session(store)
    report = await store.gc_unreachable()
    assert (report.outcome, report.deleted_blob_count) == (GcOutcome.SWEPT, 1)
    assert (report.root_count, report.retained_blob_count) == (1, 4)
    assert await store.get_blob(orphan) is None
    await require_live(store, result)


async def spoil(path: Path, result: RuntimeCommitResult, how: str) -> None:
    """Make the live manifest one that cannot be read, in the ways that upstream's collector meets."""
    if how == "no envelope":
        change(path, "UPDATE blobs SET content = x'00ff' WHERE hash = ?", result.checkpoint_ref)
    elif how == "damaged zlib stream":
        broken = {
            "descriptor": {"kind": "CheckpointManifest", "hints": ["Compressible"]},
            "compression": "Zlib",
            "content": list(b"no zlib stream"),
        }
        change(
            path, "UPDATE blobs SET content = ? WHERE hash = ?", msgspec.msgpack.encode(broken), result.checkpoint_ref
        )
    else:
        content = b"\x81" + msgspec.msgpack.encode("turn_state") + b"\xc0"
        ref = hashlib.sha256(content).hexdigest()
        change(path, "INSERT INTO blobs VALUES (?, ?)", ref, content)
        change(path, "UPDATE session_head SET head_json = replace(head_json, ?, ?)", result.checkpoint_ref, ref)


@pytest.mark.parametrize("how", ["no envelope", "damaged zlib stream", "another value"])
async def test_scenario_47_an_unreadable_manifest_stops_the_collection(stores: Stores, how: str) -> None:
    """The call does not fail, and nothing is deleted. The report says so, upstream's does not (weaknesses 3, 8)."""
    store = await stores.file()
    orphan = await orphan_in(store)
    await spoil(stores.path, await live_session(store), how)
    before = (await everything(store))["blobs"]
    report = await store.gc_unreachable()
    assert report.outcome is GcOutcome.ABORTED_UNREADABLE_MANIFEST
    assert report.outcome.aborted
    assert report.deleted_blob_count == 0
    assert (await everything(store))["blobs"] == before
    assert await store.get_blob(orphan) == b"orphan"


@pytest.mark.parametrize("head", ["{}", "no json", '{"config":1}'])
async def test_an_unreadable_head_stops_the_collection(stores: Stores, head: str) -> None:
    """Weakness 7: upstream takes such a head for none and deletes every live blob."""
    store = await stores.file()
    await live_session(store)
    change(stores.path, "UPDATE session_head SET head_json = ?", head)
    before = (await everything(store))["blobs"]
    report = await store.gc_unreachable()
    assert (report.outcome, report.deleted_blob_count) == (GcOutcome.ABORTED_UNREADABLE_HEAD, 0)
    assert (await everything(store))["blobs"] == before


async def test_a_missing_manifest_stops_the_collection(stores: Stores) -> None:
    """Section 4.19 would skip it and delete its children, which nothing names any more; in doubt nothing is deleted."""
    store = await stores.file()
    result = await live_session(store)
    change(stores.path, "DELETE FROM blobs WHERE hash = ?", result.checkpoint_ref)
    report = await store.gc_unreachable()
    assert (report.outcome, report.deleted_blob_count) == (GcOutcome.ABORTED_MISSING_MANIFEST, 0)
    assert len((await everything(store))["blobs"]) == 3


async def test_scenario_48_a_checkpoint_made_the_head(store: Store) -> None:
    turn = PersistedTurnState(turn_index=1)
    checkpoint = HydratedSessionCheckpoint(
        turn, tool_state=tools(7), plugin_snapshot=NO_PLUGINS, plugin_snapshot_revision=11
    )
    ref, manifest = await store.put_checkpoint(checkpoint)
    config = PersistedSessionConfig("openai-compatible", MODEL)
    await store.save_session_head(SessionHead(session_id="root", config=config, checkpoint_ref=ref))
    orphan = await orphan_in(store)
    report = await store.gc_unreachable()
    assert (report.root_count, report.retained_blob_count, report.deleted_blob_count) == (1, 3, 1)
    assert await store.get_blob(orphan) is None
    for child in (ref, manifest.tool_state_ref, manifest.plugin_snapshot_ref):
        assert child is not None
        assert await store.get_blob(child) is not None
    assert await store.get_checkpoint(ref) == HydratedSessionCheckpoint(
        turn,
        tool_state_ref=manifest.tool_state_ref,
        tool_state=tools(7),
        plugin_snapshot_ref=EMPTY_PLUGINS,
        plugin_snapshot=NO_PLUGINS,
        plugin_snapshot_revision=11,
    )
    read = await store.load_session(FullGraph())
    assert read is not None
    assert read.config == config


async def test_scenario_49_a_commit_collects_by_itself(stores: Stores) -> None:
    for store in (
        await stores.memory(blob_profile=BlobProfile.LOW_LATENCY, auto_gc_every_commits=1),
        await stores.file(auto_gc_every_commits=1),
    ):
        orphan = await orphan_in(store)
        result = await store.commit_runtime_state(commit_of(session_state("auto-gc")))
        assert await store.get_blob(orphan) is None
        assert await store.get_blob(result.checkpoint_ref) is not None


async def test_the_rhythm_of_automatic_collection_is_that_of_commits(stores: Stores) -> None:
    """Weakness 15: upstream counts enqueues too, so with an interval of 2 and one enqueue a commit it never runs."""
    store = await stores.memory(auto_gc_every_commits=2)
    gone = []
    for _ in range(4):
        orphan = await orphan_in(store)
        await store.commit_runtime_state(commit_of(session_state()))
        gone.append(await store.get_blob(orphan) is None)
    assert gone == [False, True, False, True]


async def test_artifacts_are_roots_and_count_as_often_as_they_are_named(stores: Stores) -> None:
    store = await stores.file()
    await store.put_module_artifact(ARTIFACT)
    raw = await store.put_blob(b"raw")
    ((blob_ref,),) = query(stores.path, "SELECT blob_ref FROM artifact_refs")
    change(stores.path, "INSERT INTO artifact_refs VALUES ('again', ?)", blob_ref)
    change(stores.path, "INSERT INTO artifact_refs VALUES ('dangling', ?)", "0" * 64)
    report = await store.gc_unreachable()
    assert (report.root_count, report.deleted_blob_count, report.outcome) == (3, 1, GcOutcome.SWEPT)
    assert await store.get_blob(raw) is None
    assert await store.get_module_artifact(MODULE_REF) == ARTIFACT


async def test_an_empty_store_has_nothing_to_collect(store: Store) -> None:
    assert await store.gc_unreachable() == GcReport()


def archived(node_id: str, archive: str) -> SessionNodeRecord:
    """A message whose one part was archived."""
    part = MessagePart(id="p", kind=PartKind.TEXT, content="", prune_state=PruneStateDeleted("b", archive))
    event = ConversationRecord(node_id, MessageRole.USER, [part])
    return SessionNodeRecord(node_id=node_id, timestamp=CREATED, payload=SessionNodePayloadEvent(event))


async def test_what_frames_and_pruned_parts_name_is_kept(store: Store) -> None:
    """Weakness 9: upstream's collector lets them dangle."""
    archive, hidden, state_of_frame = [await store.put_blob(data) for data in (b"archive", b"hidden", b"frame")]
    state = session_state()
    state.agent_frames = [msgspec.structs.replace(state.agent_frames[0], execution_state_ref=state_of_frame)]
    state.graph = SessionGraph([archived("a", archive), archived("b", hidden)], "b")
    await store.commit_runtime_state(commit_of(state))
    assert (await store.gc_unreachable()).deleted_blob_count == 0
    await store.tombstone_nodes(["b"])
    assert (await store.gc_unreachable()).deleted_blob_count == 1
    assert [await store.get_blob(ref) for ref in (archive, hidden, state_of_frame)] == [b"archive", None, b"frame"]


@pytest.mark.parametrize("how", ["commit", "graph", "artifact", "head"])
async def test_what_comes_to_be_needed_during_a_collection_is_kept(stores: Stores, how: str) -> None:
    """Another handle refers to a blob after the collector has looked, and before it deletes."""
    store, other = await stores.file(), await stores.file()
    await store.commit_runtime_state(root_commit(graph=ReplaceFull([message("a")], "a")))
    orphan = await store.put_blob(b"orphan")
    content = await store.put_artifact_blob(descriptor(PersistedArtifactKind.LASHLANG_MODULE), ARTIFACT)
    look, looks = store._read, 0

    async def look_and_be_overtaken(f: Callable[[apsw.Connection], Any]) -> Any:
        nonlocal looks
        found = await look(f)
        looks += 1
        if looks == 1:
            await overtake(other, how, orphan)
        return found

    store._read = look_and_be_overtaken  # type: ignore[method-assign]
    report = await store.gc_unreachable()
    assert report.outcome is GcOutcome.SWEPT
    assert looks > 1
    if how == "artifact":
        assert await other.get_blob(content) == ARTIFACT
    else:
        assert await other.get_blob(orphan) == b"orphan"


async def overtake(other: Store, how: str, ref: str) -> None:
    graph = [archived("b", ref)]
    if how == "commit":
        await other.commit_runtime_state(root_commit(graph=ReplaceFull(graph, "b")))
    elif how == "graph":
        await other.replace_session_graph(SessionGraph(graph, "b"))
    elif how == "artifact":
        await other.put_module_artifact(ARTIFACT)
    else:
        config = PersistedSessionConfig("p", MODEL)
        await other.save_session_head(SessionHead(session_id="root", config=config, graph=SessionGraph(graph, "b")))


async def test_the_lock_is_free_after_an_abort(stores: Stores) -> None:
    store = await stores.file()
    await live_session(store)
    change(stores.path, "UPDATE session_head SET head_json = '{}'")
    await store.gc_unreachable()
    connection = apsw.Connection(str(stores.path))
    connection.execute("BEGIN IMMEDIATE; ROLLBACK")
    connection.close()
