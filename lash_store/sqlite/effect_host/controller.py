"""`SqliteRuntimeEffectController`: runs the effects of one scope once, and replays them ever after."""

import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Self

from lash_store.clock import SYSTEM_CLOCK, Clock
from lash_store.codecs.content_hash import content_hash
from lash_store.codecs.effect_text import outcome_text
from lash_store.errors import EffectRefused
from lash_store.protocols import LocalExecutor, ProcessOperations
from lash_store.records.artifacts import DurabilityTier
from lash_store.records.effect_command import RuntimeEffectCommandProcess, RuntimeEffectCommandSleep
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_outcome import RuntimeEffectOutcome, RuntimeEffectOutcomeSleep
from lash_store.records.effect_scope import EffectScope, EffectScopeTurn, require_scope
from lash_store.rules.effect_replay import AskedEffect, Changed, Held, Replayed, ReplayedFailure, judge
from lash_store.sqlite.connection import Durability, now_ms_of
from lash_store.sqlite.effect_host.claimed import run_claimed
from lash_store.sqlite.effect_host.engine import DEFAULT_LEASE_TTL_MS, EffectEngine
from lash_store.sqlite.effect_host.naps import sleep_until
from lash_store.sqlite.effect_host.process_commands import run_process_command
from lash_store.sqlite.ops.arguments import record_of
from lash_store.sqlite.ops.effects import key_of
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.store_handle import StoreHandle

__all__ = ["LocalExecutor", "SqliteRuntimeEffectController"]

_SLEPT: Final = RuntimeEffectOutcomeSleep()


