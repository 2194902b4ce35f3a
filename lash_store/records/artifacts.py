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
    """How a collection ended."""

    SWEPT = "swept"
    ABORTED = "aborted"


class GcReport(Record, frozen=True):
    """What a collection found and removed; an aborted one removed nothing."""

    root_count: Uint = 0
    retained_blob_count: Uint = 0
    deleted_blob_count: Uint = 0
    outcome: GcOutcome = GcOutcome.SWEPT


class VacuumReport(Record, frozen=True):
    """How many hidden nodes a vacuum removed."""

    removed_node_count: Uint = 0
