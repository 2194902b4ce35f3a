"""aiosqlite: its public interface awaits each statement, so a lock keeps the tasks' transactions apart."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import aiosqlite

from bench import workload
from bench.drivers.protocol import Adapter, Versions


class AiosqliteWriter:
    """One aiosqlite connection, shared by all tasks under a lock."""

    def __init__(self, db: aiosqlite.Connection) -> None:
        self._db = db
        self._lock = asyncio.Lock()

    async def commit(self, node_id: str, node_json: str) -> None:
        """Run the one transaction."""
        execute = self._db.execute
        async with self._lock:
            await execute(workload.BEGIN)
            try:
                await self._db.execute_fetchall(workload.READ_HEAD)
                await execute(workload.INSERT_NODE, (node_id, node_json))
                await execute(workload.ADVANCE_HEAD)
                await execute(workload.COMMIT)
            except BaseException:
                if self._db.in_transaction:
                    await execute(workload.ROLLBACK)
                raise


@asynccontextmanager
async def _open(path: str, durability: workload.Durability) -> AsyncIterator[AiosqliteWriter]:
    seconds = workload.BUSY_TIMEOUT_MS / 1000
    async with aiosqlite.connect(path, timeout=seconds, isolation_level=None) as db:
        for pragma in workload.connection_pragmas(durability):
            await db.execute_fetchall(pragma)
        yield AiosqliteWriter(db)


ADAPTER = Adapter(
    versions=lambda: Versions(f"aiosqlite {version('aiosqlite')}", sqlite3.sqlite_version),
    open_async=_open,
)
