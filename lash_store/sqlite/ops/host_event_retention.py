"""Removing what a host-event database has kept for long enough; the format itself keeps everything for ever.

What is to be removed is found in a read snapshot, and removed in slices: the lock is held for one slice at a time.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from lash_store.records import json_text
from lash_store.sqlite.plan import Plan, Step

if TYPE_CHECKING:
    import apsw

SLICE_ROWS: Final = 256

# What is still to be started keeps its occurrence. (A program that keeps no account drops nothing when it cancels.)
_IS_OLD: Final = """
o.occurred_at_ms < ?1 AND NOT EXISTS
    (SELECT 1 FROM lash_host_event_starts AS a JOIN host_event_trigger_subscriptions AS s USING (subscription_id)
     WHERE a.occurrence_id = o.occurrence_id AND a.state = 'reserved' AND s.enabled <> 0)
"""
_OLD_OCCURRENCES: Final = f"""
SELECT o.occurrence_id FROM host_event_occurrences AS o
WHERE o.occurrence_id > ?2 AND {_IS_OLD} ORDER BY o.occurrence_id LIMIT ?3
"""
# ?2 is a JSON array of ids. What was reserved since they were read stays.
_STILL_OLD: Final = f"""
SELECT o.occurrence_id
FROM json_each(?2) AS found CROSS JOIN host_event_occurrences AS o ON o.occurrence_id = found.value
WHERE {_IS_OLD}
"""
_REMOVE_DELIVERIES: Final = f"DELETE FROM host_event_deliveries WHERE occurrence_id IN ({_STILL_OLD}) RETURNING 1"
# Those of deliveries have gone with them; there may be others.
_REMOVE_ACCOUNTS: Final = f"DELETE FROM lash_host_event_starts WHERE occurrence_id IN ({_STILL_OLD})"
_REMOVE_OCCURRENCES: Final = f"DELETE FROM host_event_occurrences WHERE occurrence_id IN ({_STILL_OLD}) RETURNING 1"
_IS_UNUSED: Final = """
s.enabled = 0 AND s.updated_at_ms < ?1 AND NOT EXISTS
    (SELECT 1 FROM host_event_deliveries AS d WHERE d.subscription_id = s.subscription_id)
"""
_OLD_SUBSCRIPTIONS: Final = f"""
SELECT s.subscription_id FROM host_event_trigger_subscriptions AS s
WHERE s.subscription_id > ?2 AND {_IS_UNUSED} ORDER BY s.subscription_id LIMIT ?3
"""
_REMOVE_SUBSCRIPTIONS: Final = f"""
DELETE FROM host_event_trigger_subscriptions AS s
WHERE s.subscription_id IN (SELECT value FROM json_each(?2)) AND {_IS_UNUSED}
"""
# AUTOINCREMENT remembers the highest number by itself; the row of it stays for those who look for the maximum.
_REMOVE_NUMBERS: Final = """
DELETE FROM host_event_subscription_seq WHERE id IN
    (SELECT id FROM host_event_subscription_seq
     WHERE id < (SELECT max(id) FROM host_event_subscription_seq) ORDER BY id LIMIT ?1)
"""


def read_old_occurrences(connection: "apsw.Connection", before_ms: int, after: str) -> list[str]:
    """A slice of the ids of occurrences that are older and have nothing to start; those greater than `after`."""
    rows: Any = connection.execute(_OLD_OCCURRENCES, (before_ms, after, SLICE_ROWS))
    return [occurrence_id for (occurrence_id,) in rows]


def prepare_remove_occurrences(found: Sequence[str], before_ms: int) -> Plan:
    """Removes those of a slice that are still so; a row comes back for each delivery, and for each occurrence."""
    values = (before_ms, json_text.compact(found).decode())
    return Plan(
        [
            Step(_REMOVE_DELIVERIES, values, rows=True),
            Step(_REMOVE_ACCOUNTS, values),
            Step(_REMOVE_OCCURRENCES, values, rows=True),
        ]
    )


def read_old_subscriptions(connection: "apsw.Connection", before_ms: int, after: str) -> list[str]:
    """A slice of the ids of subscriptions cancelled before that have no delivery; those greater than `after`."""
    rows: Any = connection.execute(_OLD_SUBSCRIPTIONS, (before_ms, after, SLICE_ROWS))
    return [subscription_id for (subscription_id,) in rows]


def prepare_remove_subscriptions(found: Sequence[str], before_ms: int) -> Plan:
    """Removes those of a slice that still have no delivery; each is a change."""
    return Plan([Step(_REMOVE_SUBSCRIPTIONS, (before_ms, json_text.compact(found).decode()))])


def prepare_remove_numbers() -> Plan:
    """Removes a slice of the numbers that were given and are not the highest; each is a change."""
    return Plan([Step(_REMOVE_NUMBERS, (SLICE_ROWS,))])
