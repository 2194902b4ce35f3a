"""A child that inherits a handle is refused; it harms nothing of its parent's, and may open the database for itself."""

import asyncio
import gc
import multiprocessing
import os
import select
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import apsw
import pytest

from lash_store import Commit, Database, Plan, SqliteConnection, Step, StoreForked, Transaction
from tests.watchdog import LIMIT_S, Background, Program, bounded

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")

PLAN = Plan([Step("INSERT INTO item VALUES (1)")])

VERBS: dict[str, Callable[[Database], object]] = {
    "run": lambda database: database.run(PLAN),
    "write": lambda database: database.write(lambda _: None),
    "write_flow": lambda database: database.write_flow(lambda _: Commit(None)),
    "call": lambda database: database.call(lambda _: None),
    "read": lambda database: database.read(lambda _: None),
    "stats": lambda database: database.stats(),
    "close": lambda database: database.close(),
}
ASYNCHRONOUS: dict[str, Callable[[SqliteConnection], object]] = {
    "run": lambda connection: asyncio.run(connection.run(PLAN)),
    "write": lambda connection: asyncio.run(connection.write(lambda _: None)),
    "write_flow": lambda connection: asyncio.run(connection.write_flow(lambda _: Commit(None))),
    "call": lambda connection: asyncio.run(connection.call(lambda _: None)),
    "read": lambda connection: asyncio.run(connection.read(lambda _: None)),
    "stats": lambda connection: connection.stats(),
    "close": lambda connection: asyncio.run(connection.close()),
}


