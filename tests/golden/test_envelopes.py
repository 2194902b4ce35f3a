"""Specification A.3: the bytes of envelopes around the content `orphan`."""

import pytest

from lash_store.codecs.envelope import Envelope, open_blob, open_envelope, seal
from lash_store.records import artifacts
from lash_store.records.artifacts import BlobArtifactDescriptor, BlobProfile, PersistedArtifactKind
from tests.golden import vectors

KEY = "88f6811ab5d8fc6d3177f9b7609ae0fcebfda187e5046b62d38bb539e88b74d7"


@pytest.mark.parametrize(
    ("descriptor", "name"),
    [
        (artifacts.CHECKPOINT_MANIFEST, "envelope_checkpoint_manifest"),
        (artifacts.PLUGIN_SNAPSHOT, "envelope_plugin_snapshot"),
        (BlobArtifactDescriptor(PersistedArtifactKind.GENERIC_BLOB), "envelope_generic_no_hints"),
    ],
)
def test_an_envelope_has_these_bytes(descriptor: BlobArtifactDescriptor, name: str) -> None:
    blob = seal(descriptor, b"orphan", BlobProfile.BALANCED)
    assert (blob.ref, blob.stored.hex()) == (KEY, vectors.text(f"{name}.hex"))
    assert open_envelope(vectors.binary(name)) == Envelope(descriptor, False, b"orphan")
    assert open_blob(KEY, vectors.binary(name)) == b"orphan"
