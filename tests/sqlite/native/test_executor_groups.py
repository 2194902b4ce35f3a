"""The executor does what its stub says, in C and in Python alike: groups."""

import time
from collections.abc import Callable
from typing import Any

import apsw
import pytest

from tests.sqlite.native.rig import DONE, FAILED, GUARD, INVALID, NO_ROW, PATIENCE_S, Rig, Step, insert


def test_plans_that_wait_together_share_a_transaction_and_fall_alone(rig: Rig) -> None:
    outcomes = rig.group(
        insert(1),
        (insert(2), insert(1)),
        (insert(3), Step("SELECT 1", expect=NO_ROW)),
        (insert(4), Step("SELECT ?")),
        Step("SELECT count(*) FROM t", rows=True),
    )
    assert [outcome[0] for outcome in outcomes] == [DONE, FAILED, GUARD, INVALID, DONE]
    assert outcomes[4][3] == ([(1,)],)
    assert rig.column() == [1]
    counters = rig.executor.counters()
    assert (counters["commits"], counters["batches"], counters["largest_batch"], counters["conflicts"]) == (2, 1, 2, 1)


def test_a_group_has_at_most_128_members(rig: Rig) -> None:
    assert {outcome[0] for outcome in rig.group(*(insert(number) for number in range(300)))} == {DONE}
    counters = rig.executor.counters()
    assert counters["commits"] == 300
    assert counters["batches"] >= 3
    assert 1 < counters["largest_batch"] <= 128
    assert rig.column() == list(range(300))


def test_a_group_ends_when_its_time_under_the_lock_is_over(rig: Rig) -> None:
    rig.function("slow", lambda: time.sleep(0.005))
    rig.executor.acquire()
    for number in range(3):
        rig.submit(insert(number), Step("SELECT slow()"), tag=number)
    rig.executor.submit_call(int, rig.mailbox, "a call")
    rig.submit(insert(3), tag=3)
    rig.executor.release()
    # The rest goes back to the head, in its order, before what was queued later.
    assert [tag for tag, _ in rig.receive(5)] == [0, 1, 2, "a call", 3]
    counters = rig.executor.counters()
    assert (counters["commits"], counters["batches"], counters["largest_batch"]) == (4, 4, 1)


def test_nobody_is_answered_before_the_commit(rig: Rig) -> None:
    rig.function("answered", lambda: rig.mailbox.wait(0))
    rig.function("committed", lambda: len(rig.column()))
    look = Step("SELECT answered(), committed()", rows=True)
    assert rig.group(insert(1), look)[1] == (DONE, None, None, ([(0, 0)],), 0)
    assert rig.executor.counters()["largest_batch"] == 2


def full(rig: Rig) -> tuple[Step, int, int]:
    rig.connection.pragma("max_page_count", 20)
    return insert(b"x" * 1_000_000), 13, 13


def or_rollback(rig: Rig) -> tuple[Step, int, int]:
    return Step("INSERT OR ROLLBACK INTO t(a) VALUES ('there')"), 19, 2067


def raise_rollback(rig: Rig) -> tuple[Step, int, int]:
    trigger = "CREATE TRIGGER r BEFORE INSERT ON t WHEN new.a = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'no'); END"
    assert rig.run(Step(trigger))[0] == DONE
    return insert("bad"), 19, 1811


def interrupted(rig: Rig) -> tuple[Step, int, int]:
    rig.function("stop", rig.connection.interrupt)
    endless = "WITH RECURSIVE n(x) AS (SELECT stop() IS NULL UNION ALL SELECT x + 1 FROM n WHERE x < 1000000)"
    return Step(f"{endless} INSERT INTO t(a) SELECT -x FROM n"), 9, 9


