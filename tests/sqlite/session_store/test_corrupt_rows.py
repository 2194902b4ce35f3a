"""Rows that another program has damaged: they are called corrupt, never left out, and never written over."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest

from lash_store import ActivePath, QueuedWorkClaimBoundary, Store
from lash_store.errors import RuntimeTurnCommitConflict, StoreCorrupt
from tests.sqlite.session_store.full_store import draft, fill, first_commit, next_commit
from tests.sqlite.session_store.hostile import refused
from tests.sqlite.session_store.samples import as_lash_does, change, query

Read: TypeAlias = Callable[[Store], Awaitable[object]]

BAD_JSON = {
    "not JSON": "'{'",
    "empty": "''",
    "null": "'null'",
    "a list": "'[]'",
    "no keys": "'{}'",
    "two values": "COLUMN || '{}'",
    "NaN": "replace(COLUMN, ':0', ':NaN') || ' x'",
    "not UTF-8": "CAST(x'7bff7d' AS TEXT)",
    "NUL": "CAST(CAST(COLUMN AS BLOB) || x'00' AS TEXT)",
    "bytes": "CAST('{' AS BLOB)",
}
BAD_MESSAGE = {
    **{name: BAD_JSON[name] for name in ("not JSON", "empty", "two values", "NaN", "not UTF-8", "bytes")},
    "no parts": "json_remove(COLUMN, '$.event.Conversation.parts')",
}
"""The picker looks at what is, or may be, a user's message only."""
BAD_INTEGER = {"text": "'x'", "a double": "1.5", "bytes": "x'01'"}
BAD_TEXT = {"other bytes": "x'61ff'", "not UTF-8": "CAST(x'61ff' AS TEXT)"}


def damages(table: str, column: str, values: dict[str, str], where: str = "") -> dict[str, str]:
    """A statement for each of the values that the column gets."""
    return {
        f"{table}.{column}: {name}": f"UPDATE {table} SET {column} = {value.replace('COLUMN', column)} {where}"
        for name, value in values.items()
    }


@pytest.fixture
async def full() -> AsyncIterator[Store]:
    """It is in memory: what a row means does not depend on where it lies."""
    async with await Store.memory() as store:
        await fill(store)
        yield store


READS: dict[str, Read] = {
    "session": lambda s: s.load_session(),
    "path": lambda s: s.load_session(ActivePath()),
    "head": lambda s: s.load_session_head(),
    "head's row": lambda s: s.load_session_head_meta(),
    "node": lambda s: s.load_node("middle"),
    "picker": lambda s: s.load_picker_info(),
    "meta": lambda s: s.load_session_meta(),
    "usage": lambda s: s.load_usage_deltas(),
    "queue": lambda s: s.list_queued_work("root"),
    "pending queue": lambda s: s.list_pending_queued_work("root"),
    "claim": lambda s: s.claim_ready_queued_work("root", "o", QueuedWorkClaimBoundary.IDLE, 60_000, 10),
    "attachments": lambda s: s.list_uncommitted(10**15),
}

HEAD = ["session", "path", "head", "head's row"]
NODES = ["session", "path", "head", "node"]
USAGE = ["session", "path", "head", "usage"]
QUEUE = ["queue", "pending queue", "claim"]

DAMAGES: dict[str, tuple[str, list[str]]] = {
    **{name: (sql, HEAD) for name, sql in damages("session_head", "head_json", BAD_JSON).items()},
    **{
        name: (sql, HEAD)
        for name, sql in damages("session_head", "head_revision", {**BAD_INTEGER, "negative": "-1"}).items()
    },
    **{
        name: (sql, HEAD)
        for name, sql in damages(
            "session_head",
            "head_json",
            {
                "no model": "json_set(COLUMN, '$.config', json('{}'))",
                "a frame without id": "json_remove(COLUMN, '$.agent_frames[0].frame_id')",
                "an unknown status": "json_set(COLUMN, '$.agent_frames[0].status', 'x')",
                "a leaf that is no text": "json_set(COLUMN, '$.leaf_node_id', 5)",
                "a key twice": 'replace(COLUMN, \'"config":\', \'"head_revision":1,"config":\')',
            },
        ).items()
    },
    **{
        name: (sql, NODES)
        for name, sql in damages(
            "graph_nodes",
            "node_json",
            {
                **BAD_JSON,
                "another id": "json_set(COLUMN, '$.node_id', 'x')",
                "another kind": "json_set(COLUMN, '$.kind', 'x')",
                "no body": "json_remove(COLUMN, '$.body')",
            },
            "WHERE node_id = 'middle'",
        ).items()
    },
    **{
        name: (sql, ["session", "head"])  # a path begins below a node that is not found
        for name, sql in damages("graph_nodes", "node_id", BAD_TEXT, "WHERE node_id = 'middle'").items()
    },
    **{
        name: (sql, USAGE)
        for counter in ("input_tokens", "reasoning_tokens")
        for name, sql in damages("usage_deltas", counter, BAD_INTEGER, "WHERE seq = 2").items()
    },
    **{name: (sql, USAGE) for name, sql in damages("usage_deltas", "model", BAD_TEXT, "WHERE seq = 1").items()},
    **{
        name: (sql, ["meta", "picker"])
        for name, sql in damages(
            "session_meta", "relation_json", {**BAD_JSON, "another kind": '\'{"kind":"x"}\''}
        ).items()
    },
    **{
        name: (sql, ["meta", "picker"])
        for column in ("session_id", "session_name", "created_at", "model", "cwd")
        for name, sql in damages("session_meta", column, BAD_TEXT).items()
    },
    **{
        f"first {name}": (sql, ["picker", "session", "head"])
        for name, sql in damages("graph_nodes", "node_json", BAD_MESSAGE, "WHERE node_id = 'root-node'").items()
    },
    **{
        name: (sql, QUEUE)
        for name, sql in damages("queued_work_batches", "merge_key_json", {**BAD_JSON, "unknown": "'\"x\"'"}).items()
    },
    **{
        name: (sql, QUEUE)
        for column in ("delivery_policy", "slot_policy")
        for name, sql in damages("queued_work_batches", column, {**BAD_TEXT, "unknown": "'x'"}).items()
    },
    **{
        name: (sql, QUEUE)
        for name, sql in damages("queued_work_batches", "enqueued_at_ms", {**BAD_INTEGER, "negative": "-1"}).items()
    },
    **{
        name: (sql, QUEUE)
        for name, sql in damages(
            "queued_work_items", "payload_json", {**BAD_JSON, "unknown": '\'{"type":"x"}\''}, "WHERE item_index = 1"
        ).items()
    },
    **{name: (sql, QUEUE) for name, sql in damages("queued_work_items", "item_id", BAD_TEXT).items()},
    **{
        name: (sql, ["attachments"])
        for column, values in (("intent_at_ms", BAD_INTEGER), ("canonical_uri", BAD_TEXT))
        for name, sql in damages("attachment_manifest", column, values).items()
    },
}
ELSEWHERE = ("queue", "usage", "attachments")
"""What can be read whatever is the matter with head, nodes and names."""


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_row_is_called_corrupt_by_whoever_reads_it(full: Store, damage: str) -> None:
    statement, reads = DAMAGES[damage]
    await change(full, statement)
    for name in reads:
        error = await refused(full, partial(READS[name], full))
        assert isinstance(error, StoreCorrupt), f"{name}: {error!r}"
    if damage.partition(".")[0] in ("session_head", "graph_nodes", "session_meta"):
        for name in ELSEWHERE:
            assert await READS[name](full)


