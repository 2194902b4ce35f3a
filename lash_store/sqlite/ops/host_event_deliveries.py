"""Deliveries: which occurrence starts a process for which subscription, once (host events specification 1.3, 4.6).

A delivery is reserved first and started later, by somebody who may die in between. So an account is kept beside the
table that every program knows: what is reserved and not started can be found, and be taken over by one who goes on.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lash_store.codecs.host_event_ids import deterministic_delivery_process_id
from lash_store.errors import StoreCorrupt, TriggerDeliveryCorrupt
from lash_store.records import json_text
from lash_store.records.host_event import HostEventOccurrenceRecord
from lash_store.records.host_event_trigger import (
    TriggerDelivery,
    TriggerDeliveryReservation,
    TriggerDeliveryState,
    TriggerSubscriptionRecord,
)
from lash_store.sqlite.ops.host_event_occurrences import find_occurrence, occurrence_of
from lash_store.sqlite.ops.host_event_subscriptions import subscription_of
from lash_store.sqlite.plan import Expect, Plan, PlanResult, Step

if TYPE_CHECKING:
    import apsw

TABLES: Final[Mapping[str, str]] = {
    "host_event_deliveries": """
CREATE TABLE IF NOT EXISTS host_event_deliveries (
    occurrence_id TEXT NOT NULL,
    subscription_id TEXT NOT NULL,
    process_id TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (occurrence_id, subscription_id),
    FOREIGN KEY (occurrence_id) REFERENCES host_event_occurrences (occurrence_id) ON DELETE CASCADE,
    FOREIGN KEY (subscription_id) REFERENCES host_event_trigger_subscriptions (subscription_id) ON DELETE CASCADE
)""",
    "idx_host_event_deliveries_process": """
CREATE INDEX IF NOT EXISTS idx_host_event_deliveries_process ON host_event_deliveries (process_id)
""",
    # Beyond upstream's: without it SQLite reads all deliveries for each subscription that is removed.
    "lash_host_event_deliveries_subscription": """
CREATE INDEX IF NOT EXISTS lash_host_event_deliveries_subscription ON host_event_deliveries (subscription_id)
""",
    "lash_host_event_starts": """
CREATE TABLE IF NOT EXISTS lash_host_event_starts (
    occurrence_id TEXT NOT NULL,
    subscription_id TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    tried_at_ms INTEGER NOT NULL,
    reason TEXT,
    PRIMARY KEY (occurrence_id, subscription_id)
) WITHOUT ROWID""",
    "lash_host_event_starts_reserved": """
CREATE INDEX IF NOT EXISTS lash_host_event_starts_reserved ON lash_host_event_starts (tried_at_ms)
WHERE state = 'reserved'
""",
    "lash_host_event_starts_subscription": """
CREATE INDEX IF NOT EXISTS lash_host_event_starts_subscription ON lash_host_event_starts (subscription_id)
WHERE state = 'reserved'
""",
    # Whoever removes a delivery: an account that stayed would be taken for that of the next one.
    "lash_host_event_starts_end": """
CREATE TRIGGER IF NOT EXISTS lash_host_event_starts_end AFTER DELETE ON host_event_deliveries BEGIN
    DELETE FROM lash_host_event_starts
    WHERE occurrence_id = OLD.occurrence_id AND subscription_id = OLD.subscription_id;
END
""",
}

_MATCHING: Final = """
SELECT subscription_id, record_json FROM host_event_trigger_subscriptions AS s
WHERE source_type = ?2 AND source_key = ?3 AND enabled = 1 AND NOT EXISTS
    (SELECT 1 FROM host_event_deliveries AS d WHERE d.occurrence_id = ?1 AND d.subscription_id = s.subscription_id)
