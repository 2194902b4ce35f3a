"""Registering, external references, grants as such: scenarios 1 to 6 and 36."""

import pytest

from lash_store.errors import ProcessRegistrationConflict, UnknownProcess
from lash_store.records.artifacts import DurabilityTier
from lash_store.records.process import ProcessExternalRef, ProcessScope
from lash_store.records.process_output import ProcessAwaitOutputSuccess
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.process_examples import DESCRIPTOR, register, registration, wake_type

R1 = "ebe6678046ad84685b7c30136ba951d5b8d59a8579033343cc28eea029a9b4f0"
R2 = "b5138d91cae38b98cd767c2f3441630e9518019a3116f0da932f910f1a286e5a"
REFERENCE = ProcessExternalRef("worker", "job-123", {"queue": "critical"})


async def test_scenario_01_the_tier_is_durable(registry: SqliteProcessRegistry) -> None:
    assert registry.durability_tier is DurabilityTier.DURABLE
    assert registry.durability_tier.value == "durable"


async def test_scenario_02_registering_again_returns_the_same_record(registry: SqliteProcessRegistry) -> None:
    first = await register(registry, "proc-idempotent")
    second = await register(registry, "proc-idempotent")
    assert first.registration_hash == second.registration_hash == R1
    assert first == second


async def test_scenario_03_another_content_under_the_id_is_refused(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-idempotent")
    with pytest.raises(ProcessRegistrationConflict) as refused:
        await registry.register_process(registration("proc-idempotent", wake_type("producer.wake")))
    error = refused.value
    assert (error.process_id, error.existing_hash, error.new_hash) == ("proc-idempotent", R1, R2)
    assert all(text in str(error) for text in ("proc-idempotent", R1, R2))


async def test_scenario_04_no_reference_on_an_unknown_process(registry: SqliteProcessRegistry) -> None:
    with pytest.raises(UnknownProcess, match="missing-process") as refused:
        await registry.set_external_ref("missing-process", REFERENCE)
    assert refused.value.process_id == "missing-process"


async def test_scenario_05_a_reference_is_kept(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-external-ref")
    record = await registry.set_external_ref("proc-external-ref", REFERENCE)
    assert record.external_ref == REFERENCE
    assert await registry.get_process("proc-external-ref") == record


async def test_scenario_06_a_handle_comes_and_goes(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-external-ref")
    await registry.set_external_ref("proc-external-ref", REFERENCE)
    owner = ProcessScope("grant-owner")
    assert not await registry.has_handle_grant(owner, "proc-external-ref")
    await registry.grant_handle(owner, "proc-external-ref", DESCRIPTOR)
    assert await registry.has_handle_grant(owner, "proc-external-ref")
    await registry.revoke_handle(owner, "proc-external-ref")
    assert not await registry.has_handle_grant(owner, "proc-external-ref")
    assert await registry.list_handle_grants(owner) == []


async def test_scenario_36_only_what_runs_is_non_terminal(registry: SqliteProcessRegistry) -> None:
    live = await register(registry, "proc-live")
    await register(registry, "proc-done")
    await registry.complete_process("proc-done", ProcessAwaitOutputSuccess(None))
    assert await registry.list_non_terminal() == [live]
