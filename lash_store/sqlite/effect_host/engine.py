"""What all controllers of a host share: its database, its name as an owner of leases, and who waits for whom."""

import asyncio
import secrets
from collections.abc import Collection, Coroutine, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lash_store.clock import Clock
from lash_store.codecs.effect_outline import differing_paths
from lash_store.errors import EffectEnvelopeChanged, EffectLeaseLost, GuardFailed, StoreError
from lash_store.rules.effect_replay import AskedEffect, StoredEffect
from lash_store.sqlite.async_connection import SqliteConnection
from lash_store.sqlite.effect_host.renewals import LeaseRenewals
from lash_store.sqlite.ops import effects as ops
from lash_store.sqlite.ops.effects import EffectClaim, EffectKey
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.waiting import LookAgain, WaitingRoom

if TYPE_CHECKING:
    import apsw

T = TypeVar("T")

DEFAULT_LEASE_TTL_MS: Final = 30_000
"""How long a claim holds without renewal."""


class EffectEngine:
    """The shared part of a host and its controllers. `strict_replay` holds for all that do not say otherwise."""

    def __init__(self, connection: SqliteConnection, clock: Clock, lease_ttl_ms: int) -> None:
        """Work on `connection`, which `close` closes. Raises InvalidRecord for a lease that no column holds."""
        self.clock = clock
        self.strict_replay = False
        self.owner_id = f"lash-store:{secrets.token_hex(16)}"
        self.lease_ttl_ms = max(column_integer("effect host", "lease_ttl_ms", lease_ttl_ms), 1)
        self.renewals = LeaseRenewals(connection._database, self.lease_ttl_ms)  # noqa: SLF001  it blocks, the facade not
        self._connection = connection
        self._room: WaitingRoom[EffectKey, StoredEffect | None]
        self._room = WaitingRoom(connection, partial(_look, clock), clock=clock)

    async def find(self, key: EffectKey) -> StoredEffect | None:
        """What is stored of an effect now."""
        return await self._connection.read(partial(ops.find, key))

    async def wait(self, key: EffectKey) -> StoredEffect | None:
        """What is stored of an effect as soon as nobody holds it: it has ended, or its lease has."""
        return await self._room.wait(key)

    async def difference(self, asked: AskedEffect) -> EffectEnvelopeChanged:
        """The error that says in what an effect differs from the recorded one."""
        key = EffectKey(asked.scope_id, asked.replay_key)
        outline = await self._connection.read(partial(ops.find_outline, key))
        paths = [] if outline is None else differing_paths(outline, asked.scope_text, asked.envelope_text)
        return EffectEnvelopeChanged(asked.scope_id, asked.replay_key, paths)

    async def claim(self, asked: AskedEffect) -> EffectClaim | None:
        """Claim an effect; None if somebody else was quicker."""
        token = secrets.token_hex(16)
        result = await self._connection.run(ops.claim(asked, self.owner_id, token, self.lease_ttl_ms))
        return ops.claimed(asked, self.owner_id, token, result)

    async def begin_sleep(self, asked: AskedEffect, outcome_text: str, duration_ms: int) -> int | None:
        """Record a sleep; returns when it ends, None if somebody else was quicker."""
        due_at_ms = ops.sleep_due_ms(await self._connection.run(ops.begin_sleep(asked, outcome_text, duration_ms)))
        self._room.changed()
        return due_at_ms

    async def finish(self, claim: EffectClaim, status: str, outcome_text: str | None, error_text: str | None) -> None:
        """Record how a claimed effect ended, also if the caller is cancelled meanwhile. Raises EffectLeaseLost."""
        try:
            await _settled(self._connection.run(ops.finish(claim, status, outcome_text, error_text)))
        except GuardFailed:
            raise self.lease_lost(claim) from self.renewals.error
        self._room.changed()

    async def release(self, claim: EffectClaim, reason: BaseException) -> None:
        """Give a claim up, for a `reason` that is to be raised afterwards; it gets a note if that fails."""
        try:
            await self._connection.run(ops.release(claim))
        except StoreError as failure:
            reason.add_note(f"the effect {claim.key.replay_key!r} stays claimed until its lease ends: {failure}")
        else:
            self._room.changed()

    def lease_lost(self, claim: EffectClaim) -> EffectLeaseLost:
        """The error of a claim that somebody else has taken over."""
        return EffectLeaseLost(claim.key.scope_id, claim.key.replay_key)

    async def close(self) -> None:
        """Let nobody wait any longer, finish what is queued, close the connection, and renew nothing more."""
        self._room.close()
        await self._connection.close()
        self.renewals.stop()
        await asyncio.to_thread(self.renewals.join)


def _look(
    clock: Clock, connection: "apsw.Connection", keys: Collection[EffectKey]
) -> "Mapping[EffectKey, StoredEffect | LookAgain | None]":
    now_ms = clock.now_ms()
    return {
        key: LookAgain(stored.lease_expires_at_ms) if stored is not None and stored.held_at(now_ms) else stored
        for key, stored in ops.find_all(keys, connection).items()
    }


async def _settled(writing: Coroutine[Any, Any, T]) -> T:
    """Await `writing` to its end, and only then let a cancellation go on."""
    task = asyncio.ensure_future(writing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as cancelled:
        if not task.done():
            await asyncio.wait({task})
        if not task.cancelled() and (failure := task.exception()) is not None:
            cancelled.add_note(f"what was being written failed: {failure}")
        raise