class SqliteRuntimeEffectController(StoreHandle):
    """The effects of one scope: each is run once, by whoever claims it first, and replayed ever after.

    Made by `SqliteEffectHost.scoped`, it shares the host's handle and ends with it; `close` does nothing then. Opened
    by `open` or `memory` it has a handle of its own.
    """

    durability_tier: Final = DurabilityTier.DURABLE
    requires_durable_attachment_store: Final = True

    def __init__(self, engine: EffectEngine, scope: EffectScope, *, strict: bool | None, owns: bool) -> None:
        """For `SqliteEffectHost` and the `open` methods. `strict` is None to follow the host."""
        super().__init__(engine.connection, engine.clock)
        self._engine = engine
        self._scope = scope
        self._scope_text = scope.to_json()
        self._strict = strict
        self._owns = owns

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        scope: EffectScope,
        *,
        lease_ttl_ms: int = DEFAULT_LEASE_TTL_MS,
        durability: Durability = "normal",
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """Open the effect database at `path`, or create it, for one scope; its folder must exist.

        Arguments and errors as `SqliteEffectHost.open`. Raises, before anything is opened, EffectRefused
        (`missing_effect_scope_id`) for a scope with a blank key, InvalidRecord or InvalidJsonValue for what is none.
        """
        return await cls._open(path, scope, lease_ttl_ms, durability, clock)

    @classmethod
    async def memory(
        cls, scope: EffectScope, *, lease_ttl_ms: int = DEFAULT_LEASE_TTL_MS, clock: Clock = SYSTEM_CLOCK
    ) -> Self:
        """Open a private database in memory for one scope; `lease_ttl_ms` and errors as for `open`."""
        return await cls._open(None, scope, lease_ttl_ms, "normal", clock)

    @classmethod
    async def _open(
        cls,
        path: str | os.PathLike[str] | None,
        scope: EffectScope,
        lease_ttl_ms: int,
        durability: Durability,
        clock: Clock,
    ) -> Self:
        require_scope(scope)
        engine = await EffectEngine.open(path, lease_ttl_ms, durability=durability, clock=clock)
        return cls(engine, scope, strict=None, owns=True)

    @property
    def effect_scope(self) -> EffectScope:
        """The scope whose effects these are."""
        return self._scope

    @property
    def scope_id(self) -> str:
        """The id under which the scope's effects are stored."""
        return self._scope.scope_id

    @property
    def turn_id(self) -> str | None:
        """The turn, if the scope is one."""
        return self._scope.turn_id if isinstance(self._scope, EffectScopeTurn) else None

    def start_replay(self) -> None:
        """Begin strict replay, for the whole host: effects that have no recorded outcome are refused, none is run."""
        self._engine.strict_replay = True

    def stop_replay(self) -> None:
        """End strict replay, for the whole host."""
        self._engine.strict_replay = False

    async def close(self) -> None:
        """Close the handle if it is the controller's own."""
        if self._owns:
            await self._engine.close()

    async def execute_effect(
        self,
        envelope: RuntimeEffectEnvelope,
        local_executor: LocalExecutor | None = None,
        *,
        process_registry: ProcessOperations | None = None,
    ) -> RuntimeEffectOutcome:
        """Return the outcome of an effect: the recorded one, or that of running it now, which is recorded then.

        Of all who ask for an effect at once, in any process, one runs it and the others wait for its outcome, or for
        the end of its lease, after which one of them runs it again. The lease is renewed while the effect runs. A sleep
        needs no executor: it ends `duration_ms` after it was first asked for, whatever happened in between. A `process`
        command runs against `process_registry`, everything else in `local_executor`. To wait for a limited time, use
        `asyncio.timeout`.

        A RuntimeEffectControllerError that the executor raises is recorded and raised at every replay. Anything else it
        raises, its cancellation and an EffectRefused leave the effect to the next one who asks for it.

        Raises EffectRefused with the code
        `runtime_effect_invocation_subject`, `runtime_effect_invocation_kind`, `sqlite_effect_replay_key_missing`,
        `runtime_effect_envelope_hash`: the envelope is none (see `RuntimeEffectEnvelope.new`);
        `sqlite_effect_replay_hash_conflict` (EffectEnvelopeChanged): it is recorded with another envelope;
        `sqlite_effect_replay_missing`: strict replay, and there is no outcome;
        `sqlite_effect_replay_corrupt_row`, `sqlite_effect_replay_decode` (EffectRowCorrupt): the record is unreadable;
        `runtime_effect_local_executor_unavailable`, `runtime_effect_local_executor_mismatch`: nobody can run it here;
        `runtime_effect_wrong_outcome`, `sqlite_effect_replay_encode`: the outcome is none of this kind, or no record;
        `sqlite_effect_replay_lease_lost` (EffectLeaseLost): others have taken the effect over.
        Raises InvalidRecord for what is no envelope and for a sleep of 2^63 ms or more, and what a read or a write of
        the database raises.
        """
        asked = self._asked(envelope)
        key = key_of(asked)
        stored = await self._engine.find(key)
        while True:
            verdict = judge(asked, stored, now_ms_of(self._clock), strict=self._is_strict())
            if isinstance(verdict, Replayed):
                if verdict.due_at_ms is not None:
                    await sleep_until(self._clock, verdict.due_at_ms)
                return verdict.outcome
            if isinstance(verdict, ReplayedFailure):
                raise verdict.error
            if isinstance(verdict, Changed):
                raise await self._engine.difference(asked)
            if isinstance(verdict, Held):
                stored = await self._engine.wait(key)
                continue
            outcome = await self._execute(asked, envelope, local_executor, process_registry)
            if outcome is not None:
                return outcome
            stored = await self._engine.find(key)

    async def _execute(
        self,
        asked: AskedEffect,
        envelope: RuntimeEffectEnvelope,
        local_executor: LocalExecutor | None,
        registry: ProcessOperations | None,
    ) -> RuntimeEffectOutcome | None:
        """Claim the effect and run it; None if somebody else was quicker."""
        command = envelope.command
        if isinstance(command, RuntimeEffectCommandSleep):
            duration_ms = column_integer("sleep command", "duration_ms", command.duration_ms)
            due_at_ms = await self._engine.begin_sleep(asked, outcome_text(_SLEPT), duration_ms)
            if due_at_ms is None:
                return None
            await sleep_until(self._clock, due_at_ms)
            return _SLEPT
        work = _work(asked, envelope, local_executor, registry)
        claimed = await self._engine.claim(asked)
        if claimed is None:
            return None
        claim, attempt = claimed
        return await run_claimed(self._engine, claim, asked, partial(work, attempt))

    def _is_strict(self) -> bool:
        return self._engine.strict_replay if self._strict is None else self._strict

    def _asked(self, envelope: RuntimeEffectEnvelope) -> AskedEffect:
        record_of(RuntimeEffectEnvelope, envelope).require_effect()
        if not envelope.replay_key:
            raise EffectRefused("sqlite_effect_replay_key_missing", "the invocation of the effect has no replay key")
        text = envelope.hashed_text()
        return AskedEffect(
            self.scope_id, envelope.replay_key, content_hash(text), envelope.command.kind, self._scope_text, text
        )


def _work(
    asked: AskedEffect,
    envelope: RuntimeEffectEnvelope,
    local_executor: LocalExecutor | None,
    registry: ProcessOperations | None,
) -> Callable[[int], Awaitable[RuntimeEffectOutcome]]:
    """How to run the effect here, given the attempt, which counts from 1.

    Raises EffectRefused if there is no way, before anything is claimed.
    """
    command = envelope.command
    if isinstance(command, RuntimeEffectCommandProcess):
        if registry is None:
            raise _no_executor("unavailable", "a process command needs a process_registry")
        return lambda attempt: run_process_command(command.command, registry, asked, attempt)
    if local_executor is not None:
        if not callable(local_executor):
            raise _no_executor("unavailable", f"a local_executor is a function, not a {type(local_executor).__name__}")
        return lambda _: local_executor(envelope)
    if registry is not None:
        raise _no_executor("mismatch", f"a process registry cannot run an effect of kind {command.kind.value}")
    raise _no_executor("unavailable", f"an effect of kind {command.kind.value} needs a local_executor")


def _no_executor(what: str, reason: str) -> EffectRefused:
    return EffectRefused(f"runtime_effect_local_executor_{what}", f"{reason}; nothing was run or recorded")
