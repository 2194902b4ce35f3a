"""Handle grants (process specification 1.2, 4.8)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from lash_store.errors import GuardFailed, HandleNotGranted, InvalidRecord, StoreCorrupt
from lash_store.records.process import ProcessScope
from lash_store.records.process_grant import (
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessHandleGrantEntry,
)
from lash_store.sqlite.ops import processes
from lash_store.sqlite.ops.arguments import record_of
from lash_store.sqlite.ops.texts import column_text
from lash_store.sqlite.plan import Plan, Step

if TYPE_CHECKING:
    import apsw

TABLES: Final[Mapping[str, str]] = {
    "process_handle_grants": """
CREATE TABLE IF NOT EXISTS process_handle_grants (
    session_id TEXT NOT NULL,
    scope_id TEXT NOT NULL,
    process_id TEXT NOT NULL,
    descriptor_json TEXT NOT NULL,
    PRIMARY KEY (scope_id, process_id),
    FOREIGN KEY (process_id) REFERENCES processes (process_id) ON DELETE CASCADE
)
""",
    "idx_process_handle_grants_session": """
CREATE INDEX IF NOT EXISTS idx_process_handle_grants_session ON process_handle_grants (session_id)
""",
    "idx_process_handle_grants_process": """
CREATE INDEX IF NOT EXISTS idx_process_handle_grants_process ON process_handle_grants (process_id)
""",
}

_GRANT: Final = """
INSERT INTO process_handle_grants (session_id, scope_id, process_id, descriptor_json) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (scope_id, process_id) DO UPDATE
SET session_id = excluded.session_id, descriptor_json = excluded.descriptor_json
"""
_REVOKE: Final = "DELETE FROM process_handle_grants WHERE scope_id = ?1 AND process_id = ?2"
_COPY: Final = """
INSERT INTO process_handle_grants (session_id, scope_id, process_id, descriptor_json)
SELECT ?3, ?4, process_id, descriptor_json FROM process_handle_grants WHERE scope_id = ?1 AND process_id = ?2
ON CONFLICT (scope_id, process_id) DO UPDATE
SET session_id = excluded.session_id, descriptor_json = excluded.descriptor_json
"""
_OF_SCOPE: Final = """
SELECT grants.process_id, grants.descriptor_json, process.status, process.record_json
FROM process_handle_grants AS grants CROSS JOIN processes AS process ON process.process_id = grants.process_id
WHERE grants.scope_id = ?1 ORDER BY grants.process_id
"""
# What of a scope runs, from the handles of the scope, or from all that runs; CROSS JOIN fixes which comes first.
_LIVE_OF_SCOPE: Final = """
SELECT grants.process_id, grants.descriptor_json, process.status, process.record_json
FROM process_handle_grants AS grants CROSS JOIN processes AS process ON process.process_id = grants.process_id
WHERE grants.scope_id = ?1 AND process.status = 'running' ORDER BY grants.process_id
"""
_RUNNING_IN_SCOPE: Final = """
SELECT process.process_id, grants.descriptor_json, process.status, process.record_json
FROM processes AS process CROSS JOIN process_handle_grants AS grants ON grants.process_id = process.process_id
WHERE process.status = 'running' AND grants.scope_id = ?1 ORDER BY process.process_id
"""
_COUNT: Final = """
SELECT
    (SELECT count(*) FROM (SELECT 1 FROM process_handle_grants WHERE scope_id = ?1 LIMIT ?2)),
    (SELECT count(*) FROM (SELECT 1 FROM processes WHERE status = 'running' LIMIT ?2))
