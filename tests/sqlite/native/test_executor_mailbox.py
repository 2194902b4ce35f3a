"""The executor does what its stub says, in C and in Python alike: the mailbox."""

from tests.sqlite.native.rig import (
    PATIENCE_S,
    WHO,
    Rig,
    await_true,
    readable,
)


def test_the_mailbox_signals_while_outcomes_wait(rig: Rig) -> None:
    descriptor = rig.mailbox.fileno()
    assert not rig.mailbox.wait(0)
    assert rig.mailbox.drain() == []
    for _ in range(2):
        rig.executor.acquire()
        tokens = [object(), object()]
        for token in tokens:
            rig.submit(WHO, tag=token)
        assert not rig.mailbox.wait(5)
        rig.executor.release()
        await_true(lambda: rig.executor.counters()["commits"] % 2 == 0)
        assert rig.mailbox.wait(int(PATIENCE_S * 1000))
        assert descriptor < 0 or readable(descriptor)
        assert [token for token, _ in rig.receive(2)] == tokens
        assert descriptor < 0 or not readable(descriptor)


def test_a_closed_mailbox_keeps_what_arrives(rig: Rig) -> None:
    rig.executor.acquire()
    rig.submit(WHO, tag="late")
    rig.mailbox.close()
    rig.mailbox.close()
    assert rig.mailbox.fileno() == -1
    rig.executor.release()
    assert [token for token, _ in rig.receive(1)] == ["late"]
