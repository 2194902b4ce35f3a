"""The thread that renews leases: when it lives, what it renews, and what becomes of a renewal that fails."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lash_store.clock import SYSTEM_CLOCK
from lash_store.errors import StoreBusy, StoreClosed
from lash_store.records.invocation import RuntimeEffectKind
from lash_store.rules.effect_replay import AskedEffect
from lash_store.sqlite.database import Database
from lash_store.sqlite.effect_host.renewals import LeaseRenewals
from lash_store.sqlite.ops import effects as ops
from lash_store.sqlite.ops.effects import EFFECT_SCHEMA, EffectClaim
from lash_store.sqlite.plan import Plan, PlanResult

TTL_MS = 30
PATIENCE_S = 20.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "effects.db", schema=EFFECT_SCHEMA) as opened:
        yield opened


@pytest.fixture
def renewals(database: Database) -> Iterator[LeaseRenewals]:
    kept = LeaseRenewals(database, TTL_MS)
    yield kept
    end(kept)


def end(renewals: LeaseRenewals) -> None:
    thread = renewals.stop()
    if thread is not None:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def claim(database: Database, key: str, ttl_ms: int = TTL_MS) -> EffectClaim:
    asked = AskedEffect("turn", key, "hash", RuntimeEffectKind.EXEC_CODE, b"{}", b"{}")
    wanted = EffectClaim(ops.key_of(asked), "owner", "token")
    assert ops.claimed(database.run(ops.claim(asked, wanted, ttl_ms))) == 1
    return wanted


def expiries(database: Database) -> list[int]:
    query = "SELECT lease_expires_at_ms FROM runtime_effect_replay"
    rows: list[tuple[Any, ...]] = database.read(lambda connection: connection.execute(query).fetchall())
    return [expires for (expires,) in rows]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def unexpected() -> None:
    raise AssertionError("the claim was not lost")


def test_what_is_held_is_renewed_and_what_is_dropped_is_not(database: Database, renewals: LeaseRenewals) -> None:
    held = claim(database, "a")
    began = expiries(database)[0]
    renewals.hold(held, unexpected)
    until(lambda: expiries(database)[0] >= began + 3 * TTL_MS)
    renewals.drop(held)
    until(lambda: renewals._thread is None)
    (ended,) = expiries(database)
    until(lambda: SYSTEM_CLOCK.now_ms() > ended)
    assert expiries(database) == [ended]


def test_the_thread_lives_again_for_the_next_claim(database: Database, renewals: LeaseRenewals) -> None:
    for key in ("a", "b"):
        held = claim(database, key)
        renewals.hold(held, unexpected)
        until(lambda: renewals._thread is not None)
        renewals.drop(held)
        until(lambda: renewals._thread is None)


def test_a_claim_that_was_lost_is_told_once(database: Database, renewals: LeaseRenewals) -> None:
    told: list[str] = []
    renewals.hold(claim(database, "a"), lambda: told.append("a"))
    renewals.hold(claim(database, "b", ttl_ms=1_000_000), unexpected)
    lose = "UPDATE runtime_effect_replay SET lease_token = 'other' WHERE replay_key = 'a'"
    database.call(lambda connection: connection.execute(lose).fetchall())
    until(lambda: bool(told))
    renewals.renew_now()
    assert told == ["a"]
    assert [held.key.replay_key for held in renewals._held] == ["b"]


def test_many_claims_are_renewed(database: Database) -> None:
    renewals = LeaseRenewals(database, 3_000_000)
    for number in range(600):
        renewals.hold(claim(database, f"{number:03}", ttl_ms=1), unexpected)
    before = min(expiries(database))
    renewals.renew_now()
    end(renewals)
    assert len(expiries(database)) == 600
    assert min(expiries(database)) > before + 2_000_000


def test_a_renewal_that_fails_is_kept_and_tried_again(
    database: Database, renewals: LeaseRenewals, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([StoreBusy(5)])
    original = database.run

    def run(plan: object) -> object:
        for failure in failures:
            raise failure
        return original(plan)  # type: ignore[arg-type]

    held = claim(database, "a", ttl_ms=TTL_MS)
    monkeypatch.setattr(database, "run", run)
    renewals._held[held] = unexpected
    renewals.renew_now()
    assert isinstance(renewals.error, StoreBusy)
    renewals.renew_now()
    assert renewals.error is None


def test_the_thread_ends_with_the_handle(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "effects.db", schema=EFFECT_SCHEMA)
    renewals = LeaseRenewals(database, TTL_MS)
    renewals.hold(claim(database, "a"), unexpected)
    database.close()
    until(lambda: renewals._thread is None or not renewals._thread.is_alive())
    assert isinstance(renewals.error, StoreClosed)


def test_stopping_does_not_wait_for_the_next_renewal(database: Database) -> None:
    renewals = LeaseRenewals(database, 2**63 - 1)
    renewals.hold(claim(database, "a"), unexpected)
    began = time.monotonic()
    end(renewals)
    assert time.monotonic() - began < PATIENCE_S
    assert not any("effect leases" in thread.name for thread in threading.enumerate())


def test_a_claim_that_is_not_committed_yet_is_not_lost(database: Database) -> None:
    """Also if it is committed, and its caller says so, while a renewal that did not find it is still under way."""
    renewals = LeaseRenewals(database, 3_000_000)
    key = ops.EffectKey("turn", "a")
    coming = EffectClaim(key, "owner", "token")
    renewals.hold(coming)
    renewals.renew_now()
    assert list(renewals._held) == [coming]
    original = database.run

    def commit_behind(plan: Plan) -> PlanResult:
        result = original(plan)
        assert claim(opened, "a") == coming
        renewals.hold(coming, unexpected)
        return result

    with Database.open(database.path) as opened, pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "run", commit_behind)
        renewals.renew_now()
    assert list(renewals._held) == [coming]
    renewals.renew_now()
    assert expiries(database)[0] > SYSTEM_CLOCK.now_ms() + 2_000_000
    end(renewals)
