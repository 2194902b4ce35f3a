"""Leases at their edges: expiry, clocks that step back, numbers at the end of their range."""

import asyncio

import msgspec
import pytest

from lash_store.errors import InvalidRecord, ProcessLeaseConflict, ProcessLeaseLost, StoreBusy
from lash_store.records.process_lease import ProcessLeaseCompletion
from lash_store.sqlite.plan import Plan, PlanResult
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.clocks import ManualClock
from tests.process_examples import OK, register
from tests.process_registries import Registries
from tests.sqlite.process_registry.rows import rows

LATEST = 2**63 - 1


async def test_expiry_is_exclusive(registry: SqliteProcessRegistry, clock: ManualClock) -> None:
    await register(registry, "p")
    lease = await registry.claim_process_lease("p", "a", 10)
    assert (lease.claimed_at_epoch_ms, lease.expires_at_epoch_ms) == (clock.now, clock.now + 10)
    clock.advance(9)
    with pytest.raises(ProcessLeaseConflict):
        await registry.claim_process_lease("p", "b", 10)
    clock.advance(1)
    with pytest.raises(ProcessLeaseLost):
        await registry.renew_process_lease(lease, 10)
    assert (await registry.claim_process_lease("p", "b", 10)).fencing_token == 2


async def test_a_renewal_may_shorten(registry: SqliteProcessRegistry, clock: ManualClock) -> None:
    await register(registry, "p")
    lease = await registry.claim_process_lease("p", "a", 1_000)
    shorter = await registry.renew_process_lease(lease, 1)
    assert shorter == msgspec.structs.replace(lease, expires_at_epoch_ms=clock.now + 1)
    clock.advance(1)
    assert (await registry.claim_process_lease("p", "b", 1)).owner_id == "b"


@pytest.mark.parametrize("field", ["owner_id", "lease_token", "fencing_token", "process_id"])
async def test_a_renewal_must_be_of_that_lease(registry: SqliteProcessRegistry, field: str) -> None:
    """Weakness 3: not only the token counts."""
    await register(registry, "p")
    await register(registry, "q")
    lease = await registry.claim_process_lease("p", "a", 1_000)
    other = {"owner_id": "b", "lease_token": "0" * 64, "fencing_token": 2, "process_id": "q"}
    with pytest.raises(ProcessLeaseLost):
        await registry.renew_process_lease(msgspec.structs.replace(lease, **{field: other[field]}), 1_000)
    await registry.renew_process_lease(lease, 1_000)