@pytest.mark.parametrize("cause", [full, or_rollback, raise_rollback, interrupted])
@pytest.mark.parametrize("grouped", [False, True])
def test_when_the_whole_transaction_dies_the_others_run_again(
    rig: Rig, cause: Callable[[Rig], tuple[Step, int, int]], grouped: bool
) -> None:
    assert rig.run(insert("there"))[0] == DONE
    step, code, extended = cause(rig)
    before = rig.executor.counters()
    culprit = (insert("gone"), step)
    others = [insert(1), insert(2), insert(3)] if grouped else []
    outcomes = rig.group(*others[:2], culprit, *others[2:])
    assert outcomes.pop(2 if grouped else 0)[:4] == (FAILED, 1, code, extended)
    assert outcomes == [(DONE, None, None, (), 1)] * len(others)
    assert rig.column() == ["there", *range(1, len(others) + 1)]
    assert not rig.connection.in_transaction
    after = rig.executor.counters()
    assert after["commits"] - before["commits"] == len(others)
    assert after["batches"] - before["batches"] == (1 if grouped else 0)


def test_a_member_that_runs_again_meets_the_state_without_the_culprit(rig: Rig) -> None:
    assert rig.run(insert("there"))[0] == DONE
    seen = Step("SELECT count(*) FROM t", rows=True)
    outcomes = rig.group(insert(1), seen, (insert(2), or_rollback(rig)[0]), seen)
    assert [outcome[0] for outcome in outcomes] == [DONE, DONE, FAILED, DONE]
    assert (outcomes[1][3], outcomes[3][3]) == (([(2,)],), ([(2,)],))


def foreign_keys(rig: Rig) -> Step:
    rig.connection.pragma("foreign_keys", True)
    child = "CREATE TABLE child(p REFERENCES t(a) DEFERRABLE INITIALLY DEFERRED)"
    assert rig.run(Step(child))[0] == DONE
    return insert("nobody", into="child")


def test_a_commit_that_fails_is_the_fault_of_its_only_member(rig: Rig) -> None:
    orphan = foreign_keys(rig)
    assert rig.run(insert(1), orphan) == (FAILED, -1, 19, 787, "FOREIGN KEY constraint failed")
    assert rig.column() == []
    assert not rig.connection.in_transaction


def test_when_the_commit_of_a_group_fails_each_member_runs_alone(rig: Rig) -> None:
    orphan = foreign_keys(rig)
    before = rig.executor.counters()
    guarded = (insert(5), Step("SELECT 1", expect=NO_ROW))
    outcomes = rig.group(insert(1), (insert(2), orphan), insert(3), guarded)
    assert outcomes[1] == (FAILED, -1, 19, 787, "FOREIGN KEY constraint failed")
    assert [outcome[0] for outcome in outcomes] == [DONE, FAILED, DONE, GUARD]
    assert rig.column() == [1, 3]
    after = rig.executor.counters()
    assert [after[name] - before[name] for name in ("commits", "batches", "conflicts")] == [2, 2, 1]


@pytest.mark.parametrize("culprit", [or_rollback, lambda rig: (foreign_keys(rig), 19, 787)])
def test_a_caller_gets_its_own_outcome_when_its_batch_has_to_run_again(
    rig: Rig, culprit: Callable[[Rig], tuple[Step, int, int]]
) -> None:
    assert rig.run(insert("there"))[0] == DONE
    step, code, extended = culprit(rig)
    rig.executor.acquire()
    outcomes: list[Any] = []
    caller = rig.spawn(lambda: outcomes.append(rig.run(insert(1))))
    rig.queued(1)
    rig.submit(insert(2), step)
    rig.executor.release()
    [(_, failed)] = rig.receive(1)
    caller.join(PATIENCE_S)
    assert (failed[0], *failed[2:4]) == (FAILED, code, extended)
    assert outcomes == [(DONE, None, None, (), 1)]
    assert rig.column() == ["there", 1]


def test_a_begin_that_fails_fails_every_member(rig: Rig) -> None:
    def authorizer(action: int, what: str | None, *_: str | None) -> int:
        return apsw.SQLITE_DENY if (action, what) == (apsw.SQLITE_TRANSACTION, "BEGIN") else apsw.SQLITE_OK

    rig.connection.authorizer = authorizer
    outcomes = rig.group(insert(1), insert(2))
    assert outcomes == [(FAILED, -1, 23, 23, "not authorized")] * 2
    assert rig.run(insert(3)) == outcomes[0]
    rig.connection.authorizer = None
    assert rig.run(insert(4))[0] == DONE
    assert rig.column() == [4]
