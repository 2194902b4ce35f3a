"""The table of effects: one row for each, from its claim to its outcome (effects specification 1.2, 4.3, 4.5).

Who claims an effect gets it under a token of its own, which only grows in number (`attempts`), and holds it until the
lease expires. Whoever finds it expired may claim it anew; the token of the row is then another, and nothing that the
first one does changes the row any more.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lash_store.codecs.effect_outline import envelope_outline
from lash_store.errors import EffectRowCorrupt
from lash_store.rules.effect_replay import AskedEffect, StoredEffect
from lash_store.sqlite.ops.integers import COLUMN_MAX
from lash_store.sqlite.plan import Otherwise, Plan, PlanResult, Step
from lash_store.sqlite.schema import Schema

if TYPE_CHECKING:
    import apsw

TABLES: Final = {
    "runtime_effect_replay": """
CREATE TABLE IF NOT EXISTS runtime_effect_replay (
    scope_id TEXT NOT NULL,
    replay_key TEXT NOT NULL,
    envelope_hash TEXT NOT NULL,
    status TEXT NOT NULL,
    outcome_json TEXT,
    error_json TEXT,
    lease_owner_id TEXT,
    lease_token TEXT,
    lease_expires_at_ms INTEGER NOT NULL DEFAULT 0,
    due_at_ms INTEGER,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (scope_id, replay_key)
)""",
    "idx_runtime_effect_replay_lease": """
CREATE INDEX IF NOT EXISTS idx_runtime_effect_replay_lease ON runtime_effect_replay (status, lease_expires_at_ms)
""",
    # Beside the rows, for this package only: how often an effect was claimed, for which scope, and what it looked like.
    "lash_effect_attempts": """
CREATE TABLE IF NOT EXISTS lash_effect_attempts (
    scope_id TEXT NOT NULL,
    replay_key TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    scope_json TEXT NOT NULL,
    outline TEXT NOT NULL,
    PRIMARY KEY (scope_id, replay_key)
) WITHOUT ROWID""",
    "lash_effect_attempts_end": """
CREATE TRIGGER IF NOT EXISTS lash_effect_attempts_end AFTER DELETE ON runtime_effect_replay BEGIN
    DELETE FROM lash_effect_attempts WHERE scope_id = OLD.scope_id AND replay_key = OLD.replay_key;
END""",
}
EFFECT_SCHEMA: Final = Schema("effect replay", 1, TABLES)

_FIND: Final = """
SELECT e.envelope_hash, e.status, e.outcome_json, e.error_json, e.lease_expires_at_ms, e.due_at_ms, a.scope_json
FROM runtime_effect_replay AS e LEFT JOIN lash_effect_attempts AS a USING (scope_id, replay_key)
WHERE e.scope_id = ?1 AND e.replay_key = ?2
"""
_OUTLINE: Final = "SELECT outline FROM lash_effect_attempts WHERE scope_id = ?1 AND replay_key = ?2"

_BEGUN: Final = "SELECT 1 FROM runtime_effect_replay WHERE scope_id = ?1 AND replay_key = ?2"
# `now` is read once, under the lock, and `excluded.updated_at_ms` is now. What would end beyond 2^63 - 1 ends there; a
# lease that looks negative was stored unsigned by others, and ends beyond.
_CLAIM: Final = """
WITH clock (now) AS MATERIALIZED (SELECT lash_now_ms())
INSERT INTO runtime_effect_replay (scope_id, replay_key, envelope_hash, status, outcome_json, error_json,
    lease_owner_id, lease_token, lease_expires_at_ms, due_at_ms, created_at_ms, updated_at_ms)
SELECT ?1, ?2, ?3, 'in_progress', NULL, NULL, ?4, ?5, min(now, 9223372036854775807 - ?6) + ?6, NULL, now, now
FROM clock WHERE true
ON CONFLICT (scope_id, replay_key) DO UPDATE SET lease_owner_id = excluded.lease_owner_id,
    lease_token = excluded.lease_token, lease_expires_at_ms = excluded.lease_expires_at_ms,
    updated_at_ms = excluded.updated_at_ms
WHERE envelope_hash = excluded.envelope_hash AND status = 'in_progress'
    AND lease_expires_at_ms BETWEEN 0 AND excluded.updated_at_ms
"""
_SLEEP: Final = """
WITH clock (now) AS MATERIALIZED (SELECT lash_now_ms())
INSERT INTO runtime_effect_replay (scope_id, replay_key, envelope_hash, status, outcome_json, error_json,
    lease_owner_id, lease_token, lease_expires_at_ms, due_at_ms, created_at_ms, updated_at_ms)
