"""Occurrences of host events: each is recorded once, under its idempotency key (host events specification 1.3, 4.6)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from lash_store.codecs.host_event_ids import deterministic_occurrence_id, host_event_occurrence_request_hash
from lash_store.codecs.host_event_text import occurrence_text, stored_occurrence
from lash_store.errors import HostEventOccurrenceConflict, StoreCorrupt, UnknownHostEventOccurrence
from lash_store.records.host_event import (
    HostEventOccurrenceRecord,
    HostEventOccurrenceRequest,
    HostEventOccurrenceResult,
)
from lash_store.sqlite.plan import Expect, Otherwise, Plan, PlanResult, Step

if TYPE_CHECKING:
    import apsw

TABLES: Final[Mapping[str, str]] = {
    "host_event_occurrences": """
CREATE TABLE IF NOT EXISTS host_event_occurrences (
    occurrence_id TEXT PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    request_hash TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source_key TEXT NOT NULL,
    occurred_at_ms INTEGER NOT NULL,
    record_json TEXT NOT NULL
)""",
    "idx_host_event_occurrences_source": """
CREATE INDEX IF NOT EXISTS idx_host_event_occurrences_source
ON host_event_occurrences (source_type, source_key, occurred_at_ms)
""",
}

_FIND_KEY: Final = """
SELECT occurrence_id, record_json, request_hash FROM host_event_occurrences WHERE idempotency_key = ?1
"""
_RECORD: Final = """
WITH clock (now) AS MATERIALIZED (SELECT lash_now_ms())
INSERT INTO host_event_occurrences
    (occurrence_id, idempotency_key, request_hash, source_type, source_key, occurred_at_ms, record_json)
SELECT ?1, ?2, ?3, ?4, ?5, now, ?6 || now || '}' FROM clock
RETURNING occurrence_id, record_json
"""
_FIND: Final = "SELECT source_type, source_key, record_json FROM host_event_occurrences WHERE occurrence_id = ?1"
_LIST: Final = """
SELECT occurrence_id, record_json FROM host_event_occurrences
WHERE source_type = ?1 AND (?2 IS NULL OR source_key = ?2) AND occurred_at_ms >= ?3
ORDER BY occurred_at_ms, occurrence_id
"""


def prepare_recording(request: HostEventOccurrenceRequest) -> Plan:
    """The plan that records an occurrence unless its key is taken. Raises InvalidRecord, InvalidJsonValue."""
    occurrence_id = deterministic_occurrence_id(request)
    values = (
        occurrence_id,
        request.idempotency_key,
        host_event_occurrence_request_hash(request),
        request.source_type,
        request.source_key,
        occurrence_text(occurrence_id, request),
    )
    return Plan(
        [
            Step(_FIND_KEY, (request.idempotency_key,), expect=Expect.NO_ROW, otherwise=Otherwise.STOP),
            Step(_RECORD, values, expect=1, rows=True),
        ]
    )


def recorded(request: HostEventOccurrenceRequest, result: PlanResult) -> HostEventOccurrenceResult:
    """What a plan of `prepare_recording` has recorded or found. Raises HostEventOccurrenceConflict, StoreCorrupt."""
    if result.row is None:
        ((occurrence_id, text),) = result.rows[0]
        return HostEventOccurrenceResult(occurrence_of(occurrence_id, text), is_new=True)
    occurrence_id, text, request_hash = result.row
    if request_hash != host_event_occurrence_request_hash(request):
        raise HostEventOccurrenceConflict(request.idempotency_key)
    return HostEventOccurrenceResult(occurrence_of(occurrence_id, text), is_new=False)


def find_occurrence(connection: "apsw.Connection", occurrence_id: str) -> tuple[str, str, HostEventOccurrenceRecord]:
    """Source type, source key and record of an occurrence. Raises UnknownHostEventOccurrence, StoreCorrupt."""
    row: Any = connection.execute(_FIND, (occurrence_id,)).fetchone()
    if row is None:
        raise UnknownHostEventOccurrence(occurrence_id)
    source_type, source_key, text = row
    return source_type, source_key, occurrence_of(occurrence_id, text)


def read_occurrences(
    connection: "apsw.Connection", source_type: str, source_key: str | None, from_ms: int
) -> list[HostEventOccurrenceRecord]:
    """The occurrences of a type, or of one source of it, from a time on, by time. Raises StoreCorrupt."""
    rows: Any = connection.execute(_LIST, (source_type, source_key, from_ms))
    return [occurrence_of(*row) for row in rows]


def occurrence_of(occurrence_id: str, text: str) -> HostEventOccurrenceRecord:
    """The occurrence of a row. Raises StoreCorrupt if it cannot be read, or is another one."""
    record = stored_occurrence(occurrence_id, text)
    if record.occurrence_id != occurrence_id:
        raise StoreCorrupt("host event occurrence", occurrence_id)
    return record
