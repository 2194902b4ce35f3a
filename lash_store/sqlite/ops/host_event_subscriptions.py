"""Trigger subscriptions, and the source of their numbers (host events specification 1.3, 4.6)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from lash_store.codecs.host_event_text import stored_subscription, subscription_text
from lash_store.errors import StoreCorrupt
from lash_store.records.host_event_trigger import (
    TriggerSubscriptionDraft,
    TriggerSubscriptionFilter,
    TriggerSubscriptionRecord,
)
from lash_store.sqlite.ops.texts import column_text
from lash_store.sqlite.plan import Plan, PlanResult, Step

if TYPE_CHECKING:
    import apsw

_NAME: Final = "CASE WHEN json_valid(record_json) THEN json_extract(record_json, '$.name') END"
_DAMAGED: Final = (
    "CASE WHEN json_valid(record_json) THEN json_extract(record_json, '$.subscription_id') END IS NOT subscription_id"
)

TABLES: Final[Mapping[str, str]] = {
    "host_event_subscription_seq": """
CREATE TABLE IF NOT EXISTS host_event_subscription_seq (
    id INTEGER PRIMARY KEY AUTOINCREMENT
)""",
    "host_event_trigger_subscriptions": """
CREATE TABLE IF NOT EXISTS host_event_trigger_subscriptions (
    subscription_id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL,
    handle TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source_key TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    record_json TEXT NOT NULL,
    UNIQUE (session_id, handle)
)""",
    "idx_host_event_trigger_subscriptions_session": """
CREATE INDEX IF NOT EXISTS idx_host_event_trigger_subscriptions_session
ON host_event_trigger_subscriptions (session_id, handle)
""",
    "idx_host_event_trigger_subscriptions_source": """
CREATE INDEX IF NOT EXISTS idx_host_event_trigger_subscriptions_source
ON host_event_trigger_subscriptions (source_type, source_key, enabled)
""",
    # Those that have no name because they are none, or another's. Whoever asks for a name hears of them, too.
    "lash_host_event_subscriptions_damaged": f"""
CREATE INDEX IF NOT EXISTS lash_host_event_subscriptions_damaged ON host_event_trigger_subscriptions (subscription_id)
WHERE {_DAMAGED}
""",
    # A damaged record must not keep the file from being opened, nor another program from writing one.
    "lash_host_event_subscriptions_name": f"""
CREATE INDEX IF NOT EXISTS lash_host_event_subscriptions_name ON host_event_trigger_subscriptions ({_NAME})
""",
}

_NUMBER: Final = "INSERT INTO host_event_subscription_seq DEFAULT VALUES"
# The number just given is the highest: AUTOINCREMENT gives none twice, nor a lower one.
_REGISTER: Final = """
WITH clock (now) AS MATERIALIZED (SELECT lash_now_ms()),
    number (n) AS MATERIALIZED (SELECT max(id) FROM host_event_subscription_seq)
INSERT INTO host_event_trigger_subscriptions
    (subscription_id, session_id, handle, source_type, source_key, enabled, created_at_ms, updated_at_ms, record_json)
SELECT 'subscription:' || n, ?1, 'trigger:' || n, ?2, ?3, 1, now, now,
    '{"subscription_id":"subscription:' || n || ?4 || n || ?5
    || ',"enabled":true,"created_at_ms":' || now || ',"updated_at_ms":' || now || '}'
FROM clock, number
RETURNING subscription_id, record_json
"""
_LIST: Final = "SELECT subscription_id, record_json FROM host_event_trigger_subscriptions"
_ORDER: Final = " ORDER BY session_id, handle"
_CONDITIONS: Final[Mapping[str, str]] = {
    "session_id": "session_id = ?",
    "handle": "handle = ?",
    "source_type": "source_type = ?",
    "source_key": "source_key = ?",
    "enabled": "enabled = ?",
    # In two parts, each through its index.
    "name": f"""subscription_id IN (
        SELECT subscription_id FROM host_event_trigger_subscriptions WHERE {_NAME} = ?
        UNION ALL SELECT subscription_id FROM host_event_trigger_subscriptions WHERE {_DAMAGED}
    )""",
}
# The column decides what is reserved. So a record that is no JSON can be cancelled, and keeps no other from that; it
# stays as it is, for whoever repairs it.
_CANCEL: Final = """
WITH clock (now) AS MATERIALIZED (SELECT lash_now_ms())
UPDATE host_event_trigger_subscriptions SET enabled = 0, updated_at_ms = now,
    record_json = CASE WHEN json_valid(record_json)
        THEN json_set(record_json, '$.enabled', json('false'), '$.updated_at_ms', now) ELSE record_json END
FROM clock
WHERE session_id = ?1 AND (?2 IS NULL OR handle = ?2) AND enabled <> 0
RETURNING 1
"""


def prepare_registration(draft: TriggerSubscriptionDraft) -> Plan:
    """The plan that registers a subscription. Raises InvalidRecord, InvalidJsonValue."""
    text = subscription_text(draft)
    values = (draft.session_id, draft.source_type, draft.source_key, text.owner, text.rest)
    return Plan([Step(_NUMBER), Step(_REGISTER, values, expect=1, rows=True)])


def registered(result: PlanResult) -> TriggerSubscriptionRecord:
    """The subscription that a plan of `prepare_registration` has registered."""
    ((subscription_id, text),) = result.rows[0]
    return subscription_of(subscription_id, text)


def read_subscriptions(
    connection: "apsw.Connection", wanted: TriggerSubscriptionFilter
) -> list[TriggerSubscriptionRecord]:
    """The subscriptions that are like `wanted`, by session, then by handle as a text. Raises StoreCorrupt."""
    asked = {field: value for field in _CONDITIONS if (value := getattr(wanted, field)) is not None}
    where = " AND ".join(_CONDITIONS[field] for field in asked)
    statement = f"{_LIST} WHERE {where}{_ORDER}" if where else f"{_LIST}{_ORDER}"
    rows: Any = connection.execute(statement, tuple(asked.values()))
    return [record for row in rows if wanted.matches(record := subscription_of(*row))]


def subscription_of(subscription_id: str, text: str) -> TriggerSubscriptionRecord:
    """The subscription of a row. Raises StoreCorrupt if it cannot be read, or is another one."""
    record = stored_subscription(subscription_id, text)
    if record.subscription_id != subscription_id:
        raise StoreCorrupt("trigger subscription", subscription_id)
    return record


def cancel_step(session_id: str, handle: str | None) -> Step:
    """Cancel the subscription with the handle, or all of the session; a row comes back for each that was enabled."""
    column_text("trigger subscription", "session_id", session_id)
    if handle is not None:
        column_text("trigger subscription", "handle", handle)
    return Step(_CANCEL, (session_id, handle), rows=True)
