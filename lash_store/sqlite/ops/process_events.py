"""The logs of events (process specification 1.2, 4.3): the inserting statement gives sequence and time.

A plan that appends needs nothing of the state of its process: it holds for the registration that it was made for, and
says so if that is not the one in the file. So any number of tasks can append to one process without getting in each
other's way.
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from lash_store.errors import InvalidRecord, StoreCorrupt, UndeclaredProcessEvent
from lash_store.records.process import ProcessRecord
from lash_store.records.process_event import ProcessEvent
from lash_store.records.process_lease import ProcessLease
from lash_store.records.process_output import ProcessTerminalStatus
from lash_store.rules.process_append import EventDraft
from lash_store.rules.process_definition import ProcessDefinition
from lash_store.sqlite.ops import process_leases, processes
from lash_store.sqlite.ops.texts import column_text, readable
from lash_store.sqlite.plan import Expect, Otherwise, Plan, PlanResult, Step

if TYPE_CHECKING:
    import apsw

TABLES: Final[Mapping[str, str]] = {
    "process_events": """
CREATE TABLE IF NOT EXISTS process_events (
    process_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    event_type TEXT NOT NULL,
    payload_hash TEXT NOT NULL,
    idempotency_key TEXT,
    occurred_at_ms INTEGER NOT NULL,
    event_json TEXT NOT NULL,
    PRIMARY KEY (process_id, sequence),
    FOREIGN KEY (process_id) REFERENCES processes (process_id) ON DELETE CASCADE
)
""",
    "idx_process_events_key": """
CREATE UNIQUE INDEX IF NOT EXISTS idx_process_events_key
ON process_events (process_id, idempotency_key) WHERE idempotency_key IS NOT NULL
""",
    # Beyond upstream's: the first event of a type behind a place in the log, for those who wait for it.
    "lash_store_process_events_type": """
CREATE INDEX IF NOT EXISTS lash_store_process_events_type ON process_events (process_id, event_type, sequence)
""",
}

_BY_KEY: Final = """
SELECT payload_hash, sequence, event_json FROM process_events WHERE process_id = ?1 AND idempotency_key = ?2
"""
# The clock is read once for both places. (UPDATE ... FROM would cost as much again as the update itself.)
_TOUCH: Final = """
UPDATE processes
SET (updated_at_ms, record_json) = (
    WITH now (ms) AS MATERIALIZED (SELECT lash_now_ms())
    SELECT now.ms, json_set(record_json, '$.updated_at_ms', now.ms) FROM now
)
WHERE process_id = ?1 AND record_json ->> '$.registration_hash' = ?2
"""
_END: Final = """
UPDATE processes
SET status = ?3,
    (updated_at_ms, record_json) = (
        WITH now (ms) AS MATERIALIZED (SELECT lash_now_ms())
        SELECT now.ms, json_set(record_json, '$.updated_at_ms', now.ms, '$.status', json(?4)) FROM now
    )
WHERE process_id = ?1
    AND record_json ->> '$.registration_hash' = ?2
    AND coalesce(record_json ->> '$.status.state', 'running') = 'running'
RETURNING process_id, status, record_json
"""
# Behind _TOUCH or _END: the event's time is the one that they have just written.
_INSERT: Final = """
INSERT INTO process_events (
    process_id, sequence, event_type, payload_hash, idempotency_key, occurred_at_ms, event_json
)
SELECT
    ?1, sequence, ?2, ?3, ?4, ms,
    ?5 || sequence || ?6 || sequence || ?7 || coalesce(sequence || ?8, '')
    || (ms / 1000) || ',"nanos_since_epoch":' || (ms % 1000 * 1000000) || '}}'
