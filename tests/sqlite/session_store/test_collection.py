"""Collection of blobs: what stays, what goes, and when nothing goes (specification 4.19; weaknesses 3 and 6 to 11)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from lash_store.codecs.content_hash import content_hash
from lash_store.errors import BlobMissing, StoreCorrupt, StoreReadOnly
from lash_store.records.artifacts import TOOL_STATE, BlobProfile, GcOutcome, GcReport
from lash_store.records.checkpoint import HydratedSessionCheckpoint
from lash_store.records.conversation import PruneStateDeleted, PruneStateSummarized
from lash_store.records.graph import SessionGraph
from lash_store.records.usage import PersistedTurnState
from lash_store.sqlite.ops import gc
from lash_store.sqlite.session_store.store import Store
from tests.sqlite.session_store.rig import (
    ORPHAN,
    ORPHAN_REF,
    chain,
    commit,
    execute,
    node,
    open_store,
    rows,
    state_of,
    stored_refs,
)

PLUGINS: dict[str, Any] = {"plugins": {}}
TOOLS_3 = {"generation": 3, "tools": {}}
# The snapshots of scenario 42, and the hashes of appendix A.2 for them.
SNAPSHOTS: dict[str, Any] = {
    "tool_state": TOOLS_3,
    "plugin_snapshot": PLUGINS,
    "plugin_snapshot_revision": 5,
    "execution_state": b"\xde\xad\xbe\xef",
}
CHILDREN = {
    "ed2bdb993c6405a951dd57fb3d9240d5b2f793db7af595e6109c6bfef1dbcc84",
    "b678dd4fc5f9071190cf33cdc965c934ff1b2518b98fc18b843964421d376843",
    "f7b348c3a567f46f5c72f8870284f901284fa2ca1a3a79688574bdfb88037d59",
}


@pytest_asyncio.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with await open_store(None if request.param == "memory" else tmp_path / "store.db") as opened:
        yield opened


async def test_an_empty_store_has_nothing_to_collect(store: Store) -> None:
    assert await store.gc_unreachable() == GcReport()


async def test_the_head_keeps_its_checkpoint(store: Store) -> None:
    """Scenario 42."""
    await store.put_artifact_blob(TOOL_STATE, ORPHAN)
    committed = await commit(store, **SNAPSHOTS)
    report = await store.gc_unreachable()
    assert (report.outcome, report.deleted_blob_count, report.blocked_by) == (GcOutcome.SWEPT, 1, None)
    assert (report.root_count, report.retained_blob_count) == (1, 4)
    assert report.freed_byte_count > len(ORPHAN)
    assert await stored_refs(store) == {committed.checkpoint_ref, *CHILDREN}
    checkpoint = await store.get_checkpoint(committed.checkpoint_ref)
    assert checkpoint is not None
    assert (checkpoint.tool_state, checkpoint.plugin_snapshot, checkpoint.execution_state) == (
        TOOLS_3,
        PLUGINS,
        b"\xde\xad\xbe\xef",
    )


async def test_a_checkpoint_that_a_saved_head_names_is_kept(store: Store) -> None:
    """Scenario 48."""
    hydrated = HydratedSessionCheckpoint(
        turn_state=PersistedTurnState(turn_index=1),
        tool_state={"generation": 7, "tools": {}},
        plugin_snapshot=PLUGINS,
        plugin_snapshot_revision=11,
    )
    checkpoint_ref, manifest = await store.put_checkpoint(hydrated)
    await commit(store)
    head = await store.load_session_head_meta()
    assert head is not None
    await store.save_session_head_meta(msgspec.structs.replace(head, checkpoint_ref=checkpoint_ref))
    assert (await store.gc_unreachable()).deleted_blob_count == 1  # the manifest of the commit above
    await store.put_blob(ORPHAN)

    assert (await store.gc_unreachable()).deleted_blob_count == 1
    assert await stored_refs(store) == {checkpoint_ref, manifest.tool_state_ref, manifest.plugin_snapshot_ref}
    kept = await store.get_checkpoint(checkpoint_ref)
    assert kept is not None
    assert kept.tool_state == {"generation": 7, "tools": {}}


async def test_what_a_commit_replaces_is_collected(store: Store) -> None:
    first = await commit(store, **SNAPSHOTS)
    second = await commit(store, turn_index=1, **{**SNAPSHOTS, "execution_state": b"other"})
    report = await store.gc_unreachable()
    assert (report.root_count, report.retained_blob_count, report.deleted_blob_count) == (1, 4, 2)
    left = await stored_refs(store)
    assert first.checkpoint_ref not in left
    assert {second.checkpoint_ref, second.manifest.tool_state_ref, second.manifest.execution_state_ref} <= left


async def test_artifacts_are_kept_until_they_are_replaced(store: Store) -> None:
    await store.put_module_artifact(b'{"module_ref":"m"}')
    await store.put_module_artifact(b'{"module_ref":"n"}')
    assert await store.gc_unreachable() == GcReport(2, 2, 0)
    await store.put_module_artifact(b'{"module_ref":"m","exports":{}}')
    assert (await store.gc_unreachable()).deleted_blob_count == 1
    assert await store.get_module_artifact("n") == b'{"module_ref":"n"}'
    assert await store.get_module_artifact("m") == b'{"module_ref":"m","exports":{}}'


async def test_the_execution_state_of_a_frame_is_kept(store: Store) -> None:
    """Weakness 9: a frame that was superseded names a state which no manifest names any more."""
    state_ref = await store.put_blob(ORPHAN)
    state = state_of()
    frames = [msgspec.structs.replace(state.agent_frames[0], execution_state_ref=state_ref)]
    await commit(store, agent_frames=frames)
    assert await store.gc_unreachable() == GcReport(1, 2, 0)
    assert await store.get_blob(state_ref) == ORPHAN


@pytest.mark.parametrize("prune_state", [PruneStateDeleted("b", ORPHAN_REF), PruneStateSummarized("s", ORPHAN_REF)])
async def test_the_archive_of_a_pruned_part_is_kept(
    store: Store, prune_state: PruneStateDeleted | PruneStateSummarized
) -> None:
    """Weakness 9; an archive that lies elsewhere is not counted, and a hidden node keeps nothing."""
    await store.put_blob(ORPHAN)
    pruned = [node("a", prune_state=prune_state), node("b", prune_state=PruneStateDeleted("b", "ab" * 32))]
    await commit(store, graph=SessionGraph(pruned, "b"))
    assert await store.gc_unreachable() == GcReport(1, 2, 0)
    await store.tombstone_nodes(["a"])
    report = await store.gc_unreachable()
    assert (report.retained_blob_count, report.deleted_blob_count) == (1, 1)


async def test_hashes_that_are_not_stored_count_as_retained(store: Store) -> None:
    committed = await commit(store, **SNAPSHOTS)
    await execute(store, "DELETE FROM blobs WHERE hash <> ?1", committed.checkpoint_ref)
    assert await store.gc_unreachable() == GcReport(1, 4, 0)


@pytest.mark.parametrize("head_json", ["{}", "not json", ""])
async def test_an_unreadable_head_stops_the_collection(store: Store, head_json: str) -> None:
    """Weakness 7."""
    await commit(store, **SNAPSHOTS)
    await store.put_module_artifact(b'{"module_ref":"m"}')
    await store.put_blob(ORPHAN)
    before = await stored_refs(store)
    await execute(store, "UPDATE session_head SET head_json = ?1", head_json)
    assert await store.gc_unreachable() == GcReport(
        1, 1, 0, GcOutcome.ABORTED_UNREADABLE_HEAD, blocked_by="session_head"
    )
    assert await stored_refs(store) == before


async def test_a_head_that_is_no_utf8_stops_the_collection(store: Store) -> None:
    await commit(store)
    await execute(store, "UPDATE session_head SET head_json = CAST(x'7bff7d' AS TEXT)")
    assert (await store.gc_unreachable()).outcome is GcOutcome.ABORTED_UNREADABLE_HEAD


@pytest.mark.parametrize("profile", [BlobProfile.LOW_LATENCY, BlobProfile.COMPACT])
async def test_a_damaged_manifest_stops_the_collection(profile: BlobProfile) -> None:
    """Scenario 47 and weakness 8; under `compact` the manifest is compressed, and its stream cut short."""
    async with await open_store(None, profile=profile) as store:
        options = {"protocol_turn_options": {"payload": {"text": "x" * 2000}}}
        turn = PersistedTurnState.from_json(msgspec.json.encode({"turn_index": 1, **options}))
        committed = await commit(store, **SNAPSHOTS, protocol_turn_options=turn.protocol_turn_options)
        await store.put_blob(ORPHAN)
        before = await stored_refs(store)
        ref = committed.checkpoint_ref
        ((stored,),) = await rows(store, "SELECT content FROM blobs WHERE hash = ?1", ref)
        assert (b"Zlib" in stored) is (profile is BlobProfile.COMPACT)
        damaged = bytearray(stored)
        damaged[-40] ^= 1
        await execute(store, "UPDATE blobs SET content = ?1 WHERE hash = ?2", bytes(damaged), ref)
        assert await store.gc_unreachable() == GcReport(1, 1, 0, GcOutcome.ABORTED_UNREADABLE_MANIFEST, blocked_by=ref)
        assert await stored_refs(store) == before


async def test_a_missing_manifest_stops_the_collection(store: Store) -> None:
    committed = await commit(store, **SNAPSHOTS)
    await execute(store, "DELETE FROM blobs WHERE hash = ?1", committed.checkpoint_ref)
    report = await store.gc_unreachable()
    assert (report.outcome, report.blocked_by) == (GcOutcome.ABORTED_MISSING_MANIFEST, committed.checkpoint_ref)
    assert await stored_refs(store) == CHILDREN


async def test_an_artifact_reference_that_is_no_utf8_is_an_error(store: Store) -> None:
    await store.put_blob(ORPHAN)
    await execute(store, "INSERT INTO artifact_refs VALUES ('m', CAST(x'ff' AS TEXT))")
    for refused in (store.gc_unreachable(), store.get_module_artifact("m")):
        with pytest.raises(StoreCorrupt):
            await refused
    assert await stored_refs(store) == {ORPHAN_REF}


async def test_failures_are_raised(tmp_path: Path) -> None:
    """Weakness 3: zeros mean that there is nothing to do."""
    async with await open_store(tmp_path / "store.db") as store:
        await store.put_blob(ORPHAN)
    async with await Store.open_readonly(tmp_path / "store.db") as store:
        with pytest.raises(StoreReadOnly):
            await store.gc_unreachable()


@pytest.mark.parametrize("length", [1, gc.SLICE_BYTES // 2])
async def test_slices_add_up(store: Store, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices end by their number of rows, or by their bytes; needed blobs lie between them."""
    monkeypatch.setattr(gc, "SLICE_ROWS", 3)
    contents = [bytes([number]) * length for number in range(8)]
    for content in contents:
        await store.put_blob(content)
    committed = await commit(store, **SNAPSHOTS)
    commits = store.stats().commits
    report = await store.gc_unreachable()
    assert (report.deleted_blob_count, report.freed_byte_count) == (8, 8 * length)
    assert store.stats().commits - commits == (3 if length == 1 else 4)
    assert await stored_refs(store) == {committed.checkpoint_ref, *CHILDREN}


