"""The executor does what its stub says, in C and in Python alike: withdrawing and closing."""

import threading
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_store.errors import StoreClosed
from lash_store.sqlite import native
from lash_store.sqlite.native import Executor
from tests.sqlite.native.rig import CLOSED, DONE, PATIENCE_S, WHO, Rig, Step, await_true, insert


def test_a_ticket_can_be_withdrawn_while_it_is_queued(rig: Rig) -> None:
    rig.executor.acquire()
    first, second = rig.submit(insert(1), tag=1), rig.submit(insert(2), tag=2)
    call = rig.executor.submit_call(lambda: None, rig.mailbox, 3)
    assert first.withdraw()
    assert not first.withdraw()
    assert call.withdraw()
    assert rig.executor.counters()["queued"] == 1
    rig.executor.release()
    assert [token for token, _ in rig.receive(1)] == [2]
    assert not second.withdraw()
    assert rig.column() == [2]
    assert rig.mailbox.drain() == []


def test_withdrawing_the_head_lets_the_next_one_in(rig: Rig) -> None:
    own = Executor(rig.connection, busy_timeout_ms=1000, start_worker=int, start_checkpointer=int)
    ticket = own.submit_call(lambda: 1, rig.mailbox, 1)
    caller = rig.spawn(lambda: own.run([insert(2)]))
    await_true(lambda: own.counters()["queued"] == 2)
    assert ticket.withdraw()
    caller.join(PATIENCE_S)
    assert rig.column() == [2]
    own.close()


def test_a_caller_does_not_wait_for_the_worker_of_plans_before_it(rig: Rig) -> None:
    own = Executor(rig.connection, busy_timeout_ms=1000, start_worker=int, start_checkpointer=int)
    own.submit([insert(1)], rig.mailbox, "before")
    assert own.run([insert(2)])[0] == DONE
    assert [token for token, _ in rig.receive(1)] == ["before"]
    assert rig.column() == [1, 2]
    own.close()


def test_after_stop_the_queue_runs_empty_and_nothing_new_comes_in(rig: Rig) -> None:
    rig.executor.acquire()
    rig.submit(insert(1), tag=1)
    rig.executor.submit_call(lambda: "called", rig.mailbox, 2)
    outcomes: list[Any] = []
    caller = rig.spawn(lambda: outcomes.append(rig.run(insert(3))))
    rig.queued(3)
    rig.executor.stop()
    for call in (
        lambda: rig.run(insert(4)),
        lambda: rig.submit(insert(4)),
        lambda: rig.executor.submit_call(int, rig.mailbox, 4),
        rig.executor.acquire,
    ):
        with pytest.raises(StoreClosed) as caught:
            call()
        assert caught.value.path == str(rig.path)
    rig.executor.release()
    assert dict(rig.receive(2)) == {1: (DONE, None, None, (), 1), 2: "called"}
    for thread in rig.threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert outcomes == [(DONE, None, None, (), 1)]
    assert not caller.is_alive()
    assert rig.column() == [1, 3]


def test_a_waiting_worker_sees_that_the_last_caller_is_done(rig: Rig) -> None:
    rig.submit(WHO)
    rig.receive(1)
    rig.executor.acquire()
    rig.spawn(lambda: rig.run(insert(1)))
    rig.queued(1)
    rig.executor.stop()
    rig.executor.release()
    for thread in rig.threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert rig.column() == [1]


def test_abort_answers_what_is_queued(rig: Rig) -> None:
    rig.executor.acquire()
    rig.submit(insert(1), tag=1)
    rig.executor.submit_call(lambda: "called", rig.mailbox, 2)
    answers: list[Any] = []

    def acquire() -> None:
        try:
            rig.executor.acquire()
        except StoreClosed as error:
            answers.append(error.path)

    rig.spawn(lambda: answers.append(rig.run(insert(3))))
    rig.spawn(acquire)
    rig.queued(4)
    rig.executor.abort()
    assert rig.receive(2) == [(1, (CLOSED,)), (2, (CLOSED,))]
    for thread in rig.threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert sorted(map(str, answers)) == sorted([str((CLOSED,)), str(rig.path)])
    rig.executor.release()
    assert rig.column() == []


