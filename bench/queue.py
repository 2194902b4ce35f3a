"""What the work queue costs: `python -m bench.queue`.

Two questions: does a claim cost the same however long the queue is, and how many batches a second are enqueued, or
claimed and completed, by how many tasks and processes on one file. The exit code is 1 if a run lost a batch; a missed
target is a matter of the machine and does not change it.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bench.measure import Waits, summarise_waits
from bench.pool import run_together, wait_for_all
from bench.progress import Progress, show_progress
from lash_store.clock import SYSTEM_CLOCK
from lash_store.records.queue import (
    DeliveryPolicy,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    QueuedWorkPayloadTurnInput,
    SlotPolicy,
)
from lash_store.sqlite import native
from lash_store.sqlite.database import Database
from lash_store.sqlite.ops import queue, queue_claim
from lash_store.sqlite.ops.queue_completion import completion_steps
from lash_store.sqlite.plan import Plan, Step
from lash_store.sqlite.schema import Schema
from lash_store.sqlite.session_store.queue import QueueOperations
from lash_store.sqlite.store_handle import connect

SCHEMA: Final = Schema("session", 3, queue.TABLES)
TARGET: Final = 1.5
_SESSION: Final = "root"
_IDLE: Final = QueuedWorkClaimBoundary.IDLE
_LEASE_MS: Final = 900_000
_PREFILLED: Final = 40_000
_REPEATS: Final = 300
_DRAFT: Final = QueuedWorkBatchDraft(
    session_id=_SESSION,
    delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
    slot_policy=SlotPolicy.JOIN,
    payloads=[QueuedWorkPayloadTurnInput({"items": [{"type": "text", "text": "x" * 200}], "image_blobs": {}})],
)
_FILL: Final = """
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
INSERT INTO queued_work_batches
(batch_id, session_id, delivery_policy, slot_policy, merge_key_json, available_at_ms, enqueued_at_ms)
SELECT 'qwb:' || lower(hex(randomblob(32))), ?2, 'earliest_safe_boundary', 'join', '"never"', 0, 1 FROM number
"""
_FILL_ITEMS: Final = """
INSERT INTO queued_work_items (batch_id, item_index, item_id, payload_json)
SELECT batch_id, 0, batch_id || ':item:0', ?1 FROM queued_work_batches
"""
_COUNT: Final = "SELECT count(*) FROM queued_work_batches"
_TITLES: Final = f"{'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}"


@dataclass(frozen=True, slots=True)
class Depth:
    """Claims of up to `limit` batches from a queue of `length`; `ratio` is the median's to that of the shortest."""

    length: int
    limit: int
    statements: int
    waits: Waits
    ratio: float


@dataclass(frozen=True, slots=True)
class Load:
    """What `processes`, with `tasks` each, did in a second; `lost` batches differ from what was acknowledged."""

    operation: str
    processes: int
    tasks: int
    statements: int
    per_s: float
    waits: Waits
    lost: int


async def measure_depths(folder: Path, lengths: Sequence[int], repeats: int, progress: Progress) -> list[Depth]:
    """Claim and give back again, one claim at a time."""
    rows: list[Depth] = []
    for limit in (1, 64):
        for length in lengths:
            progress.begin(f"claim {limit} of {length}")
            path = folder / f"depth-{limit}-{length}.db"
            _create(path, length)
            waits = await _claim_again(path, limit, repeats)
            first = next((row.waits.p50_ms for row in rows if row.limit == limit), waits.p50_ms)
            statements = len(queue_claim.prepare_claim(_SESSION, "bench", _IDLE, _LEASE_MS, limit).plan.steps)
            rows.append(Depth(length, limit, statements, waits, waits.p50_ms / first))
    return rows


async def _claim_again(path: Path, limit: int, repeats: int) -> Waits:
    times = array("d")
    async with await _open(path) as store:
        for _ in range(repeats):
            began = time.perf_counter()
            claim = await store.claim_ready_queued_work(_SESSION, "bench", _IDLE, _LEASE_MS, limit)
            times.append(time.perf_counter() - began)
            assert claim is not None
            await store.abandon_queued_work_claim(claim)
    return summarise_waits([times])


def measure_load(folder: Path, operation: str, processes: int, tasks: int, seconds: float) -> Load:
    """Let all work at the same time on one file, then count what is in it."""
    path = folder / f"{operation}-{processes}-{tasks}.db"
    filled = _PREFILLED if operation == "cycle" else 0
    _create(path, filled)
    parts = run_together(partial(_work, str(path), operation, tasks, seconds), processes)
    done = sum(map(len, parts))
    with Database.open_readonly(path) as database:
        left = database.read(lambda connection: int(connection.execute(_COUNT).get))
    lost = abs(filled - done - left) if operation == "cycle" else abs(done - left)
    return Load(operation, processes, tasks, _STATEMENTS[operation], done / seconds, summarise_waits(parts), lost)


