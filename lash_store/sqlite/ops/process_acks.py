"""Acknowledged wakes (process specification 1.2, 4.2)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from lash_store.records.process_event import ProcessEvent
from lash_store.sqlite.ops import processes
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.ops.process_events import event_of
from lash_store.sqlite.plan import Plan, Step

if TYPE_CHECKING:
    import apsw

TABLES: Final[Mapping[str, str]] = {
    "process_wake_acks": """
CREATE TABLE IF NOT EXISTS process_wake_acks (
    process_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (process_id, sequence),
    FOREIGN KEY (process_id) REFERENCES processes (process_id) ON DELETE CASCADE
)
""",
}

_ACKNOWLEDGE: Final = "INSERT OR IGNORE INTO process_wake_acks (process_id, sequence) VALUES (?1, ?2)"
# Only the types that may wake are looked at, through their index: most events of a log are of other types. Left out is
# what says itself that it does not wake: the event of its row, with semantics and no wake in them. All else is decoded,
# so that damage is found.
_WAKES_AFTER: Final = """
SELECT event.sequence, event.event_json
FROM json_each(?3) AS waking CROSS JOIN process_events AS event
WHERE event.process_id = ?1 AND event.event_type = waking.value AND event.sequence > ?2
    AND CASE WHEN json_valid(event.event_json) THEN
        event.event_json ->> '$.semantics.wake' IS NOT NULL
        OR json_type(event.event_json, '$.semantics') IS NOT 'object'
        OR (event.event_json ->> '$.process_id', event.event_json ->> '$.sequence')
            IS NOT (event.process_id, event.sequence)
        ELSE true END
    AND NOT EXISTS (
        SELECT 1 FROM process_wake_acks AS ack
        WHERE ack.process_id = event.process_id AND ack.sequence = event.sequence
    )
ORDER BY event.sequence
"""


def prepare_ack(process_id: str, sequence: int) -> Plan:
    """The plan that acknowledges a wake. Raises InvalidRecord for a sequence outside 0 ... 2^63-1."""
    column_integer("process wake acknowledgement", "sequence", sequence)
    return Plan([processes.exists_step(process_id), Step(_ACKNOWLEDGE, (process_id, sequence))])


def read_wakes_after(connection: "apsw.Connection", process_id: str, after_sequence: int) -> list[ProcessEvent]:
    """The waking events behind a sequence that are not acknowledged, in order. Raises UnknownProcess, StoreCorrupt."""
    record = processes.read_process(connection, process_id)
    waking = sorted({declared.name for declared in record.event_types if declared.semantics.wake is not None})
    rows = connection.execute(_WAKES_AFTER, (process_id, after_sequence, msgspec.json.encode(waking).decode()))
    events = [event_of(process_id, *row) for row in rows]
    return [event for event in events if event.semantics.wake is not None]
