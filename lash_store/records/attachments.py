"""The attachment manifest: rows that say which session means to keep which attachment (specification 3.17)."""

from lash_store.records.record import Record
from lash_store.records.shape import EpochMs


class AttachmentIntent(Record, frozen=True):
    """A session is about to write an attachment's bytes at `canonical_uri`."""

    attachment_id: str
    session_id: str
    canonical_uri: str
    intent_at_epoch_ms: EpochMs


class AttachmentManifestEntry(Record, frozen=True):
    """An intent and, once a commit has referenced the attachment, the time of that commit."""

    attachment_id: str
    session_id: str
    canonical_uri: str
    intent_at_epoch_ms: EpochMs
    committed_at_epoch_ms: EpochMs | None = None
