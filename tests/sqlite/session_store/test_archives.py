"""What a stored node or frame names is never collected: archives, execution states (specification 4.19; weakness 9)."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lash_store import GcOutcome, GcReport, Store, StoreReadOnly
from lash_store.codecs.content_hash import content_hash
from lash_store.records.conversation import PruneStateDeleted
from lash_store.records.graph import SessionGraph
from lash_store.sqlite.ops import gc
from tests.sqlite.session_store.rig import ORPHAN, ORPHAN_REF, chain, commit, execute, node, open_store, state_of
from tests.sqlite.session_store.samples import as_lash_does

LATE = next(content for content in (b"archive %d" % n for n in range(1000)) if content_hash(content)[:2] == "ff")
"""A content whose hash comes late, in a slice behind the first."""
LATE_REF = content_hash(LATE)
EXECUTION_STATE = b"\x93\x01\x02\x03"


@pytest.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with await open_store(None if request.param == "memory" else tmp_path / "store.db") as opened:
        yield opened


def pruned(ref: str, node_id: str = "a") -> SessionGraph:
    return SessionGraph([node(node_id, prune_state=PruneStateDeleted("b", ref))], node_id)


async def test_an_archive_put_between_two_slices_is_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await commit(store, graph=pruned(LATE_REF))
    for number in range(2 * gc.SLICE_ROWS):
        await store.put_blob(b"junk %d" % number)
    slices = 0

    async def run(plan: Any) -> Any:
        nonlocal slices
        swept = await Store._run(store, plan)
        slices += 1
        if slices == 1:
            monkeypatch.undo()
            await store.put_blob(LATE)
            monkeypatch.setattr(store, "_run", run)
        return swept

    monkeypatch.setattr(store, "_run", run)
    report = await store.gc_unreachable()
    assert slices > 1
    assert (report.outcome, report.deleted_blob_count) == (GcOutcome.SWEPT, 2 * gc.SLICE_ROWS)
    assert await store.get_blob(LATE_REF) == LATE


async def test_what_is_put_after_the_commit_that_names_it_stays(store: Store) -> None:
    frame = msgspec.structs.replace(state_of().agent_frames[0], execution_state_ref=content_hash(EXECUTION_STATE))
    await commit(store, graph=pruned(ORPHAN_REF), agent_frames=[frame])
    assert await store.gc_unreachable() == GcReport(1, 2, 0)  # the frame's state counts, as a part of a manifest would
    await store.put_blob(ORPHAN)
    await store.put_blob(EXECUTION_STATE)
    assert await store.gc_unreachable() == GcReport(1, 3, 0)
    assert await store.get_blob(ORPHAN_REF) == ORPHAN
    assert await store.get_blob(content_hash(EXECUTION_STATE)) == EXECUTION_STATE


async def test_the_next_collection_reads_new_nodes_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until nodes have gone: then all are looked at again."""
    looks: list[int | None] = []
    read = gc.read_archived

    def watched(connection: Any, *after: int) -> frozenset[str]:
        looks.append(after[0] if after else None)
        return read(connection, *after)

    monkeypatch.setattr(gc, "read_archived", watched)
    await store.put_blob(ORPHAN)
    await commit(store, graph=SessionGraph([*chain("a", "b").nodes, *pruned(ORPHAN_REF, "c").nodes], "b"))
    for _ in range(2):
        assert (await store.gc_unreachable()).deleted_blob_count == 0
    await store.append_session_graph_nodes([node("d", "b", PruneStateDeleted("b", LATE_REF))])
    await store.put_blob(LATE)
    assert (await store.gc_unreachable()).deleted_blob_count == 0
    assert looks == [None, 3]
    await store.tombstone_nodes(["c"])
    assert (await store.gc_unreachable()).deleted_blob_count == 1
    assert looks == [None, 3, None]
    assert await store.get_blob(LATE_REF) == LATE


async def test_an_artifact_that_goes_between_two_collections_is_not_kept(store: Store) -> None:
    """What was read of the graph is kept from one to the next, and nothing else."""
    ref = content_hash(b'{"module_ref":"m"}')
    await commit(store, graph=chain("a"))
    await store.put_module_artifact(b'{"module_ref":"m"}')
    assert (await store.gc_unreachable()).root_count == 2
    await execute(store, "DELETE FROM artifact_refs")
    report = await store.gc_unreachable()
    assert (report.root_count, report.deleted_blob_count) == (1, 1)
    assert await store.get_blob(ref) is None


async def test_a_file_that_only_lash_has_written_can_be_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with await open_store(path) as store:
        await commit(store, graph=pruned(ORPHAN_REF))
    as_lash_does(
        path,
        "DROP TRIGGER lash_graph_size_hidden",
        "DROP TRIGGER lash_graph_size_removed",
        "DROP TABLE lash_graph_size",
    )
    async with await Store.open_readonly(path) as store:
        assert await store.gc_unreachable() == GcReport(1, 1, 0)
    as_lash_does(path, "INSERT INTO blobs VALUES ('00', x'00')")
    async with await Store.open_readonly(path) as store:
        with pytest.raises(StoreReadOnly):
            await store.gc_unreachable()


async def test_one_automatic_collection_runs_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit whose turn comes during another's leaves it to that one."""
    running = most = collections = 0
    async with await open_store(tmp_path / "store.db", every=1) as store:
        collect = store._collect

        async def counted(most_overtaken: int) -> GcReport:
            nonlocal running, most, collections
            collections += 1
            running += 1
            most = max(most, running)
            if collections == 1:
                await commit(store, turn_index=2)
            report = await collect(most_overtaken)
            running -= 1
            return report

        monkeypatch.setattr(store, "_collect", counted)
        await commit(store, turn_index=1)
        assert (most, collections) == (1, 1)
        await commit(store, turn_index=3)
        assert (most, collections) == (1, 2)