"""
_MATCHING_IN_ORDER: Final = f"{_MATCHING} ORDER BY session_id, handle"
_RECORDED: Final = "SELECT 1 FROM host_event_occurrences WHERE occurrence_id = ?1"
# ?4 is a JSON array of [subscription id, process id].
_OVERLOOKED: Final = f"{_MATCHING} AND subscription_id NOT IN (SELECT value ->> 0 FROM json_each(?4))"
# CROSS JOIN: the other way round, the list would be gone through for each subscription of the source.
_WANTED: Final = """
FROM json_each(?4) AS wanted
    CROSS JOIN host_event_trigger_subscriptions AS s ON s.subscription_id = wanted.value ->> 0
WHERE s.source_type = ?2 AND s.source_key = ?3 AND s.enabled = 1 AND NOT EXISTS
    (SELECT 1 FROM host_event_deliveries AS d WHERE d.occurrence_id = ?1 AND d.subscription_id = s.subscription_id)
"""
# There is an account without a delivery where a delivery was removed before the trigger above was there.
_ACCOUNT: Final = f"""
INSERT INTO lash_host_event_starts (occurrence_id, subscription_id, state, attempts, tried_at_ms)
SELECT ?1, s.subscription_id, 'reserved', 1, lash_now_ms() {_WANTED}
ON CONFLICT (occurrence_id, subscription_id) DO UPDATE
SET state = excluded.state, attempts = excluded.attempts, tried_at_ms = excluded.tried_at_ms, reason = NULL
"""
_RESERVE: Final = f"""
INSERT INTO host_event_deliveries (occurrence_id, subscription_id, process_id, created_at_ms)
SELECT ?1, s.subscription_id, wanted.value ->> 1, lash_now_ms() {_WANTED}
RETURNING subscription_id
"""
_OPEN: Final = """
SELECT a.occurrence_id, a.subscription_id, a.attempts, d.process_id, o.record_json, s.record_json
FROM lash_host_event_starts AS a
    JOIN host_event_deliveries AS d USING (occurrence_id, subscription_id)
    JOIN host_event_occurrences AS o USING (occurrence_id)
    JOIN host_event_trigger_subscriptions AS s USING (subscription_id)
WHERE a.state = 'reserved' AND a.tried_at_ms <= ?1 AND s.enabled = 1
ORDER BY a.tried_at_ms, a.occurrence_id, a.subscription_id LIMIT ?2
"""
# ?1 is a JSON array of [occurrence id, subscription id, attempts]: who counts one more has taken it. Those in the array
# are looked up by key: the + keeps SQLite from going through all that is reserved.
_TAKE: Final = """
UPDATE lash_host_event_starts SET attempts = attempts + 1, tried_at_ms = lash_now_ms()
WHERE (occurrence_id, subscription_id, attempts)
    IN (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1)) AND +state = 'reserved'
RETURNING occurrence_id, subscription_id
"""
_EXISTS: Final = "SELECT 1 FROM host_event_deliveries WHERE occurrence_id = ?1 AND subscription_id = ?2"
_SETTLE: Final = """
INSERT INTO lash_host_event_starts (occurrence_id, subscription_id, state, attempts, tried_at_ms, reason)
VALUES (?1, ?2, ?3, 1, lash_now_ms(), ?4)
ON CONFLICT (occurrence_id, subscription_id) DO UPDATE SET state = excluded.state, reason = excluded.reason
WHERE state = 'reserved' OR (state = 'dropped' AND excluded.state = 'started')
"""
# A cancelled subscription starts nothing any more, not even what was reserved for it before.
_DROP_CANCELLED: Final = """
UPDATE lash_host_event_starts SET state = 'dropped', reason = 'the subscription was cancelled'
WHERE state = 'reserved' AND subscription_id IN
    (SELECT subscription_id FROM host_event_trigger_subscriptions
     WHERE session_id = ?1 AND (?2 IS NULL OR handle = ?2) AND enabled = 0)
"""
_LIST: Final = """
SELECT d.occurrence_id, d.subscription_id, d.process_id, d.created_at_ms,
    coalesce(a.state, 'unknown'), coalesce(a.attempts, 1), a.tried_at_ms, a.reason
