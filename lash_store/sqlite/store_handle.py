"""What every store is besides its operations: an asynchronous handle on one database, opened, shared and closed."""

import os
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from lash_store.clock import Clock
from lash_store.errors import StoreCorrupt
from lash_store.sqlite.async_connection import SqliteConnection
from lash_store.sqlite.connection import Durability
from lash_store.sqlite.database import DatabaseStats
from lash_store.sqlite.plan import Plan, PlanResult
from lash_store.sqlite.schema import Schema

if TYPE_CHECKING:
    import apsw

T = TypeVar("T")


class StoreHandle:
    """A handle on one database of a known schema, for one event loop; cheap to share between its tasks.

    Cancellation, closing, forks and other event loops are as in `SqliteConnection`.
    """

    def __init__(self, connection: SqliteConnection, clock: Clock) -> None:
        """For the `open` methods of the stores. The handle owns `connection` from now on."""
        self._connection = connection
        self._clock = clock

    @property
    def path(self) -> str:
        """The path as it was given; ":memory:" for a store in memory."""
        return self._connection.path

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._connection.closed

    def stats(self) -> DatabaseStats:
        """How the database stands; as `Database.stats`."""
        return self._connection.stats()

    async def close(self) -> None:
        """Finish what is queued, then close. A second call does nothing."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, plan: Plan) -> PlanResult:
        return await self._connection.run(plan)

    async def _read(self, f: "Callable[[apsw.Connection], T]") -> T:
        try:
            return await self._connection.read(f)
        except UnicodeDecodeError as damage:
            raise StoreCorrupt("text in the database", self.path) from damage


async def connect(
    path: str | os.PathLike[str] | None, schema: Schema, *, durability: Durability, clock: Clock
) -> SqliteConnection:
    """Open the database of a store at `path`, or a private one in memory if `path` is None."""
    if path is None:
        return await SqliteConnection.open_in_memory(clock=clock, schema=schema)
    return await SqliteConnection.open(path, durability=durability, clock=clock, schema=schema)
