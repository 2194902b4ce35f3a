"""Handles: scenarios 32 to 35, 37, 51 and 59."""

import pytest

from lash_store.errors import HandleNotGranted
from lash_store.records.process import ProcessScope
from lash_store.records.process_grant import ProcessHandleDescriptor, ProcessHandleGrant, ProcessSessionDeleteReport
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.process_examples import OK, append, register, wake_type

S1, S2, S3 = ProcessScope("s1"), ProcessScope("s2"), ProcessScope("s3")
TOOL, WORKER = ProcessHandleDescriptor("tool", "demo"), ProcessHandleDescriptor("worker", "demo")


async def listed(registry: SqliteProcessRegistry, scope: ProcessScope) -> list[str]:
    return [record.id for _, record in await registry.list_handle_grants(scope)]


async def test_scenario_32_a_handle_moves(registry: SqliteProcessRegistry) -> None:
    record = await register(registry, "proc-3")
    await registry.grant_handle(S1, "proc-3", TOOL)
    await registry.transfer_handle_grants(S1, S2, ["proc-3"])
    assert await registry.list_handle_grants(S1) == []
    assert await registry.list_handle_grants(S2) == [(ProcessHandleGrant("s2", "proc-3", TOOL), record)]
    assert await registry.events_after("proc-3", 0) == []


async def test_scenario_33_handles_of_a_process(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-5")
    await registry.grant_handle(S1, "proc-5", TOOL)
    await registry.grant_handle(S2, "proc-5", WORKER)
    assert await registry.handle_grants_for_process("proc-5") == [
        ProcessHandleGrant("s1", "proc-5", TOOL),
        ProcessHandleGrant("s2", "proc-5", WORKER),
    ]
    await registry.transfer_handle_grants(S1, S3, ["proc-5"])
    sessions = [grant.session_id for grant in await registry.handle_grants_for_process("proc-5")]
    assert sessions == ["s2", "s3"]
    assert await registry.events_after("proc-5", 0) == []


async def test_scenario_34_registering_grants_nothing(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-4")
    assert await registry.list_handle_grants(S1) == []
    assert await registry.get_process("proc-4") is not None


async def share(registry: SqliteProcessRegistry) -> None:
    """Scenario 35, up to the deletion."""
    await register(registry, "sole", wake_type("producer.wake"))
    await register(registry, "shared")
    await register(registry, "terminal")
    for process_id in ("sole", "shared", "terminal"):
        await registry.grant_handle(ProcessScope("deleted"), process_id, TOOL)
    await registry.grant_handle(ProcessScope("remaining"), "shared", TOOL)
    await registry.complete_process("terminal", OK)


REPORT = ProcessSessionDeleteReport("deleted", 3, 0, ["sole"], ["shared"])


async def test_scenario_35_a_session_goes(registry: SqliteProcessRegistry) -> None:
    await share(registry)
    await append(registry, "sole", "producer.wake", {"wake_input": "w"}, target=ProcessScope("deleted"))
    assert await registry.delete_session_process_state("deleted") == REPORT
    assert await listed(registry, ProcessScope("deleted")) == []
    assert await listed(registry, ProcessScope("remaining")) == ["shared"]


async def test_scenario_37_live_handles(registry: SqliteProcessRegistry) -> None:
    owner = ProcessScope("history-owner")
    for process_id in ("proc-live-grant", "proc-done-grant"):
        await register(registry, process_id)
        await registry.grant_handle(owner, process_id, TOOL)
    await registry.complete_process("proc-done-grant", OK)
    live = [record.id for _, record in await registry.list_live_handle_grants(owner)]
    assert live == ["proc-live-grant"]
    assert await listed(registry, owner) == ["proc-done-grant", "proc-live-grant"]


async def test_scenario_51_what_is_left_behind_is_asked_to_end(registry: SqliteProcessRegistry) -> None:
    await share(registry)
    assert await registry.delete_session_process_state("deleted", cancel_reason="session deleted") == REPORT
    (event,) = await registry.events_after("sole", 0)
    assert (event.event_type, event.payload) == ("process.cancel_requested", {"reason": "session deleted"})
    assert event.invocation.replay is not None
    assert event.invocation.replay.key.endswith("fea2f95ada94768e9255316ee7db56f2a17b8e79b93723b5804487e8c916d841")
    assert await registry.events_after("shared", 0) == []


async def test_scenario_59_all_handles_move_or_none(registry: SqliteProcessRegistry) -> None:
    for process_id in ("granted", "missing"):
        await register(registry, process_id)
    await registry.grant_handle(S1, "granted", TOOL)
    await registry.grant_handle(S3, "missing", WORKER)
    with pytest.raises(HandleNotGranted) as refused:
        await registry.transfer_handle_grants(S1, S2, ["granted", "missing"])
    assert (refused.value.process_id, refused.value.session_id) == ("missing", "s1")
    assert await listed(registry, S1) == ["granted"]
    assert await listed(registry, S2) == []
    assert await listed(registry, S3) == ["missing"]
