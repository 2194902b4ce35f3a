"""Removing what a host-event database has kept for long enough; the format itself keeps everything for ever."""

from typing import Final

from lash_store.records.host_event import HostEventPruneReport
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.plan import Plan, PlanResult, Step

# What is still to be started keeps its occurrence. (A program that keeps no account drops nothing when it cancels.)
_OLD: Final = """
SELECT occurrence_id FROM host_event_occurrences AS o WHERE occurred_at_ms < ?1 AND NOT EXISTS
    (SELECT 1 FROM lash_host_event_starts AS a JOIN host_event_trigger_subscriptions AS s USING (subscription_id)
     WHERE a.occurrence_id = o.occurrence_id AND a.state = 'reserved' AND s.enabled <> 0)
"""
_ACCOUNTS: Final = f"DELETE FROM lash_host_event_starts WHERE occurrence_id IN ({_OLD})"
_DELIVERIES: Final = f"DELETE FROM host_event_deliveries WHERE occurrence_id IN ({_OLD}) RETURNING 1"
_OCCURRENCES: Final = f"DELETE FROM host_event_occurrences WHERE occurrence_id IN ({_OLD}) RETURNING 1"
_SUBSCRIPTIONS: Final = """
DELETE FROM host_event_trigger_subscriptions AS s WHERE enabled = 0 AND updated_at_ms < ?1 AND NOT EXISTS
    (SELECT 1 FROM host_event_deliveries AS d WHERE d.subscription_id = s.subscription_id)
RETURNING 1
"""
# AUTOINCREMENT remembers the highest number by itself; the row of it stays for those who look for the maximum.
_NUMBERS: Final = """
DELETE FROM host_event_subscription_seq WHERE id < (SELECT max(id) FROM host_event_subscription_seq)
"""


def prepare_pruning(before_ms: int) -> Plan:
    """The plan that removes what is older. Raises InvalidRecord for a time outside 0 ... 2^63-1."""
    column_integer("host event", "before_ms", before_ms)
    return Plan(
        [
            Step(_ACCOUNTS, (before_ms,)),
            Step(_DELIVERIES, (before_ms,), rows=True),
            Step(_OCCURRENCES, (before_ms,), rows=True),
            Step(_SUBSCRIPTIONS, (before_ms,), rows=True),
            Step(_NUMBERS),
        ]
    )


def pruned(result: PlanResult) -> HostEventPruneReport:
    """What a plan of `prepare_pruning` has removed."""
    deliveries, occurrences, subscriptions = map(len, result.rows)
    return HostEventPruneReport(occurrences, deliveries, subscriptions)
