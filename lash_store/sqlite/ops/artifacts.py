"""Module artifacts: a blob each, found by the reference that the artifact itself names (specification 2.10, 4.24)."""

from typing import TYPE_CHECKING, Final

from lash_store.codecs.envelope import Blob, open_blob, seal
from lash_store.codecs.module_artifact import module_ref_of
from lash_store.errors import ArtifactDecodeFailed, ArtifactEncodeFailed, InvalidRecord, StoreCorrupt
from lash_store.records.artifacts import MODULE_ARTIFACT, BlobProfile
from lash_store.sqlite.ops import blobs
from lash_store.sqlite.ops.texts import readable
from lash_store.sqlite.plan import Plan, Step

if TYPE_CHECKING:
    import apsw

TABLES: Final = {
    "artifact_refs": """
CREATE TABLE IF NOT EXISTS artifact_refs (
    artifact_ref TEXT PRIMARY KEY,
    blob_ref TEXT NOT NULL
)"""
}

_REFER: Final = """
INSERT INTO artifact_refs (artifact_ref, blob_ref) VALUES (?1, ?2)
ON CONFLICT (artifact_ref) DO UPDATE SET blob_ref = excluded.blob_ref WHERE blob_ref <> excluded.blob_ref
"""
_FIND: Final = "SELECT blob_ref FROM artifact_refs WHERE artifact_ref = ?1"


def encode(artifact: bytes, profile: BlobProfile) -> tuple[str, Blob]:
    """The module reference in an artifact, and its blob. Raises ArtifactEncodeFailed."""
    try:
        return module_ref_of(artifact), seal(MODULE_ARTIFACT, artifact, profile)
    except InvalidRecord as unfit:
        raise ArtifactEncodeFailed(unfit.path, unfit.reason) from None


def prepare_put(module_ref: str, blob: Blob) -> Plan:
    """Stores an artifact and refers to it, in one transaction; see `blobs.prepare_put`."""
    return blobs.prepare_put(blob, Step(_REFER, (module_ref, blob.ref)))


def read(connection: "apsw.Connection", module_ref: str) -> bytes | None:
    """The artifact of that reference; None if there is none. Raises ArtifactDecodeFailed."""
    with readable("artifact reference", module_ref):
        found = [blob_ref for (blob_ref,) in connection.execute(_FIND, (module_ref,))]
    for blob_ref in found:
        return _decode(module_ref, blob_ref, blobs.read_stored(connection, blob_ref))
    return None


def _decode(module_ref: str, blob_ref: str, stored: bytes | None) -> bytes:
    if stored is None:
        raise ArtifactDecodeFailed(module_ref, f"its blob {blob_ref!r} is missing")
    try:
        artifact = open_blob(blob_ref, stored)
        found = module_ref_of(artifact)
    except (StoreCorrupt, InvalidRecord) as damage:
        raise ArtifactDecodeFailed(module_ref, str(damage)) from damage
    if found != module_ref:
        raise ArtifactDecodeFailed(module_ref, f"its blob holds the artifact {found!r}")
    return artifact
