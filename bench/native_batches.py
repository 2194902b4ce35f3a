"""The executor's own batches: what the C loop's 64 savepoints in one COMMIT are held against.

64 plans are queued, then one call runs them as one transaction on the calling thread. That call is what is timed:
BEGIN, 64 savepoints, COMMIT, and the answers put into the mailbox; making the plans in Python and reading the answers
is not. Like the loop, it does no checkpoints.
"""

import time
from typing import TYPE_CHECKING

from bench.jobs import Job, JobResult, result_of
from bench.loops import WriterLog
from bench.shapes import WaitForStart
from bench.workload import BATCH, node_json

if TYPE_CHECKING:
    from lash_store.sqlite.native import Executor


# A batch that is held up (the scheduler takes the processor away) may be ended early, and the rest make another.
_SPLITS_ALLOWED = 1.05


class BatchSplitError(Exception):
    """The executor did not run 64 plans in one transaction, so the figures would not be what they say."""


def run(job: Job, wait_for_start: WaitForStart) -> JobResult:
    """Run batch after batch until the deadline; the waits are those of the batches, and the time is their sum."""
    import apsw  # noqa: PLC0415 - a worker of another driver must not load a second SQLite

    from bench.drivers.apsw_blocking import prepare  # noqa: PLC0415 - likewise
    from lash_store.sqlite.native import Executor  # noqa: PLC0415 - likewise

    db = apsw.Connection(job.path)
    try:
        prepare(db, job.durability)
        db.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        # The measuring thread is the worker, and comes by itself.
        executor = Executor(db, busy_timeout_ms=0, start_worker=lambda: None, start_checkpointer=lambda: None)
        try:
            log = _write_batches(executor, job.prefix, wait_for_start())
        finally:
            executor.close()
    finally:
        db.close()
    return result_of([log], 0, sum(log.waits) or job.seconds)


def _write_batches(executor: "Executor", prefix: str, deadline: float) -> WriterLog:
    from bench.drivers.lash import plan_of  # noqa: PLC0415 - likewise
    from lash_store.sqlite.native import DONE, Mailbox  # noqa: PLC0415 - likewise

    log, mailbox, clock = WriterLog(), Mailbox(), time.perf_counter
    while clock() < deadline:
        for number in range(BATCH):
            node_id = f"{prefix}-{log.acknowledged + number}"
            executor.submit(plan_of(node_id, node_json(node_id)).steps, mailbox, None)
        began = clock()
        executor.serve(0)
        log.waits.append(clock() - began)
        log.acknowledged += sum(outcome[0] == DONE for _, outcome in mailbox.drain())
    mailbox.close()
    _check(log, executor.counters()["batches"])
    return log


def _check(log: WriterLog, batches: int) -> None:
    calls = len(log.waits)
    if log.acknowledged != BATCH * calls or batches > calls * _SPLITS_ALLOWED:
        raise BatchSplitError(
            f"{calls} calls for {BATCH} plans each made {log.acknowledged} commits in {batches} batches"
        )
