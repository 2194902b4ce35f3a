"""The executor does what its stub says, in C and in Python alike: the writer role."""

import threading
from typing import Any

import pytest

from lash_store.errors import StoreReentered
from tests.sqlite.native.rig import DONE, PATIENCE_S, WHO, Rig, Step, insert


def test_an_uncontended_run_stays_on_its_thread(rig: Rig) -> None:
    assert rig.run(WHO)[3] == ([(threading.get_ident(),)],)
    assert rig.workers_wanted == 0
    assert rig.executor.counters()["handoffs"] == 0


def test_the_role_goes_to_the_waiting_thread_which_carries_what_follows(rig: Rig) -> None:
    rig.executor.acquire()
    outcomes: list[Any] = []
    caller = rig.spawn(lambda: outcomes.append(rig.run(WHO)))
    rig.queued(1)
    rig.submit(WHO)
    rig.executor.release()
    [(_, carried)] = rig.receive(1)
    caller.join(PATIENCE_S)
    assert carried[3] == outcomes[0][3] == ([(caller.ident,)],)
    counters = rig.executor.counters()
    assert (counters["handoffs"], counters["largest_batch"], counters["queued"]) == (1, 2, 0)


def test_a_ticket_at_the_head_is_the_workers_which_carries_a_caller_along(rig: Rig) -> None:
    rig.executor.acquire()
    rig.submit(WHO)
    outcomes: list[Any] = []
    caller = rig.spawn(lambda: outcomes.append(rig.run(WHO)))
    rig.queued(2)
    rig.executor.release()
    [(_, own)] = rig.receive(1)
    caller.join(PATIENCE_S)
    assert own[3] == outcomes[0][3]
    assert own[3] not in (([(caller.ident,)],), ([(threading.get_ident(),)],))
    assert (rig.executor.counters()["handoffs"], rig.workers_wanted) == (0, 1)


def test_acquire_stands_in_the_same_queue(rig: Rig) -> None:
    rig.executor.acquire()
    assert rig.executor.owned()
    got, go, owned = threading.Event(), threading.Event(), []

    def hold() -> None:
        rig.executor.acquire()
        owned.append(rig.executor.owned())
        got.set()
        go.wait(PATIENCE_S)
        rig.executor.release()
        owned.append(rig.executor.owned())

    rig.submit(insert(1), tag="before")
    rig.queued(1)
    holder = rig.spawn(hold)
    rig.queued(2)
    rig.submit(insert(2), tag="after")
    rig.executor.release()
    assert not rig.executor.owned()
    assert got.wait(PATIENCE_S)
    assert [token for token, _ in rig.receive(1)] == ["before"]
    assert rig.executor.counters()["queued"] == 1
    go.set()
    assert [token for token, _ in rig.receive(1)] == ["after"]
    holder.join(PATIENCE_S)
    assert owned == [True, False]


def test_the_holder_may_not_ask_for_the_role_again(rig: Rig) -> None:
    def reenter() -> list[str]:
        raised = []
        for call in (lambda: rig.run(WHO), rig.executor.acquire):
            with pytest.raises(StoreReentered) as caught:
                call()
            raised.append(caught.value.args[0])
        return raised

    rig.executor.acquire()
    assert all(str(rig.path) in message for message in reenter())
    rig.executor.release()
    rig.executor.submit_call(reenter, rig.mailbox, 0)
    assert len(rig.receive(1)[0][1]) == 2
    assert rig.run(WHO)[0] == DONE


def test_release_leaves_no_transaction_open(rig: Rig) -> None:
    rig.executor.acquire()
    rig.connection.execute("BEGIN IMMEDIATE; INSERT INTO t(a) VALUES (1)")
    rig.executor.release()
    assert not rig.connection.in_transaction
    assert rig.run(insert(2))[0] == DONE
    assert rig.column() == [2]


def test_only_the_holder_releases(rig: Rig) -> None:
    with pytest.raises(RuntimeError):
        rig.executor.release()
    rig.executor.acquire()
    failures: list[BaseException] = []

    def release() -> None:
        try:
            rig.executor.release()
        except RuntimeError as error:
            failures.append(error)

    rig.spawn(release).join(PATIENCE_S)
    assert len(failures) == 1
    assert rig.executor.owned()


def test_sql_that_calls_python_cannot_call_its_own_executor(rig: Rig) -> None:
    refused: list[object] = []

    def again() -> int:
        for call in (lambda: rig.run(WHO), rig.executor.acquire):
            try:
                call()
            except StoreReentered as error:
                refused.append(error.path)
        return 1

    rig.function("again", again)
    assert rig.run(Step("SELECT again()", rows=True))[0] == DONE
    assert refused == [str(rig.path)] * 2


def test_hold_takes_the_role_for_one_call_and_gives_it_back(rig: Rig) -> None:
    assert rig.executor.hold(rig.executor.owned) is True
    assert rig.executor.owned() is False
    with pytest.raises(ZeroDivisionError):
        rig.executor.hold(lambda: 1 // 0)
    assert rig.executor.wait_idle(0)


def test_a_closure_that_leaves_wal_mode_leaves_the_executor_usable(rig: Rig) -> None:
    assert rig.executor.hold(lambda: rig.connection.pragma("journal_mode", "delete")) == "delete"
    assert rig.run(insert(1))[0] == DONE
    assert rig.executor.hold(lambda: rig.connection.pragma("journal_mode", "wal")) == "wal"
    assert rig.run(insert(2))[0] == DONE
    assert rig.column() == [1, 2]
