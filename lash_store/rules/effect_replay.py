"""What becomes of an effect that is asked for, by what is stored of it (effects specification 4.3).

Pure: the same for every backend. Nothing here claims; `Claimable` says that a claim may be tried.
"""

from typing import Final, TypeAlias

import msgspec

from lash_store.codecs.effect_text import stored_failure, stored_outcome
from lash_store.errors import EffectRefused, EffectRowCorrupt, RuntimeEffectControllerError
from lash_store.records.effect_outcome import RuntimeEffectOutcome
from lash_store.records.invocation import RuntimeEffectKind

IN_PROGRESS: Final = "in_progress"
COMPLETED: Final = "completed"
FAILED: Final = "failed"


class AskedEffect(msgspec.Struct, frozen=True):
    """An effect that is asked for: its place in the history, and what it is; both texts as they are hashed."""

    scope_id: str
    replay_key: str
    envelope_hash: str
    kind: RuntimeEffectKind
    scope_text: bytes
    envelope_text: bytes


class StoredEffect(msgspec.Struct, frozen=True):
    """What is stored of an effect; times in epoch milliseconds. `scope_text` is None if a foreign writer began it."""

    envelope_hash: str
    status: str
    outcome_text: str | None
    error_text: str | None
    lease_expires_at_ms: int
    due_at_ms: int | None
    scope_text: str | None

    def held_at(self, now_ms: int) -> bool:
        """Whether somebody runs it, and need not be taken for dead."""
        return self.status == IN_PROGRESS and self.lease_expires_at_ms > now_ms


class Replayed(msgspec.Struct, frozen=True):
    """It has this outcome; if `due_at_ms` lies ahead, the outcome is not to be had before."""

    outcome: RuntimeEffectOutcome
    due_at_ms: int | None


class ReplayedFailure(msgspec.Struct, frozen=True):
    """It has failed with this error."""

    error: RuntimeEffectControllerError


class Held(msgspec.Struct, frozen=True):
    """Somebody runs it; wait for the end, or for the end of the lease."""


class Changed(msgspec.Struct, frozen=True):
    """It is recorded with another envelope, or for a scope that only shares its id with the one asked for."""


class Claimable(msgspec.Struct, frozen=True):
    """Nobody has begun it, or who did is taken for dead."""


Verdict: TypeAlias = Replayed | ReplayedFailure | Held | Changed | Claimable


def judge(asked: AskedEffect, stored: StoredEffect | None, now_ms: int, *, strict: bool) -> Verdict:
    """What becomes of the effect. `strict` is strict replay: what has no outcome yet is refused, whatever the reason.

    Raises EffectRefused (`sqlite_effect_replay_missing`, `runtime_effect_wrong_outcome`) and EffectRowCorrupt.
    """
    if stored is not None:
        if _changed(asked, stored):
            return Changed()
        if stored.status == COMPLETED:
            outcome = stored_outcome(stored.outcome_text, asked.scope_id, asked.replay_key)
            require_kind(asked, outcome)
            return Replayed(outcome, stored.due_at_ms)
        if stored.status == FAILED:
            return ReplayedFailure(stored_failure(stored.error_text, asked.scope_id, asked.replay_key))
        if stored.status != IN_PROGRESS:
            reason = f"its status is {stored.status!r}"
            raise EffectRowCorrupt("sqlite_effect_replay_corrupt_row", asked.scope_id, asked.replay_key, reason)
    if strict:
        raise _missing(asked, begun=stored is not None)
    return Held() if stored is not None and stored.held_at(now_ms) else Claimable()


def require_kind(asked: AskedEffect, outcome: object) -> None:
    """Raise EffectRefused (`runtime_effect_wrong_outcome`) if the outcome is one of another kind of effect."""
    if not isinstance(outcome, RuntimeEffectOutcome):
        found = f"a {type(outcome).__name__}, which is no outcome record"
    elif outcome.kind != asked.kind:
        found = f"an outcome of kind {outcome.kind.value}"
    else:
        return
    raise EffectRefused(
        "runtime_effect_wrong_outcome",
        f"the effect {asked.replay_key!r} of scope {asked.scope_id!r} is of kind {asked.kind.value}, but got {found}",
    )


def _changed(asked: AskedEffect, stored: StoredEffect) -> bool:
    """A scope is stored by its bare id, so scopes of different sessions or kinds may meet in one row."""
    if stored.envelope_hash != asked.envelope_hash:
        return True
    return stored.scope_text is not None and stored.scope_text.encode() != asked.scope_text


def _missing(asked: AskedEffect, *, begun: bool) -> EffectRefused:
    state = "was begun, but has no outcome yet" if begun else "was never recorded"
    return EffectRefused(
        "sqlite_effect_replay_missing",
        f"strict replay: the effect {asked.replay_key!r} of scope {asked.scope_id!r} {state}; "
        "nothing is run, stop the replay to run it",
    )
