"""Who commits turns: this package, LangGraph's AsyncSqliteSaver and the OpenAI Agents SDK's SQLiteSession.

The peers store what they are made for, at the same durability (WAL, synchronous=NORMAL): the saver a checkpoint of the
same state, the session the two messages. Neither has a queue, receipts, usage or a check of the revision.
"""

import importlib
import importlib.metadata
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.turns import USAGE, Turn
from lash_store import Append, RuntimeCommit, RuntimeSessionState, Store

TALK: Final = 100
"""How many messages are in the checkpoints of a whole talk."""

Put = Callable[[Turn], Awaitable[None]]
"""Commits one turn of one task's talk; returning is the acknowledgement."""
Sit = Callable[[str, bool], Put]
"""Gives a task its place at a session: the session's id, and whether others commit to it too."""


@dataclass(frozen=True, slots=True)
class TurnWriter:
    """One that takes turns.

    `open` opens a file for all tasks of a process; `kept` counts in a file, by name, what each turn should have left
    there, and `each` says how much of it that is. `claims`: it completes queued work. `distribution` is what must be
    installed for a peer.
    """

    name: str
    note: str
    open: Callable[[Path, AsyncExitStack], Awaitable[Sit]]
    kept: Callable[[Path], dict[str, int]]
    each: dict[str, int]
    claims: bool = False
    distribution: str = ""

    @property
    def version(self) -> str | None:
        """The version of the peer that is installed here, "" for this package; None if it cannot run."""
        try:
            return importlib.metadata.version(self.distribution) if self.distribution else ""
        except importlib.metadata.PackageNotFoundError:
            return None

    def lost(self, path: Path, turns: int) -> str:
        """What is wrong between the acknowledged turns and the file, or nothing."""
        kept = self.kept(path)
        if all(kept[name] == each * turns for name, each in self.each.items()):
            return ""
        return f"{turns} turns acknowledged, but {path.name} has " + ", ".join(
            f"{n} {name}" for name, n in kept.items()
        )


async def open_lash(path: Path, closing_: AsyncExitStack) -> Sit:
    """A Store on the file."""
    store = await closing_.enter_async_context(await Store.open(path))
    return lambda session_id, shared: lash_put(store, session_id, shared=shared)


def lash_put(store: Store, session_id: str, *, shared: bool) -> Put:
    """The whole way of a turn: from the state by a stamped commit to the state that took over what it made."""
    state = RuntimeSessionState.new(session_id)

    async def put(turn: Turn) -> None:
        commit = lash_commit(state, turn, shared=shared).with_turn_commit(turn.turn_id)
        state.apply_commit(await store.commit_runtime_state(commit))

    return put


def lash_commit(state: RuntimeSessionState, turn: Turn, *, shared: bool) -> RuntimeCommit:
    """A turn as a commit, not stamped; on a shared session, of any revision."""
    state.turn_index = turn.number
    state.tool_state = turn.tool_state
    state.execution_state = turn.execution_state
    if shared:
        state.head_revision = None
    commit = RuntimeCommit.persisted_state(state, [USAGE])
    commit = msgspec.structs.replace(commit, graph=Append(turn.nodes, turn.nodes[-1].node_id))
    return commit.completing_queue_claims([turn.claim])


def _lash_kept(path: Path) -> dict[str, int]:
    return count_rows(
        path,
        {
            "nodes": "SELECT count(*) FROM graph_nodes WHERE tombstoned = 0",
            "receipts": "SELECT count(*) FROM runtime_turn_commits",
            "usage rows": "SELECT count(*) FROM usage_deltas",
            "revisions": "SELECT coalesce(max(head_revision), 0) FROM session_head",
            "claimed batches": "SELECT count(*) FROM queued_work_batches",
            "queued items": "SELECT count(*) FROM queued_work_items",
        },
    )


def count_rows(path: Path, queries: dict[str, str]) -> dict[str, int]:
    """The one number that each query finds in a file; to be called after every writer has gone."""
    with closing(sqlite3.connect(path)) as db:
        return {name: int(db.execute(query).fetchone()[0]) for name, query in queries.items()}


async def _open_saver(path: Path, closing_: AsyncExitStack) -> Sit:
    return await _sit_at_saver(path, closing_, messages=0)


