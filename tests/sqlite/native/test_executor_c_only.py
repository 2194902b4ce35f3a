"""What only the C implementation can do: write while the interpreter is held by somebody else."""

import contextlib
import ctypes
import sys
import time
from collections.abc import Callable, Iterator

from tests.sqlite.native.rig import DONE, PATIENCE_S, Rig, await_true, insert


@contextlib.contextmanager
def no_other_thread() -> Iterator[None]:
    """Nobody else gets the interpreter in this block, unless it gives it away itself."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(10 * PATIENCE_S)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def hold_the_interpreter(until: Callable[[], bool]) -> None:
    """Sleep without giving the GIL away, as a long computation in an extension module would, `until` it is true.

    What is asked must not give it away either.
    """
    sleep = ctypes.PyDLL(None).usleep
    gives_up = time.monotonic() + PATIENCE_S
    while not until() and time.monotonic() < gives_up:
        sleep(10_000)


def test_plans_are_committed_while_the_interpreter_is_held(rig: Rig) -> None:
    rig.submit(insert(0))
    rig.receive(1)  # the worker is there, and waits for work
    with no_other_thread():
        for number in range(1, 65):
            rig.submit(insert(number), tag=number)
        hold_the_interpreter(lambda: rig.executor.counters()["commits"] == 65)
        committed = rig.executor.counters()["commits"]
    assert committed == 65
    assert [outcome[0] for _, outcome in rig.receive(64)] == [DONE] * 64
    assert rig.column() == list(range(65))


def test_a_checkpoint_is_made_while_the_interpreter_is_held(rig: Rig) -> None:
    page = b"x" * 4000
    rig.executor.run([insert(b"%d" % n + page) for n in range(1100)])
    await_true(lambda: rig.executor.counters()["wal_pages_pending"] == 0)  # the checkpointer is there
    before = rig.executor.counters()["checkpoints"]
    with no_other_thread():
        for n in range(1100, 2200):
            rig.submit(insert(b"%d" % n + page))
        hold_the_interpreter(lambda: rig.executor.counters()["checkpoints"] > before)
        after = rig.executor.counters()["checkpoints"]
    assert after > before
    rig.receive(1100)
