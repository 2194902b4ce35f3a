"""What must hold in a session's file whatever happened, read with plain SQL and none of this package's readers."""

import hashlib
import json
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import msgspec

BROKEN_UP = {
    "items without a batch": """
        SELECT batch_id FROM queued_work_items EXCEPT SELECT batch_id FROM queued_work_batches""",
    "batches without items": """
        SELECT batch_id FROM queued_work_batches EXCEPT SELECT batch_id FROM queued_work_items""",
    "half a claim": """
        SELECT batch_id FROM queued_work_batches
        WHERE (claim_id IS NULL) <> (claim_token IS NULL) OR (claim_id IS NULL) <> (claim_owner_id IS NULL)""",
    "nodes without their parent": """
        SELECT node_id FROM graph_nodes
        WHERE node_json ->> 'parent_node_id' NOT IN (SELECT node_id FROM graph_nodes)""",
    "a node of another id": "SELECT node_id FROM graph_nodes WHERE node_json ->> 'node_id' IS NOT node_id",
    "a count that is not the nodes'": """
        SELECT node_count FROM lash_graph_size WHERE last_seq = (SELECT coalesce(max(seq), 0) FROM graph_nodes)
        AND node_count <> (SELECT count(*) FROM graph_nodes WHERE tombstoned = 0)""",
    "totals that are not the rows'": """
        SELECT source, model, sum(input_tokens) FROM usage_deltas
        WHERE seq <= (SELECT max(last_seq) FROM lash_usage_totals)
        GROUP BY source, model EXCEPT SELECT source, model, input_tokens FROM lash_usage_totals""",
}


def check_file(path: Path, turns: int | None = None) -> int:
    """Check all of the file, on a connection of its own, and return how many turns are in it; see `check_turns`.

    A file in which nobody has come to the end of creating the schema has nothing at all.
    """
    if not path.exists():
        return 0
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("BEGIN")
        if connection.pragma("user_version") == 0:
            assert connection.execute("SELECT * FROM sqlite_schema").fetchall() == []
            return 0
        check(connection)
        return check_turns(connection, turns)


def check(connection: apsw.Connection) -> None:
    """What holds in every session's file."""
    assert connection.pragma("integrity_check") == "ok"
    assert connection.pragma("foreign_key_check") is None
    for wrong, query in BROKEN_UP.items():
        assert connection.execute(query).fetchall() == [], wrong
    heads: list[Any] = connection.execute("SELECT session_id, head_json, head_revision FROM session_head").fetchall()
    assert len(heads) <= 1
    for session_id, head_json, revision in heads:
        head = json.loads(head_json)
        assert (head["session_id"], head["head_revision"]) == (session_id, revision)
        nodes = connection.execute("SELECT node_id FROM graph_nodes WHERE tombstoned = 0").fetchall()
        assert head["graph_node_count"] == len(nodes)
        assert (head["leaf_node_id"],) in nodes
        check_checkpoint(connection, head["checkpoint_ref"])


def check_checkpoint(connection: apsw.Connection, ref: str) -> dict[str, Any]:
    """The manifest and all that it names are there, and are what their hashes say; return the manifest."""
    manifest: dict[str, Any] = msgspec.msgpack.decode(content_of(connection, ref))
    for key, child in manifest.items():
        if key.endswith("_ref"):
            content_of(connection, child)
    return manifest


def content_of(connection: apsw.Connection, ref: str) -> bytes:
    stored: Any = connection.execute("SELECT content FROM blobs WHERE hash = ?", (ref,)).get
    envelope = msgspec.msgpack.decode(stored)
    content = bytes(envelope["content"])
    if envelope["compression"] == "Zlib":
        content = zlib.decompress(content)
    assert hashlib.sha256(content).hexdigest() == ref
    return content


def check_turns(connection: apsw.Connection, turns: int | None = None) -> int:
    """Each of the turns that tests.programs.session_turns prepares is there once, with all its parts, or not at all.

    `turns` is how many there must be; without it the head says so. Returns how many there are.
    """
    revision = int(connection.execute("SELECT coalesce(max(head_revision), 0) FROM session_head").get)
    assert turns is None or revision == turns
    made = list(range(revision))

    def column(query: str) -> list[Any]:
        return [value for (value,) in connection.execute(query)]

    assert column("SELECT node_id FROM graph_nodes ORDER BY seq") == [f"turn-{number}" for number in made]
    assert column("SELECT input_tokens FROM usage_deltas ORDER BY seq") == [1] * revision
    assert column("SELECT model FROM usage_deltas ORDER BY seq") == [f"model-{number % 7}" for number in made]
    receipts: list[Any] = connection.execute("SELECT turn_id, result_json FROM runtime_turn_commits").fetchall()
    results = {turn_id: json.loads(result_json) for turn_id, result_json in receipts}
    assert {turn: result["head_revision"] for turn, result in results.items()} == {
        f"turn-{number}": number + 1 for number in made
    }
    for result in results.values():
        manifest = check_checkpoint(connection, result["checkpoint_ref"])
        assert manifest["turn_state"]["turn_index"] == result["head_revision"] - 1
    waiting = column("SELECT source_key FROM queued_work_batches")
    assert waiting in ([], [f"turn:{revision}"]), "work of a turn that was made is still queued, or later work"
    kept = column("SELECT attachment_id FROM attachment_manifest WHERE committed_at_ms IS NOT NULL ORDER BY rowid")
    assert kept == [f"attachment-{number}" for number in made]
    announced = column("SELECT attachment_id FROM attachment_manifest WHERE committed_at_ms IS NULL")
    assert announced in ([], [f"attachment-{revision}"])
    return revision


def contents(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("BEGIN")
        tables: list[Any] = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for (name,) in tables}
