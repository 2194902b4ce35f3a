"""The executor does what its stub says, in C and in Python alike: the worker."""

import threading
import time

import pytest

from lash_store.sqlite.native import Executor
from tests.sqlite.native.rig import DONE, FAILED, PATIENCE_S, Rig, insert


def test_calls_are_handed_out_together_with_the_role_held(rig: Rig) -> None:
    own = Executor(rig.connection, busy_timeout_ms=1000, start_worker=int, start_checkpointer=int)
    own.acquire()
    tickets = [own.submit_call(number, rig.mailbox, number) for number in range(20)]
    own.submit([insert("between")], rig.mailbox, "plan")
    tickets.append(own.submit_call("last", rig.mailbox, "last"))
    own.release()
    assert not own.owned()
    taken = []
    for size in (16, 4, 1):
        calls = own.serve(1000)
        assert calls is not None
        assert len(calls) == size
        assert own.owned()
        for ticket in calls:
            assert not ticket.withdraw()
            own.finish(ticket, ("answer", ticket.call))
        own.note_commit(size)
        own.release()
        taken += calls
    assert taken == tickets
    calls_sent = [(number, ("answer", number)) for number in range(20)]
    assert rig.receive(22) == [*calls_sent, ("plan", (DONE, None, None, (), 1)), ("last", ("answer", "last"))]
    counters = own.counters()
    assert [counters[name] for name in ("commits", "batches", "largest_batch")] == [22, 4, 16]
    own.stop()
    assert own.serve(0) is None
    own.close()


def test_a_call_is_answered_once(rig: Rig) -> None:
    ticket = rig.executor.submit_call(lambda: "first", rig.mailbox, 0)
    assert rig.receive(1) == [(0, "first")]
    with pytest.raises(ValueError, match="ticket"):
        rig.executor.finish(ticket, "second")
    assert rig.mailbox.drain() == []


def test_a_tickets_call_is_what_was_submitted(rig: Rig) -> None:
    rig.executor.acquire()
    call = rig.executor.submit_call(list, rig.mailbox, 0)
    assert call.call is list
    assert rig.submit(insert(1)).call is None


def test_one_worker_is_asked_for_until_it_goes_and_none_of_the_jobs_is_lost(rig: Rig) -> None:
    wanted = []
    queued_then = []

    def start_worker() -> None:
        wanted.append(threading.get_ident())
        queued_then.append(own.counters()["queued"])  # would hang if it were called under the internal lock

    own = Executor(rig.connection, busy_timeout_ms=1000, start_worker=start_worker, start_checkpointer=int)
    assert own.serve(0) is None
    own.submit([insert(1)], rig.mailbox, 1)
    own.submit([insert(2)], rig.mailbox, 2)
    assert (len(wanted), queued_then) == (1, [1])
    assert own.serve(0) is None
    assert [token for token, _ in rig.receive(2)] == [1, 2]
    own.submit([insert(3)], rig.mailbox, 3)
    assert len(wanted) == 2
    assert own.serve(0) is None
    assert [token for token, _ in rig.receive(1)] == [3]
    own.close()


def test_jobs_submitted_while_the_worker_turns_idle_are_not_lost(rig: Rig) -> None:
    def work() -> None:
        while own.serve(1) is not None:
            raise AssertionError("there are no calls")

    own = Executor(rig.connection, busy_timeout_ms=1000, start_worker=lambda: rig.spawn(work), start_checkpointer=int)
    for number in range(300):
        own.submit([insert(number)], rig.mailbox, number)
        assert [token for token, _ in rig.receive(1)] == [number]
        time.sleep(0.001 * (number % 3) / 2 + 0.0002)  # to meet the worker's own millisecond now and then
    own.stop()
    for thread in rig.threads:
        thread.join(PATIENCE_S)
    own.close()


def test_tickets_without_any_worker_are_answered(rig: Rig) -> None:
    def start_worker() -> None:
        raise RuntimeError("can't start new thread")

    own = Executor(rig.connection, busy_timeout_ms=1000, start_worker=start_worker, start_checkpointer=int)
    own.submit([insert(1)], rig.mailbox, "plan")
    [(token, outcome)] = rig.receive(1)
    assert (token, outcome[:2]) == ("plan", (FAILED, -1))
    assert "can't start new thread" in outcome[4]
    assert own.run([insert(2)])[0] == DONE
    assert rig.column() == [2]
    own.close()
