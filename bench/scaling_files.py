"""Session files with long histories, made by plain SQL in seconds; one commit of the store ends each of them."""

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw
import msgspec

from bench.turns import ROLES, TEXT_BYTES, message_node, prose
from lash_store import (
    Database,
    Plan,
    RuntimeCommit,
    RuntimeSessionState,
    SessionMeta,
    Step,
    Store,
    Unchanged,
)
from lash_store.sqlite.ops.usage import MERGE_EVERY

SESSION: Final = "session"
UNMERGED: Final = 100
"""Rows of each ledger that came after the last merge; at most twice as many can."""
_META: Final = SessionMeta(SESSION, "bench", "2026-06-02T00:00:00+00:00", "mock-model")
_INSERT_NODE: Final = "INSERT INTO graph_nodes (node_id, node_json) VALUES (?1, ?2)"
_INSERT_USAGE: Final = """
INSERT INTO usage_deltas (source, model, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens)
VALUES ('turn', ?1, 1200, 340, 800, 60)
"""
_BEFORE_A_MERGE: Final = f"UPDATE session_head SET head_revision = {MERGE_EVERY - 1}"


@dataclass(frozen=True, slots=True)
class History:
    """A file whose session has a history of `nodes` nodes, one after the other; their texts take `text_bytes`."""

    path: Path
    nodes: int
    leaf: str
    text_bytes: int


async def make_history(path: Path, nodes: int) -> History:
    """A session of `nodes` messages of 1 KiB, with a row of names."""
    rows = list(_node_rows(nodes))
    leaf = rows[-1][0]
    async with await Store.open(path) as store:
        await store.save_session_meta(_META)
        _insert(path, Plan([Step(_INSERT_NODE, rows, many=True)]))
        await store.commit_runtime_state(_commit(leaf))
    return History(path, nodes, leaf, sum(len(text) for _, text in rows))


async def make_ledger(path: Path, rows: int, *, merged: bool) -> None:
    """A session of no nodes with a ledger of `rows` rows of three models.

    With `merged` the store has merged all but the last UNMERGED of them; else it finds them as lash leaves them.
    """
    models = [(f"model-{number % 3}",) for number in range(rows)]
    late = models[-UNMERGED:] if merged else []
    async with await Store.open(path) as store:
        await store.commit_runtime_state(_commit(None))
        _insert(path, Plan([Step(_INSERT_USAGE, models[: rows - len(late)], many=True), Step(_BEFORE_A_MERGE)]))
        if merged:
            await store.commit_runtime_state(_commit(None))
            _insert(path, Plan([Step(_INSERT_USAGE, late, many=True)]))


def _commit(leaf: str | None) -> RuntimeCommit:
    commit = RuntimeCommit.persisted_state(RuntimeSessionState.new(SESSION))
    return msgspec.structs.replace(commit, graph=Unchanged(leaf))


def _insert(path: Path, plan: Plan) -> None:
    with Database.open(path) as database:
        database.run(plan)


def _node_rows(nodes: int) -> Iterator[tuple[str, str]]:
    """Rows as the store writes them, with ids as random as those of a runtime: they go all over the index."""
    source = random.Random(nodes)
    texts = [prose(source, TEXT_BYTES) for _ in range(64)]
    models = [message_node("<id>", "<parent>", role, "<text>").to_json().decode() for role in ROLES]
    parent: str | None = None
    for number in range(nodes):
        node_id = f"{source.getrandbits(128):032x}"
        text = models[number % 2].replace("<id>", node_id).replace("<text>", texts[number % 64])
        parent_key = f'"parent_node_id":"{parent}",' if parent else ""
        yield node_id, text.replace('"parent_node_id":"<parent>",', parent_key)
        parent = node_id


def add_foreign_node(history: History) -> None:
    """One more node, written as lash writes one: nothing that this package keeps beside the nodes is kept up."""
    node = message_node("foreign", history.leaf, ROLES[0], "." * TEXT_BYTES)
    _insert(history.path, Plan([Step(_INSERT_NODE, ("foreign", node.to_json().decode()))]))


def count_nodes(path: Path) -> int:
    """How many visible nodes a file holds; to be called after its store was closed."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM graph_nodes WHERE tombstoned = 0")
    return int(count)
