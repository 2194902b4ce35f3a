"""A store for the tests of blobs, attachments and upkeep, and looks past it at the rows."""

import os
from typing import Any, Final

import msgspec

from lash_store.codecs.content_hash import content_hash
from lash_store.records.artifacts import BlobProfile
from lash_store.records.commit import RuntimeCommit
from lash_store.records.commit_result import RuntimeCommitResult
from lash_store.records.conversation import (
    ConversationRecord,
    MessagePart,
    MessageRole,
    PartKind,
    PruneState,
    PruneStateIntact,
)
from lash_store.records.graph import SessionGraph, SessionNodePayloadEvent, SessionNodeRecord
from lash_store.records.state import RuntimeSessionState
from lash_store.sqlite.plan import Plan, SqlValue, Step
from lash_store.sqlite.session_store.store import Store, StoreOptions

ORPHAN: Final = b"orphan"
ORPHAN_REF: Final = content_hash(ORPHAN)


class HandClock:
    """A clock that stands until it is set."""

    def __init__(self, now_ms: int = 1_000) -> None:
        self.now = now_ms

    def now_ms(self) -> int:
        return self.now


async def open_store(
    path: str | os.PathLike[str] | None,
    *,
    profile: BlobProfile = BlobProfile.BALANCED,
    every: int | None = None,
) -> Store:
    """Open a store at `path`, or one in memory, with a clock of its own that stands."""
    options = StoreOptions(blob_profile=profile, auto_gc_every_commits=every, clock=HandClock())
    return await (Store.memory(options) if path is None else Store.open(path, options))


def set_clock(store: Store, now_ms: int) -> None:
    """Set the clock of a store that `open_store` has opened."""
    clock = store._clock
    assert isinstance(clock, HandClock)
    clock.now = now_ms


async def rows(store: Store, sql: str, *values: SqlValue) -> list[tuple[Any, ...]]:
    """What a query finds, past the store's operations."""
    return await store._read(lambda connection: connection.execute(sql, values).fetchall())


async def execute(store: Store, sql: str, *values: SqlValue) -> None:
    """Change the file as no operation of the store would."""
    await store._run(Plan([Step(sql, values)]))


async def stored_refs(store: Store) -> set[str]:
    """The keys of all blobs."""
    return {ref for (ref,) in await rows(store, "SELECT hash FROM blobs")}


def state_of(session_id: str = "root", **changes: Any) -> RuntimeSessionState:
    """State(session_id) of the specification's scenarios, changed."""
    return msgspec.structs.replace(RuntimeSessionState.new(session_id, clock=HandClock()), **changes)


async def commit(store: Store, session_id: str = "root", **changes: Any) -> RuntimeCommitResult:
    """Commit State(session_id), changed."""
    return await store.commit_runtime_state(RuntimeCommit.persisted_state(state_of(session_id, **changes)))


def node(node_id: str, parent: str | None = None, prune_state: PruneState | None = None) -> SessionNodeRecord:
    """A message of one part."""
    state = PruneStateIntact() if prune_state is None else prune_state
    part = MessagePart(id=f"{node_id}.p0", kind=PartKind.TEXT, content="text", prune_state=state)
    record = ConversationRecord(node_id, MessageRole.USER, [part])
    return SessionNodeRecord(
        node_id=node_id,
        parent_node_id=parent,
        timestamp="1970-01-01T00:00:00Z",
        payload=SessionNodePayloadEvent(record),
    )


def chain(*node_ids: str) -> SessionGraph:
    """A graph of one path, root first; the last node is its leaf."""
    parents = (None, *node_ids)
    return SessionGraph([node(*pair) for pair in zip(node_ids, parents, strict=False)], node_ids[-1])
