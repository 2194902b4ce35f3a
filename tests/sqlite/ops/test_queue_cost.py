"""What an operation costs does not depend on the length of the queue: counted, not timed."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from lash_store.sqlite.ops import queue_claim
from tests.sqlite.ops.queue_rig import NOW, Queue, draft

if TYPE_CHECKING:
    import apsw

# A session's queue of ?1 rows, in which ?2 says what is the matter with all of them.
FILL = """
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?1)
INSERT INTO queued_work_batches (batch_id, session_id, delivery_policy, slot_policy, merge_key_json, available_at_ms,
    enqueued_at_ms, claim_id, claim_token, claim_expires_at_ms)
SELECT ?2 || n, CASE ?2 WHEN 'foreign' THEN 'other' ELSE 'root' END, 'earliest_safe_boundary', 'join', '"never"',
    CASE ?2 WHEN 'late' THEN ?3 + 100000 WHEN 'due' THEN ?3 ELSE 0 END, ?3 - 1,
    CASE ?2 WHEN 'held' THEN 'qwc:1:1' WHEN 'expired' THEN 'qwc:1:1' END,
    CASE ?2 WHEN 'held' THEN 'token' WHEN 'expired' THEN 'token' END,
    CASE ?2 WHEN 'held' THEN ?3 + 100000 WHEN 'expired' THEN ?3 ELSE 0 END
FROM number
"""


async def steps_of(queue: Queue, operation: Callable[[], Awaitable[object]]) -> int:
    """How many instructions SQLite's machine carries out for `operation`."""
    counts: list[int] = []

    def watch(connection: "apsw.Connection") -> None:
        connection.trace_v2(2, lambda found: counts.append(found["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]))

    await queue._connection.call(watch)
    await operation()
    await queue._connection.call(lambda connection: connection.trace_v2(0, None))
    return sum(counts)


@pytest.mark.parametrize("matter", ["ready", "held", "late", "foreign", "expired", "due"])
@pytest.mark.parametrize("limit", [1, 16])
async def test_a_claim_costs_the_same_in_a_long_queue(matter: str, limit: int) -> None:
    costs = []
    for length in (1_000, 20_000):
        async with await Queue.open(None) as queue:
            await queue.execute(FILL, length, matter, NOW)
            await queue.put(*(draft(str(number)) for number in range(16)))
            claims: list[object] = []

            async def claim(queue: Queue = queue, claims: list[object] = claims) -> None:
                claims.append(await queue.must_claim(limit))

            costs.append(await steps_of(queue, claim))
            assert len(claims) == 1
    assert 0 < costs[1] <= 1.5 * costs[0], costs


async def test_batches_available_when_enqueued_are_found_behind_any_number_of_late_ones() -> None:
    costs = []
    for length in (1_000, 20_000):
        async with await Queue.open(None) as queue:
            await queue.execute(FILL, length, "late", NOW)
            await queue.put(*(draft(str(number), available_at_ms=NOW) for number in range(600)))
            costs.append(await steps_of(queue, queue.must_claim))
    assert 0 < costs[1] <= 1.5 * costs[0], costs


async def test_the_oracle_sees_a_claim_that_walks_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    walking = queue_claim._CLAIM_HEAD.replace("count(*) < 512", "0")
    monkeypatch.setattr(queue_claim, "_CLAIM_HEAD", walking)
    with pytest.raises(AssertionError):
        await test_a_claim_costs_the_same_in_a_long_queue("held", 1)
