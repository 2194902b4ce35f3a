"""Appends to processes and claims leases on them until it is killed, and says what was acknowledged.

A message is (kind, number, place): an "event" with its number among the worker's and its sequence, or a "lease" with
its fencing token and the time of its expiry.
"""

import asyncio
import random
from itertools import count
from multiprocessing.connection import Connection

from lash_store.errors import ProcessLeaseConflict, ProcessLeaseLost
from lash_store.records.process_event import ProcessEventAppendRequest
from lash_store.records.process_lease import ProcessLeaseCompletion
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry

LOGS = ("log-a", "log-b")
LEASED = "leased"
TASKS = 3
TTL_MS = 25


def work(path: str, worker: int, sending: Connection) -> None:
    """Work for ever."""
    asyncio.run(_work(path, worker, sending))


async def _work(path: str, worker: int, sending: Connection) -> None:
    registry = await SqliteProcessRegistry.open(path)
    numbers = count()
    await asyncio.gather(
        _hold(registry, worker, sending), *(_append(registry, worker, numbers, sending) for _ in range(TASKS))
    )


async def _append(registry: SqliteProcessRegistry, worker: int, numbers: "count[int]", sending: Connection) -> None:
    for number in numbers:
        process_id = LOGS[number % len(LOGS)]
        request = ProcessEventAppendRequest("line", {"worker": worker, "number": number})
        result = await registry.append_event(process_id, request)
        sending.send(("event", number, result.event.sequence))


async def _hold(registry: SqliteProcessRegistry, worker: int, sending: Connection) -> None:
    """Claim, sign what was claimed, and sometimes renew or let go; the dead let go by dying."""
    while True:
        try:
            lease = await registry.claim_process_lease(LEASED, f"worker-{worker}", TTL_MS)
            sending.send(("lease", lease.fencing_token, lease.expires_at_epoch_ms))
            request = ProcessEventAppendRequest("line", {"worker": worker, "fencing": lease.fencing_token})
            await registry.append_event(LEASED, request)
            if random.random() < 0.5:
                await registry.renew_process_lease(lease, TTL_MS)
            if random.random() < 0.7:
                await registry.complete_process_lease(ProcessLeaseCompletion.from_lease(lease))
        except (ProcessLeaseConflict, ProcessLeaseLost):
            await asyncio.sleep(0.001)
