"""apsw: a blocking connection, and a one-thread executor for asyncio."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import apsw

from bench import workload
from bench.drivers.executor import in_one_thread
from bench.drivers.protocol import Adapter, Versions


def apsw_versions() -> Versions:
    """The version of apsw and that of the SQLite inside it."""
    return Versions(f"apsw {apsw.apsw_version()}", apsw.sqlite_lib_version())


def prepare(db: apsw.Connection, durability: workload.Durability) -> None:
    """Set a fresh connection up like those of the other drivers."""
    db.set_busy_timeout(workload.BUSY_TIMEOUT_MS)
    for pragma in workload.connection_pragmas(durability):
        db.execute(pragma).fetchall()


def read_pragma(db: apsw.Connection, name: str) -> str:
    """The value of a pragma on this connection."""
    return str(db.execute(f"PRAGMA {name}").fetchall()[0][0])


class ApswWriter:
    """One apsw connection."""

    def __init__(self, db: apsw.Connection) -> None:
        self._db = db

    def commit(self, node_id: str, node_json: str) -> None:
        """Run the one transaction."""
        workload.run_transaction(self._db, node_id, node_json)

    def pragma(self, name: str) -> str:
        """The value of a pragma on this connection."""
        return read_pragma(self._db, name)


@contextmanager
def open_apsw(path: str, durability: workload.Durability) -> Iterator[ApswWriter]:
    """A connection that is closed when the block ends."""
    db = apsw.Connection(path)
    try:
        prepare(db, durability)
        yield ApswWriter(db)
    finally:
        db.close()


ADAPTER = Adapter(
    versions=apsw_versions,
    open_async=partial(in_one_thread, open_apsw),
    open_blocking=open_apsw,
)
