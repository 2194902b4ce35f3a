"""Hidden nodes, vacuum, old receipts, collection after commits (specification 4.18, 4.20; weaknesses 15, 27, 41)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lash_store.errors import InvalidRecord, StoreBackend, StoreReadOnly
from lash_store.records.artifacts import BlobProfile, GcOutcome, GcReport, TombstoneReport, VacuumReport
from lash_store.records.commit import RuntimeCommit
from lash_store.records.graph import SessionGraph
from lash_store.records.head import ActivePath
from lash_store.sqlite.ops import retention
from lash_store.sqlite.session_store.store import Store, StoreOptions
from tests.sqlite.session_store.rig import (
    ORPHAN,
    ORPHAN_REF,
    chain,
    commit,
    execute,
    node,
    open_store,
    rows,
    set_clock,
    state_of,
)

MIB = 1024 * 1024


@pytest_asyncio.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with await open_store(None if request.param == "memory" else tmp_path / "store.db") as opened:
        yield opened


async def visible(store: Store, scope: ActivePath | None = None) -> list[str]:
    read = await (store.load_session() if scope is None else store.load_session(scope))
    assert read is not None
    return [found.node_id for found in read.graph.nodes]


async def turn(store: Store, turn_id: str, at_ms: int) -> RuntimeCommit:
    """Commit a stamped turn at a time, and return the commit."""
    set_clock(store, at_ms)
    stamped = RuntimeCommit.persisted_state(state_of(turn_index=at_ms)).with_turn_commit(turn_id)
    await store.commit_runtime_state(stamped)
    return stamped


def last_report(store: Store) -> GcReport | None:
    report = store.last_auto_gc
    assert not isinstance(report, Exception)
    return report


async def receipts(store: Store) -> list[str]:
    return [turn_id for (turn_id,) in await rows(store, "SELECT turn_id FROM runtime_turn_commits ORDER BY rowid")]


async def test_a_hidden_node_is_gone_for_every_load_and_then_for_good(store: Store) -> None:
    """Scenarios 35 and 36."""
    await commit(store, graph=chain("node-live", "node-delete"))
    assert await store.load_node("node-delete") is not None
    await store.tombstone_nodes(["node-delete"])
    assert await store.load_node("node-delete") is None
    assert await visible(store) == ["node-live"]
    assert await store.vacuum() == VacuumReport(1)
    assert await rows(store, "SELECT node_id FROM graph_nodes") == [("node-live",)]
    assert (await store.gc_unreachable()).outcome is GcOutcome.SWEPT


async def test_hiding_changes_nothing_else(store: Store) -> None:
    await commit(store, graph=chain("a", "b"))
    head = await store.load_session_head_meta()
    await store.tombstone_nodes(["b", "unknown", "b"])
    assert await store.load_session_head_meta() == head
    assert head is not None
    assert (head.leaf_node_id, head.graph_node_count, head.head_revision) == ("b", 2, 1)


async def test_nodes_are_counted_when_they_are_hidden_and_when_they_are_removed(store: Store) -> None:
    await commit(store, graph=chain("a", "b", "c"))
    assert await store.tombstone_nodes([]) == TombstoneReport(0, 0)
    assert (await store.tombstone_nodes(["a", "b", "unknown"])).tombstoned_node_count == 2
    assert (await store.tombstone_nodes(["b", "c"])).tombstoned_node_count == 1
    assert (await store.vacuum()).removed_node_count == 3
    assert (await store.vacuum()).removed_node_count == 0


async def test_a_cut_path_is_told(store: Store) -> None:
    """Weakness 27."""
    branches = [node("a"), node("b", "a"), node("c", "b"), node("side", "a")]
    await commit(store, graph=SessionGraph(branches, "c"))
    assert await store.tombstone_nodes(["side"]) == TombstoneReport(1, 0)
    assert await store.tombstone_nodes(["a"]) == TombstoneReport(1, 1)
    assert await visible(store, ActivePath()) == ["b", "c"]
    assert await store.tombstone_nodes(["c"]) == TombstoneReport(1, 2)
    assert await visible(store, ActivePath()) == []


async def test_a_path_that_meets_itself_ends(store: Store) -> None:
    await commit(store, graph=SessionGraph([node("a", "b"), node("b", "a")], "b"))
    assert await store.tombstone_nodes(["a"]) == TombstoneReport(1, 1)


async def test_a_node_id_that_is_no_text_is_refused(store: Store) -> None:
    await commit(store, graph=chain("a"))
    for refused in ("\ud800", None, 7):
        with pytest.raises(InvalidRecord):
            await store.tombstone_nodes(["a", refused])  # type: ignore[list-item]
    assert await visible(store) == ["a"]


async def test_vacuum_removes_in_slices(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SLICE_ROWS", 3)
    names = [f"n{number}" for number in range(20)]
    await commit(store, graph=chain(*names))
    await store.tombstone_nodes(names[::2])
    commits = store.stats().commits
    assert (await store.vacuum()).removed_node_count == 10
    assert store.stats().commits - commits == 4
    assert await visible(store) == names[1::2]


async def test_a_row_that_was_replaced_meanwhile_is_not_removed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row numbers begin anew when a graph is replaced as a whole."""
    await commit(store, graph=chain("a", "b"))
    await store.tombstone_nodes(["a"])

    async def run(plan: Any) -> Any:
        await Store.replace_session_graph(other, chain("c", "d"))
        return await Store._run(store, plan)

    other = Store(store._connection, StoreOptions())
    monkeypatch.setattr(store, "_run", run)
    assert (await store.vacuum()).removed_node_count == 0
    assert await visible(store) == ["c", "d"]


