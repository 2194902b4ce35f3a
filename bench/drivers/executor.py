"""A blocking driver under asyncio, the way that is usual: an executor with one thread."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from bench.drivers.protocol import BlockingWriter, OpenBlocking
from bench.workload import Durability


class ExecutorWriter:
    """Sends each whole transaction to the one thread: one hop there, one back."""

    def __init__(self, pool: ThreadPoolExecutor, writer: BlockingWriter) -> None:
        self._run = asyncio.get_running_loop().run_in_executor
        self._pool = pool
        self._commit = writer.commit

    async def commit(self, node_id: str, node_json: str) -> None:
        """Run the one transaction."""
        await self._run(self._pool, self._commit, node_id, node_json)


@asynccontextmanager
async def in_one_thread(
    open_blocking: OpenBlocking, path: str, durability: Durability
) -> AsyncIterator[ExecutorWriter]:
    """Open, use and close a blocking writer in one thread of its own: sqlite3 insists on that."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=1) as pool:
        manager = open_blocking(path, durability)
        writer = await loop.run_in_executor(pool, manager.__enter__)
        try:
            yield ExecutorWriter(pool, writer)
        finally:
            await loop.run_in_executor(pool, manager.__exit__, None, None, None)
