"""Sections 4.26 and 4.27: heads and graphs written alone, heads copied between stores, what a picker shows."""

import msgspec
import pytest

from lash_store import (
    Append,
    ConstraintViolation,
    ConversationRecord,
    HeadRevisionConflict,
    HydratedSessionCheckpoint,
    MessagePart,
    MessageRole,
    PartKind,
    PersistedSessionConfig,
    PruneStateIntact,
    SessionGraph,
    SessionHead,
    SessionHeadMeta,
    SessionMeta,
    SessionNodePayloadEvent,
    SessionNodeRecord,
    SessionRelationChild,
    Store,
)
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import (
    CREATED,
    MODEL,
    NO_PLUGINS,
    commit_of,
    message,
    node_ids,
    plugin,
    root_commit,
    session_state,
    tools,
    used,
)
from tests.conformance.session_store.rows import change, everything

CONFIG = PersistedSessionConfig("p", MODEL)
GRAPH = SessionGraph([message("a"), message("b", "a")], "b")


async def test_a_head_with_its_graph(store: Store) -> None:
    head = SessionHead(session_id="root", config=CONFIG, graph=GRAPH)
    await store.save_session_head(msgspec.structs.replace(head, token_ledger=[used("x", "y", 1, 1, 1, 1)]))
    assert await store.load_session_head() == head
    meta = await store.load_session_head_meta()
    assert meta == SessionHeadMeta(session_id="root", config=CONFIG, leaf_node_id="b", graph_node_count=2)
    assert await store.load_usage_deltas() == []


async def test_saving_a_head_does_not_defeat_the_optimistic_check(store: Store) -> None:
    """Weakness 29: upstream starts over with revision 0, so that an old expectation of 0 holds again."""
    await store.commit_runtime_state(root_commit(expected_head_revision=0))
    await store.save_session_head(SessionHead(session_id="root", config=CONFIG, graph=GRAPH))
    for seen in (0, 1):
        with pytest.raises(HeadRevisionConflict):
            await store.commit_runtime_state(root_commit(expected_head_revision=seen))


async def test_a_head_that_cannot_be_saved_leaves_all_as_it_was(store: Store) -> None:
    """Weakness 29: graph and head are one transaction."""
    await store.save_session_head(SessionHead(session_id="root", config=CONFIG, graph=GRAPH))
    before = await everything(store)
    twice = SessionGraph([message("c"), message("c")], "c")
    with pytest.raises(ConstraintViolation):
        await store.save_session_head(SessionHead(session_id="root", config=CONFIG, graph=twice))
    assert await everything(store) == before


async def test_a_head_row_is_written_as_given(store: Store) -> None:
    meta = SessionHeadMeta(
        session_id="root",
        head_revision=5,
        config=CONFIG,
        checkpoint_ref="0" * 64,
        leaf_node_id="x",
        graph_node_count=9,
    )
    await store.save_session_head_meta(meta)
    assert await store.load_session_head_meta() == meta
    assert (await everything(store))["session_head"] == [(1, "root", meta.to_json().decode(), 5)]
    assert (await store.commit_runtime_state(root_commit(expected_head_revision=5))).head_revision == 6


async def test_graphs_written_alone_leave_the_head_as_it_was(store: Store) -> None:
    await store.commit_runtime_state(root_commit())
    head = (await everything(store))["session_head"]
    await store.append_session_graph_nodes([message("a"), message("b", "a")])
    await store.tombstone_nodes(["a"])
    with pytest.raises(ConstraintViolation):
        await store.append_session_graph_nodes([message("c"), message("a")])
    read = await store.load_session()
    assert read is not None
    assert node_ids(read.graph.nodes) == ["b"]
    await store.replace_session_graph(SessionGraph([message("a"), plugin("c", "a")], "c"))
    read = await store.load_session()
    assert read is not None
    assert node_ids(read.graph.nodes) == ["a", "c"]
    assert (await everything(store))["session_head"] == head


