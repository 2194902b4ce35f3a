"""`SqliteEffectHost`: one effect database, shared by the controllers of any number of scopes."""

import os
from functools import partial
from typing import Final, Self

from lash_store.clock import SYSTEM_CLOCK, Clock
from lash_store.records.artifacts import DurabilityTier
from lash_store.records.effect_history import EffectHistoryEntry
from lash_store.records.effect_scope import EffectScope, require_scope
from lash_store.sqlite.connection import Durability, now_ms_of
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from lash_store.sqlite.effect_host.engine import DEFAULT_LEASE_TTL_MS, EffectEngine
from lash_store.sqlite.ops import effect_history
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.store_handle import StoreHandle


class SqliteEffectHost(StoreHandle):
    """A handle on one effect database, for one event loop; `scoped` gives the controllers that run effects.

    All operations raise StoreBusy if other processes keep the write lock for 15 s, StoreFull, StoreCorrupt,
    StoreBackend; StoreClosed after `close`, StoreWrongLoop and StoreForked. Each is one transaction or one snapshot,
    unless its docstring says otherwise.
    """

    durability_tier: Final = DurabilityTier.DURABLE
    requires_durable_attachment_store: Final = True

    def __init__(self, engine: EffectEngine) -> None:
        """For `open` and `memory`. The host owns `engine` from now on."""
        super().__init__(engine.connection, engine.clock)
        self._engine = engine

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        *,
        lease_ttl_ms: int = DEFAULT_LEASE_TTL_MS,
        durability: Durability = "normal",
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """Open the effect database at `path`, or create it; its folder must exist.

        `lease_ttl_ms` (1 if less) is how long a claim holds without renewal. So long does the next one who asks for an
        effect wait, 30 s unless you say otherwise, if the process that ran it was killed: nobody else can tell that it
        is dead. A shorter lease is renewed more often. `durability`: "normal" survives a crash of the process, "full"
        also one of the machine.

        Raises as `Database.open`, AnotherKindOfDatabase for a database of another kind; InvalidRecord for a lease
        outside 0 ... 2^63 - 1 ms.
        """
        return cls(await EffectEngine.open(path, lease_ttl_ms, durability=durability, clock=clock))

    @classmethod
    async def memory(cls, *, lease_ttl_ms: int = DEFAULT_LEASE_TTL_MS, clock: Clock = SYSTEM_CLOCK) -> Self:
        """Open a private database in memory. Raises InvalidRecord for a lease outside 0 ... 2^63 - 1 ms."""
        return cls(await EffectEngine.open(None, lease_ttl_ms, durability="normal", clock=clock))

    def scoped(self, scope: EffectScope, *, strict_replay: bool | None = None) -> SqliteRuntimeEffectController:
        """The controller of `scope`; it shares this handle, and ends with it.

        `strict_replay` says for this controller alone whether it replays strictly; without it, it does as the host.
        Raises EffectRefused (`missing_effect_scope_id`) for a scope with a blank key, InvalidRecord or InvalidJsonValue
        for what is no scope.
        """
        require_scope(scope)
        return SqliteRuntimeEffectController(self._engine, scope, strict=strict_replay, owns=False)

    def scoped_static(self, scope: EffectScope, *, strict_replay: bool | None = None) -> SqliteRuntimeEffectController:
        """As `scoped`; there are hosts elsewhere that have a controller for some scopes only."""
        return self.scoped(scope, strict_replay=strict_replay)

    def start_replay(self) -> None:
        """Begin strict replay: effects that have no recorded outcome are refused, none is run."""
        self._engine.strict_replay = True

    def stop_replay(self) -> None:
        """End strict replay."""
        self._engine.strict_replay = False

    async def list_effects(
        self, scope_id: str, *, after_replay_key: str = "", limit: int = 100
    ) -> list[EffectHistoryEntry]:
        """At most `limit` effects of a scope by replay key, from the one behind `after_replay_key` on.

        Raises InvalidRecord for texts and numbers that no column holds, EffectRowCorrupt for a damaged row.
        """
        return await self._read(partial(effect_history.page, scope_id, after_replay_key, limit))

    async def list_abandoned_effects(self, *, limit: int = 100) -> list[EffectHistoryEntry]:
        """At most `limit` effects of all scopes that were begun, have not ended, and nobody holds; the oldest first.

        Raises as `list_effects`.
        """
        return await self._read(partial(effect_history.abandoned, now_ms_of(self._clock), limit))

    async def forget_effect(self, scope_id: str, replay_key: str) -> bool:
        """Remove an effect, so that it is run again when it is asked for; False if there is none, or somebody runs it.

        Meant for what cannot be replayed: an unreadable outcome, a failure that shall not stand. Raises InvalidRecord.
        """
        return effect_history.removed(await self._run(effect_history.forget(scope_id, replay_key))) == 1

    async def prune_effects(self, ended_before_ms: int, *, limit: int = 1000) -> int:
        """Remove at most `limit` effects that ended before `ended_before_ms` (epoch ms), and return how many.

        Whoever asks for one of them again runs it again: prune what belongs to turns that are committed. Many go in
        several transactions, each of them short; what is removed by a call that fails or is cancelled stays removed.
        Raises InvalidRecord, before anything is removed.
        """
        column_integer("effect", "ended_before_ms", ended_before_ms)
        column_integer("effect", "limit", limit)
        removed, behind = 0, effect_history.BEFORE_ALL_ROWS
        while True:
            find = partial(effect_history.ended, ended_before_ms, limit - removed, behind)
            found = await self._read(find)
            if not found:
                return removed
            removed += effect_history.removed(await self._run(effect_history.prune(ended_before_ms, found)))
            behind = found[-1]

    async def close(self) -> None:
        """Finish what is queued, then close. Effects that still run cannot be recorded any more.

        Raises StoreWrongLoop in another event loop, and then nothing is closed.
        """
        await self._engine.close()
