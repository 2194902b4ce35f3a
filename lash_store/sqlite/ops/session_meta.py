"""What a session is called, and what a list of sessions shows of it (specification 2.5, 4.26)."""

from typing import TYPE_CHECKING, Any, Final

from lash_store.records import node_text
from lash_store.records.record import read_json
from lash_store.records.session_meta import SessionMeta, SessionPickerInfo, SessionRelation, SessionRelationRoot
from lash_store.rules.picker import first_text
from lash_store.sqlite.ops.arguments import record_of
from lash_store.sqlite.ops.texts import readable
from lash_store.sqlite.plan import Step

if TYPE_CHECKING:
    import apsw

# Of the messages, a list of sessions wants the number and the first. The index is an addition of this package, and kept
# up by whoever writes. A node that is no JSON is in it too, so that it is met, not passed over.
_IS_USER_MESSAGE: Final = """tombstoned = 0 AND
CASE WHEN json_valid(node_json)
    THEN node_json ->> '$.event.Conversation.role' IS 'User' AND node_json ->> '$.kind' IS 'event' ELSE 1 END"""

TABLES: Final = {
    "session_meta": """
CREATE TABLE IF NOT EXISTS session_meta (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    session_id TEXT NOT NULL,
    session_name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    model TEXT NOT NULL,
    cwd TEXT,
    relation_json TEXT
)""",
    "lash_graph_user_messages": f"""
CREATE INDEX IF NOT EXISTS lash_graph_user_messages ON graph_nodes (seq) WHERE {_IS_USER_MESSAGE}""",
}

_READ: Final = "SELECT session_id, session_name, created_at, model, cwd, relation_json FROM session_meta"
_READ_SESSION: Final = "SELECT session_id FROM session_meta"
_INSERT: Final = """
INSERT INTO session_meta (singleton, session_id, session_name, created_at, model, cwd, relation_json)
VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)
"""
_REPLACE: Final = f"""{_INSERT}ON CONFLICT (singleton) DO UPDATE SET
    session_id = excluded.session_id, session_name = excluded.session_name, created_at = excluded.created_at,
    model = excluded.model, cwd = excluded.cwd, relation_json = excluded.relation_json
"""
_INSERT_IF_NONE: Final = f"{_INSERT}ON CONFLICT (singleton) DO NOTHING"
_COUNT_USER_MESSAGES: Final = f"SELECT count(*) FROM graph_nodes WHERE {_IS_USER_MESSAGE}"
_FIRST_USER_MESSAGE: Final = f"""
SELECT node_id, CAST(node_json AS BLOB) FROM graph_nodes WHERE {_IS_USER_MESSAGE} ORDER BY seq LIMIT 1
"""


def save_step(meta: SessionMeta) -> Step:
    """Writes `meta`, whatever was there. Raises InvalidRecord or InvalidJsonValue."""
    return Step(_REPLACE, _values(meta))


def save_first_step(meta: SessionMeta) -> Step:
    """Writes `meta` if there is none yet. Raises InvalidRecord or InvalidJsonValue."""
    return Step(_INSERT_IF_NONE, _values(meta))


def read_meta(connection: "apsw.Connection") -> SessionMeta | None:
    """The row, or None. Raises StoreCorrupt."""
    rows: list[tuple[Any, ...]] = connection.execute(_READ).fetchall()
    if not rows:
        return None
    session_id, session_name, created_at, model, cwd, relation_json = rows[0]
    meta = SessionMeta(session_id, session_name, created_at, model, cwd, _relation(session_id, relation_json))
    with readable("session meta", "session_meta"):
        meta.to_json()  # checks every field
    return meta


def read_named_session(connection: "apsw.Connection") -> str | None:
    """The session that the row is of, whatever else it says; None without a row. Raises StoreCorrupt."""
    with readable("session meta", "session_meta"):
        rows: list[tuple[Any, ...]] = connection.execute(_READ_SESSION).fetchall()
    return rows[0][0] if rows else None


def read_picker_info(connection: "apsw.Connection") -> SessionPickerInfo | None:
    """What a list of sessions shows; None without a row of names. Raises StoreCorrupt."""
    meta = read_meta(connection)
    if meta is None:
        return None
    counted: list[tuple[Any, ...]] = connection.execute(_COUNT_USER_MESSAGES).fetchall()
    first = node_text.read_nodes(connection.execute(_FIRST_USER_MESSAGE))
    return SessionPickerInfo(
        meta.session_id, meta.cwd, meta.relation, counted[0][0], first_text(first[0]) if first else ""
    )


def _values(meta: SessionMeta) -> tuple[str | None, ...]:
    record_of(SessionMeta, meta).to_json()  # checks every field
    relation = meta.relation.to_json().decode()
    return meta.session_id, meta.session_name, meta.created_at, meta.model, meta.cwd, relation


def _relation(session_id: str, relation_json: str | None) -> SessionRelation:
    if relation_json is None:
        return SessionRelationRoot()
    with readable("session relation", session_id):
        return read_json(SessionRelation, relation_json)  # type: ignore[no-any-return]
