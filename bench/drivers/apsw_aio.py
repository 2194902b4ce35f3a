"""apsw's own asyncio support.

Its documentation says that the hops between the threads dominate the cost, and `async_run` is the way it offers to make
one hop do: the transaction is one call in the connection's thread, and no other call can come between its statements.
That is about eight times as fast as awaiting each statement under a lock, so it is the form measured here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import apsw
import apsw.aio

from bench import workload
from bench.drivers.apsw_blocking import apsw_versions, prepare
from bench.drivers.protocol import Adapter


class ApswAioWriter:
    """One asynchronous apsw connection, shared by all tasks."""

    def __init__(self, db: "apsw.AsyncConnection") -> None:
        self._db = db
        self._run = db.async_run

    async def commit(self, node_id: str, node_json: str) -> None:
        """Run the one transaction."""
        await self._run(workload.run_transaction, self._db, node_id, node_json)


@asynccontextmanager
async def _open(path: str, durability: workload.Durability) -> AsyncIterator[ApswAioWriter]:
    db = await apsw.Connection.as_async(path)
    try:
        await db.async_run(prepare, db, durability)
        yield ApswAioWriter(db)
    finally:
        await db.aclose()


ADAPTER = Adapter(versions=apsw_versions, open_async=_open)
