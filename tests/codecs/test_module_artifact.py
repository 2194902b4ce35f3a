"""Module artifacts."""

import pytest

from lash_store.codecs.envelope import open_blob, seal
from lash_store.codecs.module_artifact import module_ref_of
from lash_store.errors import InvalidRecord
from lash_store.records.artifacts import MODULE_ARTIFACT, BlobProfile

ARTIFACT = b'{"module_ref":"lashlang:v1:sha256:ab","required_surface":{"z":1.0,"a":[1e16]},"canonical_ir":null}'


def test_the_bytes_come_back_unchanged() -> None:
    """Scenario 56, without the table: nothing is parsed and written again."""
    artifact = ARTIFACT + b" " * 5000
    blob = seal(MODULE_ARTIFACT, artifact, BlobProfile.BALANCED)
    assert open_blob(blob.ref, blob.stored) == artifact
    assert module_ref_of(artifact) == "lashlang:v1:sha256:ab"


@pytest.mark.parametrize(
    "artifact",
    [b"not an artifact", b"", b"[]", b"{}", b'{"module_ref":1}', b'{"module_ref":"a","module_ref":"a"}', ARTIFACT[:-1]],
)
def test_what_is_no_artifact_is_refused(artifact: bytes) -> None:
    """Scenario 61."""
    with pytest.raises(InvalidRecord, match="module artifact"):
        module_ref_of(artifact)
