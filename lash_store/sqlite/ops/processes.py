"""The table of processes: registration, records, external references (process specification 1.2, 2.1, 4.1, 4.2).

Records are changed in place, in SQL: nothing read before can be out of date, keys that nobody here knows stay, and
numbers stay as they were written.
"""

import secrets
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Final

from lash_store.errors import InvalidRecord, ProcessRegistrationConflict, StoreCorrupt, UnknownProcess
from lash_store.records import json_text
from lash_store.records.layout import Unfit
from lash_store.records.process import ProcessExternalRef, ProcessRecord, ProcessRegistration
from lash_store.records.record import raise_public
from lash_store.sqlite.ops.arguments import record_of as argument
from lash_store.sqlite.ops.texts import column_text
from lash_store.sqlite.plan import Expect, Otherwise, Plan, PlanResult, Step

if TYPE_CHECKING:
    import apsw

TABLES: Final[Mapping[str, str]] = {
    "processes": """
CREATE TABLE IF NOT EXISTS processes (
    process_id TEXT PRIMARY KEY,
    registration_hash TEXT NOT NULL,
    owner_scope_id TEXT NOT NULL,
    host_profile_id TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    record_json TEXT NOT NULL
)
""",
    "idx_processes_status": "CREATE INDEX IF NOT EXISTS idx_processes_status ON processes (status)",
    # Beyond upstream's: those of one status in the order in which they are listed.
    "lash_store_processes_status": """
CREATE INDEX IF NOT EXISTS lash_store_processes_status ON processes (status, process_id)
""",
}

_REGISTERED: Final = "SELECT process_id, status, record_json FROM processes WHERE process_id = ?1"
# The clock is read once for all places that get its time.
_REGISTER: Final = """
WITH now (ms) AS MATERIALIZED (SELECT lash_now_ms())
INSERT INTO processes (
    process_id, registration_hash, owner_scope_id, host_profile_id, created_at_ms, updated_at_ms, status, record_json
)
SELECT ?1, ?2, ?3, ?4, now.ms, now.ms, ?5, json_set(?6, '$.created_at_ms', now.ms, '$.updated_at_ms', now.ms) FROM now
RETURNING process_id, status, record_json
"""
_RUNNING: Final = """
SELECT process_id, status, record_json FROM processes WHERE status = 'running' ORDER BY process_id
"""
# The reference stands before the status, and unknown keys behind both, but JSON functions put a new key at the end. So
# the mark ?3, a text that is nowhere else, takes the place of the status, and the two then take that of the mark.
_SET_EXTERNAL_REF: Final = """
WITH now (ms) AS MATERIALIZED (SELECT lash_now_ms())
UPDATE processes
SET updated_at_ms = now.ms,
    record_json = replace(
        json_set(json_remove(record_json, '$.external_ref'), '$.updated_at_ms', now.ms, '$.status', ?3),
        '"status":"' || ?3 || '"',
        '"external_ref":' || ?2 || ',"status":' || coalesce(record_json -> '$.status', '{"state":"running"}')
    )
FROM now
WHERE process_id = ?1
RETURNING process_id, status, record_json
"""
_EXISTS: Final = "SELECT 1 FROM processes WHERE process_id = ?1"
# What a record says of its process is the registry's to say, whoever else has put such a key into a registration.
_OWN_KEYS: Final = frozenset(ProcessRecord.__struct_fields__) - {"other_keys"}


def prepare_registration(registration: ProcessRegistration, registration_hash: str) -> Plan:
    """The plan that registers a complete registration, or finds what is registered under its id.

    Raises InvalidRecord or InvalidJsonValue if it has no stored form.
    """
    record = ProcessRecord(
        id=registration.id,
        registration_hash=registration_hash,
        input=registration.input,
        event_types=registration.event_types,
        provenance=registration.provenance,
        other_keys={key: value for key, value in (registration.other_keys or {}).items() if key not in _OWN_KEYS},
    )
    provenance = registration.provenance
    values = (
        registration.id,
        registration_hash,
        provenance.owner_scope.id,
        provenance.host_profile_id,
        record.status.label,
        record.to_json().decode(),
    )
    return Plan(
        [
            Step(_REGISTERED, (registration.id,), expect=Expect.NO_ROW, otherwise=Otherwise.STOP),
            Step(_REGISTER, values, expect=1, rows=True),
        ]
    )


