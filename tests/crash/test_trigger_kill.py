"""Routers killed between reserving and starting: in the end every event has started each of its processes, once."""

import asyncio
import multiprocessing
import random
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from lash_store.codecs.host_event_ids import deterministic_delivery_process_id, deterministic_occurrence_id
from lash_store.records.host_event_trigger import TriggerDeliveryState
from tests.host_event_examples import BUTTON, draft
from tests.programs import trigger_worker as program
from tests.watchdog import LIMIT_S

ROUNDS = 12
WORKERS = 2
SUBSCRIBERS = 3
SHORTEST_LIFE_S, LONGEST_LIFE_S = 0.05, 0.25


def emit_until_killed(context: Any, folder: Path, first: int, life_s: float) -> list[int]:
    """Run a worker for a while, end it on the spot, and return what it had acknowledged."""
    receiving: Connection
    receiving, sending = context.Pipe(duplex=False)
    worker = context.Process(target=program.work, args=(str(folder), first, sending), daemon=True)
    worker.start()
    sending.close()
    acknowledged: list[int] = []
    ends = None
    try:
        while ends is None or time.monotonic() < ends:
            if receiving.poll(LIMIT_S if ends is None else max(ends - time.monotonic(), 0)):
                acknowledged.append(receiving.recv())
                ends = ends or time.monotonic() + life_s
        worker.kill()
        while True:
            acknowledged.append(receiving.recv())
    except (EOFError, OSError):
        pass  # all is heard
    worker.join(LIMIT_S)
    assert worker.exitcode is not None
    assert worker.exitcode < 0, "it has ended by itself"
    worker.close()
    receiving.close()
    return acknowledged


@pytest.fixture
def context() -> Any:
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["tests.programs.trigger_worker"])
    return context


async def test_every_event_starts_each_process_once_whoever_dies(context: Any, tmp_path: Path) -> None:
    desk = await program.Desk.open(tmp_path)
    for number in range(SUBSCRIBERS):
        await desk.store.register_subscription(draft(f"subscriber {number}", f"session-{number}"))
    lives = random.Random(7)
    acknowledged: set[int] = set()
    unfinished = 0
    for _ in range(ROUNDS):
        first = max(acknowledged, default=0)  # the last one is emitted again, as by a caller who heard no answer
        lengths = [lives.uniform(SHORTEST_LIFE_S, LONGEST_LIFE_S) for _ in range(WORKERS)]
        ends = (asyncio.to_thread(emit_until_killed, context, tmp_path, first, life_s) for life_s in lengths)
        acknowledged.update(*await asyncio.gather(*ends))
        states = [delivery.state for delivery in await desk.store.list_deliveries()]
        unfinished += states.count(TriggerDeliveryState.RESERVED)
    for number in range(max(acknowledged) + 2):
        await desk.emit(number)
    while await desk.router.resume(desk.controller, idle_ms=0):
        pass
    occurrences = {occurrence.occurrence_id for occurrence in await desk.store.list_occurrences(BUTTON)}
    assert {deterministic_occurrence_id(program.request(number)) for number in acknowledged} <= occurrences
    expected = {
        deterministic_delivery_process_id(occurrence_id, f"subscription:{number}")
        for occurrence_id in occurrences
        for number in range(1, SUBSCRIBERS + 1)
    }
    processes = [process.id for process in await desk.registry.list_non_terminal()]
    assert len(processes) == len(expected)
    assert set(processes) == expected
    assert {delivery.state for delivery in await desk.store.list_deliveries()} == {TriggerDeliveryState.STARTED}
    assert unfinished > 0, "no worker was killed between reserving and starting"
    await desk.close()
