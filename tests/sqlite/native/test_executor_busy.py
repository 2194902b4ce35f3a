"""The executor does what its stub says, in C and in Python alike: the write lock is somebody else's."""

import time
from pathlib import Path

import apsw
import pytest

from tests.sqlite.native.rig import BUSY, DONE, Rig, insert, open_connection


def test_a_busy_plan_says_how_long_it_waited_and_changes_nothing(impatient: Rig, other: apsw.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    kind, waited_ms = impatient.run(insert(1))
    assert kind == BUSY
    assert waited_ms >= 300
    counters = impatient.executor.counters()
    assert counters["busy_waits"] == 1
    assert 100 <= counters["busy_wait_ms"] <= waited_ms
    assert 100 <= impatient.executor.last_wait_ms() <= waited_ms
    other.execute("ROLLBACK")
    assert impatient.run(insert(2))[0] == DONE
    assert impatient.column() == [2]
    assert impatient.executor.last_wait_ms() == 0
    assert impatient.executor.counters()["busy_waits"] == 1


def test_every_member_of_a_group_waits_out_its_own_time(impatient: Rig, other: apsw.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    outcomes = impatient.group(insert(1), insert(2))
    assert [outcome[0] for outcome in outcomes] == [BUSY, BUSY]
    assert all(outcome[1] >= 300 for outcome in outcomes)


def test_who_still_has_time_goes_back_to_the_head_of_the_queue(tmp_path: Path) -> None:
    patient = Rig(tmp_path / "y.db", busy_timeout_ms=2500)
    blocker = open_connection(patient.path)
    blocker.execute("BEGIN IMMEDIATE")
    patient.executor.acquire()
    patient.submit(insert("early"), tag="early")
    time.sleep(2.2)  # what differs between the two is their age: so long has the ROLLBACK below
    patient.submit(insert("late"), tag="late")
    patient.executor.release()
    assert [(token, outcome[0]) for token, outcome in patient.receive(1)] == [("early", BUSY)]
    blocker.execute("ROLLBACK")
    assert [(token, outcome[0]) for token, outcome in patient.receive(1)] == [("late", DONE)]
    assert patient.column() == ["late"]
    blocker.close()
    patient.close()


def test_a_plan_that_waited_too_long_in_the_queue_is_tried_once(tmp_path: Path) -> None:
    hasty = Rig(tmp_path / "y.db", busy_timeout_ms=1)
    hasty.executor.acquire()
    hasty.submit(insert(1))
    time.sleep(0.01)  # what is tested is an age beyond the budget
    hasty.executor.release()
    assert hasty.receive(1)[0][1][0] == DONE
    hasty.close()


def test_a_plan_goes_on_as_soon_as_the_lock_is_free(rig: Rig, other: apsw.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    rig.submit(insert(1))
    assert not rig.mailbox.wait(30)
    other.execute("ROLLBACK")
    assert rig.receive(1)[0][1][0] == DONE


def test_a_holder_has_the_whole_budget_for_each_begin(impatient: Rig, other: apsw.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    impatient.executor.acquire()
    for number in (1, 2):
        began = time.monotonic()
        with pytest.raises(apsw.BusyError):
            impatient.connection.execute("BEGIN IMMEDIATE")
        assert time.monotonic() - began >= 0.1
        assert impatient.executor.last_wait_ms() >= 100
        assert impatient.executor.counters()["busy_waits"] == number
    other.execute("ROLLBACK")


def test_a_cursor_left_open_on_the_writer_still_lets_a_plan_wait(rig: Rig, other: apsw.Connection) -> None:
    # SQLite asks no busy handler while a read is open on the same connection.
    assert rig.run(insert(1), insert(2))[0] == DONE
    rig.executor.acquire()
    cursor = rig.connection.execute("SELECT a FROM t")
    next(cursor)
    other.execute("BEGIN IMMEDIATE")
    rig.submit(insert(3))
    rig.executor.release()
    assert not rig.mailbox.wait(30)
    other.execute("ROLLBACK")
    assert rig.receive(1)[0][1][0] == DONE
    cursor.close()
