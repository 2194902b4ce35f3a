"""lash_store: a plan of three steps, on the blocking `Database` or the asyncio `SqliteConnection`."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import apsw

from bench import workload
from bench.drivers.apsw_blocking import read_pragma
from bench.drivers.protocol import Adapter, Versions
from lash_store import Database, Expect, Plan, PlanResult, SqliteConnection, Step
from lash_store.sqlite.native import IMPLEMENTATION

# What does not change from commit to commit is built once, as an author of such a program would.
_READ_HEAD = Step(workload.READ_HEAD, expect=Expect.ROW, rows=True)
_ADVANCE_HEAD = Step(workload.ADVANCE_HEAD, expect=1)


def plan_of(node_id: str, node_json: str) -> Plan:
    """The one transaction as a plan."""
    return Plan((_READ_HEAD, Step(workload.INSERT_NODE, (node_id, node_json)), _ADVANCE_HEAD))


class LashWriter:
    """One `Database`, which all threads of a process may share."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._run = db.run

    def commit(self, node_id: str, node_json: str) -> PlanResult:
        """Run the one transaction."""
        return self._run(plan_of(node_id, node_json))

    def pragma(self, name: str) -> str:
        """The value of a pragma on the writing connection."""
        return self._db.call(partial(read_pragma, name=name))


class LashAsyncWriter:
    """One `SqliteConnection`, shared by all tasks."""

    def __init__(self, db: SqliteConnection) -> None:
        self._run = db.run

    async def commit(self, node_id: str, node_json: str) -> PlanResult:
        """Run the one transaction."""
        return await self._run(plan_of(node_id, node_json))


@contextmanager
def _open(path: str, durability: workload.Durability) -> Iterator[LashWriter]:
    with Database.open(path, durability=durability) as db:
        yield LashWriter(db)


@asynccontextmanager
async def _open_async(path: str, durability: workload.Durability) -> AsyncIterator[LashAsyncWriter]:
    async with await SqliteConnection.open(path, durability=durability) as db:
        yield LashAsyncWriter(db)


def _versions() -> Versions:
    try:
        library = version("lash-store")
    except PackageNotFoundError:
        library = "(not installed)"
    return Versions(f"lash_store {library} ({IMPLEMENTATION})", apsw.sqlite_lib_version())


ADAPTER = Adapter(
    versions=_versions,
    open_async=_open_async,
    open_blocking=_open,
    one_handle_for_all_threads=True,
)
