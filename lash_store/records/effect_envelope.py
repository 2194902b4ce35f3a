"""Envelopes: an effect as it is asked for, and the hash by which it is known again (effects specification 2.1, 3.2)."""

import hashlib
from typing import Any, Self

from lash_store.errors import EffectRefused
from lash_store.records import json_text
from lash_store.records.effect_command import RuntimeEffectCommand
from lash_store.records.invocation import RuntimeEffectKind, RuntimeInvocation, RuntimeReplay, RuntimeSubjectEffect
from lash_store.records.layout import Unfit
from lash_store.records.record import Record
from lash_store.records.text import trimmed


class RuntimeEffectEnvelope(Record, frozen=True):
    """An invocation and the command that it stands for. `new` checks that the two fit, the constructor does not."""

    invocation: RuntimeInvocation
    command: RuntimeEffectCommand

    @classmethod
    def new(cls, invocation: RuntimeInvocation, command: RuntimeEffectCommand) -> Self:
        """An envelope that a controller takes.

        Raises EffectRefused: `runtime_effect_invocation_subject` if the subject is no effect or its id is blank,
        `runtime_effect_invocation_kind` if it is of another kind than the command, `runtime_effect_replay_required`,
        `runtime_effect_envelope_hash` if one of these is not even a record.
        """
        envelope = cls(invocation, command)
        envelope.require_effect()
        if not envelope.replay_key:
            raise EffectRefused(
                "runtime_effect_replay_required", "the invocation of an effect has no replay key; give it one"
            )
        return envelope

    @property
    def replay_key(self) -> str:
        """The key under which the effect is recorded; empty if it has none."""
        return "" if self.invocation.replay is None else self.invocation.replay.key

    def require_effect(self) -> None:
        """Raise EffectRefused as `new` does if subject and command do not fit, or something is no record."""
        _require("invocation", self.invocation, RuntimeInvocation)
        _require("command", self.command, RuntimeEffectCommand)
        if self.invocation.replay is not None:
            _require("invocation.replay", self.invocation.replay, RuntimeReplay)
            _require("invocation.replay.key", self.invocation.replay.key, str)
        subject = self.invocation.subject
        if not isinstance(subject, RuntimeSubjectEffect):
            raise EffectRefused(
                "runtime_effect_invocation_subject", "the subject of an effect's invocation is no effect"
            )
        _require("invocation.subject.effect_id", subject.effect_id, str)
        _require("invocation.subject.kind", subject.kind, RuntimeEffectKind)
        if not trimmed(subject.effect_id):
            raise EffectRefused("runtime_effect_invocation_subject", "the effect id of an effect's invocation is blank")
        if subject.kind != self.command.kind:
            raise EffectRefused(
                "runtime_effect_invocation_kind",
                f"the invocation is of an effect of kind {subject.kind.value}, "
                f"its command of kind {self.command.kind.value}; make them the same",
            )

    def hashed_text(self) -> bytes:
        """The text whose sha256 is the stable hash. Raises EffectRefused (`runtime_effect_envelope_hash`)."""
        try:
            text = json_text.compact(self.write_plain(True))
            json_text.require_depth(text)
        except Unfit as unfit:
            raise EffectRefused(
                "runtime_effect_envelope_hash", f"the envelope has no JSON form: at {unfit.path}: {unfit.reason}"
            ) from None
        return text

    def stable_hash(self) -> str:
        """The hex sha256 of invocation and command. Raises EffectRefused as `hashed_text` does."""
        return hashlib.sha256(self.hashed_text()).hexdigest()


def _require(path: str, value: object, wanted: Any) -> None:
    if not isinstance(value, wanted):
        raise EffectRefused(
            "runtime_effect_envelope_hash",
            f"the envelope has no JSON form: at $.{path}: it is a {type(value).__name__}",
        )
