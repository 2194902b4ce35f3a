"""What bench.processes measures: work on a process registry, beside plans that do nothing of the kind."""

import asyncio
import json
import time
from array import array
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final

from bench import workload
from bench.drivers.lash import LashAsyncWriter
from bench.measure import Waits, summarise_waits
from bench.pool import run_together, wait_for_all
from lash_store.records.invocation import RuntimeReplay
from lash_store.records.process import ProcessRegistration, ProcessScope
from lash_store.records.process_event import ProcessEventAppendRequest
from lash_store.records.process_event_type import LashSchema, ProcessEventSemanticsSpec, ProcessEventType
from lash_store.records.process_input import ProcessInputExternal
from lash_store.records.process_lease import ProcessLeaseCompletion
from lash_store.sqlite.async_connection import SqliteConnection
from lash_store.sqlite.database import Database
from lash_store.sqlite.plan import Plan, Step
from lash_store.sqlite.process_registry.store import SCHEMA, SqliteProcessRegistry

PLAN: Final = "plan"
OPERATIONS: Final = (PLAN, "append", "append to one", "replayed append", "lease cycle")
"""A lease cycle is a claim, a renewal and a completion; "append to one" has all tasks append to one process."""

_LINE: Final = ProcessEventType("line", LashSchema({}), ProcessEventSemanticsSpec())
_PAYLOAD: Final = {"line": "the quick brown fox jumps over the lazy dog; " * 4, "stream": "stdout", "n": 7}
_TTL_MS: Final = 900_000
_REPLAYED: Final = RuntimeReplay("replayed")
_SCOPE: Final = ProcessScope("bench")
_OTHERS: Final = ProcessScope("others")
"""A scope with a few handles, and one that has one on every process."""
_LIVE: Final = 50
_HANDLES: Final = 20
_COUNT: Final = "SELECT count(*) FROM process_events"
_FILL: Final = """
WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < ?2)
INSERT INTO processes
SELECT 'p' || n, 'hash', 'session:root', 'default', 1, 1, iif(n < ?3, 'running', 'completed'),
    json_set(?1, '$.id', 'p' || n, '$.status', json(iif(n < ?3, '{"state":"running"}', ?4)))
FROM number
"""
_GRANT: Final = "INSERT INTO process_handle_grants SELECT ?1, ?2, process_id, '{}' FROM processes"
_GRANT_FEW: Final = f"{_GRANT} WHERE process_id IN (SELECT 'p' || (?3 + value) FROM json_each(?4))"
_DONE: Final = '{"state":"completed","await_output":{"type":"success","value":null}}'

Once = Callable[[int, int], Awaitable[Any]]
"""Does an operation once: (task, how many it has done) -> anything."""


