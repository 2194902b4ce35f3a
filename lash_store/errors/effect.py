"""What the effect host and its controllers raise (effects specification, section 5)."""

from collections.abc import Sequence

from lash_store.errors.root import StoreError
from lash_store.errors.storage import StoreCorrupt

_PATHS_SHOWN = 8


class RuntimeEffectControllerError(StoreError):
    """An effect failed, with a stable `code` and a `message`.

    This class itself is a verdict on the effect: raised by a local executor it is recorded, and raised again at every
    replay. What the host says on its own account is an `EffectRefused`, and never recorded.
    """

    def __init__(self, code: str, message: str) -> None:
        # Not super(): a class below is a StoreCorrupt too, whose arguments are others.
        StoreError.__init__(self, f"{code}: {message}")
        self.code = code
        self.message = message


class EffectRefused(RuntimeEffectControllerError):
    """The host refuses to run, to replay or to record an effect; what is stored about it stays as it is."""


class EffectEnvelopeChanged(EffectRefused):
    """The effect `replay_key` of `scope_id` was recorded with another envelope.

    `paths` are the JSON paths at which the two differ, `$.scope` being the scope of the controller. They are empty if
    the envelope was recorded by a writer that keeps only hashes.
    """

    def __init__(self, scope_id: str, replay_key: str, paths: Sequence[str]) -> None:
        super().__init__(
            "sqlite_effect_replay_hash_conflict",
            f"the effect {replay_key!r} of scope {scope_id!r} is recorded with another envelope, {_difference(paths)}; "
            "repeat the recorded effect exactly, or use another replay key",
        )
        self.scope_id = scope_id
        self.replay_key = replay_key
        self.paths = tuple(paths)


class EffectLeaseLost(EffectRefused):
    """The claim on the effect `replay_key` of `scope_id` was taken over by somebody else; its result was dropped."""

    def __init__(self, scope_id: str, replay_key: str) -> None:
        super().__init__(
            "sqlite_effect_replay_lease_lost",
            f"the lease on the effect {replay_key!r} of scope {scope_id!r} ran out and others have taken over; "
            "nothing was recorded, execute the effect again to get their outcome",
        )
        self.scope_id = scope_id
        self.replay_key = replay_key


class EffectRowCorrupt(EffectRefused, StoreCorrupt):
    """What is stored of the effect `replay_key` of `scope_id` cannot be replayed; forget it to have it run again."""

    def __init__(self, code: str, scope_id: str, replay_key: str, reason: str) -> None:
        super().__init__(
            code,
            f"what is stored of the effect {replay_key!r} of scope {scope_id!r} cannot be replayed: {reason}; "
            "restore it from a backup, or forget the effect to have it run again",
        )
        self.kind = "effect"
        self.key = f"{scope_id}/{replay_key}"
        self.scope_id = scope_id
        self.replay_key = replay_key


def _difference(paths: Sequence[str]) -> str:
    if not paths:
        return "of which only the hash is known"
    shown = ", ".join(paths[:_PATHS_SHOWN])
    more = len(paths) - _PATHS_SHOWN
    return f"which differs at {shown}" + (f" and {more} more" if more > 0 else "")
