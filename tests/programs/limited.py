"""Writes groups of plans and closures while the system refuses to let the log grow, and says what became of each.

Arguments: the path, "tasks" or "threads", and how many bytes the log may still grow. The files' size limit of the
process (RLIMIT_FSIZE, with its signal ignored) makes writes fail in the middle of a page. Out: "ok N" or "failed N" for
each number written, then "end".
"""

import asyncio
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lash_store import Database, Plan, SqliteConnection, Step, StoreError, Transaction

INSERT = "INSERT INTO number VALUES (?, randomblob(600))"
MEMBERS = 40


def say(outcome: str, number: int) -> None:
    os.write(sys.stdout.fileno(), f"{outcome} {number}\n".encode())


@contextmanager
def size_limit(log: str, growth: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(log).stat().st_size + growth, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def write_in_tasks(path: str, growth: int) -> None:
    async with await SqliteConnection.open(path) as connection:

        async def write(number: int) -> None:
            def insert(transaction: Transaction) -> None:
                transaction.execute(INSERT, (number,))

            try:
                if number % 4 == 0:
                    await connection.write(insert)
                else:
                    await connection.run(Plan([Step(INSERT, (number,))]))
            except StoreError:
                say("failed", number)
            else:
                say("ok", number)

        await write(0)
        with size_limit(path + "-wal", growth):
            await asyncio.gather(*(write(number) for number in range(1, MEMBERS)))
        await write(MEMBERS)


def write_in_threads(path: str, growth: int) -> None:
    with Database.open(path) as database:

        def write(number: int) -> None:
            try:
                database.run(Plan([Step(INSERT, (number,))]))
            except StoreError:
                say("failed", number)
            else:
                say("ok", number)

        write(0)
        with size_limit(path + "-wal", growth):
            threads = [threading.Thread(target=write, args=(number,)) for number in range(1, MEMBERS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        write(MEMBERS)


def main() -> None:
    path, way, growth = sys.argv[1:]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if way == "tasks":
        asyncio.run(write_in_tasks(path, int(growth)))
    else:
        write_in_threads(path, int(growth))
    print("end", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
