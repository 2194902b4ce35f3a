"""Events, replays and waits: scenarios 7 to 18, 26 to 31 and 58."""

import asyncio

import msgspec
import pytest

from lash_store.errors import (
    InvalidProcessPayload,
    MissingWakeTarget,
    ProcessAlreadyTerminal,
    ProcessReplayKeyConflict,
    ProcessReplayKeyRequired,
)
from lash_store.records.causal import CausalRefProcess
from lash_store.records.invocation import RuntimeInvocation, RuntimeReplay, RuntimeScope, RuntimeSubjectProcessEvent
from lash_store.records.process import ProcessScope
from lash_store.records.process_event import ProcessEventAppendRequest, ProcessEventAppendResult, ProcessWakeDelivery
from lash_store.records.process_output import ProcessAwaitOutputCancelled, ProcessAwaitOutputFailure
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests import process_examples as examples
from tests.process_examples import OK, append, plain_type, register, wake_type
from tests.process_registries import PATIENCE_S, waiting

LINE_SCHEMA = {
    "type": "object",
    "properties": {"line": {"type": "string"}, "wake_input": {"type": "string"}},
    "required": ["line"],
    "additionalProperties": True,
}


async def append_line(registry: SqliteProcessRegistry) -> ProcessEventAppendResult:
    """Scenario 7."""
    await register(registry, "proc-1", wake_type("producer.line", LINE_SCHEMA))
    payload = {"line": "deploy failed", "wake_input": "Process event: deploy failed"}
    return await append(registry, "proc-1", "producer.line", payload, target=ProcessScope("s1"))


async def test_scenario_07_an_event_with_a_wake(registry: SqliteProcessRegistry) -> None:
    event = (await append_line(registry)).event
    assert event.sequence == 1
    assert event.semantics.wake is not None
    assert event.semantics.wake.input == "Process event: deploy failed"


async def test_scenario_08_an_acknowledged_wake_is_gone(registry: SqliteProcessRegistry) -> None:
    event = (await append_line(registry)).event
    assert await registry.wake_events_after("proc-1", 0) == [event]
    await registry.ack_wake("proc-1", 1)
    assert await registry.wake_events_after("proc-1", 0) == []


async def test_scenario_09_a_payload_must_fit_its_schema(registry: SqliteProcessRegistry) -> None:
    await append_line(registry)
    with pytest.raises(InvalidProcessPayload) as refused:
        await append(registry, "proc-1", "producer.line", {"wake_input": "missing required line"})
    assert (refused.value.event_type, refused.value.location) == ("producer.line", "line")


async def test_scenario_10_an_event_for_another_session(registry: SqliteProcessRegistry) -> None:
    await examples.register_provenance(registry)
    assert (await examples.append_provenance(registry)).event.sequence == 1


async def test_scenario_11_the_same_request_again_is_a_replay(registry: SqliteProcessRegistry) -> None:
    await examples.register_provenance(registry)
    first = await examples.append_provenance(registry)
    assert await examples.append_provenance(registry) == first
    assert await registry.events_after("proc-provenance", 0) == [first.event]


async def test_scenario_12_the_invocation_is_the_owner_s(registry: SqliteProcessRegistry) -> None:
    await examples.register_provenance(registry)
    event = (await examples.append_provenance(registry)).event
    assert event.invocation == RuntimeInvocation(
        RuntimeScope("owner-session"),
        RuntimeSubjectProcessEvent("proc-provenance", 1, "producer.custom_wake"),
        CausalRefProcess("proc-provenance"),
        RuntimeReplay("custom-wake:build-failed"),
    )


async def test_scenario_13_the_delivery_is_the_target_s(registry: SqliteProcessRegistry) -> None:
    await examples.register_provenance(registry)
    result = await examples.append_provenance(registry)
    assert result.wake_delivery == ProcessWakeDelivery(
        wake_id="wake:46cb109adef9ba0513a94be3a54c1a0adf5e05fcbbe38b46ba57e14f546b1e00",
        target_session_id="target-session",
        target_scope_id="session:target-session/frame:target-frame",
        process_id="proc-provenance",
        sequence=1,
        event_type="producer.custom_wake",
        event_invocation=result.event.invocation,
        process_caused_by=examples.PROVENANCE_CAUSE,
        dedupe_key="proc-provenance:1",
        input="custom wake: build failed",
        created_at_ms=result.event.occurred_at.epoch_ms,
    )


async def test_scenario_14_a_replay_brings_the_same_wake(registry: SqliteProcessRegistry) -> None:
    await examples.register_provenance(registry)
    first = (await examples.append_provenance(registry)).wake_delivery
    second = (await examples.append_provenance(registry)).wake_delivery
    assert first is not None
    assert second is not None
    assert first.wake_id == second.wake_id


