"""Names, blobs, attachments, and the upkeep of a file: what one program removes was nothing that the other needs."""

from pathlib import Path

import msgspec
import pytest

from lash_store import (
    Append,
    GcOutcome,
    PersistedArtifactKind,
    ReplaceFull,
    SessionGraph,
    SessionHead,
    SessionMeta,
    SessionPickerInfo,
    SessionRelationRoot,
    Store,
    Unchanged,
)
from tests.conformance.session_store.examples import (
    branched,
    descriptor,
    intent,
    message,
    node_ids,
    plugin,
    root_commit,
    used,
)
from tests.interop.conftest import Opener
from tests.interop.examples import EVERYTHING, RECORDS
from tests.interop.stores import Both, Session, TheirStore, same_loads

METAS = [record for record in RECORDS if isinstance(record, SessionMeta)]
MODULE = "process add(a: int, b: int) { finish a + b }\n"


async def vacuumed(session: Session) -> int:
    if isinstance(session, TheirStore):
        return int(await session.alpha("vacuum"))
    assert isinstance(session, Store)
    return (await session.vacuum()).removed_node_count


async def collected(session: Session) -> tuple[int, int, int]:
    """Roots, blobs that stay, blobs that were removed."""
    if isinstance(session, TheirStore):
        roots, retained, deleted = await session.alpha("gc")
        return roots, retained, deleted
    assert isinstance(session, Store)
    report = await session.gc_unreachable()
    assert report.outcome is GcOutcome.SWEPT
    return report.root_count, report.retained_blob_count, report.deleted_blob_count


@pytest.mark.parametrize("meta", METAS)
async def test_names(meta: SessionMeta, both: Both) -> None:
    assert await both.other.load_session_meta() is None
    await both.one.save_session_meta(msgspec.structs.replace(meta, session_name="before"))
    await both.other.save_session_meta(meta)
    assert await both.one.load_session_meta() == meta == await both.other.load_session_meta()


async def test_the_list_of_sessions(both: Both) -> None:
    assert await both.one.load_picker_info() is await both.other.load_picker_info() is None
    await both.one.save_session_meta(SessionMeta("root", "n", "unix:1", "m", "/srv"))
    nodes = [plugin("p"), message("a", text="\u2003the first "), message("b", text="the next"), message("c", text="")]
    await both.one.commit_runtime_state(root_commit(graph=ReplaceFull(nodes, "c")))
    await both.other.commit_runtime_state(root_commit(graph=Append([message("d", "c")], "d")))
    await both.other.tombstone_nodes(["b"])
    ours, theirs = await both.one.load_picker_info(), await both.other.load_picker_info()
    assert ours == theirs
    assert ours == SessionPickerInfo("root", "/srv", SessionRelationRoot(), 3, "the first")


async def test_tombstones_and_vacuum(both: Both) -> None:
    await both.one.commit_runtime_state(root_commit(graph=branched(), usage_deltas=[used("t", "m", 1, 1, 1, 1)]))
    await both.other.tombstone_nodes(["right-leaf", "unknown"])
    read = await same_loads(both.one, both.other)
    assert node_ids(read.graph.nodes) == ["root-node", "left-node", "left-leaf"]
    assert await both.one.load_node("right-leaf") is await both.other.load_node("right-leaf") is None
    assert await vacuumed(both.one) == 1
    assert await vacuumed(both.other) == 0
    await both.one.tombstone_nodes(["left-leaf"])
    assert await vacuumed(both.other) == 1
    commit = root_commit(graph=Append([message("new", "left-node")], "new"), usage_deltas=[used("t", "m", 2, 2, 2, 2)])
    await both.one.commit_runtime_state(commit)
    read = await same_loads(both.one, both.other)
    assert node_ids(read.graph.nodes) == ["root-node", "left-node", "new"]
    assert read.token_ledger == [used("t", "m", 3, 3, 3, 3)]


async def test_the_count_of_nodes_is_kept(opener: Opener, tmp_path: Path) -> None:
    """Our count in the head is right whatever alpha.40 has hidden, removed, replaced and appended in between."""
    ours, theirs = await opener.ours(tmp_path / "s.db"), await opener.theirs(tmp_path / "s.db")

    async def counted() -> int:
        await ours.commit_runtime_state(root_commit(graph=Unchanged(None)))
        head = await ours.load_session_head_meta()
        read = await theirs.load_session()
        assert head is not None
        assert read is not None
        assert head.graph_node_count == len(read.graph.nodes)
        return head.graph_node_count

    await ours.commit_runtime_state(root_commit(graph=branched()))
    assert await counted() == 4
    await theirs.commit_runtime_state(root_commit(graph=Append([message(f"n{n}") for n in range(5)], "n4")))
    assert await counted() == 9
    await theirs.tombstone_nodes(["n4", "n3", "right-leaf"])
    assert await counted() == 6
    assert await vacuumed(theirs) == 3
    assert await counted() == 6
    await theirs.commit_runtime_state(root_commit(graph=Append([message("again")], "again")))
    assert await counted() == 7
    await theirs.commit_runtime_state(root_commit(graph=ReplaceFull([message("only")], "only")))
    assert await counted() == 1


