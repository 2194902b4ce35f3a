"""What a commit made (specification 3.14)."""

from lash_store.records.checkpoint import SessionCheckpoint
from lash_store.records.record import Record
from lash_store.records.shape import Uint


class RuntimeCommitResult(Record, frozen=True):
    """The new head revision, the checkpoint's ref and its manifest. Stored, and given back on a replay."""

    head_revision: Uint
    checkpoint_ref: str
    manifest: SessionCheckpoint
