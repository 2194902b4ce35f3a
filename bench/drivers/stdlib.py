"""sqlite3 of the standard library: a blocking connection, and a one-thread executor for asyncio."""

import platform
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from bench import workload
from bench.drivers.executor import in_one_thread
from bench.drivers.protocol import Adapter, Versions


class StdlibWriter:
    """A connection in autocommit mode, so that BEGIN IMMEDIATE is ours to say."""

    def __init__(self, path: str, durability: workload.Durability) -> None:
        self._db = sqlite3.connect(path, timeout=workload.BUSY_TIMEOUT_MS / 1000, isolation_level=None)
        for pragma in workload.connection_pragmas(durability):
            self._db.execute(pragma).fetchall()

    def commit(self, node_id: str, node_json: str) -> None:
        """Run the one transaction."""
        workload.run_transaction(self._db, node_id, node_json)

    def pragma(self, name: str) -> str:
        """The value of a pragma on this connection."""
        return str(self._db.execute(f"PRAGMA {name}").fetchone()[0])

    def close(self) -> None:
        """Close the connection."""
        self._db.close()


@contextmanager
def _open(path: str, durability: workload.Durability) -> Iterator[StdlibWriter]:
    writer = StdlibWriter(path, durability)
    try:
        yield writer
    finally:
        writer.close()


ADAPTER = Adapter(
    versions=lambda: Versions(f"Python {platform.python_version()}", sqlite3.sqlite_version),
    open_async=partial(in_one_thread, _open),
    open_blocking=_open,
)
