"""Scenarios 73 and 74: when a blob is compressed, and that it is read back as it was put."""

import hashlib
import zlib

import pytest

from lash_store import BlobArtifactDescriptor, BlobProfile, PersistedArtifactKind, Store, StoreCorrupt, StoreOptions
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import descriptor
from tests.conformance.session_store.rows import change, everything, query, stored_envelope
from tests.golden import vectors

TOOL_STATE = descriptor(PersistedArtifactKind.TOOL_STATE)
GENERIC = BlobArtifactDescriptor(PersistedArtifactKind.GENERIC_BLOB)


@pytest.mark.parametrize(
    ("profile", "border"),
    [(BlobProfile.BALANCED, 4096), (BlobProfile.COMPACT, 1024), (BlobProfile.LOW_LATENCY, None)],
)
async def test_scenario_73_the_border_of_compression(stores: Stores, profile: BlobProfile, border: int | None) -> None:
    found = {}
    async with await stores.file(blob_profile=profile) as store:
        for length in (1023, 1024, 4095, 4096, 5000):
            ref = await store.put_artifact_blob(TOOL_STATE, bytes(length))
            plain = await store.put_artifact_blob(GENERIC, b"\x01" * length)
            envelope = stored_envelope(stores.path, ref)
            found[length] = envelope["compression"]
            packed = found[length] == "Zlib"
            assert (zlib.decompress(envelope["content"]) if packed else envelope["content"]) == bytes(length)
            assert stored_envelope(stores.path, plain)["compression"] == "None"
    assert found == {length: "Zlib" if border is not None and length >= border else "None" for length in found}


async def test_scenario_74_original_bytes_come_back(stores: Stores) -> None:
    store = await stores.file(blob_profile=BlobProfile.COMPACT)
    data = b"compress me " * 1000
    ref = await store.put_artifact_blob(TOOL_STATE, data)
    assert ref == hashlib.sha256(data).hexdigest()
    assert stored_envelope(stores.path, ref)["compression"] == "Zlib"
    assert await store.get_blob(ref) == data
    raw = await store.put_blob(b"\x00raw\xff" * 1000)
    assert query(stores.path, "SELECT content FROM blobs WHERE hash = ?", raw) == [(b"\x00raw\xff" * 1000,)]
    assert await store.get_blob(raw) == b"\x00raw\xff" * 1000
    assert await store.get_blob("0" * 64) is None


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (descriptor(PersistedArtifactKind.CHECKPOINT_MANIFEST), "envelope_checkpoint_manifest"),
        (descriptor(PersistedArtifactKind.PLUGIN_SESSION_SNAPSHOT), "envelope_plugin_snapshot"),
        (GENERIC, "envelope_generic_no_hints"),
    ],
)
async def test_the_row_of_an_artifact_blob(stores: Stores, kind: BlobArtifactDescriptor, name: str) -> None:
    """Appendix A.3, byte for byte."""
    async with await stores.file() as store:
        ref = await store.put_artifact_blob(kind, b"orphan")
    assert ref == "88f6811ab5d8fc6d3177f9b7609ae0fcebfda187e5046b62d38bb539e88b74d7"
    assert query(stores.path, "SELECT * FROM blobs") == [(ref, vectors.binary(name))]


async def test_the_first_stored_form_stays(stores: Stores) -> None:
    """Section 4.22."""
    store = await stores.file(blob_profile=BlobProfile.COMPACT)
    data = bytes(2000)
    ref = await store.put_blob(data)
    assert await store.put_artifact_blob(TOOL_STATE, data) == ref
    assert query(stores.path, "SELECT * FROM blobs") == [(ref, data)]
    assert await store.get_blob(ref) == data


async def test_a_damaged_blob_is_said_to_be_damaged(stores: Stores) -> None:
    """Weaknesses 8 and 44: upstream hands out the envelope's own bytes."""
    store = await stores.file(blob_profile=BlobProfile.COMPACT)
    ref = await store.put_artifact_blob(TOOL_STATE, bytes(2000))
    ((stored,),) = query(stores.path, "SELECT content FROM blobs")
    for damaged in (stored.replace(b"\xa4Zlib", b"\xa4Zlab"), stored[:-4], stored.replace(b"ToolState", b"ToolStats")):
        assert damaged != stored
        change(stores.path, "UPDATE blobs SET content = ?", damaged)
        with pytest.raises(StoreCorrupt) as caught:
            await store.get_blob(ref)
        assert (caught.value.kind, caught.value.key) == ("blob", ref)


async def test_blobs_of_any_store(store: Store) -> None:
    for data in (b"", b"\x90", b"x" * 5000):
        ref = await store.put_blob(data)
        assert ref == hashlib.sha256(data).hexdigest()
        assert await store.get_blob(ref) == data
    assert await store.get_blob("") is None


async def test_a_store_in_memory_compresses_nothing_unless_asked_to() -> None:
    """Section 4.3."""
    for options, smaller in ((None, False), (StoreOptions(), True)):
        async with await Store.memory(options) as store:
            await store.put_artifact_blob(TOOL_STATE, bytes(5000))
            ((_, stored),) = (await everything(store))["blobs"]
            assert (len(stored) < 5000) == smaller
