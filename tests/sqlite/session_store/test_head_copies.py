"""What a copied head takes along: all that a collection would keep for it (specification 4.19, 4.27)."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from lash_store import AgentFrameRecord, InvalidRecord, Store, StoreCorrupt
from lash_store.codecs.content_hash import content_hash
from lash_store.records.checkpoint import HydratedSessionCheckpoint
from lash_store.records.conversation import PruneStateDeleted
from lash_store.records.graph import SessionGraph
from lash_store.records.usage import TokenLedgerEntry, TokenUsage
from tests.sqlite.session_store.rig import ORPHAN, ORPHAN_REF, commit, execute, node, rows, state_of, stored_refs

ARCHIVED = SessionGraph([node("a", prune_state=PruneStateDeleted("b", ORPHAN_REF))], "a")
ARTIFACT = b'{"module_ref":"m"}'


@pytest.fixture
async def copy(tmp_path: Path) -> AsyncIterator[Store]:
    async with await Store.open(tmp_path / "copy.db") as opened:
        yield opened


def frames(execution_state_ref: str | None) -> list[AgentFrameRecord]:
    (frame,) = state_of().agent_frames
    return [msgspec.structs.replace(frame, execution_state_ref=execution_state_ref)]


async def test_archives_and_states_of_frames_come_along(store: Store, copy: Store) -> None:
    _, older = await store.put_checkpoint(HydratedSessionCheckpoint(execution_state=b"of a frame"))
    await store.put_module_artifact(ARTIFACT)
    await store.put_blob(ORPHAN)
    await store.put_blob(b"nobody's")
    committed = await commit(
        store, graph=ARCHIVED, agent_frames=frames(older.execution_state_ref), execution_state=b"of the head"
    )
    assert await copy.head_copy_from_store(store)
    kept = await stored_refs(copy)
    assert kept == {
        committed.checkpoint_ref,
        committed.manifest.execution_state_ref,
        older.execution_state_ref,
        ORPHAN_REF,
    }
    await store.gc_unreachable()
    assert await stored_refs(store) == kept | {content_hash(ARTIFACT)}
    assert (await copy.gc_unreachable()).deleted_blob_count == 0


async def test_what_the_source_lacks_stays_named(store: Store, copy: Store) -> None:
    committed = await commit(store, graph=ARCHIVED, agent_frames=frames("ee"))
    assert await copy.head_copy_from_store(store)
    assert await stored_refs(copy) == {committed.checkpoint_ref}
    head = await copy.load_session_head_meta()
    assert head is not None
    assert [frame.execution_state_ref for frame in head.agent_frames] == ["ee"]


@pytest.mark.parametrize("damaged", ["archive", "execution state", "manifest"])
async def test_damage_is_not_handed_on(store: Store, copy: Store, damaged: str) -> None:
    await store.put_blob(ORPHAN)
    committed = await commit(store, graph=ARCHIVED, execution_state=b"vm")
    ref = {
        "archive": ORPHAN_REF,
        "execution state": committed.manifest.execution_state_ref,
        "manifest": committed.checkpoint_ref,
    }[damaged]
    await execute(store, "UPDATE blobs SET content = x'00' WHERE hash = ?1", ref)
    with pytest.raises(StoreCorrupt) as raised:
        await copy.head_copy_from_store(store)
    assert raised.value.key == ref
    assert await stored_refs(copy) == set()
    assert await rows(copy, "SELECT * FROM session_head") == []


async def test_sums_that_no_row_can_hold_are_not_copied(store: Store, copy: Store) -> None:
    entries = [TokenLedgerEntry("turn", "m", TokenUsage(tokens, 0, 0)) for tokens in (2**63 - 1, 5)]
    await commit(store)
    await store.append_usage_deltas(entries)
    with pytest.raises(InvalidRecord):
        await copy.head_copy_from_store(store)
    assert await rows(copy, "SELECT * FROM session_head") == []