FROM (
    SELECT
        coalesce(max(sequence), 0) + 1 AS sequence,
        (SELECT updated_at_ms FROM processes WHERE process_id = ?1) AS ms
    FROM process_events WHERE process_id = ?1
)
RETURNING sequence, occurred_at_ms
"""
_AFTER: Final = """
SELECT sequence, event_json FROM process_events WHERE process_id = ?1 AND sequence > ?2 ORDER BY sequence
"""
_FIRST_OF_TYPE: Final = """
SELECT sequence, event_json FROM process_events
WHERE process_id = ?1 AND event_type = ?2 AND sequence > ?3 ORDER BY sequence LIMIT 1
"""
# One query for all who wait: of each the first event, found through the index. Texts come as bytes: one that is no
# UTF-8 would end the query for everybody, before anyone could say whose it is.
_FIRST_OF_EACH: Final = """
SELECT wanted.key, event.sequence, CAST(event.event_json AS BLOB)
FROM json_each(?1) AS wanted CROSS JOIN process_events AS event
WHERE event.process_id = wanted.value ->> 0
    AND event.sequence = (
        SELECT min(sequence) FROM process_events
        WHERE process_id = wanted.value ->> 0 AND event_type = wanted.value ->> 1 AND sequence > wanted.value ->> 2
    )
"""
_ENDED_OF_EACH: Final = """
SELECT wanted.key, CAST(process.status AS BLOB), CAST(process.record_json AS BLOB)
FROM json_each(?1) AS wanted CROSS JOIN processes AS process
WHERE process.process_id = wanted.value AND process.status <> 'running'
"""


class AwaitedEvent(NamedTuple):
    """The first event of a type behind a sequence."""

    process_id: str
    event_type: str
    after_sequence: int


class StoredEvent(NamedTuple):
    """An event as it is stored; it is decoded where somebody wants it, so that a damaged one concerns nobody else."""

    process_id: str
    sequence: int
    text: bytes

    def event(self) -> ProcessEvent:
        """The event. Raises StoreCorrupt if it cannot be read, or is not that of its row."""
        return event_of(self.process_id, self.sequence, self.text)


class EndedProcess(NamedTuple):
    """A process that has ended, as it is stored; decoded as a `StoredEvent` is."""

    process_id: str
    status: bytes
    text: bytes

    def record(self) -> ProcessRecord:
        """The record. Raises StoreCorrupt."""
        with readable("process", self.process_id):
            status, text = self.status.decode(), self.text.decode()
        return processes.record_of(self.process_id, status, text)


class Found(NamedTuple):
    """What a request meets: the process, and the event stored under the request's key with its payload hash."""

    record: ProcessRecord
    lookup: tuple[str, ProcessEvent] | None


class Appended(NamedTuple):
    """Where a plan put an event, and the record it left if the event ended the process."""

    sequence: int
    occurred_at_ms: int
    record: ProcessRecord | None


def prepare_append(definition: ProcessDefinition, draft: EventDraft, lease: ProcessLease | None = None) -> Plan:
    """The plan that appends a draft: unless its replay key is used, and only under `lease`, if that is given.

    Its guards fail if the process is not as `definition` says, or has ended and the draft would end it.
    """
    steps = []
    process_id, requested = definition.process_id, draft.requested
    if requested.replay_key is not None:
        key = (process_id, requested.replay_key)
        steps.append(Step(_BY_KEY, key, expect=Expect.NO_ROW, otherwise=Otherwise.STOP))
    if lease is not None:
        steps.append(process_leases.held_step(process_id, lease))
    return Plan([*steps, *append_steps(definition, draft)])


def append_steps(definition: ProcessDefinition, draft: EventDraft) -> list[Step]:
    """The steps of `prepare_append` that write; a replay key that is used violates a constraint."""
    requested = draft.requested
    values = (
        definition.process_id,
        draft.declared.name,
        requested.payload_hash,
        requested.replay_key,
        *draft.text,
    )
    return [_process_step(definition, draft.status), Step(_INSERT, values, expect=1, rows=True)]


def appended(result: PlanResult) -> Appended | None:
    """What a plan of `prepare_append` did; None if it found its replay key used, see `replayed_event`."""
    if result.row is not None:
        return None
    ((sequence, occurred_at_ms),) = result.rows[-1]
    ended = None if len(result.rows) == 1 else processes.record_of(*result.rows[0][0])
    return Appended(sequence, occurred_at_ms, ended)


