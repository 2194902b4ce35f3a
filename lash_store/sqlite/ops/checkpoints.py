"""Checkpoints: a manifest and its parts, each a blob under the hash of its content (specification 4.23)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from lash_store.codecs import checkpoint as codec
from lash_store.codecs.checkpoint import EncodedCheckpoint
from lash_store.codecs.envelope import open_blob
from lash_store.errors import BlobMissing, GuardFailed
from lash_store.records.checkpoint import HydratedSessionCheckpoint, SessionCheckpoint
from lash_store.sqlite.ops import blobs
from lash_store.sqlite.ops.texts import readable
from lash_store.sqlite.plan import Expect, Plan, Step

if TYPE_CHECKING:
    import apsw

T = TypeVar("T")

REUSED: Final = "reused blob"
KEPT: Final = "kept ref "
MET: Final = "new blob"
BELIEFS: Final = frozenset({REUSED, MET})
"""The guards that hold what a handle believes of blobs; not a caller's business."""

_LARGE_BYTES: Final = 64 * 1024  # from here on, encoding takes longer than the way to a thread and back
_TOOL_BYTES: Final = 512
_BUFFERS: Final = (bytearray, memoryview, tuple)


class Met(NamedTuple):
    """The blobs of a checkpoint that are stored already, and the plan that mends those of them that are damaged."""

    refs: list[str]
    repair: Plan | None


def is_large(hydrated: HydratedSessionCheckpoint) -> bool:
    """Whether encoding it takes so long that an event loop should not wait for it. A guess, which looks at little."""
    tools, plugins = _inner(hydrated.tool_state, "tools"), _inner(hydrated.plugin_snapshot, "plugins")
    size = _length(hydrated.execution_state) + _TOOL_BYTES * len(tools)
    for plugin in plugins.values():
        artifacts = plugin.get("artifacts") if type(plugin) is dict else None
        for artifact in artifacts if type(artifacts) is list else ():
            size += _length(artifact.get("data")) if type(artifact) is dict else 0
    return size >= _LARGE_BYTES


def _inner(value: Any, key: str) -> dict[str, Any]:
    inner = value.get(key) if type(value) is dict else None
    return inner if type(inner) is dict else {}


def _length(data: Any) -> int:
    return len(data) if type(data) is bytes or type(data) is list or isinstance(data, _BUFFERS) else 0


def write_steps(encoded: EncodedCheckpoint, carried: frozenset[str] = frozenset()) -> list[Step]:
    """Stores a checkpoint's blobs.

    The guard REUSED holds those that were left out because they are stored; the guards KEPT + ref those which the
    caller named without bringing them, except the `carried` ones, which the head before already lacked. The guard MET
    stops at a blob that is stored and was not known to be: whether it is sound, no statement can tell.
    """
    return [
        *(Step(blobs.IS_STORED, (ref,), expect=Expect.ROW, name=REUSED) for ref in encoded.reused),
        *(
            Step(blobs.IS_STORED, (ref,), expect=Expect.ROW, name=f"{KEPT}{ref}")
            for ref in encoded.kept
            if ref not in carried
        ),
        *(Step(blobs.IS_STORED, (blob.ref,), expect=Expect.NO_ROW, name=MET) for blob in encoded.blobs),
        *blobs.blob_steps(encoded.blobs),
    ]


def read_met(connection: "apsw.Connection", encoded: EncodedCheckpoint) -> Met:
    """What the guard MET has stopped at, and all that it would stop at next."""
    refs: list[str] = []
    repairs: list[Step] = []
    for blob in encoded.blobs:
        stored = blobs.read_stored(connection, blob.ref)
        if stored is not None:
            refs.append(blob.ref)
            if not blobs.is_sound(blob.ref, stored):
                repairs += blobs.prepare_repair(blob, stored).steps
    return Met(refs, Plan(repairs) if repairs else None)


def reusing(encoded: EncodedCheckpoint, refs: Sequence[str]) -> EncodedCheckpoint:
    """The checkpoint without the blobs of `refs`, which are stored already."""
    left = [blob for blob in encoded.blobs if blob.ref not in refs]
    return encoded._replace(blobs=left, reused=[*encoded.reused, *refs])


def written_refs(encoded: EncodedCheckpoint) -> list[str]:
    """The refs of the contents that a checkpoint brought, which are stored and whole once it is written."""
    return [*encoded.reused, *(blob.ref for blob in encoded.blobs)]


def missing(failed: GuardFailed) -> BlobMissing | None:
    """The error of a guard KEPT; None for any other guard."""
    return BlobMissing(failed.name.removeprefix(KEPT)) if failed.name.startswith(KEPT) else None


def read_manifest(connection: "apsw.Connection", checkpoint_ref: str) -> SessionCheckpoint | None:
    """The manifest; None if it is not stored. Raises StoreCorrupt if it cannot be read."""
    return _read(connection, checkpoint_ref, "checkpoint manifest", codec.decode_manifest)


def read_checkpoint(connection: "apsw.Connection", checkpoint_ref: str) -> HydratedSessionCheckpoint | None:
    """The manifest with its parts; None if it is not stored. A part that is not stored is None, its ref is kept.

    Raises StoreCorrupt if one of them is stored and cannot be read.
    """
    manifest = read_manifest(connection, checkpoint_ref)
    if manifest is None:
        return None
    read = partial(_read, connection)
    return HydratedSessionCheckpoint(
        turn_state=manifest.turn_state,
        tool_state_ref=manifest.tool_state_ref,
        tool_state=read(manifest.tool_state_ref, "tool state", codec.decode_tool_state),
        plugin_snapshot_ref=manifest.plugin_snapshot_ref,
        plugin_snapshot=read(manifest.plugin_snapshot_ref, "plugin snapshot", codec.decode_plugin_snapshot),
        plugin_snapshot_revision=manifest.plugin_snapshot_revision,
        execution_state_ref=manifest.execution_state_ref,
        execution_state=read(manifest.execution_state_ref, "execution state", codec.decode_execution_state),
    )


def sound_refs(read: HydratedSessionCheckpoint) -> list[str]:
    """The refs of the parts of a checkpoint that were read, and so are stored and whole."""
    parts = (
        (read.tool_state_ref, read.tool_state),
        (read.plugin_snapshot_ref, read.plugin_snapshot),
        (read.execution_state_ref, read.execution_state),
    )
    return [ref for ref, part in parts if ref is not None and part is not None]


def _read(connection: "apsw.Connection", ref: str | None, kind: str, decode: Callable[[bytes], T]) -> T | None:
    stored = None if ref is None else blobs.read_stored(connection, ref)
    if ref is None or stored is None:
        return None
    with readable(kind, ref):
        return decode(open_blob(ref, stored))