FROM host_event_deliveries AS d LEFT JOIN lash_host_event_starts AS a USING (occurrence_id, subscription_id)
WHERE {condition} ORDER BY d.created_at_ms, d.occurrence_id, d.subscription_id
"""
_LIST_ALL: Final = _LIST.format(condition="true")
_LIST_OF_OCCURRENCE: Final = _LIST.format(condition="d.occurrence_id = ?1")
_LIST_OF_PROCESS: Final = _LIST.format(condition="d.process_id = ?1")

_STATES: Final = frozenset(state.value for state in TriggerDeliveryState)
_RECORDED_ONE: Final = "recorded"
_OVERLOOKED_ONE: Final = "overlooked"


class Matching(NamedTuple):
    """An occurrence, and the enabled subscriptions that it has not reached yet, in the order of delivery."""

    source_type: str
    source_key: str
    occurrence: HostEventOccurrenceRecord
    subscriptions: Mapping[str, TriggerSubscriptionRecord | StoreCorrupt]
    process_ids: Mapping[str, str]


class OpenDelivery(NamedTuple):
    """A reserved delivery, or why it cannot be read, and how often somebody has tried to start it."""

    occurrence_id: str
    subscription_id: str
    attempts: int
    reservation: TriggerDeliveryReservation | StoreCorrupt


def read_matching(connection: "apsw.Connection", occurrence_id: str) -> Matching:
    """What there is to reserve; a damaged subscription does not concern the others.

    Raises UnknownHostEventOccurrence, StoreCorrupt for a damaged occurrence.
    """
    source_type, source_key, occurrence = find_occurrence(connection, occurrence_id)
    rows: Any = connection.execute(_MATCHING_IN_ORDER, (occurrence_id, source_type, source_key))
    found = {subscription_id: _subscription(subscription_id, text) for subscription_id, text in rows}
    process_ids = {each: deterministic_delivery_process_id(occurrence_id, each) for each in found}
    return Matching(source_type, source_key, occurrence, found, process_ids)


def prepare_reservation(occurrence_id: str, matching: Matching) -> Plan:
    """The plan that reserves what is still to be reserved of it.

    Its guards fail if the occurrence is gone, or there is a subscription that was not known, when `matching` was read.
    To leave that one out would be wrong: it may have been registered in place of one that was cancelled since.
    """
    wanted = json_text.compact(list(map(list, matching.process_ids.items()))).decode()
    values = (occurrence_id, matching.source_type, matching.source_key, wanted)
    return Plan(
        [
            Step(_RECORDED, (occurrence_id,), expect=Expect.ROW, name=_RECORDED_ONE),
            Step(_OVERLOOKED, values, expect=Expect.NO_ROW, name=_OVERLOOKED_ONE),
            Step(_ACCOUNT, values),
            Step(_RESERVE, values, rows=True),
        ]
    )


def reserved(matching: Matching, result: PlanResult) -> list[TriggerDeliveryReservation]:
    """What a plan of `prepare_reservation` has reserved, in the order of delivery. Raises TriggerDeliveryCorrupt."""
    taken = {subscription_id for (subscription_id,) in result.rows[0]}
    occurrence = matching.occurrence
    return _readable(
        OpenDelivery(
            occurrence.occurrence_id,
            subscription_id,
            1,
            subscription
            if isinstance(subscription, StoreCorrupt)
            else TriggerDeliveryReservation(occurrence, subscription, matching.process_ids[subscription_id]),
        )
        for subscription_id, subscription in matching.subscriptions.items()
        if subscription_id in taken
    )


def read_open(connection: "apsw.Connection", tried_until_ms: int, limit: int) -> list[OpenDelivery]:
    """Up to `limit` deliveries that nobody has tried to start after that time, oldest first; damaged ones, too."""
    return [_open(*row) for row in connection.execute(_OPEN, (tried_until_ms, limit))]


def prepare_resumption(deliveries: Sequence[OpenDelivery]) -> Plan:
    """The plan that takes over those of the deliveries that nobody else has taken since they were read."""
    seen = [delivery[:3] for delivery in deliveries]
    return Plan([Step(_TAKE, (json_text.compact(seen).decode(),), rows=True)])


def resumed(deliveries: Sequence[OpenDelivery], result: PlanResult) -> list[TriggerDeliveryReservation]:
    """What a plan of `prepare_resumption` has taken over. Raises TriggerDeliveryCorrupt."""
    taken = set(result.rows[0])
    return _readable(delivery for delivery in deliveries if delivery[:2] in taken)


def prepare_settlement(
    occurrence_id: str, subscription_id: str, state: TriggerDeliveryState, reason: str | None = None
) -> Plan:
    """The plan that closes a delivery as started or dropped. Its guard fails if there is no such delivery."""
    key = (occurrence_id, subscription_id)
    return Plan([Step(_EXISTS, key, expect=Expect.ROW), Step(_SETTLE, (*key, state.value, reason))])


def drop_cancelled_step(session_id: str, handle: str | None) -> Step:
    """Drop what is reserved for the subscription with the handle, or all of the session, if they are cancelled."""
    return Step(_DROP_CANCELLED, (session_id, handle))


def read_deliveries(
    connection: "apsw.Connection", occurrence_id: str | None, process_id: str | None
) -> list[TriggerDelivery]:
    """The accounts of all deliveries, of those of an occurrence, or of the one that starts a process; oldest first.

    Raises StoreCorrupt for an account that says nothing.
    """
    if occurrence_id is not None:
        rows: Any = connection.execute(_LIST_OF_OCCURRENCE, (occurrence_id,))
    elif process_id is not None:
        rows = connection.execute(_LIST_OF_PROCESS, (process_id,))
    else:
        rows = connection.execute(_LIST_ALL)
    return [_account(*row) for row in rows]


def _account(occurrence_id: str, subscription_id: str, process_id: str, *account: Any) -> TriggerDelivery:
    created_at_ms, state, attempts, tried_at_ms, reason = account
    if (
        state not in _STATES
        or type(created_at_ms) is not int
        or type(attempts) is not int
        or not isinstance(tried_at_ms, int | None)
        or not isinstance(reason, str | None)
    ):
        raise StoreCorrupt("trigger delivery", f"{occurrence_id}/{subscription_id}")
    return TriggerDelivery(
        occurrence_id,
        subscription_id,
        process_id,
        created_at_ms,
        TriggerDeliveryState(state),
        attempts,
        tried_at_ms,
        reason,
    )


def _open(occurrence_id: str, subscription_id: str, *row: Any) -> OpenDelivery:
    attempts, process_id, occurrence, subscription = row
    reservation: TriggerDeliveryReservation | StoreCorrupt
    try:
        reservation = TriggerDeliveryReservation(
            occurrence_of(occurrence_id, occurrence), subscription_of(subscription_id, subscription), process_id
        )
    except StoreCorrupt as damage:
        reservation = damage
    return OpenDelivery(occurrence_id, subscription_id, attempts, reservation)


def _subscription(subscription_id: str, text: str) -> TriggerSubscriptionRecord | StoreCorrupt:
    try:
        return subscription_of(subscription_id, text)
    except StoreCorrupt as damage:
        return damage


def _readable(deliveries: Iterable[OpenDelivery]) -> list[TriggerDeliveryReservation]:
    """The reservations of the deliveries. Raises TriggerDeliveryCorrupt, with these, if one cannot be read."""
    reservations: list[TriggerDeliveryReservation] = []
    damaged: list[TriggerDeliveryCorrupt] = []
    for delivery in deliveries:
        if isinstance(delivery.reservation, StoreCorrupt):
            error = TriggerDeliveryCorrupt(delivery.occurrence_id, delivery.subscription_id)
            error.__cause__ = delivery.reservation
            damaged.append(error)
        else:
            reservations.append(delivery.reservation)
    if damaged:
        damaged[0].also, damaged[0].reservations = tuple(damaged[1:]), tuple(reservations)
        raise damaged[0]
    return reservations
