"""The verdict on an effect, by what is stored of it: the table of the effects specification (4.3) and strict replay."""

from typing import Any

import msgspec
import pytest

from lash_store.errors import EffectRefused
from lash_store.records.effect_outcome import RuntimeEffectOutcomeSleep
from lash_store.records.invocation import RuntimeEffectKind
from lash_store.rules.effect_replay import (
    AskedEffect,
    Changed,
    Claimable,
    Held,
    Replayed,
    ReplayedFailure,
    StoredEffect,
    judge,
)

NOW_MS = 1_000
ASKED = AskedEffect("turn", "key", "hash", RuntimeEffectKind.SLEEP, b"scope", b"envelope")


def stored(status: str, **other: Any) -> StoredEffect:
    plain = StoredEffect("hash", status, None, None, 0, None, "scope")
    return msgspec.structs.replace(plain, **other)


COMPLETED = stored("completed", outcome_text='{"type":"sleep"}', due_at_ms=2_000)
FAILED = stored("failed", error_text='{"code":"c","message":"m"}')
HELD = stored("in_progress", lease_expires_at_ms=NOW_MS + 1)
ABANDONED = stored("in_progress", lease_expires_at_ms=NOW_MS)


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (None, Claimable()),
        (HELD, Held()),
        (ABANDONED, Claimable()),
        (stored("in_progress"), Claimable()),
        (COMPLETED, Replayed(RuntimeEffectOutcomeSleep(), 2_000)),
        *((stored(status, envelope_hash="other"), Changed()) for status in ("completed", "in_progress", "strange")),
        *(
            (msgspec.structs.replace(row, scope_text="other"), Changed())
            for row in (COMPLETED, FAILED, HELD, ABANDONED)
        ),
        (msgspec.structs.replace(HELD, scope_text=None), Held()),
    ],
)
def test_the_verdict(row: StoredEffect | None, verdict: object) -> None:
    assert judge(ASKED, row, NOW_MS, strict=False) == verdict


@pytest.mark.parametrize("strict", [True, False])
def test_a_failure(strict: bool) -> None:
    verdict = judge(ASKED, FAILED, NOW_MS, strict=strict)
    assert isinstance(verdict, ReplayedFailure)
    assert (verdict.error.code, verdict.error.message) == ("c", "m")
    assert not isinstance(verdict.error, EffectRefused)  # else an executor that passes it on would not be believed


@pytest.mark.parametrize("row", [None, HELD, ABANDONED])
def test_strict_replay_refuses_what_has_not_ended(row: StoredEffect | None) -> None:
    with pytest.raises(EffectRefused) as refused:
        judge(ASKED, row, NOW_MS, strict=True)
    assert refused.value.code == "sqlite_effect_replay_missing"


def test_strict_replay_replays_and_compares() -> None:
    assert judge(ASKED, COMPLETED, NOW_MS, strict=True) == Replayed(RuntimeEffectOutcomeSleep(), 2_000)
    assert judge(ASKED, stored("in_progress", envelope_hash="other"), NOW_MS, strict=True) == Changed()
