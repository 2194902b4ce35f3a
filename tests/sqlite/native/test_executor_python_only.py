"""The executor does what its stub says, in C and in Python alike: the Python implementation alone."""

import os
import sys
import threading

import pytest

from lash_store.sqlite.native import pure_mailbox
from tests.sqlite.native.rig import (
    DONE,
    FAILED,
    Rig,
    Step,
    insert,
    readable,
)


def test_an_interrupted_caller_takes_only_its_own_plan_with_it(rig: Rig) -> None:
    def interrupt() -> None:
        if threading.current_thread() is threading.main_thread():
            rig.submit(insert(2), tag="queued meanwhile")
            raise KeyboardInterrupt

    rig.function("interrupt", interrupt)
    with pytest.raises(KeyboardInterrupt):
        rig.run(insert(1), Step("SELECT interrupt()"))
    assert not rig.connection.in_transaction
    assert [(tag, outcome[0]) for tag, outcome in rig.receive(1)] == [("queued meanwhile", DONE)]
    assert rig.run(insert(3))[0] == DONE
    assert rig.column() == [2, 3]


def test_the_worker_survives_a_function_that_exits(rig: Rig) -> None:
    rig.function("leave", sys.exit)
    outcomes = rig.group(insert(1), (insert(2), Step("SELECT leave()")), insert(3))
    assert [outcome[0] for outcome in outcomes] == [DONE, FAILED, DONE]
    assert rig.column() == [1, 3]


def test_a_defect_of_the_executor_answers_every_member(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr("lash_store.sqlite.native.pure_batch.Batches._attempt", fail)
        assert rig.group(insert(1), insert(2)) == [(FAILED, -1, 1, 1, "a defect")] * 2
        assert rig.run(insert(3)) == (FAILED, -1, 1, 1, "a defect")
    assert rig.run(insert(4))[0] == DONE
    assert rig.column() == [4]


@pytest.mark.skipif(os.name == "nt", reason="nothing can be polled there")
def test_without_an_eventfd_the_mailbox_signals_through_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "eventfd", raising=False)
    mailbox = pure_mailbox.Mailbox()
    for _ in range(2):
        assert not readable(mailbox.fileno())
        mailbox.post(1, "one")
        mailbox.post(2, "two")
        assert readable(mailbox.fileno())
        assert mailbox.drain() == [(1, "one"), (2, "two")]
    mailbox.close()
