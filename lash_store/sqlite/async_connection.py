"""`SqliteConnection`: the asynchronous face of `Database`.

A closure or plan travels to the database's writer thread, one future comes back.
"""

import asyncio
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from lash_store.clock import SYSTEM_CLOCK, Clock
from lash_store.errors import StoreClosed, StoreForked, StoreWrongLoop
from lash_store.sqlite.closures import Call, RawCall, WriteCall
from lash_store.sqlite.connection import BUSY_TIMEOUT_MS, Durability
from lash_store.sqlite.database import Database, DatabaseStats
from lash_store.sqlite.delivery import Delivery, in_thread
from lash_store.sqlite.plan import Plan, PlanResult, result_of
from lash_store.sqlite.readers import MAX_READERS
from lash_store.sqlite.schema import Schema
from lash_store.sqlite.transaction import Flow, Transaction

if TYPE_CHECKING:
    import apsw

T = TypeVar("T")


class SqliteConnection:
    """An asynchronous handle on one database, for one event loop; cheap to share between its tasks.

    Cancelling a call that was not started withdraws it. Cancelling one that was started changes nothing in the
    database: its outcome is awaited, and then the cancellation goes on. Every method raises StoreWrongLoop in another
    event loop, StoreClosed after `close`, and StoreForked in a child process.
    """

    def __init__(self, database: Database) -> None:
        """Make `database` asynchronous, in the running event loop. The handle owns it from now on."""
        self._database = database
        self._loop = asyncio.get_running_loop()
        self._delivery = Delivery(self._loop, database._kick)
        self._threads = ThreadPoolExecutor(MAX_READERS, thread_name_prefix=f"lash_store reader {database.path}")

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "normal",
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
        clock: Clock = SYSTEM_CLOCK,
        schema: Schema | None = None,
    ) -> Self:
        """Open the database at `path`, or create it; as `Database.open`."""
        opening = partial(Database.open, path, durability=durability, busy_timeout_ms=busy_timeout_ms)
        return await cls._open(partial(opening, clock=clock, schema=schema))

    @classmethod
    async def open_in_memory(
        cls, *, busy_timeout_ms: int = BUSY_TIMEOUT_MS, clock: Clock = SYSTEM_CLOCK, schema: Schema | None = None
    ) -> Self:
        """Open a private database in memory; as `Database.open_in_memory`."""
        return cls(Database.open_in_memory(busy_timeout_ms=busy_timeout_ms, clock=clock, schema=schema))

    @classmethod
    async def open_readonly(cls, path: str | os.PathLike[str], *, schema: Schema | None = None) -> Self:
        """Open an existing database for reading only; as `Database.open_readonly`."""
        return await cls._open(partial(Database.open_readonly, path, schema=schema))

    @classmethod
    async def _open(cls, opening: Callable[[], Database]) -> Self:
        with ThreadPoolExecutor(1, thread_name_prefix="lash_store opener") as thread:
            return cls(await in_thread(thread.submit(opening), undo=Database.close))

    @property
    def path(self) -> str:
        """The path as it was given; ":memory:" for a database in memory."""
        return self._database.path

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._database.closed

    async def run(self, plan: Plan) -> PlanResult:
        """Run `plan`; as `Database.run`. Plans that wait at the same time share one commit."""
        self._check_loop()
        delivery = self._delivery
        steps = tuple(plan.steps)
        future = self._loop.create_future()
        ticket = self._database._submit(steps, delivery.mailbox, future)
        if not delivery.kick_due:
            delivery.kick_soon()
        try:
            outcome = await future
        except asyncio.CancelledError:
            await delivery.settle(ticket, future)
            raise
        return result_of(outcome, steps, self._database.path)

    async def write(self, f: Callable[[Transaction], T]) -> T:
        """Run `f` in a BEGIN IMMEDIATE transaction on the writer thread; as `Database.write`."""
        value: T = await self._run_call(WriteCall(f, flow=False))
        return value

    async def write_flow(self, f: Flow[T]) -> T:
        """Run `f`, which returns Commit(value) or Rollback(value), on the writer thread; as `Database.write_flow`."""
        value: T = await self._run_call(WriteCall(f, flow=True))
        return value

    async def call(self, f: "Callable[[apsw.Connection], T]") -> T:
        """Run `f` on the writer's connection and thread, without a transaction; as `Database.call`."""
        if self._database.read_only:
            return await self._in_reader(self._database.call, f)
        value: T = await self._run_call(RawCall(f))
        return value

    async def read(self, f: "Callable[[apsw.Connection], T]") -> T:
        """Run `f` on a read-only connection in one snapshot, on a thread of its own; as `Database.read`."""
        return await self._in_reader(self._database.read, f)

    def stats(self) -> DatabaseStats:
        """How things stand; as `Database.stats`."""
        return self._database.stats()

    async def close(self) -> None:
        """Finish what is queued, then close; as `Database.close`."""
        self._check_loop()
        if self._database.closed:
            return
        self._database._check()
        with ThreadPoolExecutor(1, thread_name_prefix="lash_store closer") as thread:
            try:
                await in_thread(thread.submit(self._database.close))
            finally:
                self._delivery.stop()
                self._threads.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        database: Database | None = getattr(self, "_database", None)
        if database is None or database.closed or database._inherited():
            return
        warnings.warn(
            f"the handle on {database.path!r} was never closed; use 'async with', or await close()",
            ResourceWarning,
            stacklevel=2,
            source=self,
        )
        database._abandon()
        self._threads.shutdown(wait=False)
        self._delivery.stop_soon()

    async def _in_reader(
        self, run: "Callable[[Callable[[apsw.Connection], T]], T]", f: "Callable[[apsw.Connection], T]"
    ) -> T:
        self._check_loop()
        self._database._check()  # the threads end with the handle
        return await in_thread(self._threads.submit(run, f))

    def _check_loop(self) -> None:
        if asyncio.get_running_loop() is not self._loop:
            if self._database._inherited():
                raise StoreForked(self._database.path)
            raise StoreWrongLoop(self._database.path)

    async def _run_call(self, call: Call) -> Any:
        self._check_loop()
        future = self._loop.create_future()
        ticket = self._database._submit_call(call, self._delivery.mailbox, future)
        try:
            await future
        except asyncio.CancelledError:
            await self._delivery.settle(ticket, future)
            raise
        if not call.done:
            raise StoreClosed(self._database.path)  # the handle was dropped before its turn came
        return call.result()
