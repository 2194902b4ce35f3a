"""`SqliteProcessRegistry`: background processes, their events, handles and leases, in one database of a deployment."""

import os
from typing import ClassVar, Final, Self

from lash_store.clock import SYSTEM_CLOCK, Clock
from lash_store.records.artifacts import DurabilityTier
from lash_store.sqlite.connection import Durability
from lash_store.sqlite.ops import process_acks, process_events, process_grants, process_leases, processes
from lash_store.sqlite.process_registry.events import EventOperations
from lash_store.sqlite.process_registry.grants import GrantOperations
from lash_store.sqlite.process_registry.leases import LeaseOperations
from lash_store.sqlite.process_registry.processes import ProcessOperations
from lash_store.sqlite.process_registry.waits import WaitOperations
from lash_store.sqlite.schema import Schema
from lash_store.sqlite.store_handle import connect

SCHEMA: Final = Schema(
    "process registry",
    6,
    {
        **processes.TABLES,
        **process_events.TABLES,
        **process_acks.TABLES,
        **process_grants.TABLES,
        **process_leases.TABLES,
    },
)


class SqliteProcessRegistry(ProcessOperations, EventOperations, WaitOperations, GrantOperations, LeaseOperations):
    """The process registry of a deployment (process specification), a handle for one event loop and all its tasks.

    Every operation that writes is one transaction; one that raises has written nothing. All of them raise StoreBusy if
    other processes keep the write lock for 15 s, StoreFull, StoreCorrupt, StoreBackend; StoreClosed after `close`,
    StoreWrongLoop and StoreForked. Values without a stored form raise InvalidRecord or InvalidJsonValue.
    """

    durability_tier: ClassVar[DurabilityTier] = DurabilityTier.DURABLE

    @classmethod
    async def open(
        cls, path: str | os.PathLike[str], *, durability: Durability = "normal", clock: Clock = SYSTEM_CLOCK
    ) -> Self:
        """Open the registry at `path`, or create it; its folder must exist.

        `durability`: "normal" survives a crash of the process, "full" also a crash of the machine. Raises as
        `Database.open`, AnotherKindOfDatabase for a database of another kind.
        """
        return cls(await connect(path, SCHEMA, durability=durability, clock=clock), clock)

    @classmethod
    async def memory(cls, *, clock: Clock = SYSTEM_CLOCK) -> Self:
        """Open a private registry in memory."""
        return cls(await connect(None, SCHEMA, durability="normal", clock=clock), clock)