"""
_HAS: Final = """
SELECT 1 FROM process_handle_grants AS grants JOIN processes AS process ON process.process_id = grants.process_id
WHERE grants.scope_id = ?1 AND grants.process_id = ?2
"""
_OF_PROCESS: Final = "SELECT session_id, scope_id, descriptor_json FROM process_handle_grants WHERE process_id = ?1"
_GRANTED: Final = "granted "
_SCOPE: Final = ProcessScope.__name__
_FIRST_LIMIT: Final = 64


def prepare_grant(scope: ProcessScope, process_id: str, descriptor: ProcessHandleDescriptor) -> Plan:
    """The plan that grants a handle. Raises InvalidRecord or InvalidJsonValue if scope or descriptor are none."""
    scope_key = _scope_key(scope)
    values = (
        scope.session_id,
        scope_key,
        process_id,
        record_of(ProcessHandleDescriptor, descriptor).to_json().decode(),
    )
    return Plan([processes.exists_step(process_id), Step(_GRANT, values, expect=1)])


def prepare_revocation(scope: ProcessScope, process_id: str) -> Plan:
    """The plan that revokes a handle, if it was granted."""
    return Plan([Step(_REVOKE, (_scope_key(scope), processes.process_key(process_id)))])


def prepare_transfer(from_scope: ProcessScope, to_scope: ProcessScope, process_ids: Sequence[str]) -> Plan:
    """The plan that moves handles, one after the other; see `transfer_refusal`. `process_ids` must not be empty."""
    held_by, given_to = _scope_key(from_scope), _scope_key(to_scope)
    steps = []
    for index, process_id in enumerate(process_ids):
        key = (held_by, processes.process_key(process_id))
        steps.append(Step(_COPY, (*key, to_scope.session_id, given_to), expect=1, name=f"{_GRANTED}{index}"))
        if held_by != given_to:
            steps.append(Step(_REVOKE, key, expect=1))
    return Plan(steps)


def transfer_refusal(failed: GuardFailed, from_scope: ProcessScope, process_ids: Sequence[str]) -> HandleNotGranted:
    """What a failed plan of `prepare_transfer` means."""
    index = int(failed.name.removeprefix(_GRANTED))
    return HandleNotGranted(process_ids[index], from_scope.session_id)


def read_entries(connection: "apsw.Connection", scope: ProcessScope, *, live: bool) -> list[ProcessHandleGrantEntry]:
    """The handles of a scope with their processes, by process id; with `live` of those only that run.

    Raises StoreCorrupt.
    """
    scope_id = _scope_key(scope)
    sql = (_LIVE_OF_SCOPE if _has_fewer_handles(connection, scope_id) else _RUNNING_IN_SCOPE) if live else _OF_SCOPE
    rows = connection.execute(sql, (scope_id,))
    return [
        (
            _grant_of(scope.session_id, scope_id, process_id, descriptor),
            processes.record_of(process_id, status, record),
        )
        for process_id, descriptor, status, record in rows
    ]


def has_grant(connection: "apsw.Connection", scope: ProcessScope, process_id: str) -> bool:
    """Whether the scope has a handle on a process that exists."""
    return connection.execute(_HAS, (_scope_key(scope), processes.process_key(process_id))).fetchone() is not None


def read_grants(connection: "apsw.Connection", process_id: str) -> list[ProcessHandleGrant]:
    """All handles on a process, by session and scope. Raises UnknownProcess, StoreCorrupt."""
    processes.require_process(connection, process_id)
    rows = sorted(connection.execute(_OF_PROCESS, (process_id,)))
    return [_grant_of(session_id, scope_id, process_id, descriptor) for session_id, scope_id, descriptor in rows]


def _has_fewer_handles(connection: "apsw.Connection", scope_id: str) -> bool:
    """Whether the scope has fewer handles than processes run; costs as much as the smaller of the two numbers."""
    limit = _FIRST_LIMIT
    while True:
        ((handles, running),) = connection.execute(_COUNT, (scope_id, limit))
        if min(handles, running) < limit:
            return bool(handles <= running)
        limit *= _FIRST_LIMIT


def _scope_key(scope: ProcessScope) -> str:
    """The id of a scope as a key. Raises InvalidRecord for what is no scope."""
    column_text(_SCOPE, "session_id", record_of(ProcessScope, scope).session_id)
    if scope.agent_frame_id is not None:
        column_text(_SCOPE, "agent_frame_id", scope.agent_frame_id)
    return scope.id


def _grant_of(session_id: str, scope_id: str, process_id: str, descriptor_json: str) -> ProcessHandleGrant:
    try:
        descriptor = ProcessHandleDescriptor.from_json(descriptor_json)
    except InvalidRecord as cause:
        raise StoreCorrupt("process handle grant", f"{scope_id} {process_id}") from cause
    return ProcessHandleGrant(session_id, process_id, descriptor)