async def test_usage_is_right_beyond_our_totals(opener: Opener, tmp_path: Path) -> None:
    """The 256th revision writes totals; what alpha.40 appends before and after is counted once."""
    ours, theirs = await opener.ours(tmp_path / "s.db"), await opener.theirs(tmp_path / "s.db")
    for number in range(258):
        writer: Session = theirs if number % 3 else ours
        entry = used("turn" if number % 2 else "x", "m", 1, 2, 3, 4)
        await writer.commit_runtime_state(root_commit(graph=Unchanged(None), usage_deltas=[entry]))
        if number in (254, 255, 256, 257):
            half, more = divmod(number + 1, 2)
            expected = [used("x", "m", *(n * (half + more) for n in (1, 2, 3, 4)))]
            expected.append(used("turn", "m", *(n * half for n in (1, 2, 3, 4))))
            assert (await same_loads(ours, theirs)).token_ledger == expected
    assert await ours._read(lambda db: db.execute("SELECT count(*) FROM lash_usage_totals").fetchone()) == (2,)


async def test_a_collection_by_the_other(both: Both) -> None:
    """Only what the last head needs stays: a manifest and its three parts."""
    earlier = msgspec.structs.replace(EVERYTHING.checkpoint, execution_state=b"earlier" * 100)
    await both.one.commit_runtime_state(msgspec.structs.replace(EVERYTHING, checkpoint=earlier))
    await both.other.put_blob(b"nobody's")
    latest = msgspec.structs.replace(EVERYTHING, graph=Unchanged(None), agent_frames=[])
    await both.one.commit_runtime_state(latest)
    before = await same_loads(both.one, both.other)
    assert await collected(both.other) == (1, 4, 3)
    assert await collected(both.one) == (1, 4, 0)
    assert await same_loads(both.one, both.other) == before
    await both.one.commit_runtime_state(msgspec.structs.replace(latest, checkpoint=earlier))
    restored = (await same_loads(both.one, both.other)).checkpoint
    assert restored is not None
    assert restored.execution_state == b"earlier" * 100
    assert restored.tool_state == EVERYTHING.checkpoint.tool_state


async def test_a_commit_brings_back_what_the_other_has_collected(both: Both) -> None:
    """Who knows that a blob is stored must notice that the other program has removed it."""
    for number in range(4):
        await both.one.commit_runtime_state(root_commit(checkpoint=EVERYTHING.checkpoint))
        await both.other.commit_runtime_state(root_commit())
        assert (await collected(both.other))[2] > 0, number
        await both.one.commit_runtime_state(root_commit(checkpoint=EVERYTHING.checkpoint))
        found = (await same_loads(both.one, both.other)).checkpoint
        assert found is not None
        assert found.execution_state == EVERYTHING.checkpoint.execution_state
        assert found.plugin_snapshot == EVERYTHING.checkpoint.plugin_snapshot
        await both.other.commit_runtime_state(root_commit())
        await collected(both.other)


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 4095, 4096, 100_000])
@pytest.mark.parametrize("kind", [None, *PersistedArtifactKind], ids=lambda kind: getattr(kind, "name", "raw"))
async def test_blobs(size: int, kind: PersistedArtifactKind | None, both: Both) -> None:
    data = bytes(number * 7 % 256 for number in range(size))

    async def put(session: Session) -> str:
        if kind is None:
            return await session.put_blob(data)
        return await session.put_artifact_blob(descriptor(kind), data)

    ref = await put(both.one)
    assert await both.other.get_blob(ref) == data == await both.one.get_blob(ref)
    assert await put(both.other) == ref
    assert await both.other.get_blob("0" * 64) is None


async def test_attachments(both: Both) -> None:
    for number, name in enumerate("abcd"):
        await (both.other if number % 2 else both.one).record_intent(intent(name, 100 + number))
    await both.other.record_intent(intent("a", 999, "stranger"))
    await both.one.commit_refs("root", ["a", "unknown"])
    await both.one.commit_refs("stranger", ["b"])
    await both.other.commit_runtime_state(root_commit(committed_attachment_ids=["c"]))
    await both.other.forget("d")
    ours, theirs = [await session.list_uncommitted(200) for session in (both.one, both.other)]
    assert ours == theirs
    assert [(entry.attachment_id, entry.session_id, entry.intent_at_epoch_ms) for entry in ours] == [("b", "root", 101)]


async def test_module_artifacts(opener: Opener, tmp_path: Path) -> None:
    ours, theirs = await opener.ours(tmp_path / "s.db"), await opener.theirs(tmp_path / "s.db")
    made = await theirs.alpha("put_module", source=MODULE)
    text = made["text"].encode()
    assert await ours.get_module_artifact(made["module_ref"]) == text
    assert await collected(theirs) == (1, 1, 0)
    assert await collected(ours) == (1, 1, 0)
    async with await Store.open(tmp_path / "other.db") as elsewhere:
        assert await elsewhere.put_module_artifact(text) == made["module_ref"]
        reader = await opener.theirs(tmp_path / "other.db")
        assert (await reader.alpha("get_module", module_ref=made["module_ref"])).encode() == text
        assert await reader.alpha("get_module", module_ref="lashlang:v1:sha256:unknown") is None


async def test_heads(both: Both) -> None:
    """A head that is written outside a commit."""
    result = await both.one.commit_runtime_state(EVERYTHING)
    graph = SessionGraph([message("x"), message("y", "x")], "y")
    saved = SessionHead(
        session_id="root",
        config=EVERYTHING.config,
        agent_frames=EVERYTHING.agent_frames,
        current_agent_frame_id=EVERYTHING.current_agent_frame_id,
        checkpoint_ref=result.checkpoint_ref,
        graph=graph,
    )
    await both.other.save_session_head(saved)
    read = await same_loads(both.one, both.other)
    assert (read.graph, read.checkpoint_ref) == (graph, result.checkpoint_ref)
    heads = [await session.load_session_head() for session in (both.one, both.other)]
    assert heads[0] == heads[1]
