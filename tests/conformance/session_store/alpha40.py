"""Session files as lash v0.1.0-alpha.40 makes them, with plain SQL and the texts of appendix A.

Nothing here uses the package: tables, rows, envelopes and hashes are made from the specification alone.
"""

import hashlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from tests.golden import vectors

SCHEMA: Final = """
CREATE TABLE blobs (hash TEXT PRIMARY KEY, content BLOB NOT NULL);
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
CREATE TABLE usage_deltas (
    seq INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL
);
CREATE TABLE session_meta (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    session_id TEXT NOT NULL,
    session_name TEXT NOT NULL,
    created_at TEXT NOT NULL,
    model TEXT NOT NULL,
    cwd TEXT,
    relation_json TEXT
);
CREATE TABLE runtime_turn_commits (
    session_id TEXT NOT NULL,
    turn_id TEXT NOT NULL,
    turn_commit_hash TEXT NOT NULL,
    result_json TEXT NOT NULL,
    committed_at_ms INTEGER NOT NULL,
    PRIMARY KEY (session_id, turn_id)
);
CREATE TABLE queued_work_batches (
    enqueue_seq INTEGER PRIMARY KEY,
    batch_id TEXT NOT NULL UNIQUE,
    session_id TEXT NOT NULL,
    source_key TEXT,
    delivery_policy TEXT NOT NULL,
    slot_policy TEXT NOT NULL,
    merge_key_json TEXT NOT NULL,
    available_at_ms INTEGER NOT NULL,
    enqueued_at_ms INTEGER NOT NULL,
    claim_id TEXT,
    claim_owner_id TEXT,
    claim_token TEXT,
    claim_fencing_token INTEGER NOT NULL DEFAULT 0,
    claim_claimed_at_ms INTEGER NOT NULL DEFAULT 0,
    claim_expires_at_ms INTEGER NOT NULL DEFAULT 0,
    UNIQUE (session_id, source_key) ON CONFLICT IGNORE
);
CREATE INDEX idx_queued_work_ready ON queued_work_batches (session_id, available_at_ms, enqueue_seq);
CREATE INDEX idx_queued_work_claim ON queued_work_batches (session_id, claim_id, claim_token);
CREATE TABLE queued_work_items (
    batch_id TEXT NOT NULL,
    item_index INTEGER NOT NULL,
    item_id TEXT NOT NULL,
    payload_json TEXT NOT NULL,
    PRIMARY KEY (batch_id, item_index),
    FOREIGN KEY (batch_id) REFERENCES queued_work_batches (batch_id) ON DELETE CASCADE
);
CREATE TABLE attachment_manifest (
    attachment_id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL,
    canonical_uri TEXT NOT NULL,
    intent_at_ms INTEGER NOT NULL,
    committed_at_ms INTEGER
);
CREATE INDEX idx_attachment_manifest_session ON attachment_manifest (session_id, committed_at_ms);
CREATE INDEX idx_attachment_manifest_uncommitted ON attachment_manifest (committed_at_ms)
    WHERE committed_at_ms IS NULL;
CREATE TABLE artifact_refs (artifact_ref TEXT PRIMARY KEY, blob_ref TEXT NOT NULL);
PRAGMA user_version = 3;
"""
"""The tables and indexes of section 2."""

TURN_COMMIT_HASH: Final = "1d72fee6ea8c52ee2bcea683e92d8bb35bd46aec57ea74783cacfb604b9e92db"
"""Appendix A.5: of a commit of State(root)."""
LEASE_TOKEN: Final = "b3d3966afc09860802d1451d1dccad38a732b91b12427fbebcb0cde18432d438"  # noqa: S105 - appendix A.4
KEYED_BATCH: Final = "qwb:d3f3745f1b4a80174159d60559832b64b4b4b84ca663c021ffd829c7e6f68e65"
KEYLESS_BATCH: Final = "qwb:9194523cb18f85f4196cf1df4a2075961b23d305046086b6b07f092dbd1248a4"
CLAIMED_AT_MS: Final = 1_700_000_000_000
LEASE_MS: Final = 900_000


def run(path: Path, sql: str, *values: Any) -> None:
    """One statement or several, as that writer runs them: its pragmas, and none of this package's SQL functions."""
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(15_000)
        connection.execute(
            "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA synchronous = NORMAL"
        ).fetchall()
        connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def create(path: Path) -> None:
    """A new file with the schema and nothing in it."""
    run(path, SCHEMA)


def insert(path: Path, table: str, **columns: Any) -> None:
    """One row; columns that are not given have their defaults."""
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    run(path, f"INSERT INTO {table} ({names}) VALUES ({marks})", *columns.values())


def put_envelope(path: Path, kind: str, content: bytes, *, compressed: bool = False, hints: Sequence[str] = ()) -> str:
    """An artifact blob; returns its hash."""
    envelope = {
        "descriptor": {"kind": kind, "hints": ["Compressible", *hints]},
        "compression": "Zlib" if compressed else "None",
        "content": list(zlib.compress(content) if compressed else content),
    }
    ref = hashlib.sha256(content).hexdigest()
    insert(path, "blobs", hash=ref, content=msgspec.msgpack.encode(envelope))
    return ref


