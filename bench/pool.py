"""Processes that do the same work at the same time."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from typing import Final, TypeVar

_Result = TypeVar("_Result")

_PATIENCE_S: Final = 60.0

_start: Barrier | None = None


def run_together(work: Callable[[], _Result], processes: int) -> list[_Result]:
    """Have `work` done by so many processes, by this one if it is one, and return what came of each.

    The work calls `wait_for_all` when it is ready to begin. Raises what it raises.
    """
    if processes == 1:
        return [work()]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawn, _begin_together, (spawn.Barrier(processes),)) as pool:
        running = [pool.submit(_work_or_call_off, work) for _ in range(processes)]
        faults = [fault for fault in (part.exception() for part in running) if fault is not None]
    if faults:
        # Those who waited in vain for one that failed have nothing to tell.
        raise min(faults, key=lambda fault: isinstance(fault, BrokenBarrierError))
    return [part.result() for part in running]


def wait_for_all() -> None:
    """Return when all processes are ready; to be called in a thread where an event loop runs.

    Raises BrokenBarrierError if one of them fails before, or is not ready in a minute.
    """
    if _start is not None:
        _start.wait(_PATIENCE_S)


def _begin_together(barrier: Barrier) -> None:
    global _start  # noqa: PLW0603  the pool's initialiser has no other way to hand it on
    _start = barrier


def _work_or_call_off(work: Callable[[], _Result]) -> _Result:
    try:
        return work()
    except BaseException:
        if _start is not None:
            _start.abort()
        raise