def test_close_gives_the_connection_back_without_handler_and_hook(rig: Rig, other: apsw.Connection) -> None:
    assert rig.run(insert(1))[0] == DONE
    pages = rig.executor.counters()["wal_pages"]
    rig.executor.stop()
    rig.executor.close()
    rig.connection.execute("INSERT INTO t(a) VALUES (2)")
    assert rig.executor.counters()["wal_pages"] == pages
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(apsw.BusyError):
        rig.connection.execute("BEGIN IMMEDIATE")
    assert time.monotonic() - began < 5


def test_many_threads_at_once_lose_nothing(rig: Rig) -> None:
    rig.run(insert(0))
    add = Step("UPDATE t SET a = a + 1", expect=1)
    wrong: list[Any] = []

    def call() -> None:
        wrong.extend(outcome for _ in range(100) if (outcome := rig.run(add))[0] != DONE)

    def hold() -> None:
        for _ in range(30):
            rig.executor.acquire()
            rig.connection.execute("UPDATE t SET a = a + 1")
            rig.executor.release()

    callers = [rig.spawn(body) for body in (call, call, call, hold, hold)]
    for number in range(300):
        rig.submit(add, tag=number)
    outcomes = rig.receive(300)
    for thread in callers:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert wrong == []
    assert {outcome[0] for _, outcome in outcomes} == {DONE}
    assert rig.column() == [300 + 3 * 100 + 2 * 30]


def test_the_outcomes_have_their_numbers() -> None:
    names = (native.DONE, native.GUARD, native.FAILED, native.BUSY, native.INVALID, native.CLOSED)
    assert names == (0, 1, 2, 3, 4, 5)


def test_wait_idle_waits_for_the_queue_and_for_the_holder(rig: Rig) -> None:
    assert rig.executor.wait_idle(0)
    rig.executor.acquire()
    assert not rig.executor.wait_idle(1)
    ticket = rig.submit(WHO)
    idle: list[bool] = []
    waiter = rig.spawn(lambda: idle.append(rig.executor.wait_idle(2**40)))
    assert ticket.withdraw()
    rig.submit(insert(2))
    assert not rig.executor.wait_idle(1)
    rig.executor.release()
    waiter.join(PATIENCE_S)
    assert idle == [True]
    assert rig.column() == [2]


def test_the_clock_tells_epoch_milliseconds(rig: Rig) -> None:
    native.register_clock(rig.connection)
    before = time.time_ns() // 1_000_000
    told = rig.run(Step("SELECT lash_now_ms()", rows=True))[3][0][0][0]
    assert before <= told <= time.time_ns() // 1_000_000


def test_the_counters_have_their_names(rig: Rig) -> None:
    assert set(rig.executor.counters()) == {
        "commits",
        "batches",
        "largest_batch",
        "conflicts",
        "busy_waits",
        "busy_wait_ms",
        "handoffs",
        "checkpoints",
        "restarts",
        "checkpoint_errors",
        "queued",
        "wal_pages",
        "wal_pages_pending",
    }


def test_abort_among_callers_on_their_way_answers_each_of_them(tmp_path: Path) -> None:
    for trial in range(30):
        made = Rig(tmp_path / f"{trial}.db")
        go = threading.Event()

        def call(made: Rig = made, go: threading.Event = go) -> None:
            go.wait(PATIENCE_S)
            try:
                while made.run(insert(None))[0] == DONE:
                    made.executor.hold(int)
            except StoreClosed:
                return

        for _ in range(4):
            made.spawn(call)
        go.set()
        made.close()
        assert made.executor.counters()["queued"] == 0
