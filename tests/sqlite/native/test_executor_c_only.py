"""What only the C implementation can do: write while the interpreter is held by somebody else."""

import ctypes
import sys

from tests.sqlite.native.rig import DONE, Rig, await_true, insert

HELD_US = 300_000


def hold_the_interpreter() -> None:
    """Sleep without giving the GIL away, as a long computation in an extension module would."""
    sleep = ctypes.PyDLL(None).usleep
    sleep(HELD_US)


def test_plans_are_committed_while_the_interpreter_is_held(rig: Rig) -> None:
    rig.submit(insert(0))
    rig.receive(1)  # the worker is there, and waits for work
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)  # nobody else gets the interpreter between the next lines
    try:
        for number in range(1, 65):
            rig.submit(insert(number), tag=number)
        hold_the_interpreter()
        committed = rig.executor.counters()["commits"]
    finally:
        sys.setswitchinterval(interval)
    assert committed == 65
    assert [outcome[0] for _, outcome in rig.receive(64)] == [DONE] * 64
    assert rig.column() == list(range(65))


def test_a_checkpoint_is_made_while_the_interpreter_is_held(rig: Rig) -> None:
    page = b"x" * 4000
    rig.executor.run([insert(b"%d" % n + page) for n in range(1100)])
    await_true(lambda: rig.executor.counters()["wal_pages_pending"] == 0)  # the checkpointer is there
    before = rig.executor.counters()["checkpoints"]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        for n in range(1100, 2200):
            rig.submit(insert(b"%d" % n + page))
        hold_the_interpreter()
        after = rig.executor.counters()["checkpoints"]
    finally:
        sys.setswitchinterval(interval)
    assert after > before
    rig.receive(1100)