SELECT ?1, ?2, ?3, 'completed', ?4, NULL, NULL, NULL, 0, min(now, 9223372036854775807 - ?5) + ?5, now, now
FROM clock WHERE true
ON CONFLICT (scope_id, replay_key) DO UPDATE SET status = 'completed', outcome_json = excluded.outcome_json,
    lease_owner_id = NULL, lease_token = NULL, lease_expires_at_ms = 0,
    due_at_ms = coalesce(due_at_ms, excluded.due_at_ms), updated_at_ms = excluded.updated_at_ms
WHERE envelope_hash = excluded.envelope_hash AND status = 'in_progress'
    AND lease_expires_at_ms BETWEEN 0 AND excluded.updated_at_ms
RETURNING due_at_ms
"""
_COUNT_ATTEMPT: Final = """
INSERT INTO lash_effect_attempts (scope_id, replay_key, attempts, scope_json, outline) VALUES (?1, ?2, 1, ?3, ?4)
ON CONFLICT (scope_id, replay_key) DO UPDATE SET attempts = attempts + 1
RETURNING attempts
"""
_FINISH: Final = """
UPDATE runtime_effect_replay SET status = ?5, outcome_json = ?6, error_json = ?7,
    lease_owner_id = NULL, lease_token = NULL, lease_expires_at_ms = 0, updated_at_ms = lash_now_ms()
WHERE scope_id = ?1 AND replay_key = ?2 AND lease_owner_id = ?3 AND lease_token = ?4 AND status = 'in_progress'
"""
# Without its token the row cannot be renewed any more, by a renewal that is under way.
_RELEASE: Final = """
UPDATE runtime_effect_replay SET lease_owner_id = NULL, lease_token = NULL, lease_expires_at_ms = 0
WHERE scope_id = ?1 AND replay_key = ?2 AND lease_owner_id = ?3 AND lease_token = ?4 AND status = 'in_progress'
"""
# A lease never gets shorter: after a step of the clock backwards, others may still go by the time that it was given.
_RENEW: Final = """
UPDATE runtime_effect_replay SET lease_expires_at_ms =
    max(lease_expires_at_ms, min(lash_now_ms(), 9223372036854775807 - ?5) + ?5)
