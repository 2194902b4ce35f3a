"""Blobs that another program has damaged, or taken away: called corrupt, or None beside their ref; never handed out."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from lash_store import ActivePath, Store
from lash_store.errors import ArtifactDecodeFailed, StoreCorrupt, StoreError
from tests.sqlite.session_store.full_store import (
    EXECUTION,
    MODULE_REF,
    PLUGINS,
    TOOL_STATE,
    fill,
    first_commit,
    next_commit,
)
from tests.sqlite.session_store.hostile import content, refused
from tests.sqlite.session_store.samples import change

MANIFEST = "(SELECT head_json ->> '$.checkpoint_ref' FROM session_head)"
BLOB_DAMAGES = {
    "cut short": "substr(content, 1, length(content) - 1)",
    "another byte": "CAST(substr(content, 1, length(content) - 1) || x'7e' AS BLOB)",
    "nothing": "x''",
    "text": "'text'",
    "garbage": "randomblob(100)",
    "another blob": "(SELECT content FROM blobs AS other WHERE other.hash <> blobs.hash)",
    "an empty map": "x'80'",
    "an envelope of a later version": "CAST(replace(CAST(content AS TEXT), 'None', 'Zstd') AS BLOB)",
}
PARTS = ("checkpoint", "tool_state", "plugin_snapshot", "execution_state")


@pytest.fixture
async def full() -> AsyncIterator[Store]:
    """It is in memory: what a row means does not depend on where it lies."""
    async with await Store.memory() as store:
        await fill(store)
        yield store


async def ref_of(store: Store, part: str) -> str:
    read = await store.load_session()
    assert read is not None
    assert read.checkpoint is not None
    return str(read.checkpoint_ref if part == "checkpoint" else getattr(read.checkpoint, f"{part}_ref"))


@pytest.mark.parametrize("damage", BLOB_DAMAGES)
@pytest.mark.parametrize("part", PARTS)
async def test_a_damaged_blob_is_called_corrupt(full: Store, part: str, damage: str) -> None:
    ref, checkpoint = await ref_of(full, part), await ref_of(full, "checkpoint")
    await change(full, f"UPDATE blobs SET content = {BLOB_DAMAGES[damage]} WHERE hash = ?", ref)
    for read in (
        full.load_session,
        partial(full.load_session, ActivePath()),
        full.load_session_head,
        partial(full.get_blob, ref),
        partial(full.get_checkpoint, checkpoint),
    ):
        error = await refused(full, read)
        assert isinstance(error, StoreCorrupt)


@pytest.mark.parametrize("damage", BLOB_DAMAGES)
async def test_a_damaged_artifact_is_not_handed_out(full: Store, damage: str) -> None:
    of_module = "WHERE hash = (SELECT blob_ref FROM artifact_refs)"
    await change(full, f"UPDATE blobs SET content = {BLOB_DAMAGES[damage]} {of_module}")
    assert isinstance(await refused(full, lambda: full.get_module_artifact(MODULE_REF)), ArtifactDecodeFailed)


@pytest.mark.parametrize("part", PARTS)
async def test_a_missing_blob_is_none_beside_its_ref(full: Store, part: str) -> None:
    ref = await ref_of(full, part)
    await change(full, "DELETE FROM blobs WHERE hash = ?", ref)
    read = await full.load_session()
    assert read is not None
    if part == "checkpoint":
        assert (read.checkpoint_ref, read.checkpoint) == (ref, None)
    else:
        assert read.checkpoint is not None
        assert (getattr(read.checkpoint, f"{part}_ref"), getattr(read.checkpoint, part)) == (ref, None)
        others = {name: getattr(read.checkpoint, name) for name in PARTS[1:] if name != part}
        whole = {"tool_state": TOOL_STATE, "plugin_snapshot": PLUGINS, "execution_state": EXECUTION}
        assert others == {name: value for name, value in whole.items() if name != part}
    assert await full.get_blob(ref) is None


@pytest.mark.parametrize("part", PARTS)
async def test_a_commit_that_was_answered_can_be_loaded_although_a_blob_was_damaged(part: str, tmp_path: Path) -> None:
    """It brings the content whose row is damaged: the row is repaired, or the commit refused."""
    for number, damage in enumerate(BLOB_DAMAGES.values()):
        path = tmp_path / f"{number}.db"
        async with await Store.open(path) as writer:
            await fill(writer)
            ref = await ref_of(writer, part)
        async with await Store.open(path) as store:
            await change(store, f"UPDATE blobs SET content = {damage} WHERE hash = ?", ref)
            before = await content(store)
            try:
                await store.commit_runtime_state(
                    msgspec.structs.replace(next_commit(1), checkpoint=first_commit().checkpoint)
                )
            except StoreError:
                assert await content(store) == before
            else:
                read = await store.load_session()
                assert read is not None
                assert read.checkpoint is not None
                assert (read.checkpoint.tool_state, read.checkpoint.execution_state) == (TOOL_STATE, EXECUTION)
