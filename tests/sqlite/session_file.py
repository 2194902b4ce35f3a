"""The session's file as the specification's section 2 draws it, and as lash creates it."""

from pathlib import Path
from typing import Any, Final

import apsw

Column = tuple[str, str, int, str | None, int]
"""Name, declared type, whether NULL is refused, default, place in the primary key: a row of PRAGMA table_info."""


def _text(name: str, *, null: bool = False, default: str | None = None, key: int = 0) -> Column:
    return (name, "TEXT", int(not null), default, key)


def _integer(name: str, *, null: bool = False, default: str | None = None) -> Column:
    return (name, "INTEGER", int(not null), default, 0)


_ROWID: Final = ("seq", "INTEGER", 0, None, 1)
_SINGLETON: Final = ("singleton", "INTEGER", 0, None, 1)

COLUMNS: Final[dict[str, list[Column]]] = {
    "blobs": [_text("hash", null=True, key=1), ("content", "BLOB", 1, None, 0)],
    "session_head": [
        _SINGLETON,
        _text("session_id", default="'root'"),
        _text("head_json", default="'{}'"),
        _integer("head_revision", default="0"),
    ],
    "graph_nodes": [_ROWID, _text("node_id"), _text("node_json"), _integer("tombstoned", default="0")],
    "usage_deltas": [
        _ROWID,
        _text("source"),
        _text("model"),
        *map(_integer, ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")),
    ],
    "session_meta": [
        _SINGLETON,
        *map(_text, ("session_id", "session_name", "created_at", "model")),
        _text("cwd", null=True),
        _text("relation_json", null=True),
    ],
    "runtime_turn_commits": [
        _text("session_id", key=1),
        _text("turn_id", key=2),
        _text("turn_commit_hash"),
        _text("result_json"),
        _integer("committed_at_ms"),
    ],
    "queued_work_batches": [
        ("enqueue_seq", "INTEGER", 0, None, 1),
        _text("batch_id"),
        _text("session_id"),
        _text("source_key", null=True),
        *map(_text, ("delivery_policy", "slot_policy", "merge_key_json")),
        _integer("available_at_ms"),
        _integer("enqueued_at_ms"),
        *(_text(name, null=True) for name in ("claim_id", "claim_owner_id", "claim_token")),
        *(
            _integer(name, default="0")
            for name in ("claim_fencing_token", "claim_claimed_at_ms", "claim_expires_at_ms")
        ),
    ],
    "queued_work_items": [
        _text("batch_id", key=1),
        ("item_index", "INTEGER", 1, None, 2),
        _text("item_id"),
        _text("payload_json"),
    ],
    "attachment_manifest": [
        _text("attachment_id", null=True, key=1),
        _text("session_id"),
        _text("canonical_uri"),
        _integer("intent_at_ms"),
        _integer("committed_at_ms", null=True),
    ],
    "artifact_refs": [_text("artifact_ref", null=True, key=1), _text("blob_ref")],
}

UNIQUE: Final = {
    ("blobs", "hash"),
    ("graph_nodes", "node_id"),
    ("runtime_turn_commits", "session_id,turn_id"),
    ("queued_work_batches", "batch_id"),
    ("queued_work_batches", "session_id,source_key"),
    ("queued_work_items", "batch_id,item_index"),
    ("attachment_manifest", "attachment_id"),
    ("artifact_refs", "artifact_ref"),
}
"""Table and columns of every unique index: of the keys and the constraints."""

INDEXES: Final = {
    "idx_queued_work_ready": ("queued_work_batches", "session_id,available_at_ms,enqueue_seq", 0),
    "idx_queued_work_claim": ("queued_work_batches", "session_id,claim_id,claim_token", 0),
    "idx_attachment_manifest_session": ("attachment_manifest", "session_id,committed_at_ms", 0),
    "idx_attachment_manifest_uncommitted": ("attachment_manifest", "committed_at_ms", 1),
}
"""Name, table, columns, and whether it is partial, of every other index."""

VERSION: Final = 3
ADDED: Final = "lash_"
"""The names of what this package adds begin like this."""

_CONSTRAINTS: Final = {
    "graph_nodes": ["UNIQUE (node_id)"],
    "queued_work_batches": ["UNIQUE (batch_id)", "UNIQUE (session_id, source_key) ON CONFLICT IGNORE"],
    "queued_work_items": ["FOREIGN KEY (batch_id) REFERENCES queued_work_batches (batch_id) ON DELETE CASCADE"],
}


def create_as_lash(path: Path, *more: str) -> None:
    """Create the file as lash v0.1.0-alpha.40 does, with none of this package's additions, and run `more` on it."""
    connection = apsw.Connection(str(path))
    try:
        connection.pragma("journal_mode", "wal")
        for statement in (*(_table(name) for name in COLUMNS), *map(_index, INDEXES), *more):
            connection.execute(statement)
        connection.pragma("user_version", VERSION)
    finally:
        connection.close()


def layout(connection: apsw.Connection) -> dict[str, Any]:
    """Tables, unique columns and indexes of a file, without this package's additions, in the form of this module."""
    names = [str(name) for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    tables = {
        name: [tuple(row[1:]) for row in connection.execute(f"PRAGMA table_info({name})")]
        for name in names
        if not name.startswith((ADDED, "sqlite_"))
    }
    unique, indexes = set(), {}
    for table in tables:
        listed: list[Any] = connection.execute(f"PRAGMA index_list({table})").fetchall()
        for _, index, is_unique, _, partial in listed:
            if index.startswith(ADDED):
                continue
            columns = ",".join(name for _, _, name in connection.execute(f"PRAGMA index_info({index})"))
            if is_unique:
                unique.add((table, columns))
            else:
                indexes[index] = (table, columns, partial)
    return {"tables": tables, "unique": unique, "indexes": indexes}


LAYOUT: Final = {"tables": COLUMNS, "unique": UNIQUE, "indexes": INDEXES}


def _table(name: str) -> str:
    keys = [column for column in COLUMNS[name] if column[4]]
    alone = keys[0][0] if len(keys) == 1 else None
    definitions = [_column(column, is_key=column[0] == alone) for column in COLUMNS[name]]
    if len(keys) > 1:
        definitions.append(f"PRIMARY KEY ({', '.join(column[0] for column in keys)})")
    return f"CREATE TABLE {name} ({', '.join([*definitions, *_CONSTRAINTS.get(name, [])])})"


def _column(column: Column, *, is_key: bool) -> str:
    name, kind, not_null, default, _ = column
    words = [name, kind, *["PRIMARY KEY"] * is_key, *["NOT NULL"] * not_null]
    words += ["CHECK (singleton = 1)"] if name == "singleton" else []
    return " ".join([*words, *([] if default is None else ["DEFAULT", default])])


def _index(name: str) -> str:
    table, columns, partial = INDEXES[name]
    return f"CREATE INDEX {name} ON {table} ({columns})" + (f" WHERE {columns} IS NULL" if partial else "")
