"""Sessions, nodes and commits as these tests need them, and plain SQL as another program would write it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec

from lash_store import (
    Append,
    ConversationRecord,
    MessagePart,
    MessageRole,
    PartKind,
    PruneStateIntact,
    RuntimeCommit,
    RuntimeSessionState,
    SessionNodePayloadEvent,
    SessionNodePayloadPlugin,
    SessionNodeRecord,
    Store,
    TokenLedgerEntry,
    TokenUsage,
)

TIME = "2026-06-02T00:00:00+00:00"


def plugin_node(node_id: str, parent: str | None = None, body: Any = None) -> SessionNodeRecord:
    payload = SessionNodePayloadPlugin("example", body)
    return SessionNodeRecord(node_id=node_id, parent_node_id=parent, timestamp=TIME, payload=payload)


def message_node(
    node_id: str, text: str, role: MessageRole = MessageRole.USER, parent: str | None = None
) -> SessionNodeRecord:
    part = MessagePart(id=f"{node_id}.p0", kind=PartKind.TEXT, content=text, prune_state=PruneStateIntact())
    payload = SessionNodePayloadEvent(ConversationRecord(node_id, role, [part]))
    return SessionNodeRecord(node_id=node_id, parent_node_id=parent, timestamp=TIME, payload=payload)


def used(tokens: int, source: str = "turn", model: str = "m") -> TokenLedgerEntry:
    return TokenLedgerEntry(source, model, TokenUsage(tokens, 0, 0, 0))


def appending(
    state: RuntimeSessionState, nodes: Sequence[SessionNodeRecord], usage: Sequence[TokenLedgerEntry] = ()
) -> RuntimeCommit:
    """A commit of `state` that appends `nodes`; the last one becomes the leaf."""
    leaf = nodes[-1].node_id if nodes else None
    return msgspec.structs.replace(RuntimeCommit.persisted_state(state, usage), graph=Append(list(nodes), leaf))


async def commit(store: Store, state: RuntimeSessionState, *nodes: SessionNodeRecord) -> None:
    """Commit `state` with `nodes` appended, and take the result over."""
    state.apply_commit(await store.commit_runtime_state(appending(state, nodes)))


async def query(store: Store, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows as they stand in the store's tables."""
    return await store._connection.read(lambda connection: connection.execute(sql, values).fetchall())


async def change(store: Store, sql: str, *values: Any) -> None:
    """What another program does to the store's tables."""
    await store._connection.write(lambda tx: tx.execute(sql, values))


def as_lash_does(path: Path, *statements: str) -> None:
    """Statements of a program that knows nothing of this package, on a connection of its own."""
    connection = apsw.Connection(str(path))
    try:
        for statement in statements:
            connection.execute(statement)
    finally:
        connection.close()
