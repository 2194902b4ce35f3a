"""The attachment manifest: which session means to keep which attachment (specification 2.9, 4.28).

The bytes lie elsewhere. A caller records its intent, writes the bytes and references them in a commit; a sweep later
lists what was never committed, forgets those rows and deletes the bytes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from lash_store.records.attachments import AttachmentIntent, AttachmentManifestEntry
from lash_store.sqlite.ops.arguments import record_of
from lash_store.sqlite.ops.texts import column_texts, readable
from lash_store.sqlite.plan import Plan, Step

if TYPE_CHECKING:
    import apsw

TABLES: Final = {
    "attachment_manifest": """
CREATE TABLE IF NOT EXISTS attachment_manifest (
    attachment_id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL,
    canonical_uri TEXT NOT NULL,
    intent_at_ms INTEGER NOT NULL,
    committed_at_ms INTEGER
)""",
    "idx_attachment_manifest_session": """
CREATE INDEX IF NOT EXISTS idx_attachment_manifest_session
ON attachment_manifest (session_id, committed_at_ms)""",
    "idx_attachment_manifest_uncommitted": """
CREATE INDEX IF NOT EXISTS idx_attachment_manifest_uncommitted
ON attachment_manifest (committed_at_ms) WHERE committed_at_ms IS NULL""",
}

_RECORD: Final = """
INSERT INTO attachment_manifest (attachment_id, session_id, canonical_uri, intent_at_ms) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (attachment_id) DO NOTHING
"""
_COMMIT: Final = """
UPDATE attachment_manifest SET committed_at_ms = lash_now_ms()
WHERE attachment_id = ?1 AND session_id = ?2 AND committed_at_ms IS NULL
"""
# The ids break ties: two sweeps of the same rows shall see them in one order. alpha.40 lets a time above 2^63-1 wrap to
# a negative one when it writes the column: that lies behind every time that can be asked for.
_UNCOMMITTED: Final = """
SELECT attachment_id, session_id, canonical_uri, intent_at_ms FROM attachment_manifest
WHERE committed_at_ms IS NULL AND (intent_at_ms BETWEEN 0 AND ?1 OR typeof(intent_at_ms) <> 'integer')
ORDER BY intent_at_ms, attachment_id
"""
_FORGET: Final = "DELETE FROM attachment_manifest WHERE attachment_id = ?1"
_FORGET_UNCOMMITTED: Final = f"{_FORGET} AND committed_at_ms IS NULL"


def prepare_record(intent: AttachmentIntent) -> Plan:
    """Records an intent unless the attachment has a row. Raises InvalidRecord or InvalidJsonValue."""
    record_of(AttachmentIntent, intent).to_json()  # checks every field
    row = (intent.attachment_id, intent.session_id, intent.canonical_uri, intent.intent_at_epoch_ms)
    return Plan([Step(_RECORD, row)])


def commit_refs_steps(session_id: str, attachment_ids: Sequence[str]) -> list[Step]:
    """Marks the session's attachments of these ids as committed now; unknown ids and committed rows are left alone.

    Raises InvalidRecord for what is no list of texts.
    """
    ids = column_texts("attachment", "attachment_ids", attachment_ids)
    rows = [(attachment_id, session_id) for attachment_id in ids]
    return [Step(_COMMIT, rows, many=True)] if rows else []


def read_uncommitted(connection: "apsw.Connection", older_than_epoch_ms: int) -> list[AttachmentManifestEntry]:
    """Rows never committed whose intent is of that time (ms) or older, oldest first. Raises StoreCorrupt."""
    with readable("attachment manifest", "attachment_manifest"):
        return [_entry(*row) for row in connection.execute(_UNCOMMITTED, (older_than_epoch_ms,))]


def prepare_forget(attachment_id: str) -> Plan:
    """Deletes the row of an attachment, if there is one."""
    return Plan([Step(_FORGET, (attachment_id,))])


def prepare_forget_uncommitted(attachment_id: str) -> Plan:
    """Deletes the row of an attachment, if there is one that was never committed."""
    return Plan([Step(_FORGET_UNCOMMITTED, (attachment_id,))])


def _entry(attachment_id: str, session_id: str, canonical_uri: str, intent_at_ms: int) -> AttachmentManifestEntry:
    entry = AttachmentManifestEntry(attachment_id, session_id, canonical_uri, intent_at_ms)
    with readable("attachment manifest row", attachment_id):
        entry.to_json()  # checks every field
    return entry
