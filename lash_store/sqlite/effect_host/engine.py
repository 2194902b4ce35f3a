"""What all controllers of a host share: its database, its name as an owner of leases, and who waits for whom."""

import asyncio
import os
import secrets
from collections.abc import Callable, Collection, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from lash_store.clock import Clock
from lash_store.codecs.effect_outline import differing_paths
from lash_store.errors import EffectEnvelopeChanged, EffectLeaseLost, EffectRowCorrupt, GuardFailed, StoreError
from lash_store.rules.effect_replay import AskedEffect, StoredEffect
from lash_store.sqlite.async_connection import SqliteConnection
from lash_store.sqlite.connection import Durability, now_ms_of
from lash_store.sqlite.delivery import in_thread, until_done
from lash_store.sqlite.effect_host.renewals import LeaseRenewals
from lash_store.sqlite.ops import effects as ops
from lash_store.sqlite.ops.effects import EFFECT_SCHEMA, EffectClaim, EffectKey
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.store_handle import connect
from lash_store.sqlite.waiting import LookAgain, WaitingRoom

if TYPE_CHECKING:
    import apsw

T = TypeVar("T")

DEFAULT_LEASE_TTL_MS: Final = 30_000
"""How long a claim holds without renewal."""
_LONG_ENVELOPE: Final = 16_384  # from this many bytes on the loop would notice what an outline takes


class EffectEngine:
    """The shared part of a host and its controllers. `strict_replay` holds for all that do not say otherwise."""

    def __init__(self, connection: SqliteConnection, clock: Clock, lease_ttl_ms: int) -> None:
        """For `open`."""
        self.clock = clock
        self.strict_replay = False
        self.owner_id = f"lash-store:{secrets.token_hex(16)}"
        self.lease_ttl_ms = lease_ttl_ms
        self.connection = connection
        self.renewals = LeaseRenewals(connection._database, lease_ttl_ms)  # noqa: SLF001  it blocks, the facade not
        self._room: WaitingRoom[EffectKey, StoredEffect | EffectRowCorrupt | None]
        self._room = WaitingRoom(connection, partial(_look, clock), clock=clock)

    @classmethod
    async def open(
        cls, path: str | os.PathLike[str] | None, lease_ttl_ms: int, *, durability: Durability, clock: Clock
    ) -> Self:
        """Open the effect database at `path`, or a private one in memory if `path` is None.

        Raises InvalidRecord for a lease that no column holds, before anything is opened.
        """
        lease_ttl_ms = max(column_integer("effect lease", "lease_ttl_ms", lease_ttl_ms), 1)
        return cls(await connect(path, EFFECT_SCHEMA, durability=durability, clock=clock), clock, lease_ttl_ms)

    async def find(self, key: EffectKey) -> StoredEffect | None:
        """What is stored of an effect now."""
        return await self.connection.read(partial(ops.find, key))

    async def wait(self, key: EffectKey) -> StoredEffect | None:
        """What is stored of an effect as soon as nobody holds it: it has ended, or its lease has."""
        found = await self._room.wait(key)
        if isinstance(found, EffectRowCorrupt):
            raise found
        return found

    async def difference(self, asked: AskedEffect) -> EffectEnvelopeChanged:
        """The error that says in what an effect differs from the recorded one."""
        outline = await self.connection.read(partial(ops.find_outline, ops.key_of(asked)))
        paths: list[str] = []
        if outline is not None:
            paths = await _aside(asked, partial(differing_paths, outline, asked.scope_text, asked.envelope_text))
        return EffectEnvelopeChanged(asked.scope_id, asked.replay_key, paths)

    async def claim(self, asked: AskedEffect) -> tuple[EffectClaim, int] | None:
        """Claim an effect, and say the how-manieth claim on it this is; None if somebody else was quicker.

        The claim is renewed from its commit on, until it is dropped from `renewals`. A cancellation gives it up.
        """
        claim = EffectClaim(ops.key_of(asked), self.owner_id, secrets.token_hex(16))
        plan = await _aside(asked, partial(ops.claim, asked, claim, self.lease_ttl_ms))
        attempt = None
        self.renewals.hold(claim)
        try:
            attempt = ops.claimed(await self.connection.run(plan))
        except asyncio.CancelledError as cancelled:
            await self.release(claim, cancelled)  # it may be committed all the same
            raise
        finally:
            if attempt is None:
                self.renewals.drop(claim)
        return None if attempt is None else (claim, attempt)

    async def begin_sleep(self, asked: AskedEffect, outcome_text: str, duration_ms: int) -> int | None:
        """Record a sleep; returns when it ends, None if somebody else was quicker."""
        try:
            result = await self.connection.run(ops.begin_sleep(asked, outcome_text, duration_ms))
        finally:
            self._room.changed()  # cancelled or not, it may be committed; of a database in memory nobody else tells
        return ops.sleep_due_ms(asked, result)

    async def finish(self, claim: EffectClaim, status: str, outcome_text: str | None, error_text: str | None) -> None:
        """Record how a claimed effect ended, also if the caller is cancelled meanwhile. Raises EffectLeaseLost."""
        try:
            await _settled(self.connection.run(ops.finish(claim, status, outcome_text, error_text)))
        except GuardFailed:
            raise self.lease_lost(claim) from self.renewals.error
        finally:
            self._room.changed()

    async def release(self, claim: EffectClaim, reason: BaseException) -> None:
        """Give a claim up, for a `reason` that is to be raised afterwards; it gets a note if that fails.

        Cancelling it changes nothing: the claim is given up first.
        """
        try:
            await _settled(self.connection.run(ops.release(claim)))
        except StoreError as failure:
            reason.add_note(f"the effect {claim.key.replay_key!r} may stay claimed until its lease ends: {failure}")
        finally:
            self._room.changed()

    def lease_lost(self, claim: EffectClaim) -> EffectLeaseLost:
        """The error of a claim that somebody else has taken over."""
        return EffectLeaseLost(claim.key.scope_id, claim.key.replay_key)

    async def close(self) -> None:
        """Let nobody wait any longer, finish what is queued, close the connection, and renew nothing more.

        Nothing is closed if it raises StoreWrongLoop. Cancelling it lets the thread that renews end all the same.
        """
        self.connection._check_loop()  # noqa: SLF001  before anything is closed
        self._room.close()
        try:
            await self.connection.close()
        finally:
            renewing = self.renewals.stop()
            if renewing is not None:
                with ThreadPoolExecutor(1, thread_name_prefix="lash_store closer") as thread:
                    await in_thread(thread.submit(renewing.join))


def _look(
    clock: Clock, connection: "apsw.Connection", keys: Collection[EffectKey]
) -> "Mapping[EffectKey, StoredEffect | EffectRowCorrupt | LookAgain | None]":
    now_ms = now_ms_of(clock)
    return {
        key: LookAgain(stored.lease_expires_at_ms)
        if isinstance(stored, StoredEffect) and stored.held_at(now_ms)
        else stored
        for key, stored in ops.find_all(keys, connection).items()
    }


async def _aside(asked: AskedEffect, make: Callable[[], T]) -> T:
    """What `make` makes of an effect's texts; on a thread if they are so long that the loop would stand still."""
    if len(asked.envelope_text) < _LONG_ENVELOPE:
        return make()
    return await asyncio.to_thread(make)


async def _settled(writing: Coroutine[Any, Any, T]) -> T:
    """Await `writing` to its end, and only then let a cancellation, and those that follow it, go on."""
    task = asyncio.ensure_future(writing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as cancelled:
        await until_done(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            cancelled.add_note(f"what was being written failed: {failure}")
        raise
