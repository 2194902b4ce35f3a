"""Deleting a session's handles, and asking what it leaves behind to end (process specification 4.9).

With cancel requests both happen in one transaction: a crash leaves no process running that nobody can address. Requests
are made ready for the processes that a snapshot shows as left behind; the plan verifies that these are the ones.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from lash_store.errors import ProcessRegistryError
from lash_store.records.process_event import ProcessEventAppendRequest
from lash_store.records.process_grant import ProcessSessionDeleteReport
from lash_store.rules.process_append import (
    EventDraft,
    draft_event,
    prepare_process_event_append,
    requested_event,
)
from lash_store.rules.process_definition import ProcessDefinition
from lash_store.sqlite.ops import process_events, processes
from lash_store.sqlite.ops.texts import column_text
from lash_store.sqlite.plan import Expect, Plan, PlanResult, Step

if TYPE_CHECKING:
    import apsw

_RECORDS: Final = """
SELECT DISTINCT process.process_id, process.status, process.record_json
FROM process_handle_grants AS grants JOIN processes AS process ON process.process_id = grants.process_id
WHERE grants.session_id = ?1
"""
# Of the processes that run by their records: those that only this session has a handle on (1), and the others (0).
_RUNNING: Final = """
SELECT DISTINCT
    grants.process_id,
    NOT EXISTS (
        SELECT 1 FROM process_handle_grants AS other
        WHERE other.process_id = grants.process_id AND other.session_id <> ?1
    )
FROM process_handle_grants AS grants JOIN processes AS process ON process.process_id = grants.process_id
WHERE grants.session_id = ?1 AND coalesce(process.record_json ->> '$.status.state', 'running') = 'running'
"""
_SAME_LEFT: Final = """
WITH orphan (process_id) AS (
    SELECT DISTINCT grants.process_id
    FROM process_handle_grants AS grants JOIN processes AS process ON process.process_id = grants.process_id
    WHERE grants.session_id = ?1
        AND coalesce(process.record_json ->> '$.status.state', 'running') = 'running'
        AND NOT EXISTS (
            SELECT 1 FROM process_handle_grants AS other
            WHERE other.process_id = grants.process_id AND other.session_id <> ?1
        )
)
SELECT 1
WHERE (SELECT count(*) FROM orphan) = json_array_length(?2)
    AND NOT EXISTS (SELECT 1 FROM orphan WHERE process_id NOT IN (SELECT value FROM json_each(?2)))
"""
_HANDLES: Final = "SELECT count(*) FROM process_handle_grants WHERE session_id = ?1"
_REVOKE: Final = "DELETE FROM process_handle_grants WHERE session_id = ?1"

SAME_LEFT_BEHIND: Final = "same left behind"
"""The guard that fails when somebody has granted or revoked a handle, started or ended a process since."""


class Orphan(NamedTuple):
    """A running process that nobody can address once the session is gone, and the cancel request for it.

    `draft` is None if it was asked already, or refuses to be, for `refusal`.
    """

    definition: ProcessDefinition
    draft: EventDraft | None
    refusal: ProcessRegistryError | None = None


def read_orphans(connection: "apsw.Connection", session_id: str, cancel_reason: str) -> list[Orphan]:
    """What the session would leave behind, with cancel requests ready. Raises StoreCorrupt."""
    left = {process_id for process_id, alone in connection.execute(_RUNNING, (session_id,)) if alone}
    return [_orphan(connection, process_id, cancel_reason) for process_id in sorted(left)]


def require_readable(connection: "apsw.Connection", session_id: str) -> None:
    """Raises StoreCorrupt if the record of a process that the session may address cannot be read."""
    session = column_text("process scope", "session_id", session_id)
    for row in connection.execute(_RECORDS, (session,)):
        processes.record_of(*row)


def prepare_session_delete(session_id: str, orphans: Collection[Orphan] | None) -> Plan:
    """The plan that revokes all handles of a session, and appends cancel requests if `orphans` are given.

    It fails if what is left behind are not the `orphans` (SAME_LEFT_BEHIND), or if one of them was asked in the
    meantime.
    """
    steps = [
        Step(_RUNNING, (session_id,), rows=True),
        Step(_HANDLES, (session_id,), rows=True),
        Step(_REVOKE, (session_id,)),
    ]
    if orphans is not None:
        left = msgspec.json.encode([orphan.definition.process_id for orphan in orphans]).decode()
        steps.insert(0, Step(_SAME_LEFT, (session_id, left), expect=Expect.ROW, name=SAME_LEFT_BEHIND))
        for orphan in orphans:
            if orphan.draft is not None:
                steps += process_events.append_steps(orphan.definition, orphan.draft)
    return Plan(steps)


def session_deleted(session_id: str, result: PlanResult) -> ProcessSessionDeleteReport:
    """The report of a plan of `prepare_session_delete`."""
    running, ((revoked,),), *_ = result.rows
    return ProcessSessionDeleteReport(
        session_id=session_id,
        revoked_handle_count=revoked,
        deleted_wake_count=0,
        cancel_process_ids=sorted(process_id for process_id, alone in running if alone),
        preserved_process_ids=sorted(process_id for process_id, alone in running if not alone),
    )


def _orphan(connection: "apsw.Connection", process_id: str, cancel_reason: str) -> Orphan:
    request = ProcessEventAppendRequest.cancel_requested(process_id, cancel_reason)
    requested = requested_event(request)
    found = process_events.find_replay(connection, process_id, requested.replay_key)
    definition = ProcessDefinition(found.record)
    try:
        if prepare_process_event_append(found.record, request, 0, found.lookup, 0).replayed:
            return Orphan(definition, None)
        return Orphan(definition, draft_event(definition, requested))
    except ProcessRegistryError as refusal:
        return Orphan(definition, None, refusal)