async def test_the_owner_claims_again(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p")
    first = await registry.claim_process_lease("p", "a", 1_000)
    second = await registry.claim_process_lease("p", "a", 1_000)
    assert second.fencing_token == first.fencing_token + 1
    assert second.lease_token != first.lease_token
    with pytest.raises(ProcessLeaseLost):
        await registry.renew_process_lease(first, 1_000)
    await registry.complete_process_lease(ProcessLeaseCompletion.from_lease(first))
    await registry.renew_process_lease(second, 1_000)


async def test_an_ended_process_can_be_claimed(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p")
    await registry.complete_process("p", OK)
    assert (await registry.claim_process_lease("p", "a", 1)).fencing_token == 1


async def test_a_clock_that_steps_back_does_no_harm(registry: SqliteProcessRegistry, clock: ManualClock) -> None:
    """The lease lives longer than it should; it is never two owners', and fencing tokens only grow."""
    await register(registry, "p")
    first = await registry.claim_process_lease("p", "a", 1_000)
    clock.advance(1_000)
    second = await registry.claim_process_lease("p", "b", 1_000)
    clock.advance(-5_000)
    for call in (registry.renew_process_lease(first, 1_000), registry.claim_process_lease("p", "a", 1_000)):
        with pytest.raises((ProcessLeaseLost, ProcessLeaseConflict)):
            await call
    third = await registry.claim_process_lease("p", "b", 1_000)
    assert (first.fencing_token, second.fencing_token, third.fencing_token) == (1, 2, 3)
    assert third.expires_at_epoch_ms == clock.now + 1_000


@pytest.mark.parametrize("ttl_ms", [-1, 2**63, True, 1.5])
async def test_a_time_to_live_out_of_range(registry: SqliteProcessRegistry, ttl_ms: int) -> None:
    """Weakness 19."""
    await register(registry, "p")
    lease = await registry.claim_process_lease("p", "a", 1)
    for call in (registry.claim_process_lease("p", "a", ttl_ms), registry.renew_process_lease(lease, ttl_ms)):
        with pytest.raises(InvalidRecord):
            await call
    assert (await registry.claim_process_lease("p", "a", 1)).fencing_token == 2


async def test_the_latest_expiry(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p")
    lease = await registry.claim_process_lease("p", "a", LATEST)
    assert lease.expires_at_epoch_ms == LATEST
    assert (await registry.renew_process_lease(lease, LATEST)).expires_at_epoch_ms == LATEST
    with pytest.raises(ProcessLeaseConflict) as refused:
        await registry.claim_process_lease("p", "b", 1)
    assert refused.value.expires_at_epoch_ms == LATEST


async def test_numbers_of_alpha40_beyond_the_column(registries: Registries) -> None:
    """It writes unsigned numbers: an expiry of 2^64-1 stands there as -1, a fencing token of 2^63 as -2^63."""
    registry = await registries.file()
    await register(registry, "p")
    rows(registries.path, "INSERT INTO process_leases VALUES ('p', 'a', 't', ?, 0, -1)", LATEST)
    with pytest.raises(ProcessLeaseConflict) as refused:
        await registry.claim_process_lease("p", "b", 1)
    assert refused.value.expires_at_epoch_ms == 2**64 - 1
    lease = await registry.claim_process_lease("p", "a", 1_000)
    assert lease.fencing_token == 2**63
    again = await registry.claim_process_lease("p", "a", 1_000)
    assert again.fencing_token == 2**63 + 1
    assert (await registry.renew_process_lease(again, 1_000)).fencing_token == 2**63 + 1
    assert rows(registries.path, "SELECT lease_fencing_token, typeof(lease_fencing_token) FROM process_leases") == [
        (-(2**63) + 1, "integer")
    ]


async def test_tokens_are_not_to_be_guessed(registry: SqliteProcessRegistry) -> None:
    """Weakness 20: two claims of one owner at one time."""
    await register(registry, "p")
    tokens = {(await registry.claim_process_lease("p", "a", 0)).lease_token for _ in range(50)}
    assert len(tokens) == 50
    assert {len(token) for token in tokens} == {64}


async def test_what_is_no_text(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p")
    lease = await registry.claim_process_lease("p", "a", 1_000)
    for call in (
        registry.claim_process_lease("p", "\ud800", 1),
        registry.claim_process_lease("\ud800", "a", 1),
        registry.renew_process_lease(msgspec.structs.replace(lease, owner_id="\ud800"), 1),
        registry.renew_process_lease(msgspec.structs.replace(lease, fencing_token=-1), 1),
        registry.complete_process_lease(ProcessLeaseCompletion("p", "\ud800")),
    ):
        with pytest.raises(InvalidRecord):
            await call


@pytest.mark.parametrize("held_before", [False, True])
async def test_a_claim_that_is_cancelled_while_it_commits_is_given_up(
    registry: SqliteProcessRegistry, monkeypatch: pytest.MonkeyPatch, held_before: bool
) -> None:
    await register(registry, "p")
    if held_before:
        await registry.claim_process_lease("p", "a", 900_000)
    connection = registry._connection
    original = connection.run

    async def run(plan: Plan) -> PlanResult:
        monkeypatch.setattr(connection, "run", original)
        await original(plan)
        raise asyncio.CancelledError

    monkeypatch.setattr(connection, "run", run)
    with pytest.raises(asyncio.CancelledError):
        await registry.claim_process_lease("p", "a", 900_000)
    assert (await registry.claim_process_lease("p", "b", 1)).fencing_token == 2 + held_before


@pytest.mark.parametrize("turns", range(1, 6))
async def test_a_claim_that_is_cancelled_twice_at_any_moment_leaves_nothing(
    registry: SqliteProcessRegistry, turns: int
) -> None:
    await register(registry, "p")
    claiming = asyncio.create_task(registry.claim_process_lease("p", "a", 900_000))
    for _ in range(turns):
        await asyncio.sleep(0)
    if claiming.done():
        return
    claiming.cancel()
    await asyncio.sleep(0)
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    await registry.claim_process_lease("p", "b", 1)


async def test_a_claim_that_cannot_be_given_up_says_so(
    registry: SqliteProcessRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(registry, "p")
    errors = iter([asyncio.CancelledError(), StoreBusy(1)])

    async def run(_: Plan) -> PlanResult:
        raise next(errors)

    monkeypatch.setattr(registry._connection, "run", run)
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await registry.claim_process_lease("p", "a", 1)
    assert any("may stay claimed until its lease ends" in note for note in cancelled.value.__notes__)
