"""Blobs: bytes under the hash of their logical content (specification 2.1, 4.22).

The first stored form of a content stays: whoever puts it again, in whatever envelope, changes nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from lash_store.codecs.envelope import Blob, open_blob
from lash_store.errors import StoreCorrupt
from lash_store.sqlite.plan import Plan, PlanResult, Step

if TYPE_CHECKING:
    import apsw

TABLES: Final = {
    "blobs": """
CREATE TABLE IF NOT EXISTS blobs (
    hash TEXT PRIMARY KEY,
    content BLOB NOT NULL
)"""
}

# As bytes, whatever somebody has put there: the hash decides whether they are the content.
READ: Final = "SELECT CAST(content AS BLOB) FROM blobs WHERE hash = ?1"
IS_STORED: Final = "SELECT 1 FROM blobs WHERE hash = ?1"
# SQLite looks the key up before it builds the row: content that is there costs a look-up, no copy and no page.
_INSERT: Final = "INSERT INTO blobs (hash, content) VALUES (?1, ?2) ON CONFLICT (hash) DO NOTHING"
_INSERT_AND_TELL: Final = f"{_INSERT} RETURNING 1"
# The damaged bytes are named, so that a row which somebody else has repaired meanwhile stays as it is.
_REPAIR: Final = "UPDATE blobs SET content = ?2 WHERE hash = ?1 AND CAST(content AS BLOB) = ?3"


def blob_steps(blobs: Sequence[Blob]) -> list[Step]:
    """Stores blobs; those whose content is stored already stay as they are."""
    return [Step(_INSERT, list(blobs), many=True)] if blobs else []


def read_stored(connection: "apsw.Connection", ref: str) -> bytes | None:
    """The row's bytes as they are stored; None if there is no such blob."""
    for (stored,) in connection.execute(READ, (ref,)):
        return bytes(stored)
    return None


def read_content(connection: "apsw.Connection", ref: str) -> bytes | None:
    """The logical content, checked against its hash; None if there is no such blob. Raises StoreCorrupt."""
    stored = read_stored(connection, ref)
    return None if stored is None else open_blob(ref, stored)


def prepare_put(blob: Blob, *more: Step) -> Plan:
    """Stores one blob, and runs `more` steps with it; `was_present` tells whether its content was there before."""
    return Plan([Step(_INSERT_AND_TELL, blob, rows=True), *more])


def was_present(result: PlanResult) -> bool:
    """Whether the content of the plan's blob was stored already, in whatever form and state."""
    return not result.rows[0]


def read_damage(connection: "apsw.Connection", ref: str) -> bytes | None:
    """The bytes of a row that no longer holds its content; None if it does, or is not there."""
    stored = read_stored(connection, ref)
    return None if stored is None or is_sound(ref, stored) else stored


def is_sound(ref: str, stored: bytes) -> bool:
    """Whether the bytes of a row hold its content."""
    try:
        open_blob(ref, stored)
    except StoreCorrupt:
        return False
    return True


def prepare_repair(blob: Blob, damage: bytes) -> Plan:
    """Puts the true bytes of `blob` in the place of the `damage` that `read_damage` has found."""
    return Plan([Step(_REPAIR, (*blob, damage))])
