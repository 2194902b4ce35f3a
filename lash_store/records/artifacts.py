"""Blobs: what they are for, how they are kept, and the reports of their collection (specification 3.10, 4.18, 4.19)."""

import enum
from typing import Annotated, Final

import msgspec

from lash_store.records.record import Record
from lash_store.records.shape import OMIT_EMPTY, Uint


class PersistedArtifactKind(str, enum.Enum):
    """What a blob holds."""

    GENERIC_BLOB = "GenericBlob"
    CHECKPOINT_MANIFEST = "CheckpointManifest"
    TOOL_STATE = "ToolState"
    PLUGIN_SESSION_SNAPSHOT = "PluginSessionSnapshot"
    EXECUTION_STATE_SNAPSHOT = "ExecutionStateSnapshot"
    LASHLANG_MODULE = "LashlangModule"


class BlobStorageHint(str, enum.Enum):
    """How a blob is best kept."""

    COMPRESSIBLE = "Compressible"
    INLINE_PREFERRED = "InlinePreferred"
    LARGE_PAYLOAD = "LargePayload"


class BlobProfile(str, enum.Enum):
    """How eagerly a store compresses."""

    LOW_LATENCY = "low_latency"
    BALANCED = "balanced"
    COMPACT = "compact"


class DurabilityTier(str, enum.Enum):
    """Whether what a store holds outlives the process."""

    INLINE = "inline"
    DURABLE = "durable"


class BlobArtifactDescriptor(Record, frozen=True):
    """What a blob is, as its envelope says; hints in declared order."""

    kind: PersistedArtifactKind
    hints: Annotated[list[BlobStorageHint], OMIT_EMPTY] = msgspec.field(default_factory=list)


def _large(kind: PersistedArtifactKind) -> BlobArtifactDescriptor:
    return BlobArtifactDescriptor(kind, [BlobStorageHint.COMPRESSIBLE, BlobStorageHint.LARGE_PAYLOAD])


CHECKPOINT_MANIFEST: Final = BlobArtifactDescriptor(
    PersistedArtifactKind.CHECKPOINT_MANIFEST, [BlobStorageHint.COMPRESSIBLE]
)
TOOL_STATE: Final = _large(PersistedArtifactKind.TOOL_STATE)
PLUGIN_SNAPSHOT: Final = _large(PersistedArtifactKind.PLUGIN_SESSION_SNAPSHOT)
EXECUTION_STATE: Final = _large(PersistedArtifactKind.EXECUTION_STATE_SNAPSHOT)
MODULE_ARTIFACT: Final = _large(PersistedArtifactKind.LASHLANG_MODULE)


class GcOutcome(str, enum.Enum):
    """How a collection ended. It stops at the first doubt about what is still needed, and removes nothing from then on.

    OVERTAKEN: others moved the head so often that it could not be followed; what is left can be collected later.
    """

    SWEPT = "swept"
    OVERTAKEN = "overtaken"
    ABORTED_UNREADABLE_HEAD = "aborted_unreadable_head"
    ABORTED_MISSING_MANIFEST = "aborted_missing_manifest"
    ABORTED_UNREADABLE_MANIFEST = "aborted_unreadable_manifest"

    @property
    def aborted(self) -> bool:
        """Whether something that is stored has to be mended before a collection can end."""
        return self not in (GcOutcome.SWEPT, GcOutcome.OVERTAKEN)


class GcReport(Record, frozen=True):
    """What a collection found and removed.

    `root_count` counts the head's manifest and the artifact references, duplicates included, `retained_blob_count` the
    distinct blobs known to be needed. `deleted_blob_count` blobs were removed, `freed_byte_count` bytes of rows.
    `blocked_by` is the ref (or the table) that a collection was aborted for.
    """

    root_count: Uint = 0
    retained_blob_count: Uint = 0
    deleted_blob_count: Uint = 0
    outcome: GcOutcome = GcOutcome.SWEPT
    freed_byte_count: Uint = 0
    blocked_by: str | None = None


class TombstoneReport(Record, frozen=True):
    """How many nodes were hidden that were not before, and how many hidden ones lie on the head's active path now.

    If any do, loads of that path begin below the last of them, or are empty.
    """

    tombstoned_node_count: Uint = 0
    hidden_on_active_path: Uint = 0


class VacuumReport(Record, frozen=True):
    """How many hidden nodes a vacuum removed, and by how many bytes the database has shrunk."""

    removed_node_count: Uint = 0
    freed_byte_count: Uint = 0
