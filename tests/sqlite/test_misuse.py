"""A handle used where it must not be gives a typed error or a warning: never a hang, a crash or a wrong write."""

import asyncio
import gc
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import apsw
import pytest

from lash_store import (
    Commit,
    Database,
    Plan,
    SqliteConnection,
    Step,
    StoreClosed,
    StoreError,
    StoreReentered,
    StoreWrongLoop,
    Transaction,
)
from tests.programs.unclosed import ENDS
from tests.watchdog import LIMIT_S, Background, Program, await_true, bounded

PLAN = Plan([Step("INSERT INTO item VALUES (1)")])

BLOCKING: dict[str, Callable[[Database], object]] = {
    "run": lambda database: database.run(PLAN),
    "write": lambda database: database.write(lambda _: None),
    "write_flow": lambda database: database.write_flow(lambda _: Commit(None)),
    "call": lambda database: database.call(lambda _: None),
    "read": lambda database: database.read(lambda _: None),
    "stats": lambda database: database.stats(),
}
ASYNCHRONOUS: dict[str, Callable[[SqliteConnection], Awaitable[object]]] = {
    "run": lambda connection: connection.run(PLAN),
    "write": lambda connection: connection.write(lambda _: None),
    "write_flow": lambda connection: connection.write_flow(lambda _: Commit(None)),
    "call": lambda connection: connection.call(lambda _: None),
    "read": lambda connection: connection.read(lambda _: None),
}
TAKES_THE_WRITER = ["run", "write", "write_flow", "call"]