async def test_vacuum_gives_room_back_when_it_is_asked_to(tmp_path: Path) -> None:
    """Weakness 41."""
    path = tmp_path / "store.db"
    async with (
        await open_store(path, profile=BlobProfile.LOW_LATENCY) as store,
        await open_store(path) as other,
    ):
        kept = await store.put_blob(b"kept" * 1000)
        for number in range(20):
            await store.put_blob(bytes([number]) * MIB)
        await commit(store, graph=chain("a", "b"))
        await store.put_module_artifact(b'{"module_ref":"m"}')
        await execute(store, "DELETE FROM blobs WHERE length(content) = ?1", MIB)
        await store.tombstone_nodes(["a"])

        assert await store.vacuum() == VacuumReport(1, 0)
        ((free,),) = await rows(store, "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size")
        assert free >= 20 * MIB
        report = await store.vacuum(shrink=True)
        assert report.removed_node_count == 0
        assert report.freed_byte_count >= free
        assert path.stat().st_size < MIB

        assert await store.get_blob(kept) == await other.get_blob(kept) == b"kept" * 1000
        assert await visible(other) == ["b"]
        await other.put_blob(ORPHAN)
        assert await store.get_blob(ORPHAN_REF) == ORPHAN
        assert await rows(store, "PRAGMA integrity_check") == [("ok",)]


async def test_a_store_in_memory_gives_room_back() -> None:
    async with await open_store(None) as store:
        await store.put_blob(bytes(MIB))
        await store.gc_unreachable()
        assert (await store.vacuum(shrink=True)).freed_byte_count >= MIB
        await store.put_blob(ORPHAN)
        assert await store.get_blob(ORPHAN_REF) == ORPHAN


async def test_writers_wait_while_the_file_is_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with await open_store(path) as store, await open_store(path) as other:
        await store.put_blob(bytes(8 * MIB))
        await store.gc_unreachable()
        shrinking = asyncio.create_task(store.vacuum(shrink=True))
        written: list[str] = []
        while not shrinking.done():
            for handle in (store, other):
                written.append(await handle.put_blob(b"%d" % len(written)))
        assert (await shrinking).freed_byte_count >= 7 * MIB
        assert {ref for (ref,) in await rows(other, "SELECT hash FROM blobs")} == set(written)


async def test_a_reader_goes_on_while_the_file_is_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with await open_store(path) as store, await open_store(path) as other:
        ref = await store.put_blob(bytes(4 * MIB))
        loop = asyncio.get_running_loop()
        reading = asyncio.Event()
        vacuumed = asyncio.Event()

        def read(connection: Any) -> int:
            ((first,),) = connection.execute("SELECT count(*) FROM blobs").fetchall()
            loop.call_soon_threadsafe(reading.set)
            asyncio.run_coroutine_threadsafe(vacuumed.wait(), loop).result()
            ((second,),) = connection.execute("SELECT count(*) FROM blobs").fetchall()
            return int(first) + int(second)

        looking = asyncio.create_task(other._read(read))
        await reading.wait()
        await store.gc_unreachable()
        report = await store.vacuum(shrink=True)
        vacuumed.set()
        assert await looking == 2
        assert report.freed_byte_count >= 4 * MIB
        assert await other.get_blob(ref) is None


async def test_old_receipts_are_removed_and_the_newest_stay(store: Store) -> None:
    for number in range(6):
        await turn(store, f"t{number}", 1_000 + number)
    assert await store.prune_turn_commits(1_003, keep_latest=1) == 3
    assert await receipts(store) == ["t3", "t4", "t5"]
    assert await store.prune_turn_commits(2_000, keep_latest=2) == 1
    assert await receipts(store) == ["t4", "t5"]
    assert await store.prune_turn_commits(2_000) == 1
    assert await store.prune_turn_commits(2**63 - 1) == 0
    assert await receipts(store) == ["t5"]


async def test_the_newest_receipt_is_the_one_committed_last(store: Store) -> None:
    """Not that of the latest time: clocks are set back."""
    await turn(store, "first", 9_000)
    last = await turn(store, "last", 1_000)
    assert await store.prune_turn_commits(10_000) == 1
    assert await receipts(store) == ["last"]
    assert (await store.commit_runtime_state(last)).head_revision == 2