async def test_a_head_is_copied_with_what_it_needs(stores: Stores, store: Store) -> None:
    """Other than upstream's copy it has the execution state and the usage (weakness 29)."""
    source = await stores.memory()
    state = session_state()
    state.graph = GRAPH
    state.tool_state, state.plugin_snapshot, state.plugin_snapshot_revision = tools(3), NO_PLUGINS, 5
    state.set_execution_state(b"\x01\xff")
    await source.commit_runtime_state(commit_of(state, [used("turn", "m", 1, 2, 3, 4), used("turn", "m", 1, 0, 0, 0)]))
    await source.save_session_meta(SessionMeta("root", "n", "c", "m"))
    await source.put_blob(b"unreachable")
    await store.head_copy_from_store(source)
    original, copy = await source.load_session(), await store.load_session()
    assert original is not None
    assert copy is not None
    assert msgspec.structs.replace(copy, head_revision=1) == original
    assert copy.head_revision == 0
    assert copy.checkpoint is not None
    assert copy.checkpoint.execution_state == b"\x01\xff"
    assert await store.load_session_meta() is None
    assert len((await everything(store))["blobs"]) == 4


async def test_nothing_is_copied_from_a_store_without_a_head(stores: Stores, store: Store) -> None:
    await store.commit_runtime_state(root_commit())
    before = await everything(store)
    await store.head_copy_from_store(await stores.memory())
    assert await everything(store) == before


def parts(*kinds: tuple[PartKind, str]) -> SessionNodeRecord:
    made = [
        MessagePart(id=f"u.p{index}", kind=kind, content=content, prune_state=PruneStateIntact())
        for index, (kind, content) in enumerate(kinds)
    ]
    event = ConversationRecord("u", MessageRole.USER, made)
    return SessionNodeRecord(node_id="u", timestamp=CREATED, payload=SessionNodePayloadEvent(event))


TOOLS = ((PartKind.TOOL_CALL, "x"), (PartKind.TOOL_RESULT, "y"))


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (parts((PartKind.TEXT, " a "), (PartKind.IMAGE, "x"), (PartKind.PROSE, "b\n")), "a \n\n[Image attached]\n\nb"),
        (parts(*TOOLS, (PartKind.TEXT, " \t\u3000"), (PartKind.CODE, "c")), "c"),
        (parts((PartKind.TEXT, "\x1c")), "\x1c"),
        (parts(), ""),
    ],
)
async def test_what_a_picker_shows(store: Store, node: SessionNodeRecord, text: str) -> None:
    """Section 4.26; U+001C is no white space (3.1)."""
    relation = SessionRelationChild("parent")
    await store.save_session_meta(SessionMeta("root", "n", "c", "m", "/srv", relation))
    info = await store.load_picker_info()
    assert info is not None
    assert (info.user_message_count, info.first_user_message) == (0, "")
    await store.append_session_graph_nodes(
        [message("s", role=MessageRole.SYSTEM), plugin("p"), node, message("other branch", text="second")]
    )
    info = await store.load_picker_info()
    assert info is not None
    assert (info.session_id, info.cwd, info.relation, info.parent_session_id) == ("root", "/srv", relation, "parent")
    assert (info.user_message_count, info.first_user_message) == (2, text)
    await store.tombstone_nodes(["u"])
    info = await store.load_picker_info()
    assert info is not None
    assert (info.user_message_count, info.first_user_message) == (1, "second")


async def test_a_checkpoint_by_itself(store: Store) -> None:
    checkpoint = HydratedSessionCheckpoint(tool_state=tools(1), execution_state=b"")
    ref, manifest = await store.put_checkpoint(checkpoint)
    read = await store.get_checkpoint(ref)
    assert read == msgspec.structs.replace(
        checkpoint, tool_state_ref=manifest.tool_state_ref, execution_state_ref=manifest.execution_state_ref
    )
    assert await store.get_checkpoint("0" * 64) is None


async def test_a_picker_does_without_a_readable_head(stores: Stores) -> None:
    """Section 4.26: the head is not needed for it."""
    store = await stores.file()
    await store.save_session_meta(SessionMeta("root", "n", "c", "m"))
    await store.commit_runtime_state(root_commit(graph=Append([message("a", text="hello")], "a")))
    change(stores.path, "UPDATE session_head SET head_json = '{}'")
    info = await store.load_picker_info()
    assert info is not None
    assert (info.user_message_count, info.first_user_message) == (1, "hello")