def count(connection: apsw.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM item").get)


def open_files(path: Path) -> list[str]:
    """Return the names of the database's files that this process has open; none where the system does not tell."""
    names = []
    for descriptor in Path("/proc/self/fd").glob("*"):
        with suppress(OSError):
            names.append(str(descriptor.readlink()))
    return [name for name in names if name.startswith(str(path))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Database.open(tmp_path / "store.db") as database:
        database.run(Plan([Step("CREATE TABLE item (a)")]))
    return tmp_path / "store.db"


# -- closed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", BLOCKING)
def test_a_closed_handle_refuses(verb: str, path: Path) -> None:
    for database in (Database.open(path), Database.open_readonly(path), Database.open_in_memory()):
        database.close()
        database.close()
        assert database.closed
        with pytest.raises(StoreClosed) as caught:
            bounded(partial(BLOCKING[verb], database))
        assert caught.value.path == database.path


@pytest.mark.parametrize("verb", ASYNCHRONOUS)
async def test_a_closed_connection_refuses(verb: str, path: Path) -> None:
    for connection in (await SqliteConnection.open(path), await SqliteConnection.open_readonly(path)):
        await connection.close()
        await connection.close()
        assert connection.closed
        with pytest.raises(StoreClosed):
            await asyncio.wait_for(ASYNCHRONOUS[verb](connection), LIMIT_S)
        with pytest.raises(StoreClosed):
            connection.stats()


async def test_closing_completes_and_answers_what_is_queued(path: Path) -> None:
    entered, gate = threading.Event(), threading.Event()

    def hold(transaction: Transaction) -> None:
        entered.set()
        assert gate.wait(LIMIT_S)

    connection = await SqliteConnection.open(path)
    holding = asyncio.ensure_future(connection.write(hold))
    await asyncio.to_thread(entered.wait, LIMIT_S)
    queued = [asyncio.ensure_future(connection.run(PLAN)) for _ in range(40)]
    queued_closures = [
        asyncio.ensure_future(connection.write(lambda t: len(t.execute("INSERT INTO item VALUES (2)"))))
        for _ in range(40)
    ]
    await asyncio.sleep(0)  # they are queued now
    closing = asyncio.ensure_future(connection.close())
    await asyncio.sleep(0)
    gate.set()
    async with asyncio.timeout(LIMIT_S):
        await asyncio.gather(holding, closing)
        assert [result.changes for result in await asyncio.gather(*queued)] == [1] * 40
        await asyncio.gather(*queued_closures)
    with Database.open(path) as database:
        assert database.read(count) == 80


def test_closing_completes_what_other_threads_have_queued(path: Path) -> None:
    entered, gate = threading.Event(), threading.Event()

    def hold(transaction: Transaction) -> None:
        entered.set()
        assert gate.wait(LIMIT_S)

    database = Database.open(path)
    holding = Background(lambda: database.write(hold))
    assert entered.wait(LIMIT_S)
    plans = [Background(lambda: database.run(PLAN)) for _ in range(8)]
    closures = [
        Background(lambda: database.write(lambda t: t.execute("INSERT INTO item VALUES (2)"))) for _ in range(8)
    ]
    await_true(lambda: database.stats().queued == 16)
    closing = Background(database.close)
    await_true(lambda: database.closed)
    gate.set()
    holding.result()
    closing.result()
    assert [plan.result().changes for plan in plans] == [1] * 8
    assert [closure.result() for closure in closures] == [[]] * 8
    with Database.open(path) as reopened:
        assert reopened.read(count) == 16


# -- within a closure of the same handle ------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", [*TAKES_THE_WRITER, "close"])
@pytest.mark.parametrize("outer", ["write", "write_flow", "call"])
def test_a_closure_that_asks_for_its_own_writer_is_refused(outer: str, inner: str, path: Path) -> None:
    with Database.open(path) as database:

        def again(_: object) -> Commit[None]:
            database.close() if inner == "close" else BLOCKING[inner](database)
            return Commit(None)

        verbs: dict[str, Callable[[], object]] = {
            "write": lambda: database.write(again),
            "write_flow": lambda: database.write_flow(again),
            "call": lambda: database.call(again),
        }
        with pytest.raises(StoreReentered) as caught:
            bounded(verbs[outer])
        assert caught.value.path == str(path)
        assert not database.closed
        database.run(PLAN)
        assert database.read(count) == 1


@pytest.mark.parametrize("inner", [*TAKES_THE_WRITER, "close"])
async def test_a_closure_on_the_worker_that_asks_for_its_own_writer_is_refused(inner: str, path: Path) -> None:
    async with await SqliteConnection.open(path) as connection, asyncio.timeout(LIMIT_S):
        database = connection._database
        with pytest.raises(StoreReentered):
            await connection.write(lambda _: database.close() if inner == "close" else BLOCKING[inner](database))
        assert not connection.closed
        await connection.run(PLAN)
        assert await connection.read(count) == 1


@pytest.mark.parametrize("inner", [*TAKES_THE_WRITER, "read"])
def test_a_closure_in_memory_that_asks_for_its_only_connection_is_refused(inner: str) -> None:
    with Database.open_in_memory() as database:
        again = partial(BLOCKING[inner], database)
        for outer in (database.read, database.write, database.call):
            with pytest.raises(StoreReentered):
                bounded(partial(outer, lambda _: again()))


def test_closing_within_a_read_is_refused(path: Path) -> None:
    with Database.open(path) as database:
        with pytest.raises(StoreReentered):
            bounded(lambda: database.read(lambda _: database.close()), limit_s=5)
        assert not database.closed
        assert database.read(count) == 0


def test_reads_within_reads_end_in_a_value_or_an_error_but_do_not_hang(path: Path) -> None:
    def nested(depth: int) -> int:
        return database.read(lambda connection: nested(depth - 1) if depth else count(connection))

    with Database.open(path) as database:
        assert bounded(lambda: nested(3), limit_s=5) == 0
        try:
            assert bounded(lambda: nested(8), limit_s=5) == 0
        except StoreError:
            assert database.read(count) == 0


def test_a_read_within_a_write_sees_what_was_committed_before(path: Path) -> None:
    def write(transaction: Transaction) -> int:
        transaction.execute("INSERT INTO item VALUES (1)")
        return database.read(count)

    with Database.open(path) as database:
        assert bounded(lambda: database.write(write)) == 0
        assert bounded(lambda: database.read(lambda _: database.write(write))) == 1
        assert database.read(count) == 2


# -- another event loop -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [*ASYNCHRONOUS, "close", "async with"])
def test_a_second_event_loop_is_refused(verb: str, path: Path) -> None:
    async def use() -> None:
        if verb == "close":
            await connection.close()
        elif verb == "async with":
            async with connection:
                pass
        else:
            await ASYNCHRONOUS[verb](connection)

    with asyncio.Runner() as first:
        connection = first.run(SqliteConnection.open(path))
        with asyncio.Runner() as second, pytest.raises(StoreWrongLoop) as caught:
            second.run(asyncio.wait_for(use(), LIMIT_S))
        assert caught.value.path == str(path)
        first.run(connection.run(PLAN))
        assert first.run(connection.read(count)) == 1
        first.run(connection.close())


# -- dropped ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opening", [Database.open, Database.open_readonly])
def test_a_handle_dropped_unclosed_warns_and_closes(opening: Callable[[Path], Database], path: Path) -> None:
    database = opening(path)
    database.read(count)
    with pytest.warns(ResourceWarning, match="never closed"):
        del database
    assert open_files(path) == []
    with Database.open(path) as again:
        again.run(PLAN)


async def test_a_connection_dropped_unclosed_warns_once_and_closes(path: Path) -> None:
    connection = await SqliteConnection.open(path)
    await connection.run(PLAN)
    with pytest.warns(ResourceWarning, match="never closed") as caught:
        del connection
    assert len(caught) == 1
    caught.clear()  # a warning holds what it is about
    await asyncio.to_thread(await_true, lambda: gc.collect() >= 0 and open_files(path) == [])
    async with await SqliteConnection.open(path) as again:
        assert await again.read(count) == 1


async def test_an_error_kept_beyond_the_close_is_harmless(path: Path) -> None:
    errors: list[BaseException] = []
    for _ in range(20):
        async with await SqliteConnection.open(path) as connection:
            for number in range(20):
                with pytest.raises(StoreError) as caught:
                    await connection.run(Plan([Step(f"INSERT INTO nowhere VALUES ({number})")]))
                errors.append(caught.value)
        gc.collect()
    assert all(error.__traceback__ is not None for error in errors)
    errors.clear()
    gc.collect()


@pytest.mark.parametrize("end", ENDS)
def test_the_interpreter_ends_with_a_handle_open(end: str, path: Path) -> None:
    with Program("unclosed", path, end, warnings="default") as program:
        assert program.hear() == "ending"
        complaints = program.end(limit_s=20)
    assert "ResourceWarning" in complaints
    assert "Fatal" not in complaints
    assert "Traceback" not in complaints
    with bounded(lambda: Database.open(path)) as database:
        database.run(PLAN)
        assert database.call(lambda connection: connection.pragma("integrity_check")) == "ok"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Have SIGINT raise KeyboardInterrupt, also where a shell has started all this in the background, deaf to it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_while_waiting_for_the_writer_leaves_it_usable(path: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    def occupy(_: Transaction) -> None:
        entered.set()
        assert leave.wait(LIMIT_S)

    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)
        leave.set()

    with Database.open(path) as database:
        holder = Background(lambda: database.write(occupy))
        assert entered.wait(LIMIT_S)
        # The signal comes while this thread waits in C; Python acts on it when the call ends.
        timer = threading.Timer(0.05, interrupt)
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            database.write(lambda _: None)
        timer.join()
        holder.result()
        assert bounded(lambda: database.write(lambda transaction: transaction.execute("SELECT 1"))) == [(1,)]
