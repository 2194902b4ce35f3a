"""A process that commits what it is told to, for those who wait for it in another."""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

from lash_store import Database, Plan, Step

FIND: Final = "SELECT id FROM done WHERE id IN (SELECT value FROM json_each(?1))"
"""Which of the numbers in a JSON array have been committed."""
_TABLE: Final = "CREATE TABLE done (id INTEGER PRIMARY KEY)"
_COMMIT: Final = "INSERT INTO done VALUES (?1)"


def create_file(path: Path) -> None:
    """Make the database, without a number."""
    with Database.open(path) as database:
        database.run(Plan([Step(_TABLE)]))


def plan_commit(number: int) -> Plan:
    """The commit of a number."""
    return Plan([Step(_COMMIT, (number,))])


@contextmanager
def start_committer(path: Path) -> Iterator[Callable[[int], float]]:
    """Give a function that has the other process commit a number, and says when that was done.

    In seconds of time.monotonic, one clock for all processes. It raises EOFError or OSError if the process has ended.
    """
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_commit_what_is_asked, args=(path, theirs), daemon=True)
    process.start()
    theirs.close()  # so that its end is seen when it dies

    def commit(number: int) -> float:
        ours.send(number)
        return float(ours.recv())

    try:
        yield commit
    finally:
        ours.close()
        process.join()


def _commit_what_is_asked(path: Path, pipe: Connection) -> None:
    """The other side: number after number, until the pipe is closed."""
    with Database.open(path) as database:
        while True:
            try:
                number: int = pipe.recv()
            except EOFError:
                return
            database.run(plan_commit(number))
            pipe.send(time.monotonic())