async def test_scenario_15_events_behind_a_place(registry: SqliteProcessRegistry) -> None:
    await examples.fill_stream(registry)
    events = await registry.events_after("proc-stream", 1)
    assert [(event.sequence, event.event_type) for event in events] == [(2, "producer.wake"), (3, "producer.line")]
    assert await registry.events_after("proc-stream", 3) == []


async def test_scenario_16_wakes_behind_a_place(registry: SqliteProcessRegistry) -> None:
    await examples.fill_stream(registry)
    events = await registry.wake_events_after("proc-stream", 1)
    assert [(event.sequence, event.event_type) for event in events] == [(2, "producer.wake")]
    assert await registry.wake_events_after("proc-stream", 2) == []


async def test_scenario_17_what_is_there_is_not_waited_for(registry: SqliteProcessRegistry) -> None:
    await examples.fill_stream(registry)
    async with asyncio.timeout(PATIENCE_S):
        assert (await registry.wait_event_after("proc-stream", "producer.line", 1)).sequence == 3


async def test_scenario_18_a_waiter_gets_what_comes(registry: SqliteProcessRegistry) -> None:
    await examples.fill_stream(registry)
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        waiter = tasks.create_task(registry.wait_event_after("proc-stream", "producer.future", 3))
        await waiting(registry, for_events=1)
        appended = await append(registry, "proc-stream", "producer.future", {})
        event = await waiter
    assert event == appended.event
    assert event.sequence == 4


WAKE = {"message": "deploy failed", "wake_input": "Process wake: deploy failed"}
WAKE_KEY = "wake:deploy failed"


async def test_scenario_26_a_replayed_wake_is_the_same_wake(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-wake", wake_type("process.wake"))
    results = [
        await append(registry, "proc-wake", "process.wake", WAKE, key=WAKE_KEY, target=ProcessScope("session"))
        for _ in range(2)
    ]
    assert results[0] == results[1]
    delivery = results[0].wake_delivery
    assert delivery is not None
    assert (delivery.input, delivery.target_scope_id, delivery.process_id) == (
        "Process wake: deploy failed",
        "session:session",
        "proc-wake",
    )


async def test_scenario_27_a_key_stands_for_one_payload(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-wake", wake_type("process.wake"))
    await append(registry, "proc-wake", "process.wake", WAKE, key=WAKE_KEY, target=ProcessScope("session"))
    other = {**WAKE, "message": "another"}
    for target in (ProcessScope("session"), None):
        with pytest.raises(ProcessReplayKeyConflict) as refused:
            await append(registry, "proc-wake", "process.wake", other, key=WAKE_KEY, target=target)
        assert (refused.value.process_id, refused.value.replay_key) == ("proc-wake", WAKE_KEY)


async def test_scenario_28_a_wake_needs_a_target(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-missing-wake-target", wake_type("process.wake"))
    with pytest.raises(MissingWakeTarget, match="without a wake target scope") as refused:
        await append(registry, "proc-missing-wake-target", "process.wake", WAKE, key="key")
    assert (refused.value.process_id, refused.value.event_type) == ("proc-missing-wake-target", "process.wake")
    assert await registry.events_after("proc-missing-wake-target", 0) == []


async def test_scenario_29_a_cancel_request_needs_a_key(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-terminal")
    with pytest.raises(ProcessReplayKeyRequired):
        await append(registry, "proc-terminal", "process.cancel_requested", {"reason": "stop"})
    request = ProcessEventAppendRequest.cancel_requested("proc-terminal", "stop")
    assert (await registry.append_event("proc-terminal", request)).event.sequence == 1


async def test_scenario_30_a_cancelled_process(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-terminal")
    await registry.append_event("proc-terminal", ProcessEventAppendRequest.cancel_requested("proc-terminal", "stop"))
    record = await registry.complete_process("proc-terminal", ProcessAwaitOutputCancelled("stopped"))
    assert record.status.label == "cancelled"


async def test_scenario_31_what_was_completed_is_awaited(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-2")
    record = await registry.complete_process("proc-2", OK)
    assert await registry.await_process("proc-2") == OK
    assert record.is_terminal
    assert await registry.get_process("proc-2") == record


async def test_scenario_58_the_end_is_one(registry: SqliteProcessRegistry) -> None:
    await register(registry, "proc-end", plain_type("producer.line"))
    ended = await registry.complete_process("proc-end", OK)
    assert await registry.complete_process("proc-end", OK) == ended
    with pytest.raises(ProcessAlreadyTerminal):
        await registry.complete_process("proc-end", ProcessAwaitOutputFailure("execution", "late", "too late"))
    with pytest.raises(ProcessReplayKeyConflict):
        await registry.complete_process("proc-end", msgspec.structs.replace(OK, value="other"))
    late = await append(registry, "proc-end", "producer.line", {})
    events = await registry.events_after("proc-end", 0)
    assert [event.event_type for event in events] == ["process.completed", "producer.line"]
    assert events[1] == late.event