async def test_receipts_are_removed_in_slices(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SLICE_ROWS", 3)
    for number in range(11):
        await turn(store, f"t{number}", number)
    commits = store.stats().commits
    assert await store.prune_turn_commits(100) == 10
    assert store.stats().commits - commits == 4


async def test_what_pruning_costs(store: Store) -> None:
    """A turn whose receipt is gone is applied once more, unless it says what revision it expects."""
    first = await turn(store, "first", 1)
    await turn(store, "second", 2)
    assert (await store.commit_runtime_state(first)).head_revision == 1
    await store.prune_turn_commits(10)
    assert (await store.commit_runtime_state(first)).head_revision == 3


@pytest.mark.parametrize(("older_than", "keep"), [(-1, 1), (2**63, 1), (5, 0), (5, -1), (True, 1), (5, 2**63)])
async def test_arguments_of_pruning_are_checked(store: Store, older_than: int, keep: int) -> None:
    await turn(store, "t", 1)
    with pytest.raises(InvalidRecord):
        await store.prune_turn_commits(older_than, keep_latest=keep)
    assert await receipts(store) == ["t"]


async def test_failures_are_raised(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with await open_store(path) as store:
        await turn(store, "t0", 1)
        await turn(store, "t1", 1)
        await commit(store, graph=chain("a", "b"))
        await store.tombstone_nodes(["a"])
    async with await Store.open_readonly(path) as store:
        for refusing in (
            lambda: store.tombstone_nodes(["b"]),
            store.vacuum,
            lambda: store.vacuum(shrink=True),
            lambda: store.prune_turn_commits(5),
        ):
            with pytest.raises(StoreReadOnly):
                await refusing()


async def test_shrinking_that_fails_is_raised(tmp_path: Path) -> None:
    """Also where there is nothing to remove."""
    await (await open_store(tmp_path / "store.db")).close()
    async with await Store.open_readonly(tmp_path / "store.db") as store:
        assert await store.vacuum() == VacuumReport()
        with pytest.raises(StoreReadOnly):
            await store.vacuum(shrink=True)


async def test_a_commit_collects_and_returns() -> None:
    """Scenario 49."""
    async with await open_store(None, profile=BlobProfile.LOW_LATENCY, every=1) as store:
        assert last_report(store) is None
        await store.put_blob(ORPHAN)
        await commit(store, "auto-gc")
        assert await store.get_blob(ORPHAN_REF) is None
        report = last_report(store)
        assert report is not None
        assert report.deleted_blob_count == 1


@pytest.mark.parametrize(("every", "collecting"), [(None, []), (0, []), (1, [1, 2, 3, 4, 5, 6]), (3, [3, 6])])
async def test_commits_alone_are_counted(every: int | None, collecting: list[int]) -> None:
    """Weakness 15: other writes do not shift the rhythm, and a replay counts as a commit (4.20)."""
    async with await open_store(None, every=every) as store:
        stamped = await turn(store, "t", 1)
        collected = [1] if every == 1 else []
        for number in range(2, 7):
            await store.put_blob(ORPHAN)
            await store.put_module_artifact(b'{"module_ref":"m"}')
            await (store.commit_runtime_state(stamped) if number % 2 else commit(store))
            if await store.get_blob(ORPHAN_REF) is None:
                collected.append(number)
        assert collected == collecting


async def test_a_collection_that_fails_is_told_and_the_commit_stands() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    async with await open_store(None, every=1) as store:
        await store.put_blob(ORPHAN)
        await execute(store, "CREATE TRIGGER t BEFORE DELETE ON blobs BEGIN SELECT raise(ABORT, 'no'); END")
        assert (await commit(store)).head_revision == 1
        assert isinstance(store.last_auto_gc, StoreBackend)
        assert [context["exception"] for context in told] == [store.last_auto_gc]
        await execute(store, "DROP TRIGGER t")
        await commit(store, turn_index=1)
        assert await store.get_blob(ORPHAN_REF) is None
        assert len(told) == 1


async def test_a_collection_that_is_aborted_is_told_and_the_commit_stands() -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    async with await open_store(None, every=1) as store:
        first = await commit(store)
        await execute(store, "UPDATE blobs SET content = x'80'")
        again = RuntimeCommit.persisted_state(state_of())
        assert (await store.commit_runtime_state(again)).checkpoint_ref == first.checkpoint_ref
        report = last_report(store)
        assert report is not None
        assert report.outcome is GcOutcome.ABORTED_UNREADABLE_MANIFEST
        ((message, *_),) = [tuple(context.values()) for context in told]
        assert first.checkpoint_ref in message


async def test_commits_at_the_same_time_leave_a_collection_to_one_of_them() -> None:
    async with await open_store(None, every=1) as store:
        await asyncio.gather(*(commit(store, turn_index=number) for number in range(32)))
        await commit(store, turn_index=100)
        assert await rows(store, "SELECT count(*) FROM blobs") == [(1,)]
