"""What a closure does to the writer's connection, and threads that cannot be started: nobody else suffers by it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_store import Database, Plan, SqliteConnection, Step, StoreBackend, StoreBusy, StoreClosed, StoreMisuse
from lash_store.sqlite.closures import WriteCall

PATIENCE_S = 20.0
CREATE = Plan([Step("CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b)")])
INSERT = Plan([Step("INSERT INTO t(b) VALUES (1)")])
LONG = Plan([Step("REPLACE INTO t VALUES (1, zeroblob(8000000))")])  # more log than a checkpoint waits for


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "x.db", busy_timeout_ms=5000) as opened:
        opened.run(CREATE)
        yield opened


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def without_log(during: Callable[[], object]) -> Callable[[apsw.Connection], None]:
    """A closure that leaves WAL mode, as a change of the page size must, and comes back to it after `during`."""

    def closure(connection: apsw.Connection) -> None:
        assert connection.pragma("journal_mode", "delete") == "delete"
        during()
        assert connection.pragma("journal_mode", "wal") == "wal"

    return closure


def test_statistics_can_be_asked_for_while_a_closure_has_ended_wal_mode(
    database: Database, threads: ThreadPoolExecutor
) -> None:
    asked = []
    database.call(without_log(lambda: asked.append(threads.submit(database.stats).result(PATIENCE_S))))
    assert asked[0].wal_pages >= 0
    database.run(INSERT)
    assert database.stats().wal_pages > 0


def test_a_closure_that_has_ended_wal_mode_can_wait_for_a_lock(database: Database, threads: ThreadPoolExecutor) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        other = apsw.Connection(database.path)
        other.execute("BEGIN IMMEDIATE")
        held.set()
        assert release.wait(PATIENCE_S)
        other.execute("ROLLBACK")
        other.close()

    def closure(connection: apsw.Connection) -> None:
        connection.pragma("journal_mode", "delete")
        holding = threads.submit(hold)
        assert held.wait(PATIENCE_S)
        threading.Timer(0.05, release.set).start()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
        holding.result(PATIENCE_S)
        connection.pragma("journal_mode", "wal")

    database.call(closure)
    database.run(INSERT)


def fail() -> bool:
    raise ZeroDivisionError("the hook's own")


async def test_a_hook_that_raises_fails_its_writes_and_nothing_after_them(tmp_path: Path) -> None:
    async with await SqliteConnection.open(tmp_path / "x.db") as connection:
        await connection.run(CREATE)
        await connection.call(lambda raw: raw.set_commit_hook(fail))
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await connection.write(lambda tx: tx.execute("INSERT INTO t(b) VALUES (1)"))
        await connection.call(lambda raw: raw.set_commit_hook(None))
        await connection.run(INSERT)
        assert await connection.read(lambda raw: raw.execute("SELECT count(*) FROM t").fetchall()) == [(1,)]


def close(connection: apsw.Connection) -> None:
    connection.close()


def test_a_closure_that_closes_the_connection_ends_the_handle(database: Database) -> None:
    with pytest.raises(StoreMisuse):
        database.call(close)
    with pytest.raises(StoreClosed):
        database.run(INSERT)
    database.close()
    with Database.open(database.path) as again:
        again.run(INSERT)


async def test_the_same_is_no_hang_for_tasks(tmp_path: Path) -> None:
    connection = await SqliteConnection.open(tmp_path / "x.db")
    await connection.run(CREATE)
    with pytest.raises(StoreMisuse):
        await connection.call(close)
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(StoreClosed):
            await connection.run(INSERT)
        await connection.close()


class Starts:
    """`threading.Thread.start`, which refuses checkpointers, or is interrupted by Ctrl-C once they are on their way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: BaseException, *, on_its_way: bool) -> None:
        self.real = threading.Thread.start
        self.error: BaseException | None = error
        self.on_its_way = on_its_way
        monkeypatch.setattr(threading.Thread, "start", lambda thread: self.start(thread))  # noqa: PLW0108  bound anew

    def start(self, thread: threading.Thread) -> None:
        error = self.error if thread.name.startswith("lash_store checkpointer") else None
        if error is None or self.on_its_way:
            self.real(thread)
        if error is not None:
            self.error = None
            raise error


def test_a_thread_that_cannot_be_started_is_asked_for_again_and_hinders_no_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Database.open(tmp_path / "x.db") as database:
        database.run(CREATE)
        starts = Starts(monkeypatch, RuntimeError("can't start new thread"), on_its_way=False)
        database.run(LONG)
        assert database.stats().checkpoint_errors == 1
        starts.error = RuntimeError("can't start new thread")
        database.run(LONG)
        assert database.stats().checkpoint_errors == 2
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


def test_an_interrupt_while_the_checkpointer_starts_is_the_callers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Database.open(tmp_path / "x.db") as database:
        database.run(CREATE)
        Starts(monkeypatch, KeyboardInterrupt(), on_its_way=True)
        with pytest.raises(KeyboardInterrupt):
            database.run(LONG)
        database.run(LONG)
        running = [thread for thread in threading.enumerate() if thread.name.startswith("lash_store checkpointer")]
        assert len(running) == 1


def test_a_checkpointer_that_could_not_open_the_file_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lash_store.sqlite.writer._RETRY_S", 0.0)
    refused: list[str] = []

    def refuse(path: str) -> apsw.Connection:
        refused.append(path)
        raise OSError("too many open files")

    with Database.open(tmp_path / "x.db") as database:
        database.run(CREATE)
        with monkeypatch.context() as patched:
            patched.setattr("lash_store.sqlite.writer.open_helper", refuse)
            ends = threading.Event()
            while not refused:
                database.run(LONG)
                ends.wait(0.001)
        while database.stats().checkpoints == 0:
            database.run(LONG)
            ends.wait(0.001)
        assert database.stats().checkpoint_errors >= 1


def test_closures_wait_each_for_their_own_time(tmp_path: Path, threads: ThreadPoolExecutor) -> None:
    """One that comes late is not given up together with one that came early."""
    path = tmp_path / "x.db"
    with Database.open(path, busy_timeout_ms=1500) as database:
        database.run(CREATE)
        other = apsw.Connection(str(path))
        other.execute("BEGIN IMMEDIATE")
        results: list[Any] = []
        group = [_write(results) for _ in range(2)]
        early = group[0]
        early.asked_s -= 1.4  # it has nearly waited its time
        writing = threads.submit(_run_together, database, group)
        while not early.done:
            threading.Event().wait(0.01)
        other.execute("ROLLBACK")
        writing.result(PATIENCE_S)
        assert isinstance(early.error, StoreBusy)
        assert group[1].error is None
        assert results == [1]
        other.close()


def _write(results: list[Any]) -> WriteCall:
    return WriteCall(lambda tx: results.append(len(tx.execute("SELECT 1"))), flow=False)


def _run_together(database: Database, calls: list[WriteCall]) -> None:
    writer = database._writer
    assert writer is not None
    writer.executor.hold(lambda: writer._closures.run(calls))


async def test_a_python_function_that_raises_fails_its_plan_and_no_later_one(tmp_path: Path) -> None:
    class Clock:
        broken = True

        def now_ms(self) -> int:
            return 1 // (not self.broken)

    clock = Clock()
    timed = Plan([Step("INSERT INTO t(b) VALUES (lash_now_ms())")])
    async with await SqliteConnection.open(tmp_path / "x.db", clock=clock) as connection:
        await connection.run(CREATE)
        for _ in range(3):
            clock.broken = True
            with pytest.raises(StoreBackend):
                await connection.run(timed)
            clock.broken = False
            await connection.run(timed)
