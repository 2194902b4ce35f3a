"""Ends with a database still open, in the way that the second argument names. The first is the path.

Out: "ending", when the main thread has nothing left to do.
"""

import asyncio
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import apsw

from lash_store import Database, Plan, SqliteConnection, Step, StoreClosed

LONG = Plan(
    [
        Step(
            "INSERT INTO item WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000)"
            " SELECT count(*) FROM n"
        )
    ]
)
SHORT = Plan([Step("INSERT INTO item VALUES (1)")])

kept: list[object] = []


def hang(entered: threading.Event) -> None:
    entered.set()
    threading.Event().wait()


def idle_handle(path: str) -> None:
    database = Database.open(path)
    database.run(SHORT)
    kept.append(database)


def idle_worker(path: str) -> None:
    async def work() -> None:
        connection = await SqliteConnection.open(path)
        await connection.run(SHORT)
        kept.append(connection)

    asyncio.run(work())


def closure_in_thread(path: str) -> None:
    database, entered = Database.open(path), threading.Event()
    threading.Thread(target=lambda: database.write(lambda _: hang(entered)), daemon=True).start()
    entered.wait()
    kept.append(database)


def closure_on_worker(path: str) -> None:
    async def work() -> None:
        connection, entered = await SqliteConnection.open(path), threading.Event()
        writing = asyncio.ensure_future(connection.write(lambda _: hang(entered)))
        await asyncio.to_thread(entered.wait)
        kept.extend([connection, writing])

    loop = asyncio.new_event_loop()  # not asyncio.run, which would wait for the task
    loop.run_until_complete(work())
    kept.append(loop)


def read_in_thread(path: str) -> None:
    database, entered = Database.open(path), threading.Event()
    threading.Thread(target=lambda: database.read(lambda _: hang(entered)), daemon=True).start()
    entered.wait()
    kept.append(database)


def plan_in(path: str, start: Callable[[Callable[[], object]], object]) -> None:
    database, entered = Database.open(path), threading.Event()

    def note(*_: object) -> None:
        entered.set()

    def register(connection: apsw.Connection) -> None:
        connection.create_scalar_function("note", note, 0)

    database.call(register)
    start(lambda: database.run(Plan([Step("SELECT note()"), *LONG.steps])))
    entered.wait()
    kept.append(database)


def plan_in_thread(path: str) -> None:
    plan_in(path, lambda run: threading.Thread(target=run, daemon=True).start())


def plan_in_executor(path: str) -> None:
    executor = ThreadPoolExecutor(1)
    kept.append(executor)
    plan_in(path, executor.submit)


def queue_behind_closure(path: str) -> None:
    closure_in_thread(path)
    [database] = kept
    assert isinstance(database, Database)

    def wait_in_line() -> None:
        with suppress(StoreClosed):
            database.run(SHORT)

    for _ in range(4):
        threading.Thread(target=wait_in_line, daemon=True).start()
    while database.stats().queued < 4:
        threading.Event().wait(0.001)


ENDS: dict[str, Callable[[str], None]] = {
    "idle handle": idle_handle,
    "idle worker": idle_worker,
    "closure in a thread": closure_in_thread,
    "closure on the worker": closure_on_worker,
    "read in a thread": read_in_thread,
    "plan in a daemon thread": plan_in_thread,
    "plan in an executor's thread": plan_in_executor,
    "queue behind a closure": queue_behind_closure,
}


def main() -> None:
    path, end = sys.argv[1:]
    with Database.open(path) as database:
        database.run(Plan([Step("CREATE TABLE IF NOT EXISTS item (a)")]))
    ENDS[end](path)
    print("ending", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
