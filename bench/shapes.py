"""The shapes of writing that a worker process can take: one blocking writer, threads, asyncio tasks."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import ExitStack

from bench.drivers.catalogue import DRIVERS
from bench.drivers.protocol import Adapter, AsyncWriter, BlockingWriter, OpenBlocking
from bench.jobs import Job, JobResult, result_of
from bench.loops import WriterLog, burn, write_until, write_until_async
from bench.workload import node_json

WaitForStart = Callable[[], float]
"""Says "ready", blocks until the common start, and returns the deadline on this process's perf_counter."""


def run_blocking(job: Job, wait_for_start: WaitForStart) -> JobResult:
    """One writer that commits on the main thread; an asyncio-only driver is given one task."""
    adapter = DRIVERS[job.driver].adapter()
    if adapter.open_blocking is None:
        return run_tasks(job, wait_for_start)
    with adapter.open_blocking(job.path, job.durability) as writer:
        _warm_up(writer, job.prefix)
        log = write_until(writer.commit, job.prefix, wait_for_start(), job.pause_s)
    return result_of([log], 1, job.seconds)


def run_threads(job: Job, wait_for_start: WaitForStart) -> JobResult:
    """Several threads of one process, on one handle or on a connection each, as the driver is meant to be used."""
    adapter = DRIVERS[job.driver].adapter()
    opener = _blocking_opener(adapter)
    with ExitStack() as stack:
        shared = stack.enter_context(opener(job.path, job.durability)) if adapter.one_handle_for_all_threads else None
        team = _Team(job, opener, shared)
        return result_of(team.write(wait_for_start), job.writers, job.seconds)


def run_tasks(job: Job, wait_for_start: WaitForStart) -> JobResult:
    """Many asyncio tasks on one handle; with a burner, a CPU-bound thread beside the loop."""
    return asyncio.run(_run_tasks(job, wait_for_start))


async def _run_tasks(job: Job, wait_for_start: WaitForStart) -> JobResult:
    adapter = DRIVERS[job.driver].adapter()
    async with adapter.open_async(job.path, job.durability) as writer:
        await _warm_up_async(writer, job.prefix)
        deadline = wait_for_start()
        burner = threading.Thread(target=burn, args=(deadline,), daemon=True)
        if job.burner:
            burner.start()
        names = [f"{job.prefix}-{number}" for number in range(job.writers)]
        logs = await asyncio.gather(*(write_until_async(writer.commit, name, deadline) for name in names))
    return result_of(logs, 1, job.seconds)


class _Team:
    """The threads of one process: each warms up, waits at the barrier with the others, then writes."""

    def __init__(self, job: Job, opener: OpenBlocking, shared: BlockingWriter | None) -> None:
        self._job = job
        self._opener = opener
        self._shared = shared
        self._barrier = threading.Barrier(job.writers + 1)
        self._deadline = 0.0
        self._logs = [WriterLog() for _ in range(job.writers)]

    def write(self, wait_for_start: WaitForStart) -> list[WriterLog]:
        """Run the threads for the measured time and return what each lived through."""
        threads = [threading.Thread(target=self._member, args=(number,)) for number in range(self._job.writers)]
        for thread in threads:
            thread.start()
        self._barrier.wait()
        self._deadline = wait_for_start()
        self._barrier.wait()
        for thread in threads:
            thread.join()
        return self._logs

    def _member(self, number: int) -> None:
        try:
            if self._shared is not None:
                self._write_with(self._shared, number)
            else:
                with self._opener(self._job.path, self._job.durability) as writer:
                    self._write_with(writer, number)
        except BaseException:
            # Nobody may wait for a member that is gone; the traceback goes to the worker's error output.
            self._barrier.abort()
            raise

    def _write_with(self, writer: BlockingWriter, number: int) -> None:
        name = f"{self._job.prefix}-{number}"
        _warm_up(writer, name)
        self._barrier.wait()
        self._barrier.wait()
        self._logs[number] = write_until(writer.commit, name, self._deadline)


def _blocking_opener(adapter: Adapter) -> OpenBlocking:
    if adapter.open_blocking is None:
        raise TypeError("this driver has only an asyncio face")
    return adapter.open_blocking


def _warm_up(writer: BlockingWriter, prefix: str) -> None:
    node_id = f"{prefix}-warm"
    writer.commit(node_id, node_json(node_id))


async def _warm_up_async(writer: AsyncWriter, prefix: str) -> None:
    node_id = f"{prefix}-warm"
    await writer.commit(node_id, node_json(node_id))