async def test_a_head_that_moves_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weakness 10: between the look and the sweep another handle commits what was garbage until then."""
    async with (
        await open_store(tmp_path / "store.db") as store,
        await open_store(tmp_path / "store.db") as other,
    ):
        first = await commit(store, **SNAPSHOTS)
        await commit(store, turn_index=1)
        await store.put_blob(ORPHAN)
        prepare = gc.prepare_sweep
        looks: list[gc.Survey] = []

        def overtaken(found: gc.Survey) -> object:
            looks.append(found)
            return prepare(found)

        async def run(plan: Any) -> Any:
            if len(looks) == 1:
                assert set(looks[0].garbage) > CHILDREN
                await commit(other, **SNAPSHOTS)
            return await Store._run(store, plan)

        monkeypatch.setattr(gc, "prepare_sweep", overtaken)
        monkeypatch.setattr(store, "_run", run)
        report = await store.gc_unreachable()
        assert len(looks) == 2
        assert (report.outcome, report.deleted_blob_count) == (GcOutcome.SWEPT, 2)
        assert await stored_refs(store) == {first.checkpoint_ref, *CHILDREN}


async def test_a_collection_that_is_always_overtaken_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        await open_store(tmp_path / "store.db") as store,
        await open_store(tmp_path / "store.db") as other,
    ):
        await store.put_blob(ORPHAN)

        async def run(plan: Any) -> Any:
            await commit(other)
            return await Store._run(store, plan)

        monkeypatch.setattr(store, "_run", run)
        report = await store.gc_unreachable()
        assert (report.outcome, report.root_count, report.deleted_blob_count) == (GcOutcome.OVERTAKEN, 1, 0)
        assert await store.get_blob(ORPHAN_REF) == ORPHAN


async def test_an_artifact_put_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b'{"module_ref":"m"}'
    async with (
        await open_store(tmp_path / "store.db") as store,
        await open_store(tmp_path / "store.db") as other,
    ):
        await store.put_blob(data)
        await store.put_blob(ORPHAN)

        async def run(plan: Any) -> Any:
            await other.put_module_artifact(data)
            return await Store._run(store, plan)

        monkeypatch.setattr(store, "_run", run)
        assert (await store.gc_unreachable()).deleted_blob_count == 1
        assert await store.get_module_artifact("m") == data


async def test_a_node_appended_meanwhile_keeps_its_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        await open_store(tmp_path / "store.db") as store,
        await open_store(tmp_path / "store.db") as other,
    ):
        await commit(store, graph=chain("a"))
        await store.put_blob(ORPHAN)
        appended = [node("b", "a", PruneStateDeleted("b", ORPHAN_REF))]

        async def run(plan: Any) -> Any:
            if appended:
                await other.append_session_graph_nodes([appended.pop()])
            return await Store._run(store, plan)

        monkeypatch.setattr(store, "_run", run)
        assert (await store.gc_unreachable()).deleted_blob_count == 0
        assert await store.get_blob(ORPHAN_REF) == ORPHAN


async def test_a_blob_collected_before_it_is_referred_to_is_missed_by_the_commit(store: Store) -> None:
    """Weakness 10, what remains of it: nothing dangles, the commit says what it lacks."""
    await commit(store)
    ref = await store.put_artifact_blob(TOOL_STATE, msgspec.msgpack.encode(TOOLS_3))
    assert (await store.gc_unreachable()).deleted_blob_count == 1
    with pytest.raises(BlobMissing) as raised:
        await commit(store, tool_state_ref=ref)
    assert raised.value.ref == ref


async def test_a_handle_that_knew_a_blob_writes_it_again_after_its_collection(store: Store) -> None:
    """A commit leaves out contents that its handle has written before, unless they are gone."""
    for snapshots in (SNAPSHOTS, {"turn_index": 1}):
        await commit(store, **snapshots)
        await store.gc_unreachable()
    committed = await commit(store, **SNAPSHOTS)
    checkpoint = await store.get_checkpoint(committed.checkpoint_ref)
    assert checkpoint is not None
    assert (checkpoint.tool_state, checkpoint.execution_state) == (TOOLS_3, b"\xde\xad\xbe\xef")


def test_the_orphan_is_that_of_the_specification() -> None:
    """Appendix A.3."""
    assert content_hash(ORPHAN) == ORPHAN_REF == "88f6811ab5d8fc6d3177f9b7609ae0fcebfda187e5046b62d38bb539e88b74d7"
