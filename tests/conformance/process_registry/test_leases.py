"""Leases: scenarios 38 to 42 and 60."""

import pytest

from lash_store.errors import ProcessLeaseConflict, ProcessLeaseLost
from lash_store.records.process_lease import ProcessLeaseCompletion
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.clocks import ManualClock
from tests.process_examples import register


async def test_scenario_38_one_owner_at_a_time(registry: SqliteProcessRegistry, clock: ManualClock) -> None:
    await register(registry, "proc-lease-active")
    await registry.claim_process_lease("proc-lease-active", "owner-a", 60_000)
    with pytest.raises(ProcessLeaseConflict, match="already leased") as refused:
        await registry.claim_process_lease("proc-lease-active", "owner-b", 60_000)
    assert (refused.value.owner_id, refused.value.expires_at_epoch_ms) == ("owner-a", clock.now + 60_000)
    assert (await registry.claim_process_lease("proc-lease-active", "owner-a", 60_000)).fencing_token == 2


async def test_scenario_39_a_superseded_lease_is_lost(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-lease-superseded")
    old = await registry.claim_process_lease("proc-lease-superseded", "owner-a", 0)
    await registry.claim_process_lease("proc-lease-superseded", "owner-b", 60_000)
    with pytest.raises(ProcessLeaseLost, match="missing or expired"):
        await registry.renew_process_lease(old, 60_000)


async def test_scenario_40_a_renewed_lease_lives_on(registry: SqliteProcessRegistry, clock: ManualClock) -> None:
    await register(registry, "proc-lease-renew")
    lease = await registry.claim_process_lease("proc-lease-renew", "owner-a", 20)
    renewed = await registry.renew_process_lease(lease, 60_000)
    clock.advance(30)
    again = await registry.renew_process_lease(renewed, 60_000)
    assert again.expires_at_epoch_ms == clock.now + 60_000
    assert again.lease_token == lease.lease_token


async def test_scenario_41_a_completed_lease_is_free(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-lease-complete")
    first = await registry.claim_process_lease("proc-lease-complete", "owner-a", 60_000)
    await registry.complete_process_lease(ProcessLeaseCompletion.from_lease(first))
    second = await registry.claim_process_lease("proc-lease-complete", "owner-b", 60_000)
    assert second.fencing_token > first.fencing_token


async def test_scenario_42_a_stale_completion_changes_nothing(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-lease-stale-complete")
    old = await registry.claim_process_lease("proc-lease-stale-complete", "owner-a", 0)
    held = await registry.claim_process_lease("proc-lease-stale-complete", "owner-b", 60_000)
    await registry.complete_process_lease(ProcessLeaseCompletion.from_lease(old))
    with pytest.raises(ProcessLeaseConflict, match="already leased"):
        await registry.claim_process_lease("proc-lease-stale-complete", "owner-c", 60_000)
    await registry.renew_process_lease(held, 60_000)


async def test_scenario_60_the_fencing_token_survives(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-lease-row")
    for fencing_token in range(1, 5):
        lease = await registry.claim_process_lease("proc-lease-row", f"owner-{fencing_token}", 60_000)
        assert lease.fencing_token == fencing_token
        await registry.complete_process_lease(ProcessLeaseCompletion.from_lease(lease))
    assert (await registry.claim_process_lease("proc-lease-row", "owner", 60_000)).fencing_token == 5