def count(connection: apsw.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM item").get)


@contextmanager
def threads_known() -> Iterator[None]:
    """Python 3.12 and later warn about a fork beside threads; that is what is tested here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        yield


def _be_child(act: Callable[[], object], answers: int) -> NoReturn:
    try:
        signal.alarm(int(LIMIT_S))
        os.write(answers, repr(act()).encode())
    except BaseException:  # noqa: BLE001  a child must not come back into the test run
        os.write(answers, traceback.format_exc().encode())
    finally:
        os._exit(0)


class Child:
    """A forked child that does one thing and is gone; its answer is the repr of the value, or a traceback."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._reading, writing = os.pipe()
        with threads_known():
            self.pid = os.fork()
        if self.pid == 0:
            _be_child(act, writing)
        os.close(writing)

    def answer(self) -> str:
        """Wait for the child's end and return what it said."""
        said = b""
        while True:
            ready, _, _ = select.select([self._reading], [], [], LIMIT_S)
            if not ready:
                os.kill(self.pid, signal.SIGKILL)
            piece = os.read(self._reading, 65536)
            if not piece:
                break
            said += piece
        os.close(self._reading)
        os.waitpid(self.pid, 0)
        assert said, "the child hung or crashed"
        return said.decode()


def refusals(verbs: dict[str, Callable[[Database], object]], database: Database) -> dict[str, str]:
    """Return, for each verb, the name of the error it raises here."""
    errors = {}
    for name, verb in verbs.items():
        try:
            verb(database)
            errors[name] = "nothing"
        except Exception as error:  # noqa: BLE001  which one it is, is the question
            errors[name] = type(error).__name__
    return errors


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Database.open(tmp_path / "store.db") as database:
        database.run(Plan([Step("CREATE TABLE item (a)")]))
    return tmp_path / "store.db"


def check(path: Path, rows: int) -> None:
    with bounded(lambda: Database.open(path)) as database:
        assert database.call(lambda connection: connection.pragma("integrity_check")) == "ok"
        assert database.read(count) == rows


@pytest.mark.parametrize("opening", ["open", "open_readonly", "open_in_memory"])
def test_every_verb_of_an_inherited_handle_raises_store_forked(opening: str, path: Path) -> None:
    database = Database.open_in_memory() if opening == "open_in_memory" else getattr(Database, opening)(path)
    with database:
        database.read(lambda _: None)
        assert Child(lambda: refusals(VERBS, database)).answer() == repr(dict.fromkeys(VERBS, "StoreForked"))
        database.read(lambda _: None)


@pytest.mark.parametrize("verb", ASYNCHRONOUS)
async def test_every_verb_of_an_inherited_connection_raises_store_forked(verb: str, path: Path) -> None:
    async with await SqliteConnection.open(path) as connection, asyncio.timeout(LIMIT_S):
        await connection.run(PLAN)

        def act() -> object:
            asyncio.events._set_running_loop(None)
            try:
                return ASYNCHRONOUS[verb](connection)
            except Exception as error:  # noqa: BLE001  which one it is, is the question
                return type(error).__name__

        assert await asyncio.to_thread(Child(act).answer) == repr(StoreForked.__name__)
        await connection.run(PLAN)
        assert await connection.read(count) == 2


def test_a_fork_in_the_middle_of_writes_leaves_nobody_hanging(path: Path) -> None:
    stop = threading.Event()

    def write() -> int:
        written = 0
        while not stop.is_set():
            database.run(PLAN)
            database.write(lambda transaction: transaction.execute("INSERT INTO item VALUES (2)"))
            written += 2
        return written

    with Database.open(path) as database:
        writers = [Background(write) for _ in range(3)]
        for _ in range(20):
            assert Child(lambda: refusals(VERBS, database)).answer() == repr(dict.fromkeys(VERBS, "StoreForked"))
        stop.set()
        written = [writer.result() for writer in writers]
        assert min(written) > 0
        assert database.read(count) == sum(written)
    check(path, sum(written))


def test_a_child_that_drops_the_handle_closes_nothing_of_its_parents(path: Path) -> None:
    held = [Database.open(path)]
    held[0].run(PLAN)

    def drop() -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            held.clear()
            gc.collect()
        return 0

    log = path.with_name("store.db-wal")
    before = log.stat()
    assert Child(drop).answer() == "0"
    assert (log.stat().st_ino, log.stat().st_size) == (before.st_ino, before.st_size)
    with Program("stranger", path) as stranger:
        assert stranger.ask("INSERT INTO item VALUES (2)") == "done"
    held[0].run(PLAN)
    assert held[0].read(count) == 3
    held[0].close()
    check(path, 3)


def test_a_child_that_ends_like_a_program_harms_nothing(path: Path) -> None:
    with Program("forker", path) as forker:
        assert forker.hear() == "done"
        assert path.with_name("store.db-wal").exists()
        with Database.open(path) as database:
            assert database.read(count) == 2
        assert forker.end() == ""
    check(path, 2)


def _use_and_reopen(inherited: Database, elsewhere: Path, answers: "multiprocessing.connection.Connection") -> None:
    said = refusals(VERBS, inherited)
    for reopen in (Database.open, Database.open_readonly):
        try:
            reopen(inherited.path)
        except StoreForked as error:
            said[reopen.__name__] = type(error).__name__
    with Database.open(elsewhere) as own:
        own.run(PLAN)
        answers.send((said, own.read(count)))


def test_a_child_of_multiprocessing_is_refused_the_file_and_can_open_others(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    elsewhere = path.with_name("other.db")
    with Database.open(elsewhere) as other:
        other.run(Plan([Step("CREATE TABLE item (a)")]))
    with Database.open(path) as database:
        database.run(PLAN)
        receiving, sending = context.Pipe(duplex=False)
        with receiving, sending:
            child = context.Process(target=_use_and_reopen, args=(database, elsewhere, sending))
            with threads_known():
                child.start()
            assert receiving.poll(LIMIT_S)
            refused = dict.fromkeys([*VERBS, "open", "open_readonly"], "StoreForked")
            assert receiving.recv() == (refused, 1)
            child.join(LIMIT_S)
            assert child.exitcode == 0
            child.close()
        database.run(PLAN)
        assert database.read(count) == 2
    check(path, 2)


def test_a_child_opens_for_itself_what_its_parent_had_closed_before(path: Path) -> None:
    def child() -> int:
        with Database.open(path) as own:
            for _ in range(300):
                own.write(lambda transaction: transaction.execute("UPDATE item SET a = a + 1"))
        return 0

    with Database.open(path) as database:
        database.run(PLAN)
    children = [Child(child) for _ in range(3)]
    with Database.open(path) as database:
        for _ in range(300):
            database.write(lambda transaction: transaction.execute("UPDATE item SET a = a + 1"))
        assert [forked.answer() for forked in children] == ["0"] * 3
        assert database.read(lambda connection: connection.execute("SELECT a FROM item").get) == 1201
    check(path, 1)


@pytest.mark.parametrize("name", ["store.db", "./store.db", "file:{path}", "file:{path}?cache=private"])
def test_a_child_is_refused_the_file_by_whatever_name_it_was_opened(
    name: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def child() -> str:
        with pytest.raises(StoreForked):
            Database.open(path)
        return "refused"

    monkeypatch.chdir(path.parent)
    with Database.open(name.format(path=path)) as database:
        database.run(PLAN)
        monkeypatch.chdir("/")
        assert Child(child).answer() == repr("refused")
        database.run(PLAN)
    check(path, 2)


def test_a_closure_that_forks_commits_nothing_in_the_child(path: Path) -> None:
    def fork_within(transaction: Transaction) -> int:
        transaction.execute("INSERT INTO item VALUES (9)")
        with threads_known():
            return os.fork()

    with Database.open(path) as database:
        database.run(PLAN)
        reading, writing = os.pipe()
        try:
            child = database.write(fork_within)
        except BaseException as error:  # noqa: BLE001  only in the child, which must not run on
            os.write(writing, type(error).__name__.encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reading, 100) == b"StoreForked"
        os.close(reading)
        os.close(writing)
        database.run(PLAN)
        assert database.read(count) == 3
    check(path, 3)
