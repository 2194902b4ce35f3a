"""The measured loops: one for blocking writers, one for asyncio tasks, with the same work around each commit."""

import time
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bench.workload import node_json

BlockingCommit = Callable[[str, str], object]
AsyncCommit = Callable[[str, str], Awaitable[object]]


@dataclass(slots=True)
class WriterLog:
    """What one writer lived through.

    `waits` are seconds, one for each acknowledged commit, from the call to its answer; `late` counts those among them
    that were answered after the measured time was over.
    """

    waits: "array[float]" = field(default_factory=lambda: array("d"))
    acknowledged: int = 0
    late: int = 0
    failures: int = 0
    error: str = ""

    def note_failure(self, error: BaseException) -> None:
        """Count a commit that was not acknowledged, and keep the words of the first."""
        self.failures += 1
        self.error = self.error or f"{type(error).__name__}: {error}"

    def settle(self, finished: float, deadline: float) -> None:
        """Count what was acknowledged; only the last commit can have ended after the deadline."""
        self.acknowledged = len(self.waits)
        self.late = int(finished > deadline)


def write_until(commit: BlockingCommit, prefix: str, deadline: float, pause_s: float = 0.0) -> WriterLog:
    """Commit one node after another until `deadline` (perf_counter), resting `pause_s` seconds between two commits."""
    log = WriterLog()
    clock, note = time.perf_counter, log.waits.append
    number, finished = 0, 0.0
    while (began := clock()) < deadline:
        node_id = f"{prefix}-{number}"
        number += 1
        try:
            commit(node_id, node_json(node_id))
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, this commit failed
            log.note_failure(error)
        else:
            finished = clock()
            note(finished - began)
        if pause_s:
            time.sleep(pause_s)
    log.settle(finished, deadline)
    return log


async def write_until_async(commit: AsyncCommit, prefix: str, deadline: float) -> WriterLog:
    """The same loop for one asyncio task."""
    log = WriterLog()
    clock, note = time.perf_counter, log.waits.append
    number, finished = 0, 0.0
    while (began := clock()) < deadline:
        node_id = f"{prefix}-{number}"
        number += 1
        try:
            await commit(node_id, node_json(node_id))
        except Exception as error:  # noqa: BLE001 - whatever a driver raises, this commit failed
            log.note_failure(error)
        else:
            finished = clock()
            note(finished - began)
    log.settle(finished, deadline)
    return log


def burn(deadline: float) -> None:
    """Keep the interpreter busy with Python code until `deadline` (perf_counter).

    It stops with the measured time: the commits still under way must not take the bench longer than they have to.
    """
    number = 1
    while time.perf_counter() < deadline:
        for _ in range(2_000):
            number = (number * 1_103_515_245 + 12_345) & 0x7FFFFFFF