WHERE scope_id = ?1 AND replay_key = ?2 AND lease_owner_id = ?3 AND lease_token = ?4 AND status = 'in_progress'
RETURNING 1
"""


class EffectKey(msgspec.Struct, frozen=True):
    """The place of an effect in its file."""

    scope_id: str
    replay_key: str


class EffectClaim(msgspec.Struct, frozen=True):
    """The right to run an effect and to record what comes of it. It is made before `claim` asks for it."""

    key: EffectKey
    owner_id: str
    lease_token: str


def find(key: EffectKey, connection: "apsw.Connection") -> StoredEffect | None:
    """What is stored of an effect.

    Raises EffectRowCorrupt: `sqlite_effect_replay_decode` for a text in no UTF-8, `sqlite_effect_replay_corrupt_row`
    for a column that holds something else than it should.
    """
    with _texts_read(key):
        row = connection.execute(_FIND, (key.scope_id, key.replay_key)).fetchone()
    if row is None:
        return None
    envelope_hash, status, outcome, error, expires_at_ms, due_at_ms, scope = row
    for text in (envelope_hash, status, outcome, error, scope):
        if text is not None and type(text) is not str:
            raise _misplaced(key, text)
    due = None if due_at_ms is None else epoch_ms(key, due_at_ms)
    return StoredEffect(envelope_hash, status, outcome, error, epoch_ms(key, expires_at_ms), due, scope)


def find_all(
    keys: "Collection[EffectKey]", connection: "apsw.Connection"
) -> "Mapping[EffectKey, StoredEffect | EffectRowCorrupt | None]":
    """What is stored of each of `keys`, or why it cannot be read: a damaged effect does not concern the others."""
    found: dict[EffectKey, StoredEffect | EffectRowCorrupt | None] = {}
    for key in keys:
        try:
            found[key] = find(key, connection)
        except EffectRowCorrupt as damage:
            found[key] = damage
    return found


def find_outline(key: EffectKey, connection: "apsw.Connection") -> str | None:
    """The outline of the envelope that an effect was first claimed with; None if a foreign writer did.

    Raises EffectRowCorrupt as `find` does.
    """
    with _texts_read(key):
        row = connection.execute(_OUTLINE, (key.scope_id, key.replay_key)).fetchone()
    return None if row is None else row[0]


def key_of(asked: AskedEffect) -> EffectKey:
    """The place of an effect that is asked for."""
    return EffectKey(asked.scope_id, asked.replay_key)


def claim(asked: AskedEffect, wanted: EffectClaim, lease_ttl_ms: int) -> Plan:
    """Claim an effect that nobody has begun, or nobody holds any more; else the plan does nothing."""
    place = (asked.scope_id, asked.replay_key, asked.envelope_hash)
    lease = (wanted.owner_id, wanted.lease_token, lease_ttl_ms)
    return Plan(
        [
            Step(_BEGUN, place[:2], rows=True),
            Step(_CLAIM, (*place, *lease), expect=1, otherwise=Otherwise.STOP),
            _count_attempt(asked),
        ]
    )


def claimed(result: PlanResult) -> int | None:
    """The how-manieth claim on the effect `claim` has made, from 1; None if somebody was quicker.

    What another program has begun, which counts nothing, has been claimed once at least.
    """
    if result.stopped is not None:
        return None
    begun, ((attempt,),) = result.rows
    return max(int(attempt), 2) if begun else int(attempt)


def begin_sleep(asked: AskedEffect, outcome_text: str, duration_ms: int) -> Plan:
    """Record a sleep of `duration_ms` from now on, or its abandoned beginning, as completed: its due time says when.

    Every reader of the file waits for the due time of a completed effect. So a sleep needs no lease, and nobody to wake
    up for its end.
    """
    place = (asked.scope_id, asked.replay_key, asked.envelope_hash)
    return Plan(
        [
            Step(_SLEEP, (*place, outcome_text, duration_ms), expect=1, otherwise=Otherwise.STOP, rows=True),
            _count_attempt(asked),
        ]
    )


def sleep_due_ms(asked: AskedEffect, result: PlanResult) -> int | None:
    """When the sleep that `begin_sleep` has recorded ends; None if somebody else was quicker. Raises as `find`."""
    if result.stopped is not None:
        return None
    ((due_at_ms,),) = result.rows[0]
    return epoch_ms(key_of(asked), due_at_ms)


def finish(held: EffectClaim, status: str, outcome_text: str | None, error_text: str | None) -> Plan:
    """Record how the claimed effect ended. The plan's guard fails if the claim is not held any more."""
    values = (*_held(held), status, outcome_text, error_text)
    return Plan([Step(_FINISH, values, expect=1, name="effect lease")])


def release(held: EffectClaim) -> Plan:
    """Give the claim up, if it is still held: the next one who asks for the effect runs it."""
    return Plan([Step(_RELEASE, _held(held))])


def renew(held: Sequence[EffectClaim], lease_ttl_ms: int) -> Plan:
    """Renew the leases of claims, those that are still held."""
    return Plan([Step(_RENEW, (*_held(each), lease_ttl_ms), rows=True) for each in held])


def lost(held: Sequence[EffectClaim], result: PlanResult) -> list[EffectClaim]:
    """Those of the claims that `renew` found to be held no more."""
    return [each for each, rows in zip(held, result.rows, strict=True) if not rows]


def _count_attempt(asked: AskedEffect) -> Step:
    outline = envelope_outline(asked.scope_text, asked.envelope_text)
    values = (asked.scope_id, asked.replay_key, asked.scope_text.decode(), outline)
    return Step(_COUNT_ATTEMPT, values, rows=True)


def epoch_ms(key: EffectKey, stored: Any) -> int:
    """Other writers store unsigned times: what looks negative lies beyond the largest time that we know.

    Raises EffectRowCorrupt (`sqlite_effect_replay_corrupt_row`) for what is no integer.
    """
    if type(stored) is not int:
        raise _misplaced(key, stored)
    return stored if stored >= 0 else COLUMN_MAX


def _misplaced(key: EffectKey, stored: object) -> EffectRowCorrupt:
    reason = f"one of its columns holds a {type(stored).__name__}"
    return EffectRowCorrupt("sqlite_effect_replay_corrupt_row", key.scope_id, key.replay_key, reason)


@contextmanager
def _texts_read(key: EffectKey) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as damage:
        raise EffectRowCorrupt("sqlite_effect_replay_decode", key.scope_id, key.replay_key, str(damage)) from damage


def _held(held: EffectClaim) -> tuple[Any, ...]:
    return (held.key.scope_id, held.key.replay_key, held.owner_id, held.lease_token)
