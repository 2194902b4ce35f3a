"""Envelopes: when they compress, and what is done with damaged, foreign and raw blobs."""

import hashlib
import zlib

import msgspec
import pytest

from lash_store.codecs import intarrays
from lash_store.codecs.envelope import open_blob, open_envelope, seal, seal_raw
from lash_store.errors import InvalidRecord, StoreCorrupt
from lash_store.records import artifacts
from lash_store.records.artifacts import BlobArtifactDescriptor, BlobProfile, BlobStorageHint, PersistedArtifactKind


def sha256(content: bytes) -> str:
    """The ref of a blob."""
    return hashlib.sha256(content).hexdigest()


def compressed(descriptor: BlobArtifactDescriptor, size: int, profile: BlobProfile) -> bool:
    envelope = open_envelope(seal(descriptor, b"x" * size, profile).stored)
    assert envelope is not None
    assert envelope.content == b"x" * size
    return envelope.compressed


@pytest.mark.parametrize(
    ("profile", "size", "expected"),
    [
        (BlobProfile.BALANCED, 4095, False),
        (BlobProfile.BALANCED, 4096, True),
        (BlobProfile.COMPACT, 1023, False),
        (BlobProfile.COMPACT, 1024, True),
        (BlobProfile.LOW_LATENCY, 1_000_000, False),
    ],
)
def test_the_profile_draws_the_border(profile: BlobProfile, size: int, expected: bool) -> None:
    """Scenario 73."""
    assert compressed(artifacts.EXECUTION_STATE, size, profile) is expected


def test_only_compressible_blobs_are_compressed() -> None:
    large = BlobArtifactDescriptor(PersistedArtifactKind.GENERIC_BLOB, [BlobStorageHint.LARGE_PAYLOAD])
    assert compressed(large, 100_000, BlobProfile.COMPACT) is False


def test_blobs_are_read_by_hash() -> None:
    """Scenario 74: a compressed blob gives the original bytes, a raw one what is stored."""
    content = bytes(range(256)) * 64
    sealed, raw = seal(artifacts.TOOL_STATE, content, BlobProfile.BALANCED), seal_raw(content)
    assert sealed.ref == raw.ref == sha256(content)
    assert open_blob(sealed.ref, sealed.stored) == content
    assert raw.stored == open_blob(raw.ref, raw.stored) == content


def test_a_longer_compressed_form_is_kept() -> None:
    content = zlib.compress(bytes(range(256)) * 400, 9) * 20
    sealed = seal(artifacts.TOOL_STATE, content, BlobProfile.BALANCED)
    envelope = open_envelope(sealed.stored)
    assert envelope is not None
    assert envelope.compressed


def test_a_raw_blob_that_looks_like_an_envelope_is_still_raw() -> None:
    inner = seal(artifacts.TOOL_STATE, b"inner", BlobProfile.BALANCED).stored
    raw = seal_raw(inner)
    assert open_blob(raw.ref, raw.stored) == inner


def envelope_with(**changes: object) -> bytes:
    parts: dict[str, object] = {
        "descriptor": {"kind": "ToolState", "hints": ["Compressible"]},
        "compression": "None",
        "content": list(b"abc"),
    }
    return msgspec.msgpack.encode({key: item for key, item in {**parts, **changes}.items() if item is not None})


def test_keys_in_any_order_unknown_ones_and_bin_are_read() -> None:
    stored = msgspec.msgpack.encode(
        {"new": [1, {"x": None}], "content": b"abc", "compression": "None", "descriptor": {"kind": "ToolState", "y": 1}}
    )
    envelope = open_envelope(stored)
    assert envelope is not None
    assert envelope.content == b"abc"
    assert envelope.descriptor.hints == []


@pytest.mark.parametrize(
    "stored",
    [
        envelope_with(descriptor={"kind": "Novelty"}),
        envelope_with(descriptor={"kind": "ToolState", "hints": ["Novelty"]}),
        envelope_with(descriptor={"kind": "ToolState", "hints": None}),
        envelope_with(compression="Zstd"),
        envelope_with(compression="Zlib"),
        envelope_with(compression="Zlib", content=list(zlib.compress(b"x" * 100)[:-5])),
        envelope_with(compression="Zlib", content=[]),
    ],
)
def test_an_envelope_that_is_not_understood_is_no_raw_blob(stored: bytes) -> None:
    """Section 7, items 8 and 44: never hand out an envelope's own bytes as content, nor a damaged stream."""
    with pytest.raises(InvalidRecord):
        open_envelope(stored)
    with pytest.raises(StoreCorrupt) as caught:
        open_blob(sha256(b"abc"), stored)
    assert (caught.value.kind, caught.value.key) == ("blob", sha256(b"abc"))
    assert isinstance(caught.value.__cause__, InvalidRecord)


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"plain text",
        b"\x80",
        envelope_with(content=None),
        envelope_with(content=[256]),
        envelope_with(content="abc"),
        envelope_with(descriptor=[]),
        envelope_with() + b"\x00",
        envelope_with()[:-1],
        b"\x84" + envelope_with()[1:] + msgspec.msgpack.encode("content") + b"\x90",
    ],
)
def test_what_is_no_envelope_is_raw(stored: bytes) -> None:
    assert open_envelope(stored) is None
    assert open_blob(sha256(stored), stored) == stored
    with pytest.raises(StoreCorrupt):
        open_blob(sha256(b"abc"), stored)


def test_bytes_behind_the_zlib_stream_are_ignored() -> None:
    stored = envelope_with(compression="Zlib", content=list(zlib.compress(b"abc") + b"more"))
    assert open_blob(sha256(b"abc"), stored) == b"abc"


def test_a_flipped_bit_is_seen() -> None:
    sealed = seal(artifacts.TOOL_STATE, b"abc", BlobProfile.BALANCED)
    with pytest.raises(StoreCorrupt):
        open_blob(sealed.ref, sealed.stored[:-1] + b"d")


def test_every_byte_is_one_or_two() -> None:
    sealed = seal(artifacts.EXECUTION_STATE, b"\x7f\x80", BlobProfile.LOW_LATENCY)
    assert sealed.stored.endswith(intarrays.encode(b"\x7f\x80"))
    assert sealed.stored.endswith(b"\x92\x7f\xcc\x80")
