"""Claims and completes queued work, with others, until none is left.

In: "work". Out: "ready"; then, as JSON, the pairs of batch and fencing token that it claimed, the batches that it
completed, and how many completions were refused because another worker had taken the claim over.
"""

import asyncio
import sys
from itertools import cycle
from typing import Final

import msgspec

from lash_store import GuardFailed, Plan
from lash_store.clock import SYSTEM_CLOCK
from lash_store.records.queue import QueuedWorkClaimBoundary
from lash_store.sqlite.ops import queue
from lash_store.sqlite.ops.queue_completion import completion_steps
from lash_store.sqlite.schema import Schema
from lash_store.sqlite.session_store.queue import QueueOperations
from lash_store.sqlite.store_handle import connect

TASKS: Final = 4
LEASES: Final = (0, 0, 0, 60_000)
"""Most leases expire at once, so that workers take over from each other all the time."""


class Report(msgspec.Struct):
    """What a worker has done."""

    claimed: list[tuple[str, int]] = msgspec.field(default_factory=list)
    completed: list[str] = msgspec.field(default_factory=list)
    refused: int = 0


async def work(store: QueueOperations, report: Report) -> None:
    for lease in cycle(LEASES):
        claim = await store.claim_ready_queued_work("root", "worker", QueuedWorkClaimBoundary.IDLE, lease, 1)
        if claim is None:
            if not await store.list_queued_work("root"):
                return
            continue
        report.claimed.append((claim.batches[0].batch_id, claim.fencing_token))
        try:
            await store._run(Plan(completion_steps([claim.completion()])))
        except GuardFailed:
            report.refused += 1
        else:
            report.completed.append(claim.batches[0].batch_id)


async def main() -> None:
    schema = Schema("session", 3, queue.TABLES)
    connection = await connect(sys.argv[1], schema, durability="normal", clock=SYSTEM_CLOCK)
    async with QueueOperations(connection, SYSTEM_CLOCK) as store:
        print("ready", flush=True)  # noqa: T201
        assert sys.stdin.readline() == "work\n"
        report = Report()
        await asyncio.gather(*(work(store, report) for _ in range(TASKS)))
        print(msgspec.json.encode(report).decode(), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