def manifest_content(tool_state: str, plugin_snapshot: str, execution_state: str) -> bytes:
    """The manifest M2 of appendix A.2 with refs in it."""
    plain = msgspec.json.decode(vectors.text("manifest_m2.json"))
    return msgspec.msgpack.encode(
        {
            "turn_state": plain["turn_state"],
            "tool_state_ref": tool_state,
            "plugin_snapshot_ref": plugin_snapshot,
            "plugin_snapshot_revision": plain["plugin_snapshot_revision"],
            "execution_state_ref": execution_state,
        }
    )


def write_checkpoint(path: Path) -> str:
    """A manifest and its three children, one of them compressed; returns the manifest's hash."""
    large = ["LargePayload"]
    return put_envelope(
        path,
        "CheckpointManifest",
        manifest_content(
            put_envelope(path, "ToolState", vectors.binary("tool_state"), hints=large),
            put_envelope(path, "PluginSessionSnapshot", vectors.binary("plugin_snapshot_one"), hints=large),
            put_envelope(
                path, "ExecutionStateSnapshot", vectors.binary("execution_state"), compressed=True, hints=large
            ),
        ),
    )


def write_head(path: Path, checkpoint_ref: str, revision: int = 1) -> None:
    """The head of appendix A.8 at a checkpoint of its own."""
    text = vectors.text("head_two_frames.json").replace('"cc"', f'"{checkpoint_ref}"')
    insert(path, "session_head", singleton=1, session_id="root", head_json=text, head_revision=revision)


def write_nodes(path: Path) -> None:
    """The three nodes of appendix A.8, and a tombstoned one."""
    for name, node_id in (("node_message", "m1"), ("node_protocol", "protocol:1"), ("node_plugin", "plugin:1")):
        insert(path, "graph_nodes", node_id=node_id, node_json=vectors.text(f"{name}.json"))
    gone = '{"node_id":"gone","timestamp":"t","kind":"plugin","plugin_type":"x","body":1}'
    insert(path, "graph_nodes", node_id="gone", node_json=gone, tombstoned=1)


def write_queue(path: Path) -> None:
    """A batch with a source key and four payloads, claimed by owner-a, and a free one without a key."""
    common = {"session_id": "root", "available_at_ms": 0, "enqueued_at_ms": CLAIMED_AT_MS}
    insert(
        path,
        "queued_work_batches",
        batch_id=KEYED_BATCH,
        source_key="source:first",
        delivery_policy="earliest_safe_boundary",
        slot_policy="join",
        merge_key_json='{"group":"g"}',
        claim_id="qwc:1:1",
        claim_owner_id="owner-a",
        claim_token=LEASE_TOKEN,
        claim_fencing_token=1,
        claim_claimed_at_ms=CLAIMED_AT_MS,
        claim_expires_at_ms=CLAIMED_AT_MS + LEASE_MS,
        **common,
    )
    insert(
        path,
        "queued_work_batches",
        batch_id=KEYLESS_BATCH,
        delivery_policy="after_current_turn_commit",
        slot_policy="exclusive",
        merge_key_json='"payload_default"',
        **common,
    )
    names = ("turn_input_full", "turn_input_smallest", "process_wake", "session_command")
    for index, name in enumerate(names):
        write_item(path, KEYED_BATCH, index, vectors.text(f"payload_{name}.json"))
    write_item(path, KEYLESS_BATCH, 0, vectors.text("payload_turn_input_smallest.json"))


def write_item(path: Path, batch_id: str, index: int, payload: str) -> None:
    insert(
        path,
        "queued_work_items",
        batch_id=batch_id,
        item_index=index,
        item_id=f"{batch_id}:item:{index}",
        payload_json=payload,
    )


def write_usage(path: Path, source: str, model: str, *counts: int) -> None:
    names = ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens")
    insert(path, "usage_deltas", source=source, model=model, **dict(zip(names, counts, strict=True)))


def write_session(path: Path) -> str:
    """A file with something in every table; returns the head's checkpoint ref."""
    create(path)
    ref = write_checkpoint(path)
    write_head(path, ref)
    write_nodes(path)
    write_queue(path)
    write_usage(path, "turn", "m", 1, 2, 3, 4)
    write_usage(path, "turn", "m", 10, 20, 30, 40)
    insert(
        path,
        "session_meta",
        singleton=1,
        session_id="root",
        session_name="Alpha",
        created_at="unix:1700000000",
        model="m",
        cwd="/srv/app",
        relation_json='{"kind":"child","parent_session_id":"p","caused_by":'
        '{"type":"tool_call","session_id":"p","call_id":"c"}}',
    )
    result = vectors.text("commit_result.json")
    insert(
        path,
        "runtime_turn_commits",
        session_id="root",
        turn_id="turn-1",
        turn_commit_hash=TURN_COMMIT_HASH,
        result_json=result,
        committed_at_ms=CLAIMED_AT_MS,
    )
    for name, committed in (("a", None), ("b", CLAIMED_AT_MS)):
        insert(
            path,
            "attachment_manifest",
            attachment_id=name,
            session_id="root",
            canonical_uri=f"sha256:{name}",
            intent_at_ms=100,
            committed_at_ms=committed,
        )
    return ref