def _work(path: str, operation: str, tasks: int, seconds: float) -> "array[float]":
    return asyncio.run(_work_in_tasks(path, operation, tasks, seconds))


async def _work_in_tasks(path: str, operation: str, tasks: int, seconds: float) -> "array[float]":
    times = array("d")
    once = _cycle if operation == "cycle" else _enqueue
    async with await _open(path) as store:
        await asyncio.to_thread(wait_for_all)
        until = time.perf_counter() + seconds

        async def go_on() -> None:
            while (began := time.perf_counter()) < until and await once(store):
                times.append(time.perf_counter() - began)

        await asyncio.gather(*(go_on() for _ in range(tasks)))
    return times


async def _enqueue(store: QueueOperations) -> bool:
    await store.enqueue_queued_work(_DRAFT)
    return True


async def _cycle(store: QueueOperations) -> bool:
    claim = await store.claim_ready_queued_work(_SESSION, "bench", _IDLE, _LEASE_MS, 1)
    if claim is None:
        return False  # the queue has run dry
    await store._run(Plan(completion_steps([claim.completion()])))  # noqa: SLF001  a commit without the rest of it
    return True


def _claim_statements() -> int:
    return len(queue_claim.prepare_claim(_SESSION, "bench", _IDLE, _LEASE_MS, 1).plan.steps)


_STATEMENTS: Final = {
    # A completion is two statements: the batches go, and none may be left.
    "cycle": _claim_statements() + 2,
    "enqueue": len(queue.prepare_enqueue(_DRAFT, 0).plan.steps),
}


async def _open(path: str | Path) -> QueueOperations:
    connection = await connect(path, SCHEMA, durability="normal", clock=SYSTEM_CLOCK)
    return QueueOperations(connection, SYSTEM_CLOCK)


def _create(path: Path, length: int) -> None:
    with Database.open(path, schema=SCHEMA) as database:
        if length:
            text = _DRAFT.payloads[0].to_json().decode()
            database.run(Plan([Step(_FILL, (length, _SESSION)), Step(_FILL_ITEMS, (text,))]))


def describe(depths: Sequence[Depth], loads: Sequence[Load]) -> Iterator[str]:
    """The report, line by line; waits in milliseconds."""
    yield f"{os.cpu_count()} CPUs, native implementation {native.IMPLEMENTATION}, synchronous=NORMAL"
    yield ""
    yield "claim: one at a time, given back at once"
    yield f"{'queue':>8} {'limit':>6} {'statements':>11} {_TITLES} {'ratio':>7}"
    for depth in depths:
        yield f"{depth.length:>8} {depth.limit:>6} {depth.statements:>11} {_waits(depth.waits)} {depth.ratio:>7.2f}"
    worst = max((depth.ratio for depth in depths), default=0.0)
    verdict = "met" if worst <= TARGET else "missed"
    yield f"target: the longest queue costs at most {TARGET} times the shortest: {verdict} ({worst:.2f})"
    yield ""
    yield "load: a cycle is one claim of one batch, and its completion"
    yield f"{'operation':>9} {'processes':>10} {'tasks':>6} {'statements':>11} {'per s':>8} {_TITLES}"
    for load in loads:
        kept = f"  {load.lost} batches lost" if load.lost else ""
        yield (
            f"{load.operation:>9} {load.processes:>10} {load.tasks:>6} {load.statements:>11} {load.per_s:>8.0f} "
            f"{_waits(load.waits)}{kept}"
        )


def _waits(waits: Waits) -> str:
    return f"{waits.p50_ms:>8.3f} {waits.p99_ms:>8.3f} {waits.max_ms:>8.3f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.queue", description="What the work queue costs.")
    parser.add_argument("--quick", action="store_true", help="a small round of everything, within 10 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    options = parser.parse_args(arguments)
    lengths = (100, 10_000) if options.quick else (100, 1_000, 10_000, 100_000)
    crews = ((1, 1), (1, 64), (2, 8)) if options.quick else ((1, 1), (1, 8), (1, 64), (2, 8), (4, 8), (8, 8))
    seconds = 0.2 if options.quick else 1.0
    runs = [(operation, *crew) for operation in ("enqueue", "cycle") for crew in crews]
    loads: list[Load] = []
    with (
        tempfile.TemporaryDirectory(prefix="lash-bench-") as name,
        show_progress(2 * len(lengths) + len(runs)) as progress,
    ):
        folder = Path(name)
        repeats = _REPEATS // 5 if options.quick else _REPEATS
        depths = asyncio.run(measure_depths(folder, lengths, repeats, progress))
        for operation, processes, tasks in runs:
            progress.begin(f"{operation}: {processes} x {tasks}")
            loads.append(measure_load(folder, operation, processes, tasks, seconds))
    for line in describe(depths, loads):
        print(line)
    if options.json:
        document = {"depths": [asdict(depth) for depth in depths], "loads": [asdict(load) for load in loads]}
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return int(any(load.lost for load in loads))


if __name__ == "__main__":
    sys.exit(main())