TEXT_COLUMNS = {
    "session_head": ["session_id", "head_json"],
    "graph_nodes": ["node_json"],
    "usage_deltas": ["source", "model"],
    "session_meta": ["session_id", "session_name", "created_at", "model", "cwd", "relation_json"],
    "queued_work_batches": ["source_key", "delivery_policy", "slot_policy", "merge_key_json"],
    "queued_work_items": ["item_id", "payload_json"],
    "attachment_manifest": ["attachment_id", "session_id", "canonical_uri"],
}


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table, columns in TEXT_COLUMNS.items() for column in columns]
)
async def test_text_stored_as_bytes_is_read_as_that_text_or_called_corrupt(
    full: Store, table: str, column: str
) -> None:
    """SQLite tells the two apart: what looks for the one does not find the other, which must not go unnoticed."""
    reads = {name: read for name, read in READS.items() if name != "claim"}
    before = {name: await read(full) for name, read in reads.items()}
    await change(full, f"UPDATE {table} SET {column} = CAST({column} AS BLOB)")
    for name, read in reads.items():
        try:
            found = await read(full)
        except StoreCorrupt:
            continue
        assert found == before[name], name


HEAD_DAMAGES = [name for name in DAMAGES if name.startswith("session_head")]


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A file with something in every table."""
    async with await Store.open(tmp_path / "session.db") as store:
        await fill(store)
    return tmp_path / "session.db"


@pytest.mark.parametrize("revision", [None, 1], ids=["on any revision", "on the revision"])
@pytest.mark.parametrize("damage", HEAD_DAMAGES)
async def test_a_damaged_head_is_not_written_over(path: Path, damage: str, revision: int | None) -> None:
    as_lash_does(path, DAMAGES[damage][0])
    async with await Store.open(path) as store:
        await refused(store, lambda: store.commit_runtime_state(next_commit(revision)))


BAD_RESULT = {**BAD_JSON, "no manifest": "json_remove(COLUMN, '$.manifest')", "no number": '\'{"head_revision":"1"}\''}


@pytest.mark.parametrize(
    "statement", damages("runtime_turn_commits", "result_json", BAD_RESULT).values(), ids=BAD_RESULT
)
async def test_a_damaged_receipt_is_called_corrupt_and_its_turn_not_made_again(full: Store, statement: str) -> None:
    await change(full, statement)
    error = await refused(full, lambda: full.commit_runtime_state(first_commit()))
    assert isinstance(error, StoreCorrupt)


async def test_a_receipt_with_a_damaged_hash_is_not_taken_for_another_turn(full: Store) -> None:
    await change(full, "UPDATE runtime_turn_commits SET turn_commit_hash = CAST(turn_commit_hash AS BLOB)")
    error = await refused(full, lambda: full.commit_runtime_state(first_commit()))
    assert isinstance(error, (StoreCorrupt, RuntimeTurnCommitConflict))


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name.startswith("queued_work")])
async def test_damaged_work_is_out_of_the_way_when_it_is_discarded(full: Store, damage: str) -> None:
    await change(full, DAMAGES[damage][0])
    for (batch_id,) in await query(full, "SELECT batch_id FROM queued_work_batches"):
        await refused(full, lambda batch_id=batch_id: full.cancel_queued_work_batch("root", batch_id))  # type: ignore[misc]
        assert await full.discard_queued_work_batch("root", batch_id)
    batch = await full.enqueue_queued_work(draft("one"))
    assert await full.list_queued_work("root") == [batch]
