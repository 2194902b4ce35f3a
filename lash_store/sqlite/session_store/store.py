"""`Store`: the durable store of one session."""

import asyncio
import os
from typing import ClassVar, Final, Self, get_args

import msgspec

from lash_store.clock import SYSTEM_CLOCK, Clock
from lash_store.errors import InvalidRecord
from lash_store.records.artifacts import BlobProfile, DurabilityTier
from lash_store.records.head import FullGraph, ReadScope
from lash_store.records.state import RuntimeSessionState
from lash_store.sqlite.async_connection import SqliteConnection
from lash_store.sqlite.connection import Durability
from lash_store.sqlite.ops.arguments import record_of
from lash_store.sqlite.ops.session_schema import SESSION_SCHEMA
from lash_store.sqlite.session_store.attachments import AttachmentOperations
from lash_store.sqlite.session_store.blobs import BlobOperations
from lash_store.sqlite.session_store.queue import QueueOperations
from lash_store.sqlite.session_store.recent import RecentRefs
from lash_store.sqlite.session_store.sessions import SessionOperations
from lash_store.sqlite.session_store.turns import TurnOperations
from lash_store.sqlite.store_handle import connect

_MEMORY_PROFILE: Final = BlobProfile.LOW_LATENCY


class StoreOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a store is kept. The other three stores have fewer choices, and take them as keywords of `open`.

    `blob_profile` says from which length on blobs are compressed. `auto_gc_every_commits`: after every so many commits
    of one handle unreachable blobs are collected; None and 0 are never. Each handle counts its own commits, from 0: one
    that is opened for a single commit never comes so far. `durability`: "normal" survives a crash of the process,
    "full" also one of the machine. `clock` is read for every time that is stored or compared.
    """

    blob_profile: BlobProfile = BlobProfile.BALANCED
    auto_gc_every_commits: int | None = None
    durability: Durability = "normal"
    clock: Clock = SYSTEM_CLOCK

    def __post_init__(self) -> None:
        """Raise InvalidRecord for what is no option."""
        if not isinstance(self.blob_profile, BlobProfile):
            raise InvalidRecord("StoreOptions", "$.blob_profile", f"{self.blob_profile!r} is no BlobProfile")
        every = self.auto_gc_every_commits
        if every is not None and (type(every) is not int or every < 0):
            raise InvalidRecord("StoreOptions", "$.auto_gc_every_commits", f"{every!r} is no number of commits")
        if self.durability not in get_args(Durability):
            raise InvalidRecord("StoreOptions", "$.durability", f"{self.durability!r} is not 'normal' or 'full'")
        if not callable(getattr(self.clock, "now_ms", None)):
            raise InvalidRecord("StoreOptions", "$.clock", f"{self.clock!r} has no now_ms()")


DEFAULT_OPTIONS: Final = StoreOptions()


class Store(
    TurnOperations,
    QueueOperations,
    SessionOperations,
    BlobOperations,
    AttachmentOperations,
):
    """The store of one session: a handle on its database, for one event loop.

    Every write is one transaction, and as durable as `StoreOptions.durability` says when its call returns; one that
    raises has written nothing. Where an operation works in several transactions its docstring says so: some of them may
    have been made then. Every read is one snapshot. Cancellation, closing, forks and other event loops are as in
    `SqliteConnection`.
    """

    durability_tier: ClassVar[DurabilityTier] = DurabilityTier.DURABLE
    """What was committed is in SQLite; also in memory, where it lives as long as the handle."""

    def __init__(self, connection: SqliteConnection, options: StoreOptions) -> None:
        """For `open`, `open_readonly` and `memory`. The store owns `connection` from now on."""
        super().__init__(connection, options.clock)
        self._profile = options.blob_profile
        self._auto_gc_every_commits = options.auto_gc_every_commits
        self._stored_refs = RecentRefs()
        self._looking = asyncio.Lock()

    @classmethod
    async def open(cls, path: str | os.PathLike[str], options: StoreOptions = DEFAULT_OPTIONS) -> Self:
        """Open the session database at `path`, or create it; its folder must exist.

        Raises StoreOpenFailed (NotADatabase, UnsupportedSchemaVersion, WalUnavailable), StoreReadOnly, StoreFull,
        StoreCorrupt, StoreBusy. A refused file is left as it is.
        """
        record_of(StoreOptions, options)
        opened = await connect(path, SESSION_SCHEMA, durability=options.durability, clock=options.clock)
        return cls(opened, options)

    @classmethod
    async def open_readonly(cls, path: str | os.PathLike[str]) -> Self:
        """Open an existing session database for reading; what would write raises StoreReadOnly. Raises as `open`."""
        return cls(await SqliteConnection.open_readonly(path, schema=SESSION_SCHEMA), DEFAULT_OPTIONS)

    @classmethod
    async def memory(cls, options: StoreOptions | None = None) -> Self:
        """Open a private store in memory. Without options nothing is compressed and nothing collected by itself."""
        kept = StoreOptions(blob_profile=_MEMORY_PROFILE) if options is None else record_of(StoreOptions, options)
        return cls(await connect(None, SESSION_SCHEMA, durability=kept.durability, clock=kept.clock), kept)


async def load_persisted_session_state(store: Store, scope: ReadScope | None = None) -> RuntimeSessionState | None:
    """The state of the stored session, ready to go on from (specification 4.30); None if it was never committed.

    `scope` is as in `Store.load_session`. Raises StoreCorrupt, also if the checkpoint's manifest is missing: a state
    without it would look like that of a new session.
    """
    read = await store.load_session(FullGraph() if scope is None else scope)
    return None if read is None else RuntimeSessionState.from_read(read, clock=store._clock)
