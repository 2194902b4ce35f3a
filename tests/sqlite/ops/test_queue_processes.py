"""Two processes on one queue: what one holds the other does not get, and what was taken over is not completed twice."""

from contextlib import ExitStack
from pathlib import Path

import msgspec

from tests.programs.queue_worker import Report
from tests.sqlite.ops.queue_rig import EXCLUSIVE, Queue, draft
from tests.watchdog import Program

BATCHES = 200


async def test_every_batch_is_completed_once_and_claimed_once_at_each_fencing_token(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with await Queue.open(path) as queue:
        batches = await queue.put(*(draft(str(number), slot=EXCLUSIVE) for number in range(BATCHES)))
    with ExitStack() as stack:
        workers = [stack.enter_context(Program("queue_worker", path)) for _ in range(2)]
        assert [worker.hear() for worker in workers] == ["ready", "ready"]
        for worker in workers:
            worker.say("work")
        reports = [msgspec.json.decode(worker.hear(), type=Report) for worker in workers]
        assert [worker.end() for worker in workers] == ["", ""]
    claimed = [pair for report in reports for pair in report.claimed]
    completed = [batch_id for report in reports for batch_id in report.completed]
    assert len(set(claimed)) == len(claimed)
    assert sorted(completed) == sorted(batch.batch_id for batch in batches)
    # Otherwise this test has seen no race at all.
    assert all(report.claimed for report in reports)
    assert sum(report.refused for report in reports) > 0
    async with await Queue.open(path) as queue:
        assert await queue.everything() == []