def registered(result: PlanResult, registration_hash: str) -> ProcessRecord:
    """The record that a plan of `prepare_registration` made or found.

    Raises ProcessRegistrationConflict if it found one of other content, StoreCorrupt if that cannot be read.
    """
    if result.row is None:
        return record_of(*result.rows[0][0])
    record = record_of(*result.row)
    if record.registration_hash != registration_hash:
        raise ProcessRegistrationConflict(record.id, record.registration_hash, registration_hash)
    return record


def prepare_external_ref(process_id: str, external_ref: ProcessExternalRef) -> Plan:
    """The plan that sets an external reference. Raises InvalidRecord or InvalidJsonValue if it has no stored form."""
    text = argument(ProcessExternalRef, external_ref).to_json()
    try:
        json_text.require_depth(b"[%b]" % text)  # in the record it lies one level deeper
    except Unfit as unfit:
        raise_public(ProcessExternalRef.__name__, unfit)
    values = (process_id, text.decode(), secrets.token_hex(16))
    return Plan([exists_step(process_id), Step(_SET_EXTERNAL_REF, values, expect=1, rows=True)])


def updated(result: PlanResult) -> ProcessRecord:
    """The record as a plan whose last step returns it left it. Raises StoreCorrupt."""
    return record_of(*result.rows[-1][0])


def exists_step(process_id: str) -> Step:
    """The guard that the process is registered; where it fails, the process is unknown."""
    return Step(_EXISTS, (process_key(process_id),), expect=Expect.ROW, name="process")


def process_key(process_id: str) -> str:
    """The id as a key. Raises InvalidRecord for what no process can be called."""
    return column_text("process", "process_id", process_id)


def require_process(connection: "apsw.Connection", process_id: str) -> None:
    """Raises UnknownProcess if the process is not registered, InvalidRecord if none can be called so."""
    if connection.execute(_EXISTS, (process_key(process_id),)).fetchone() is None:
        raise UnknownProcess(process_id)


def find_process(connection: "apsw.Connection", process_id: str) -> ProcessRecord | None:
    """The record of a process, if it is registered. Raises StoreCorrupt."""
    row = connection.execute(_REGISTERED, (process_key(process_id),)).fetchone()
    return None if row is None else record_of(*row)


def read_process(connection: "apsw.Connection", process_id: str) -> ProcessRecord:
    """The record of a process. Raises UnknownProcess, StoreCorrupt."""
    record = find_process(connection, process_id)
    if record is None:
        raise UnknownProcess(process_id)
    return record


def read_running(connection: "apsw.Connection") -> list[ProcessRecord]:
    """The records of all processes that have not ended, by id. Raises StoreCorrupt."""
    return [record_of(*row) for row in connection.execute(_RUNNING)]


def require_readable(connection: "apsw.Connection", process_ids: Collection[str]) -> None:
    """Raises StoreCorrupt for the first of the processes whose record cannot be read."""
    for process_id in process_ids:
        find_process(connection, process_id)


def record_of(process_id: str, status: str, record_json: str) -> ProcessRecord:
    """The record of a row. Raises StoreCorrupt if it cannot be read, or says something else than the columns."""
    try:
        record = ProcessRecord.from_json(record_json)
        if (record.id, record.status.label) != (process_id, status):
            raise InvalidRecord(
                "ProcessRecord", "$", f"it is {record.id!r}, {record.status.label}; its row is {process_id!r}, {status}"
            )
    except InvalidRecord as cause:
        raise StoreCorrupt("process", process_id) from cause
    return record
