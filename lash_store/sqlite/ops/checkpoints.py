"""Checkpoints: a manifest and its parts, each a blob under the hash of its content (specification 4.23)."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from lash_store.codecs import checkpoint as codec
from lash_store.codecs.checkpoint import EncodedCheckpoint
from lash_store.codecs.envelope import open_blob
from lash_store.errors import BlobMissing, GuardFailed, InvalidRecord, StoreCorrupt
from lash_store.records.checkpoint import HydratedSessionCheckpoint, SessionCheckpoint
from lash_store.sqlite.ops import blobs
from lash_store.sqlite.plan import Expect, Plan, Step

if TYPE_CHECKING:
    import apsw

T = TypeVar("T")


REUSED: Final = "reused blob"
KEPT: Final = "kept ref "
MET: Final = "new blob "


class Met(NamedTuple):
    """A blob that is stored already, and the plan that mends it if it is damaged."""

    ref: str
    repair: Plan | None


def write_steps(encoded: EncodedCheckpoint, carried: frozenset[str] = frozenset()) -> list[Step]:
    """Stores a checkpoint's blobs.

    The guard REUSED holds those that were left out because they are stored; the guards KEPT + ref those which the
    caller named without bringing them, except the `carried` ones, which the head before already lacked. The guards
    MET + ref stop at a blob that is stored and was not known to be: whether it is sound, no statement can tell.
    """
    return [
        *(Step(blobs.IS_STORED, (ref,), expect=Expect.ROW, name=REUSED) for ref in encoded.reused),
        *(
            Step(blobs.IS_STORED, (ref,), expect=Expect.ROW, name=f"{KEPT}{ref}")
            for ref in encoded.kept
            if ref not in carried
        ),
        *(Step(blobs.READ, (blob.ref,), expect=Expect.NO_ROW, name=f"{MET}{blob.ref}") for blob in encoded.blobs),
        *blobs.blob_steps(encoded.blobs),
    ]


def met(encoded: EncodedCheckpoint, failed: GuardFailed) -> Met | None:
    """The blob that a guard MET has stopped at; None for any other guard."""
    if not failed.name.startswith(MET) or failed.row is None:
        return None
    ref, stored = failed.name.removeprefix(MET), failed.row[0]
    try:
        open_blob(ref, stored)
    except StoreCorrupt:
        whole = next(blob for blob in encoded.blobs if blob.ref == ref)
        return Met(ref, blobs.prepare_repair(whole, stored))
    return Met(ref, None)


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
    try:
        return decode(open_blob(ref, stored))
    except InvalidRecord as damage:
        raise StoreCorrupt(kind, ref) from damage
