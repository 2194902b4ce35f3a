"""Blobs and module artifacts of a store (specification 4.22, 4.24, 4.25; weaknesses 1 and 44)."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from lash_store.codecs.envelope import open_envelope
from lash_store.errors import ArtifactDecodeFailed, ArtifactEncodeFailed, InvalidRecord, StoreCorrupt, StoreReadOnly
from lash_store.records import artifacts
from lash_store.records.artifacts import BlobArtifactDescriptor, BlobProfile, PersistedArtifactKind
from lash_store.sqlite.session_store.store import Store
from tests.sqlite.session_store.rig import ORPHAN, ORPHAN_REF, execute, open_store, rows, stored_refs

MODULE_REF = "lashlang:v1:sha256:" + "ab" * 32
GENERIC = BlobArtifactDescriptor(PersistedArtifactKind.GENERIC_BLOB)
# Appendix A.3: the six bytes of `orphan` in an envelope of generic kind.
GENERIC_ORPHAN = bytes.fromhex(
    "83aa64657363726970746f7281a46b696e64ab47656e65726963426c6f62ab636f6d7072657373696f6ea44e6f6e65a7636f6e74656e7496"
    "6f727068616e"
)


@pytest_asyncio.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with await open_store(None if request.param == "memory" else tmp_path / "store.db") as opened:
        yield opened


def artifact(module_ref: str = MODULE_REF, **more: Any) -> bytes:
    return msgspec.json.encode({"module_ref": module_ref, "required_surface": {"b": 1, "a": 2}, **more})


async def stored(store: Store, ref: str) -> bytes:
    """The row of a blob as it stands."""
    ((content,),) = await rows(store, "SELECT content FROM blobs WHERE hash = ?1", ref)
    return bytes(content)


async def test_a_raw_blob_is_stored_as_it_is(store: Store) -> None:
    """Scenario 74; the hash is appendix A.3's."""
    assert await store.put_blob(ORPHAN) == "88f6811ab5d8fc6d3177f9b7609ae0fcebfda187e5046b62d38bb539e88b74d7"
    assert await stored(store, ORPHAN_REF) == ORPHAN
    assert await store.get_blob(ORPHAN_REF) == ORPHAN


async def test_an_artifact_blob_is_stored_in_an_envelope(store: Store) -> None:
    assert await store.put_artifact_blob(GENERIC, ORPHAN) == ORPHAN_REF
    assert await stored(store, ORPHAN_REF) == GENERIC_ORPHAN
    assert await store.get_blob(ORPHAN_REF) == ORPHAN


@pytest.mark.parametrize("content", [b"", b"\x80", bytes(range(256)) * 1024], ids=["empty", "a map", "256 KiB"])
async def test_any_content_comes_back(store: Store, content: bytes) -> None:
    """The last one is large enough to be encoded on a thread."""
    raw = await store.put_blob(content)
    assert await store.get_blob(raw) == content
    await execute(store, "DELETE FROM blobs")
    assert await store.put_artifact_blob(artifacts.TOOL_STATE, bytearray(content)) == raw
    assert await store.get_blob(raw) == content


@pytest.mark.parametrize(
    ("profile", "border"), [(BlobProfile.BALANCED, 4096), (BlobProfile.COMPACT, 1024), (BlobProfile.LOW_LATENCY, None)]
)
async def test_the_profile_of_the_store_draws_the_border(profile: BlobProfile, border: int | None) -> None:
    """Scenario 73."""
    async with await open_store(None, profile=profile) as store:
        for size in (1023, 1024, 4095, 4096):
            ref = await store.put_artifact_blob(artifacts.EXECUTION_STATE, b"x" * size)
            envelope = open_envelope(await stored(store, ref))
            assert envelope is not None
            assert envelope.compressed is (border is not None and size >= border)
            assert await store.get_blob(ref) == b"x" * size


async def test_the_first_stored_form_stays(store: Store) -> None:
    await store.put_artifact_blob(GENERIC, ORPHAN)
    assert await store.put_blob(ORPHAN) == await store.put_artifact_blob(artifacts.TOOL_STATE, ORPHAN) == ORPHAN_REF
    assert await stored(store, ORPHAN_REF) == GENERIC_ORPHAN


async def test_what_is_stored_is_not_written_again(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1024
    async with await open_store(tmp_path / "store.db") as store:
        await store.put_artifact_blob(artifacts.EXECUTION_STATE, content)
        pages = store.stats().wal_pages
        await store.put_artifact_blob(artifacts.EXECUTION_STATE, content)
        await store.put_blob(content)
        assert store.stats().wal_pages == pages


async def test_a_blob_that_is_not_there_is_none(store: Store) -> None:
    assert await store.get_blob(ORPHAN_REF) is None
    assert await store.get_blob("") is None


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b"0rphan", id="other bytes"),
        pytest.param(b"", id="nothing"),
        pytest.param(GENERIC_ORPHAN[:-1], id="cut short"),
        pytest.param(GENERIC_ORPHAN.replace(b"GenericBlob", b"GenericBl0b"), id="an unknown kind"),
        pytest.param(GENERIC_ORPHAN.replace(b"None", b"Zlib"), id="no zlib stream"),
        pytest.param("0rphan", id="a text"),
        pytest.param(7, id="a number"),
    ],
)
async def test_a_damaged_blob_is_an_error(store: Store, damage: bytes | str | int) -> None:
    """Weakness 44 among them: an envelope's own bytes are no content."""
    await execute(store, "INSERT INTO blobs VALUES (?1, ?2)", ORPHAN_REF, damage)
    with pytest.raises(StoreCorrupt) as raised:
        await store.get_blob(ORPHAN_REF)
    assert (raised.value.kind, raised.value.key) == ("blob", ORPHAN_REF)


