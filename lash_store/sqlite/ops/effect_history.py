"""Looking through the table of effects, and removing from it."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from lash_store.records.effect_history import EffectHistoryEntry
from lash_store.sqlite.ops.effects import EffectKey, epoch_ms
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.ops.texts import column_text
from lash_store.sqlite.plan import Plan, PlanResult, Step

if TYPE_CHECKING:
    import apsw

_PAGE: Final = """
SELECT e.scope_id, e.replay_key, e.envelope_hash, e.status, a.attempts, e.lease_owner_id, e.lease_expires_at_ms,
    e.due_at_ms, e.created_at_ms, e.updated_at_ms
FROM runtime_effect_replay AS e LEFT JOIN lash_effect_attempts AS a USING (scope_id, replay_key)
WHERE e.scope_id = ?1 AND e.replay_key > ?2 ORDER BY e.replay_key LIMIT ?3
"""
_ABANDONED: Final = """
SELECT e.scope_id, e.replay_key, e.envelope_hash, e.status, a.attempts, e.lease_owner_id, e.lease_expires_at_ms,
    e.due_at_ms, e.created_at_ms, e.updated_at_ms
FROM runtime_effect_replay AS e LEFT JOIN lash_effect_attempts AS a USING (scope_id, replay_key)
WHERE e.status = 'in_progress' AND e.lease_expires_at_ms BETWEEN 0 AND ?1 ORDER BY e.lease_expires_at_ms LIMIT ?2
"""
_FORGET: Final = """
DELETE FROM runtime_effect_replay WHERE scope_id = ?1 AND replay_key = ?2
    AND (status <> 'in_progress' OR lease_expires_at_ms BETWEEN 0 AND lash_now_ms())
RETURNING 1
"""
# A sleep has ended when it is due. Rows are in the order of their first claim, so the oldest are found first, without
# sorting: no index helps, as most rows have ended.
_ENDED: Final = """
SELECT rowid FROM runtime_effect_replay NOT INDEXED
WHERE status IN ('completed', 'failed') AND max(updated_at_ms, coalesce(due_at_ms, 0)) < ?1
    AND updated_at_ms >= 0 AND coalesce(due_at_ms, 0) >= 0 AND rowid > ?2
ORDER BY rowid LIMIT ?3
"""
_PRUNE: Final = """
DELETE FROM runtime_effect_replay
WHERE rowid = ?2 AND status IN ('completed', 'failed') AND max(updated_at_ms, coalesce(due_at_ms, 0)) < ?1
    AND updated_at_ms >= 0 AND coalesce(due_at_ms, 0) >= 0
RETURNING 1
"""

BEFORE_ALL_ROWS: Final = -(2**63)
"""A row number that lies behind none."""
_MOST_PRUNED: Final = 256  # rows in one transaction: others want to write, too


def page(scope_id: str, after_replay_key: str, limit: int, connection: "apsw.Connection") -> list[EffectHistoryEntry]:
    """Effects of a scope whose replay keys are greater. Raises InvalidRecord for what no column holds."""
    place = (column_text("effect", "scope_id", scope_id), column_text("effect", "replay_key", after_replay_key))
    return _entries(connection.execute(_PAGE, (*place, _limit(limit))))


def abandoned(now_ms: int, limit: int, connection: "apsw.Connection") -> list[EffectHistoryEntry]:
    """Effects in progress whose lease has ended."""
    return _entries(connection.execute(_ABANDONED, (now_ms, _limit(limit))))


def forget(scope_id: str, replay_key: str) -> Plan:
    """Remove an effect that nobody holds."""
    place = (column_text("effect", "scope_id", scope_id), column_text("effect", "replay_key", replay_key))
    return Plan([Step(_FORGET, place, rows=True)])


def ended(ended_before_ms: int, limit: int, behind: int, connection: "apsw.Connection") -> list[int]:
    """The next rows behind the row `behind`, the first begun first, of effects that ended before a time.

    At most `limit`, and no more than `prune` should remove at once.
    """
    time = column_integer("effect", "ended_before_ms", ended_before_ms)
    return [row for (row,) in connection.execute(_ENDED, (time, behind, min(_limit(limit), _MOST_PRUNED)))]


def prune(ended_before_ms: int, found: Sequence[int]) -> Plan:
    """Remove the effects in the rows that `ended` has found, those that still fit: a row may have got another since."""
    return Plan([Step(_PRUNE, (ended_before_ms, row), rows=True) for row in found])


def removed(result: PlanResult) -> int:
    """How many effects `forget` or `prune` has removed."""
    return sum(len(rows) for rows in result.rows)


def _limit(limit: int) -> int:
    return column_integer("effect", "limit", limit)


def _entries(rows: Iterable[tuple[Any, ...]]) -> list[EffectHistoryEntry]:
    return [_entry(*row) for row in rows]


def _entry(scope_id: str, replay_key: str, *row: Any) -> EffectHistoryEntry:
    """The entry of a row. Raises EffectRowCorrupt for a number that is none."""
    key = EffectKey(scope_id, replay_key)
    envelope_hash, status, attempts, owner_id, expires, due, created, updated = row
    return EffectHistoryEntry(
        scope_id=scope_id,
        replay_key=replay_key,
        envelope_hash=envelope_hash,
        status=status,
        attempts=None if attempts is None else epoch_ms(key, attempts),
        lease_owner_id=owner_id,
        lease_expires_at_ms=epoch_ms(key, expires),
        due_at_ms=None if due is None else epoch_ms(key, due),
        created_at_ms=epoch_ms(key, created),
        updated_at_ms=epoch_ms(key, updated),
    )
