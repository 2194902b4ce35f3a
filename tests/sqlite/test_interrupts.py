"""Ctrl-C is the caller's, soon, and leaves the handle as it should be."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import apsw
import pytest

from lash_store import Database, Plan, Step

PATIENCE_S = 20.0
CREATE = Plan([Step("CREATE TABLE t(a)")])
INSERT = Plan([Step("INSERT INTO t VALUES (1)")])
COUNT = "SELECT count(*) FROM t"

pytestmark = [
    pytest.mark.usefixtures("interruptible"),
    pytest.mark.skipif(sys.platform == "win32", reason="signals of threads are POSIX"),
]


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Have SIGINT raise KeyboardInterrupt, also where a shell has started all this in the background, deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


class Occupied:
    """What another thread does until it is told to leave."""

    def __init__(self) -> None:
        self.entered, self.leave = threading.Event(), threading.Event()

    def __call__(self, connection: apsw.Connection) -> None:
        connection.execute(COUNT).fetchall()
        self.entered.set()
        assert self.leave.wait(PATIENCE_S)


def press_soon() -> None:
    """The system hands Ctrl-C to the main thread; what waits there is woken by it."""
    main = threading.main_thread().ident
    threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()


def rows(database: Database) -> int:
    return len(database.read(lambda connection: connection.execute("SELECT a FROM t").fetchall()))


VERBS: dict[str, Callable[[Database], object]] = {
    "run": lambda database: database.run(INSERT),
    "write": lambda database: database.write(lambda tx: tx.execute("INSERT INTO t VALUES (1)")),
}


@pytest.mark.parametrize("verb", VERBS)
def test_who_waits_behind_a_long_closure_leaves_the_queue(
    tmp_path: Path, threads: ThreadPoolExecutor, verb: str
) -> None:
    occupied = Occupied()
    with Database.open(tmp_path / "x.db") as database:
        database.run(CREATE)
        holding = threads.submit(database.call, occupied)
        assert occupied.entered.wait(PATIENCE_S)
        press_soon()
        with pytest.raises(KeyboardInterrupt):
            VERBS[verb](database)
        assert not holding.done()
        occupied.leave.set()
        holding.result(PATIENCE_S)
        assert rows(database) == 0
        database.run(INSERT)
        assert rows(database) == 1


def test_in_a_python_function_that_sql_calls(tmp_path: Path) -> None:
    class Clock:
        interrupted = True

        def now_ms(self) -> int:
            if self.interrupted:
                raise KeyboardInterrupt
            return 5

    clock = Clock()
    timed = Plan([Step("INSERT INTO t VALUES (lash_now_ms())")])
    with Database.open(tmp_path / "x.db", clock=clock) as database:
        database.run(CREATE)
        with pytest.raises(KeyboardInterrupt):
            database.run(timed)
        clock.interrupted = False
        database.run(timed)
        assert rows(database) == 1


def test_a_close_that_was_interrupted_can_be_gone_on_with(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    occupied = Occupied()
    database = Database.open(tmp_path / "x.db")
    database.run(CREATE)
    reading = threads.submit(database.read, occupied)
    assert occupied.entered.wait(PATIENCE_S)
    press_soon()
    with pytest.raises(KeyboardInterrupt):
        database.close()
    assert (tmp_path / "x.db-wal").exists()
    occupied.leave.set()
    reading.result(PATIENCE_S)
    database.close()
    database.close()
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


@pytest.mark.parametrize("function", ["_take", "snapshot"])
def test_at_the_beginning_of_a_read(tmp_path: Path, function: str) -> None:
    """When a reader was just taken out of the pool, and when the one of a memory database was just made read-only."""
    database = Database.open_in_memory() if function == "snapshot" else Database.open(tmp_path / "x.db")
    with database:
        database.run(CREATE)
        sys.settrace(_InterruptIn(function, event="return" if function == "_take" else "line"))
        try:
            with pytest.raises(KeyboardInterrupt):
                rows(database)
        finally:
            sys.settrace(None)
        assert rows(database) == 0
        database.run(INSERT)
        assert rows(database) == 1


class _InterruptIn:
    """A trace function that raises KeyboardInterrupt in a function of this package, as a signal handler would."""

    def __init__(self, function: str, event: str) -> None:
        self.function = function
        self.event = event

    def __call__(self, frame: FrameType, event: str, _: object) -> "_InterruptIn | None":
        if frame.f_code.co_name != self.function:
            return None
        # The second statement of `snapshot`: the pragma was set by the first.
        if event == self.event and (event == "return" or frame.f_lineno == frame.f_code.co_firstlineno + 3):
            raise KeyboardInterrupt
        return self