@dataclass(frozen=True, slots=True)
class Load:
    """What `processes`, with `tasks` each, did; `lost` events differ from what was acknowledged."""

    operation: str
    processes: int
    tasks: int
    per_s: float
    waits: Waits
    lost: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of `found` entries out of a registry of `processes`."""

    name: str
    processes: int
    found: int
    waits: Waits


def measure_load(folder: Path, operation: str, processes: int, tasks: int, seconds: float) -> Load:
    """Let all work at the same time on one file, then count what is in it."""
    path = folder / f"{operation.replace(' ', '-')}-{processes}-{tasks}.db"
    if operation == PLAN:
        workload.create_file(str(path))
    parts = run_together(partial(_work, str(path), operation, tasks, seconds), processes)
    done = sum(map(len, parts))
    lost = _lost(path, operation, done)
    return Load(operation, processes, tasks, done / seconds, summarise_waits(parts), lost)


def _lost(path: Path, operation: str, done: int) -> int:
    if operation == PLAN:
        return abs(workload.count_commits(str(path)).rows - done)
    expected = {"replayed append": 1, "lease cycle": 0}.get(operation, done)
    with Database.open_readonly(path) as database:
        return abs(database.read(lambda connection: int(connection.execute(_COUNT).get)) - expected)


def _work(path: str, operation: str, tasks: int, seconds: float) -> "array[float]":
    return asyncio.run(_work_in_tasks(path, operation, tasks, seconds))


async def _work_in_tasks(path: str, operation: str, tasks: int, seconds: float) -> "array[float]":
    times = array("d")
    async with AsyncExitStack() as opened:
        once = await _prepare(path, operation, tasks, opened)
        await asyncio.to_thread(wait_for_all)
        until = time.perf_counter() + seconds

        async def go_on(task: int) -> None:
            for done in count():
                began = time.perf_counter()
                if began >= until:
                    return
                await once(task, done)
                times.append(time.perf_counter() - began)

        await asyncio.gather(*map(go_on, range(tasks)))
    return times


async def _prepare(path: str, operation: str, tasks: int, opened: AsyncExitStack) -> Once:
    own = f"{id(opened):x}-{time.perf_counter_ns():x}"
    if operation == PLAN:
        writer = LashAsyncWriter(await opened.enter_async_context(await SqliteConnection.open(path)))
        return lambda task, done: _commit(writer, f"{own}-{task}-{done}")
    registry = await opened.enter_async_context(await SqliteProcessRegistry.open(path))
    shared = operation in ("append to one", "replayed append")
    ids = ["shared"] * tasks if shared else [f"{own}-{task}" for task in range(tasks)]
    for process_id in dict.fromkeys(ids):
        await registry.register_process(ProcessRegistration(process_id, ProcessInputExternal(), [_LINE]))
    if operation == "lease cycle":
        return lambda task, _: _hold(registry, ids[task])
    replay = _REPLAYED if operation == "replayed append" else None
    if replay is not None:
        await registry.append_event(ids[0], ProcessEventAppendRequest("line", _PAYLOAD, replay))
    return lambda task, _: registry.append_event(ids[task], ProcessEventAppendRequest("line", _PAYLOAD, replay))


async def _commit(writer: LashAsyncWriter, node_id: str) -> None:
    await writer.commit(node_id, workload.node_json(node_id))


async def _hold(registry: SqliteProcessRegistry, process_id: str) -> None:
    lease = await registry.claim_process_lease(process_id, "bench", _TTL_MS)
    await registry.complete_process_lease(
        ProcessLeaseCompletion.from_lease(await registry.renew_process_lease(lease, _TTL_MS))
    )


async def measure_listings(folder: Path, sizes: Sequence[int], repeats: int) -> list[Listing]:
    """List what runs, and what a scope may address, in registries of `sizes` processes of which most have ended.

    Each list in turn in all registries, so that a slow spell hits them all alike.
    """
    times = {(name, size): array("d") for name in _LISTS for size in sizes}
    found = dict.fromkeys(times, 0)
    async with AsyncExitStack() as opened:
        registries = {}
        for size in sizes:
            _fill(folder / f"lists-{size}.db", size)
            registry = await SqliteProcessRegistry.open(folder / f"lists-{size}.db")
            registries[size] = await opened.enter_async_context(registry)
        for _ in range(repeats):
            for name, once in _LISTS.items():
                for size, registry in registries.items():
                    began = time.perf_counter()
                    entries = await once(registry)
                    times[name, size].append(time.perf_counter() - began)
                    found[name, size] = len(entries)
    return [Listing(name, size, found[name, size], summarise_waits([each])) for (name, size), each in times.items()]


_LISTS: Final[dict[str, Callable[[SqliteProcessRegistry], Awaitable[Sequence[Any]]]]] = {
    "running": SqliteProcessRegistry.list_non_terminal,
    "of a scope": lambda registry: registry.list_handle_grants(_SCOPE),
    "of a scope, running": lambda registry: registry.list_live_handle_grants(_SCOPE),
    "of all, running": lambda registry: registry.list_live_handle_grants(_OTHERS),
}


def _fill(path: Path, processes: int) -> None:
    """Always the same number of running processes, and of handles of one scope; another has them all."""
    record = json.dumps(
        {
            "id": "",
            "registration_hash": "hash",
            "input": {"type": "external", "metadata": None},
            "event_types": [],
            "provenance": {"owner_scope": {"session_id": "root"}, "host_profile_id": "default"},
            "created_at_ms": 1,
            "updated_at_ms": 1,
            "status": {},
        }
    )
    handles = json.dumps(list(range(_HANDLES)))
    with Database.open(path, schema=SCHEMA) as database:
        database.run(
            Plan(
                [
                    Step(_FILL, (record, processes, _LIVE, _DONE)),
                    Step(_GRANT, (_OTHERS.session_id, _OTHERS.id)),
                    Step(_GRANT_FEW, (_SCOPE.session_id, _SCOPE.id, _LIVE - _HANDLES // 2, handles)),
                ]
            )
        )
