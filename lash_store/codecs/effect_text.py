"""Outcomes and failures of effects as their rows hold them."""

from typing import Any

from lash_store.errors import (
    EffectRefused,
    EffectRowCorrupt,
    InvalidJsonValue,
    InvalidRecord,
    RuntimeEffectControllerError,
)
from lash_store.records.effect_outcome import RuntimeEffectFailure, RuntimeEffectOutcome
from lash_store.records.record import Record, read_json


def outcome_text(outcome: RuntimeEffectOutcome) -> str:
    """The JSON text of an outcome. Raises EffectRefused (`sqlite_effect_replay_encode`)."""
    return _text(outcome)


def failure_text(error: RuntimeEffectControllerError) -> str:
    """The JSON text of a failure. Raises EffectRefused (`sqlite_effect_replay_encode`)."""
    return _text(RuntimeEffectFailure(error.code, error.message))


def stored_outcome(text: str | None, scope_id: str, replay_key: str) -> RuntimeEffectOutcome:
    """The outcome of a completed effect. Raises EffectRowCorrupt."""
    outcome: RuntimeEffectOutcome = _stored(RuntimeEffectOutcome, "outcome", text, scope_id, replay_key)
    return outcome


def stored_failure(text: str | None, scope_id: str, replay_key: str) -> RuntimeEffectControllerError:
    """The error of a failed effect. Raises EffectRowCorrupt."""
    failure: RuntimeEffectFailure = _stored(RuntimeEffectFailure, "error", text, scope_id, replay_key)
    return RuntimeEffectControllerError(failure.code, failure.message)


def _text(record: Record) -> str:
    try:
        return record.to_json().decode()
    except (InvalidRecord, InvalidJsonValue) as unfit:
        raise EffectRefused("sqlite_effect_replay_encode", f"the result cannot be recorded: {unfit}") from unfit


def _stored(family: Any, part: str, text: str | None, scope_id: str, replay_key: str) -> Any:
    if text is None:
        reason = f"it has ended, but has no {part}"
        raise EffectRowCorrupt("sqlite_effect_replay_corrupt_row", scope_id, replay_key, reason)
    try:
        return read_json(family, text)
    except InvalidRecord as damage:
        raise EffectRowCorrupt("sqlite_effect_replay_decode", scope_id, replay_key, str(damage)) from damage
