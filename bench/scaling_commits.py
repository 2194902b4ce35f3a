"""The commits of bench.scaling: what a history costs them, and what a file grows by at each turn."""

import itertools
import time
from array import array
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import msgspec

from bench.measure import summarise_waits
from bench.plain_apsw import open_plain, run_plain
from bench.scaling_files import SESSION, History, add_foreign_node, count_nodes
from bench.scaling_rows import COMMIT, FIRST_COMMIT, Growth, ScalingRow
from bench.turn_writers import lash_put
from bench.turns import ROLES, TEXT_BYTES, claim_plan, make_turns, message_node
from lash_store import (
    Append,
    BlobProfile,
    Database,
    Plan,
    RuntimeCommit,
    RuntimeSessionState,
    SessionNodeRecord,
    Step,
    Store,
)
from lash_store.sqlite.ops import commit as commit_ops
from lash_store.sqlite.ops.commit import Known

_WARM_UPS: Final = 5
_PLAIN_COMMITS: Final = 16
_PLAIN_TURNS: Final = 1_000_000  # their manifests shall be none of the talk's
_TEXT: Final = "." * TEXT_BYTES
_TOUCH: Final = "UPDATE session_head SET head_revision = head_revision + 1"


async def measure_commits(histories: Sequence[History], count: int) -> list[ScalingRow]:
    """`count` commits on each history, in turns, so that a slow spell hits them all; the files keep what they add."""
    waits = [array("d") for _ in histories]
    for history in histories:
        add_foreign_node(history)
    async with AsyncExitStack() as closing:
        talks = [_Talk(await closing.enter_async_context(await Store.open(each.path)), each) for each in histories]
        firsts = [await talk.commit() for talk in talks]
        for number in range(1 - _WARM_UPS, count):
            for talk, measured in list(zip(talks, waits, strict=True))[:: 1 if number % 2 else -1]:
                wait = await talk.commit()
                if number >= 0:
                    measured.append(wait)
    rows = []
    for history, first, measured in zip(histories, firsts, waits, strict=True):
        lost = lost_nodes(history, count + _WARM_UPS)
        statements, log_bytes = _plain_commits(history)
        rows.append(ScalingRow(COMMIT, history.nodes, summarise_waits([measured]), statements, log_bytes, lost))
        rows.append(ScalingRow(FIRST_COMMIT, history.nodes, summarise_waits([array("d", [first])])))
    return rows


class _Talk:
    """Goes on with the talk of a history, two nodes at a time, stamped and fenced."""

    def __init__(self, store: Store, history: History) -> None:
        self._store = store
        self._state = RuntimeSessionState.new(SESSION)
        self._number = itertools.count()
        self._leaf = history.leaf

    async def commit(self) -> float:
        """Seconds from the state before to the state after."""
        self._state.turn_index = number = next(self._number)
        nodes = []
        for role in ROLES:
            nodes.append(message_node(f"{number:032x}{role.value[0]}", self._leaf, role, _TEXT))
            self._leaf = nodes[-1].node_id
        began = time.perf_counter()
        commit = _append_commit(self._state, nodes).with_turn_commit(f"turn-{number}")
        self._state.apply_commit(await self._store.commit_runtime_state(commit))
        return time.perf_counter() - began


def _append_commit(state: RuntimeSessionState, nodes: Sequence[SessionNodeRecord]) -> RuntimeCommit:
    """A commit that appends nodes; else only the number of the turn is new."""
    return msgspec.structs.replace(RuntimeCommit.persisted_state(state), graph=Append(list(nodes), nodes[-1].node_id))


def _plain_commits(history: History) -> tuple[float, float]:
    """The statements of such a commit, and the bytes that it adds to the log."""
    log = history.path.with_name(f"{history.path.name}-wal")
    state, statements = RuntimeSessionState.new(SESSION), 0
    with open_plain(history.path) as connection:
        run_plain(connection, Plan([Step(_TOUCH)]))  # the log has its header from now on
        before = _size(log)
        for number in range(_PLAIN_COMMITS):
            state.turn_index = _PLAIN_TURNS + number
            nodes = [message_node(f"plain-{number}{role.value[0]}", None, role, _TEXT) for role in ROLES]
            commit = _append_commit(state, nodes).with_turn_commit(f"plain-{number}")
            statements += run_plain(connection, commit_ops.prepare(commit, BlobProfile.BALANCED, Known()).plan)
        grown = _size(log) - before
    return statements / _PLAIN_COMMITS, grown / _PLAIN_COMMITS


def lost_nodes(history: History, commits: int) -> str:
    """What is wrong between the acknowledged commits and the file, or nothing; after its store was closed."""
    found, expected = count_nodes(history.path), history.nodes + 1 + 2 * commits
    return (
        "" if found == expected else f"{commits} commits acknowledged, but the file has {found} nodes, not {expected}"
    )


async def measure_growth(path: Path, count: int) -> Growth:
    """Commit `count` of the turns that bench.commit commits to a new file."""
    turns = make_turns(SESSION, "w0.0", count)
    async with await Store.open(path) as store:
        await store.vacuum(shrink=True)
    empty = _size(path)
    with Database.open(path) as database:
        database.run(claim_plan(turn.claim for turn in turns))
    async with await Store.open(path) as store:
        put = lash_put(store, SESSION, shared=False)
        for turn in turns:
            await put(turn)
    grown = _size(path) - empty
    async with await Store.open(path) as store:
        await store.gc_unreachable()
        await store.vacuum(shrink=True)
    return Growth(count, grown / count, (_size(path) - empty) / count)


def _size(path: Path) -> int:
    return path.stat().st_size
