"""The one transaction that every driver runs, the file it runs on, and the count that proves no commit was lost.

The tables have the shape of the session store's `session_head` and `graph_nodes`. A commit reads the head revision,
inserts a node of about 300 bytes and sets the revision, under BEGIN IMMEDIATE; the text of each statement is the same
for all drivers, so the SQL work is too.
"""

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import apsw

Durability = Literal["normal", "full"]

BUSY_TIMEOUT_MS = 15_000
TASKS = 64
BATCH = 64

BEGIN = "BEGIN IMMEDIATE"
READ_HEAD = "SELECT head_revision FROM session_head WHERE singleton = 1"
INSERT_NODE = "INSERT INTO graph_nodes (node_id, node_json) VALUES (?, ?)"
ADVANCE_HEAD = "UPDATE session_head SET head_revision = head_revision + 1 WHERE singleton = 1"
COMMIT = "COMMIT"
ROLLBACK = "ROLLBACK"

_SCHEMA = """
CREATE TABLE session_head (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    session_id TEXT NOT NULL DEFAULT 'root',
    head_json TEXT NOT NULL DEFAULT '{}',
    head_revision INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE graph_nodes (
    seq INTEGER PRIMARY KEY,
    node_id TEXT NOT NULL UNIQUE,
    node_json TEXT NOT NULL,
    tombstoned INTEGER NOT NULL DEFAULT 0
);
INSERT INTO session_head (singleton) VALUES (1);
"""

NODE_HEAD = '{"node_id":"'
NODE_TAIL = (
    '","timestamp":"2026-01-01T00:00:00+00:00","kind":"plugin","plugin_type":"bench","body":{"text":"'
    + "the quick brown fox jumps over the lazy dog; " * 4
    + '"}}'
)

PRAGMAS_SHOWN = (
    "journal_mode",
    "synchronous",
    "foreign_keys",
    "cache_size",
    "wal_autocheckpoint",
    "busy_timeout",
    "page_size",
    "mmap_size",
    "temp_store",
)


class Counted(NamedTuple):
    """What a file holds after a run: the rows of `graph_nodes`, and the head revision."""

    rows: int
    revision: int


def node_json(node_id: str) -> str:
    """A node record of about 300 bytes."""
    return NODE_HEAD + node_id + NODE_TAIL


def connection_pragmas(durability: Durability) -> tuple[str, ...]:
    """What the drivers without settings of their own run after opening; lash_store sets the same by itself."""
    return (
        "PRAGMA journal_mode = WAL",
        f"PRAGMA synchronous = {durability.upper()}",
        "PRAGMA foreign_keys = ON",
        "PRAGMA cache_size = -2000",
    )


def run_transaction(db: "sqlite3.Connection | apsw.Connection", node_id: str, node_json: str) -> None:
    """The one transaction on a blocking connection in autocommit mode."""
    execute = db.execute
    execute(BEGIN)
    try:
        execute(READ_HEAD).fetchall()
        execute(INSERT_NODE, (node_id, node_json))
        execute(ADVANCE_HEAD)
        execute(COMMIT)
    except BaseException:
        if db.in_transaction:
            execute(ROLLBACK)
        raise


def create_file(path: str) -> None:
    """Make the database that one run of one driver writes to, empty and already in WAL mode."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL").fetchall()
        db.executescript(_SCHEMA)


def count_commits(path: str) -> Counted:
    """What the file says was committed; to be called after every writer has gone."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        row = db.execute("SELECT (SELECT count(*) FROM graph_nodes), head_revision FROM session_head").fetchone()
    return Counted(int(row[0]), int(row[1]))