async def _open_saver_of_talk(path: Path, closing_: AsyncExitStack) -> Sit:
    return await _sit_at_saver(path, closing_, messages=TALK)


async def _sit_at_saver(path: Path, closing_: AsyncExitStack, messages: int) -> Sit:
    # Modules by name: a peer need not be installed, and has no types that could be checked where it is not.
    saver_class = importlib.import_module("langgraph.checkpoint.sqlite.aio").AsyncSqliteSaver
    empty_checkpoint = importlib.import_module("langgraph.checkpoint.base").empty_checkpoint
    saver = await closing_.enter_async_context(saver_class.from_conn_string(str(path)))
    await saver.setup()
    await saver.conn.execute("PRAGMA synchronous=NORMAL")

    def sit(session_id: str, _shared: bool) -> Put:
        config = {"configurable": {"thread_id": session_id, "checkpoint_ns": ""}}
        tools: Any = None  # the saver has no references: it stores the whole state at every turn
        talk: deque[tuple[str, str]] = deque([("user", "." * 1024)] * messages, maxlen=messages)

        async def put(turn: Turn) -> None:
            nonlocal tools
            tools = turn.tool_state or tools
            talk.extend(turn.messages)
            checkpoint = empty_checkpoint()
            checkpoint["channel_values"] = {
                "tool_state": tools,
                "execution_state": turn.execution_state,
                "turn_index": turn.number,
                "messages": list(talk) or turn.messages,
            }
            await saver.aput(config, checkpoint, {"source": "loop", "step": turn.number, "parents": {}}, {})

        return put

    return sit


def _saver_kept(path: Path) -> dict[str, int]:
    return count_rows(path, {"checkpoints": "SELECT count(*) FROM checkpoints"})


async def _open_session(path: Path, closing_: AsyncExitStack) -> Sit:
    session_class = _session_at_normal()
    sessions: dict[str, Any] = {}

    def sit(session_id: str, _shared: bool) -> Put:
        if session_id not in sessions:
            sessions[session_id] = session_class(session_id, str(path))
            closing_.callback(sessions[session_id].close)
            if not session_class.at_normal:
                raise RuntimeError("this version of the SDK configures its connections in a way that is not known here")
        session = sessions[session_id]

        async def put(turn: Turn) -> None:
            await session.add_items([{"role": role, "content": said} for role, said in turn.messages])

        return put

    return sit


def _session_at_normal() -> Any:
    """SQLiteSession has no setting for its durability, which is FULL: its connections are set where they are made."""
    base: Any = importlib.import_module("agents").SQLiteSession

    def configure(connection: sqlite3.Connection) -> None:
        base._configure_connection(connection)  # noqa: SLF001  there is no other way in
        connection.execute("PRAGMA synchronous=NORMAL")
        at_normal.at_normal = True

    at_normal: Any = type(
        "SessionAtNormal", (base,), {"_configure_connection": staticmethod(configure), "at_normal": False}
    )
    return at_normal


def _session_kept(path: Path) -> dict[str, int]:
    return count_rows(path, {"messages": "SELECT count(*) FROM agent_messages"})


_LASH_EACH: Final = {
    "nodes": 2,
    "receipts": 1,
    "usage rows": 1,
    "revisions": 1,
    "claimed batches": 0,
    "queued items": 0,
}
_SAVER: Final = "langgraph-checkpoint-sqlite"

WRITERS: Final = {
    writer.name: writer
    for writer in (
        TurnWriter("lash", "Store.commit_runtime_state", open_lash, _lash_kept, _LASH_EACH, claims=True),
        TurnWriter(
            "langgraph",
            "AsyncSqliteSaver.aput of the same state, of the talk only the two messages",
            _open_saver,
            _saver_kept,
            {"checkpoints": 1},
            distribution=_SAVER,
        ),
        TurnWriter(
            "langgraph-talk",
            f"AsyncSqliteSaver.aput of the same state, of the talk the last {TALK} messages",
            _open_saver_of_talk,
            _saver_kept,
            {"checkpoints": 1},
            distribution=_SAVER,
        ),
        TurnWriter(
            "openai-agents",
            "SQLiteSession.add_items of the two messages, no state",
            _open_session,
            _session_kept,
            {"messages": 2},
            distribution="openai-agents",
        ),
    )
}
