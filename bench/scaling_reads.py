"""The reads of bench.scaling: loads of whole histories, and reads whose cost should not depend on them."""

import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

import apsw
import msgspec

from bench.measure import Waits, summarise_waits
from bench.plain_apsw import open_plain
from bench.scaling_files import History, make_ledger
from bench.scaling_rows import (
    FETCH,
    FETCH_TYPED,
    FOREIGN_LEDGER,
    LEDGER,
    LOAD,
    LOAD_PATH,
    PICKER,
    ScalingRow,
)
from lash_store import ActivePath, FullGraph, ReadScope, Store
from lash_store.sqlite.ops import load, session_meta

_READ_ROWS: Final = "SELECT node_id, node_json FROM graph_nodes WHERE tombstoned = 0 ORDER BY seq"

Way = Callable[[], Awaitable[int]]
"""A read to be timed; it returns by what the bench knows that it has read everything."""


async def measure_loads(histories: Sequence[History], nodes_loaded: int) -> list[ScalingRow]:
    """Each history loaded until that makes `nodes_loaded` nodes, beside what plain decoding of its rows costs."""
    rows = []
    for history in histories:
        async with await Store.open(history.path) as store:
            with open_plain(history.path) as connection:
                ways: dict[str, Way] = {
                    LOAD: partial(_load, store, FullGraph()),
                    LOAD_PATH: partial(_load, store, ActivePath()),
                    FETCH: partial(_fetch, connection, msgspec.json.Decoder().decode),
                    FETCH_TYPED: partial(_fetch, connection, msgspec.json.Decoder(_Node).decode),
                }
                counts = {name: _statements(history.path, _LOADS[name]) for name in (LOAD, LOAD_PATH)}
                timed = await _in_turns(ways, max(3, nodes_loaded // history.nodes), history.nodes)
        rows += [
            ScalingRow(name, history.nodes, waits, counts.get(name), None, error) for name, (waits, error) in timed
        ]
    return rows


async def _load(store: Store, scope: ReadScope) -> int:
    read = await store.load_session(scope)
    return 0 if read is None else len(read.graph.nodes)


async def _fetch(connection: apsw.Connection, decode: Callable[[str], object]) -> int:
    return len([decode(text) for _, text in connection.execute(_READ_ROWS)])


async def measure_pickers(histories: Sequence[History], count: int) -> list[ScalingRow]:
    """What a list of sessions reads of each history, `count` times."""
    async with AsyncExitStack() as closing:
        ways: dict[str, Way] = {}
        for history in histories:
            store = await closing.enter_async_context(await Store.open(history.path))
            ways[str(history.nodes)] = partial(_pick, store, history.nodes)
        timed = await _in_turns(ways, count, 1)
    statements = _statements(histories[0].path, session_meta.read_picker_info)
    return [ScalingRow(PICKER, int(size), waits, statements, None, error) for size, (waits, error) in timed]


async def _pick(store: Store, nodes: int) -> int:
    info = await store.load_picker_info()
    return int(info is not None and info.user_message_count == nodes // 2)


async def measure_ledgers(sizes: Sequence[int], reads: int, folder: Path) -> list[ScalingRow]:
    """Ledgers of each size, loaded `reads` times with the rest of a session that has no nodes."""
    rows = []
    for operation, merged in ((LEDGER, True), (FOREIGN_LEDGER, False)):
        async with AsyncExitStack() as closing:
            ways: dict[str, Way] = {}
            paths = {size: folder / f"ledger-{size}-{merged}.db" for size in sizes}
            for size, path in paths.items():
                await make_ledger(path, size, merged=merged)
                store = await closing.enter_async_context(await Store.open(path))
                ways[str(size)] = partial(_load_ledger, store)
            timed = await _in_turns(ways, reads if merged else 3, sizes)
        statements = _statements(paths[sizes[0]], _LOADS[LOAD])
        rows += [ScalingRow(operation, int(size), waits, statements, None, error) for size, (waits, error) in timed]
    return rows


async def _load_ledger(store: Store) -> int:
    read = await store.load_session()
    return sum(entry.usage.input_tokens for entry in read.token_ledger) // 1200 if read else 0


async def _in_turns(
    ways: dict[str, Way], count: int, expected: int | Sequence[int]
) -> list[tuple[str, tuple[Waits, str]]]:
    """Time each way `count` times, in turns, after once without the clock; each must give what is `expected`."""
    wanted = dict.fromkeys(ways, expected) if isinstance(expected, int) else dict(zip(ways, expected, strict=True))
    waits = {name: array("d") for name in ways}
    errors = dict.fromkeys(ways, "")
    for number in range(count + 1):
        for name, way in ways.items():
            began = time.perf_counter()
            found = await way()
            took = time.perf_counter() - began
            if number:
                waits[name].append(took)
            if found != wanted[name]:
                errors[name] = f"it gave {found}, not {wanted[name]}"
    return [(name, (summarise_waits([waits[name]]), errors[name])) for name in ways]


_LOADS: Final[dict[str, Callable[[apsw.Connection], object]]] = {
    LOAD: partial(load.load_session, scope=FullGraph()),
    LOAD_PATH: partial(load.load_session, scope=ActivePath()),
}


def _statements(path: Path, read: Callable[[apsw.Connection], object]) -> int:
    """How many statements a read of the store takes, BEGIN and COMMIT of its snapshot among them."""
    count = 0

    def trace(_cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
        nonlocal count
        count += 1
        return True

    with open_plain(path) as connection:
        connection.exec_trace = trace
        read(connection)
        connection.exec_trace = None
    return count + 2


class _Part(msgspec.Struct):
    id: str
    kind: str
    content: str
    prune_state: str


class _Message(msgspec.Struct):
    id: str
    role: str
    parts: list[_Part]


class _Event(msgspec.Struct):
    Conversation: _Message


class _Node(msgspec.Struct):
    node_id: str
    timestamp: str
    kind: str
    event: _Event
    parent_node_id: str | None = None
    agent_frame_id: str | None = None