@pytest.mark.parametrize("damage", [b"0rphan", GENERIC_ORPHAN[:-1], "0rphan"])
async def test_whoever_puts_a_damaged_blob_again_repairs_it(store: Store, damage: bytes | str | int) -> None:
    await execute(store, "INSERT INTO blobs VALUES (?1, ?2)", ORPHAN_REF, damage)
    assert await store.put_artifact_blob(GENERIC, ORPHAN) == ORPHAN_REF
    assert await stored(store, ORPHAN_REF) == GENERIC_ORPHAN


async def test_what_is_no_bytes_or_no_text_is_refused(store: Store) -> None:
    for refused in (
        store.put_blob("orphan"),  # type: ignore[arg-type]
        store.put_artifact_blob(GENERIC, 7),  # type: ignore[arg-type]
        store.put_artifact_blob(BlobArtifactDescriptor("GenericBlob"), ORPHAN),  # type: ignore[arg-type]
        store.get_blob("\ud800"),
        store.get_blob(None),  # type: ignore[arg-type]
        store.put_module_artifact(None),  # type: ignore[arg-type]
        store.get_module_artifact("\udfff"),
    ):
        with pytest.raises(InvalidRecord):
            await refused
    assert await stored_refs(store) == set()


async def test_failures_are_raised(tmp_path: Path) -> None:
    """Weakness 1: no hash is returned for what was not stored."""
    await (await open_store(tmp_path / "store.db")).close()
    async with await Store.open_readonly(tmp_path / "store.db") as store:
        for refused in (
            store.put_blob(ORPHAN),
            store.put_artifact_blob(GENERIC, ORPHAN),
            store.put_module_artifact(artifact()),
        ):
            with pytest.raises(StoreReadOnly):
                await refused


async def test_an_artifact_comes_back_byte_for_byte(store: Store) -> None:
    """Scenarios 56 and 60."""
    data = (
        b' {"module_ref" : "'
        + MODULE_REF.encode()
        + b'", "exports":{"processes":{"scan":{"component":"c","pos":1}}}}\n'
    )
    assert await store.put_module_artifact(data) == MODULE_REF
    assert await store.get_module_artifact(MODULE_REF) == data
    ((ref,),) = await rows(store, "SELECT blob_ref FROM artifact_refs WHERE artifact_ref = ?1", MODULE_REF)
    assert ref == hashlib.sha256(data).hexdigest()
    envelope = open_envelope(await stored(store, ref))
    assert envelope is not None
    assert envelope.descriptor == artifacts.MODULE_ARTIFACT


async def test_an_unknown_artifact_is_none(store: Store) -> None:
    """Scenario 57."""
    assert await store.get_module_artifact(MODULE_REF) is None


async def test_an_artifact_is_replaced(store: Store) -> None:
    for data in (artifact(), artifact(dependencies=["d"]), artifact()):
        await store.put_module_artifact(data)
        assert await store.get_module_artifact(MODULE_REF) == data
    assert await rows(store, "SELECT count(*) FROM artifact_refs") == [(1,)]


async def test_another_handle_sees_an_artifact_at_once(tmp_path: Path) -> None:
    """Scenario 59, and an artifact that was replaced."""
    async with (
        await open_store(tmp_path / "store.db") as one,
        await open_store(tmp_path / "store.db") as other,
    ):
        for data in (artifact(), artifact(dependencies=["d"])):
            await one.put_module_artifact(data)
            assert await other.get_module_artifact(MODULE_REF) == data


@pytest.mark.parametrize(
    "data",
    [b"not an artifact", b"[]", b"{}", b'{"module_ref":7}', b'{"module_ref":"a","module_ref":"a"}', b"\xff", b""],
)
async def test_what_is_no_artifact_is_refused(store: Store, data: bytes) -> None:
    """Scenario 61."""
    with pytest.raises(ArtifactEncodeFailed):
        await store.put_module_artifact(data)
    assert await stored_refs(store) == set()


async def test_an_artifact_whose_blob_is_gone_is_an_error(store: Store) -> None:
    await store.put_module_artifact(artifact())
    await execute(store, "DELETE FROM blobs")
    with pytest.raises(ArtifactDecodeFailed, match=MODULE_REF):
        await store.get_module_artifact(MODULE_REF)


async def test_an_artifact_whose_blob_is_damaged_is_an_error_until_it_is_put_again(store: Store) -> None:
    await store.put_module_artifact(artifact())
    await execute(store, "UPDATE blobs SET content = x'80'")
    with pytest.raises(ArtifactDecodeFailed, match=MODULE_REF):
        await store.get_module_artifact(MODULE_REF)
    await store.put_module_artifact(artifact())
    assert await store.get_module_artifact(MODULE_REF) == artifact()


@pytest.mark.parametrize("content", [b"not an artifact", artifact("lashlang:v1:sha256:" + "cd" * 32)])
async def test_a_reference_to_something_else_is_an_error(store: Store, content: bytes) -> None:
    ref = await store.put_blob(content)
    await execute(store, "INSERT INTO artifact_refs VALUES (?1, ?2)", MODULE_REF, ref)
    with pytest.raises(ArtifactDecodeFailed) as raised:
        await store.get_module_artifact(MODULE_REF)
    assert (raised.value.kind, raised.value.key) == ("module artifact", MODULE_REF)