def replayed_event(process_id: str, result: PlanResult) -> tuple[str, ProcessEvent]:
    """The payload hash and event that a plan of `prepare_append` found under its key. Raises StoreCorrupt."""
    payload_hash, sequence, text = result.row or ()
    return payload_hash, event_of(process_id, sequence, text)


def prepare_status_repair(definition: ProcessDefinition, status: ProcessTerminalStatus) -> Plan:
    """The plan that gives a process the status which a stored event of it says it has."""
    return Plan([_process_step(definition, status)])


def find_replay(connection: "apsw.Connection", process_id: str, replay_key: str | None) -> Found:
    """What a request under `replay_key` meets, in one snapshot. Raises UnknownProcess, StoreCorrupt."""
    record = processes.read_process(connection, process_id)
    if replay_key is None:
        return Found(record, None)
    row = connection.execute(_BY_KEY, (process_id, replay_key)).fetchone()
    return Found(record, None if row is None else (row[0], event_of(process_id, *row[1:])))


def read_events_after(connection: "apsw.Connection", process_id: str, after_sequence: int) -> list[ProcessEvent]:
    """The events behind a sequence, in order. Raises UnknownProcess, StoreCorrupt."""
    processes.require_process(connection, process_id)
    return [event_of(process_id, *row) for row in connection.execute(_AFTER, (process_id, after_sequence))]


def read_first_of_type(connection: "apsw.Connection", awaited: AwaitedEvent) -> ProcessEvent | None:
    """The awaited event, if it is there.

    Raises UnknownProcess, UndeclaredProcessEvent if it can never be there, InvalidRecord for what is no type,
    StoreCorrupt.
    """
    processes.require_process(connection, awaited.process_id)
    column_text("process event", "event_type", awaited.event_type)
    row = connection.execute(_FIRST_OF_TYPE, awaited).fetchone()
    if row is not None:
        return event_of(awaited.process_id, *row)
    record = processes.read_process(connection, awaited.process_id)
    if all(declared.name != awaited.event_type for declared in record.event_types):
        raise UndeclaredProcessEvent(awaited.process_id, awaited.event_type)
    return None


def look_for_events(
    connection: "apsw.Connection", awaited: Collection[AwaitedEvent]
) -> Mapping[AwaitedEvent, StoredEvent]:
    """Those of the awaited events that are there."""
    wanted = list(awaited)
    rows = connection.execute(_FIRST_OF_EACH, (msgspec.json.encode(wanted).decode(),))
    return {wanted[index]: StoredEvent(wanted[index].process_id, *found) for index, *found in rows}


def look_for_ends(connection: "apsw.Connection", process_ids: Collection[str]) -> Mapping[str, EndedProcess]:
    """Those of the processes that have ended."""
    wanted = list(process_ids)
    rows = connection.execute(_ENDED_OF_EACH, (msgspec.json.encode(wanted).decode(),))
    return {wanted[index]: EndedProcess(wanted[index], *stored) for index, *stored in rows}


def event_of(process_id: str, sequence: int, event_json: str | bytes) -> ProcessEvent:
    """The event of a row. Raises StoreCorrupt if it cannot be read, or is another one."""
    try:
        event = ProcessEvent.from_json(event_json)
        if (event.process_id, event.sequence) != (process_id, sequence):
            raise InvalidRecord("ProcessEvent", "$", f"it is number {event.sequence} of {event.process_id!r}")
    except InvalidRecord as cause:
        raise StoreCorrupt("process event", f"{process_id}:{sequence}") from cause
    return event


def _process_step(definition: ProcessDefinition, status: ProcessTerminalStatus | None) -> Step:
    key = (definition.process_id, definition.registration_hash)
    if status is None:
        return Step(_TOUCH, key, expect=1)
    return Step(_END, (*key, status.label, status.to_json().decode()), expect=1, rows=True)
