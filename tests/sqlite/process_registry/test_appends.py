"""Appending: who decides what, many tasks at once, two handles, and what a replay mends."""

import asyncio
from typing import Any

import pytest

from lash_store.errors import (
    InvalidJsonValue,
    InvalidProcessPayload,
    InvalidRecord,
    MissingWakeTarget,
    ProcessAlreadyTerminal,
    ProcessLeaseLost,
    ProcessReplayKeyConflict,
    ProcessReplayKeyRequired,
    SelectorMismatch,
    StoreCorrupt,
    UndeclaredProcessEvent,
    UnknownProcess,
)
from lash_store.records.process import ProcessScope
from lash_store.records.process_event_type import (
    LashSchema,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessTerminalSpec,
    ProcessWakeSpec,
)
from lash_store.records.process_grant import ProcessHandleDescriptor
from lash_store.records.process_lease import ProcessLeaseCompletion
from lash_store.records.process_output import ProcessAwaitOutputSuccess, ProcessStatusCompleted
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.clocks import ManualClock
from tests.process_examples import OK, append, plain_type, register, wake_type
from tests.process_registries import PATIENCE_S, Registries
from tests.sqlite.process_registry.rows import rows

STRICT = plain_type("strict", {"type": "object", "required": ["x"]})
ENDS = ProcessEventType(
    "ends", LashSchema({}), ProcessEventSemanticsSpec(ProcessTerminalSpec("completed", {"pointer": "/out"}))
)
BOTH = ProcessEventType(
    "both",
    LashSchema({}),
    ProcessEventSemanticsSpec(ProcessTerminalSpec("completed"), ProcessWakeSpec(input={"const": "over"})),
)
TYPES = (plain_type("line"), STRICT, wake_type("wakes"), ENDS, BOTH)


async def test_an_unknown_process(registry: SqliteProcessRegistry) -> None:
    calls = [
        append(registry, "nobody", "line", {}),
        append(registry, "nobody", "line", {}, key="k"),
        registry.complete_process("nobody", OK),
        registry.events_after("nobody", 0),
        registry.wake_events_after("nobody", 0),
        registry.ack_wake("nobody", 1),
        registry.wait_event_after("nobody", "line", 0),
        registry.await_process("nobody"),
        registry.claim_process_lease("nobody", "o", 1),
        registry.handle_grants_for_process("nobody"),
    ]
    for call in calls:
        with pytest.raises(UnknownProcess) as refused:
            await call
        assert refused.value.process_id == "nobody"
    assert await registry.get_process("nobody") is None


@pytest.mark.parametrize("known", [True, False], ids=["known", "asked"])
async def test_the_order_of_checks(registries: Registries, known: bool) -> None:
    """The same refusals, whether this handle knows the process already or has to ask the file."""
    first, registry = await registries.file(), await registries.file()
    await register(first, "p", *TYPES)
    await append(first, "p", "line", {"n": 1}, key="used")
    if known:
        await append(registry, "p", "line", {})
    with pytest.raises(ProcessReplayKeyConflict):  # before the type is looked at
        await append(registry, "p", "undeclared", {}, key="used")
    with pytest.raises(UndeclaredProcessEvent) as undeclared:
        await append(registry, "p", "undeclared", {})
    assert (undeclared.value.process_id, undeclared.value.event_type) == ("p", "undeclared")
    for key in (None, ""):
        with pytest.raises(ProcessReplayKeyRequired):  # before the payload is
            await append(registry, "p", "ends", {}, key=key)
    with pytest.raises(InvalidProcessPayload):
        await append(registry, "p", "strict", {})
    with pytest.raises(SelectorMismatch) as mismatch:
        await append(registry, "p", "ends", {}, key="new")
    assert mismatch.value.pointer == "/out"
    with pytest.raises(MissingWakeTarget):
        await append(registry, "p", "both", {}, key="new")
    await append(first, "p", "ends", {"out": 1}, key="end")
    with pytest.raises(ProcessAlreadyTerminal):  # before the target is missed
        await append(registry, "p", "both", {}, key="new")
    with pytest.raises(MissingWakeTarget):
        await append(registry, "p", "wakes", {"wake_input": 1})
    assert len(await first.events_after("p", 0)) == (3 if known else 2)


@pytest.mark.parametrize("payload", [{"x": float("nan")}, {"x": 2**64}, {"x": "\ud800"}, {1: 2}, {"x": object()}])
async def test_a_payload_without_stored_form(registry: SqliteProcessRegistry, payload: Any) -> None:
    await register(registry, "p", *TYPES)
    with pytest.raises(InvalidJsonValue):
        await append(registry, "p", "line", payload)
    assert await registry.events_after("p", 0) == []


async def test_a_payload_nested_too_deeply(registry: SqliteProcessRegistry) -> None:
    """127 levels in all, of which the event is one."""
    await register(registry, "p", *TYPES)
    deep: Any = 0
    for _ in range(126):
        deep = [deep]
    await append(registry, "p", "line", deep)
    with pytest.raises(InvalidJsonValue):
        await append(registry, "p", "line", [deep])
    assert len(await registry.events_after("p", 0)) == 1


async def test_what_is_no_text(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p", *TYPES)
    with pytest.raises(InvalidRecord):
        await append(registry, "\ud800", "line", {})
    with pytest.raises(InvalidJsonValue):
        await append(registry, "p", "line", {}, key="\ud800")
    with pytest.raises(InvalidRecord):
        await append(registry, "p", "wakes", {"wake_input": 1}, target=ProcessScope(1))  # type: ignore[arg-type]
    assert await registry.events_after("p", 0) == []


@pytest.mark.parametrize("number", [-1, 2**63, True, 1.0])
async def test_sequences_out_of_range(registry: SqliteProcessRegistry, number: int) -> None:
    await register(registry, "p")
    for call in (
        registry.events_after("p", number),
        registry.wake_events_after("p", number),
        registry.wait_event_after("p", "line", number),
        registry.ack_wake("p", number),
    ):
        with pytest.raises(InvalidRecord):
            await call


async def test_many_tasks_append_to_one_process(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p", *TYPES)
    results = await asyncio.gather(*(append(registry, "p", "line", {"n": n}) for n in range(200)))
    assert sorted(result.event.sequence for result in results) == list(range(1, 201))
    stored = await registry.events_after("p", 0)
    assert stored == sorted((result.event for result in results), key=lambda event: event.sequence)


async def test_one_key_from_many_tasks_is_one_event(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p", *TYPES)
    target = ProcessScope("s")
    results = await asyncio.gather(
        *(append(registry, "p", "wakes", {"wake_input": "w"}, key="k", target=target) for _ in range(50))
    )
    assert all(result == results[0] for result in results)
    assert await registry.events_after("p", 0) == [results[0].event]


async def test_one_end_from_many_tasks(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p")
    outcomes = await asyncio.gather(
        *(registry.complete_process("p", ProcessAwaitOutputSuccess(n)) for n in range(20)), return_exceptions=True
    )
    (ended,) = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert {type(outcome) for outcome in outcomes if outcome is not ended} == {ProcessReplayKeyConflict}
    assert await registry.get_process("p") == ended


async def test_two_handles_take_turns(registries: Registries) -> None:
    one, two = await registries.file(), await registries.file()
    await register(one, "p", *TYPES)
    for n in range(10):
        result = await append(one if n % 2 else two, "p", "line", {"n": n})
        assert result.event.sequence == n + 1
    await two.complete_process("p", OK)
    with pytest.raises(ProcessAlreadyTerminal):
        await append(one, "p", "ends", {"out": 1}, key="late")


async def test_a_process_that_was_made_anew(registries: Registries) -> None:
    """What a handle knows of a process is never believed against the file."""
    registry = await registries.file()
    await register(registry, "p", *TYPES)
    await append(registry, "p", "line", {})
    rows(registries.path, "DELETE FROM process_events")
    rows(registries.path, "DELETE FROM processes")
    with pytest.raises(UnknownProcess):
        await append(registry, "p", "line", {})
    await register(await registries.file(), "p", plain_type("other"))
    with pytest.raises(UndeclaredProcessEvent):
        await append(registry, "p", "line", {})
    assert (await append(registry, "p", "other", {})).event.sequence == 1


async def test_a_replayed_end_sets_the_status(registries: Registries, clock: ManualClock) -> None:
    """Weakness 1."""
    registry = await registries.file()
    running = await register(registry, "p")
    await registry.complete_process("p", OK)
    for known in (True, False):
        handle = registry if known else await registries.file()
        rows(
            registries.path,
            "UPDATE processes SET status = 'running', record_json = ?",
            running.to_json().decode(),
        )
        clock.advance(9)
        record = await handle.complete_process("p", OK)
        assert record.status == ProcessStatusCompleted(OK)
        assert record.updated_at_ms == clock.now
        assert await registry.get_process("p") == record
    assert len(await registry.events_after("p", 0)) == 1


async def test_completing_under_a_lease(registry: SqliteProcessRegistry, clock: ManualClock) -> None:
    """Weakness 2."""
    await register(registry, "p")
    await register(registry, "q")
    lease = await registry.claim_process_lease("p", "a", 100)
    clock.advance(100)
    with pytest.raises(ProcessLeaseLost):
        await registry.complete_process("p", OK, lease=lease)
    held = await registry.claim_process_lease("p", "b", 100)
    with pytest.raises(ProcessLeaseLost):
        await registry.complete_process("p", OK, lease=lease)
    with pytest.raises(ProcessLeaseLost):
        await registry.complete_process("q", OK, lease=held)
    assert (await registry.events_after("p", 0)) == (await registry.events_after("q", 0)) == []
    record = await registry.complete_process("p", OK, lease=held)
    assert record.is_terminal
    await registry.complete_process_lease(ProcessLeaseCompletion.from_lease(held))
    assert await registry.complete_process("p", OK, lease=held) == record


async def test_an_end_that_wakes(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p", *TYPES)
    result = await append(registry, "p", "both", {"r": 1}, key="k", target=ProcessScope("s"))
    assert result.wake_delivery is not None
    assert (result.wake_delivery.input, result.wake_delivery.dedupe_key) == ("over", "p:1")
    assert await registry.await_process("p") == ProcessAwaitOutputSuccess({"r": 1})
    assert await registry.wake_events_after("p", 0) == await registry.events_after("p", 0) == [result.event]
    assert await append(registry, "p", "both", {"r": 1}, key="k", target=ProcessScope("s")) == result
    with pytest.raises(MissingWakeTarget):
        await append(registry, "p", "both", {"r": 1}, key="k")


DAMAGES = ["{", "[]", "{}", '{"id":"p"}', "not json"]


@pytest.mark.parametrize("text", DAMAGES)
@pytest.mark.parametrize("known", [True, False], ids=["known", "asked"])
async def test_a_damaged_record(registries: Registries, text: str, known: bool) -> None:
    """Weakness 4: nobody takes it for an absent one."""
    registry = await registries.file()
    await register(registry, "p", *TYPES)
    await registry.grant_handle(ProcessScope("s"), "p", ProcessHandleDescriptor())
    reader = registry if known else await registries.file()
    rows(registries.path, "UPDATE processes SET record_json = ?", text)
    calls = [
        append(reader, "p", "line", {}),
        append(reader, "p", "line", {}, key="k"),
        reader.complete_process("p", OK),
        reader.get_process("p"),
        reader.await_process("p"),
        reader.list_non_terminal(),
        reader.list_handle_grants(ProcessScope("s")),
        reader.delete_session_process_state("s"),
        register(reader, "p", *TYPES),
    ]
    for call in calls:
        with pytest.raises(StoreCorrupt) as refused:
            await call
        assert (refused.value.kind, refused.value.key) == ("process", "p")
    assert rows(registries.path, "SELECT count(*) FROM process_events") == [(0,)]
    assert rows(registries.path, "SELECT count(*) FROM process_handle_grants") == [(1,)]
    assert rows(registries.path, "SELECT record_json FROM processes") == [(text,)]


async def test_a_status_that_the_record_denies(registries: Registries) -> None:
    """Weakness 7: the column and the record cannot disagree unnoticed."""
    registry = await registries.file()
    await register(registry, "p", *TYPES)
    rows(registries.path, "UPDATE processes SET status = 'completed'")
    for call in (registry.get_process("p"), registry.await_process("p")):
        with pytest.raises(StoreCorrupt):
            await call


@pytest.mark.parametrize("text", DAMAGES)
async def test_a_damaged_event(registries: Registries, text: str) -> None:
    registry = await registries.file()
    await register(registry, "p", *TYPES)
    await append(registry, "p", "line", {}, key="k")
    await append(registry, "p", "line", {})
    rows(registries.path, "UPDATE process_events SET event_json = ? WHERE sequence = 1", text)
    for call in (
        registry.events_after("p", 0),
        append(registry, "p", "line", {}, key="k"),
        registry.wait_event_after("p", "line", 0),
    ):
        with pytest.raises(StoreCorrupt) as refused:
            await call
        assert (refused.value.kind, refused.value.key) == ("process event", "p:1")
    assert len(await registry.events_after("p", 1)) == 1
    assert (await append(registry, "p", "line", {})).event.sequence == 3


async def test_a_file_that_ignores_writes(registries: Registries) -> None:
    """It is told to be damaged, not tried for ever."""
    registry = await registries.file()
    await register(registry, "p", *TYPES)
    await registry.grant_handle(ProcessScope("s"), "p", ProcessHandleDescriptor())
    rows(registries.path, "CREATE TRIGGER deaf BEFORE UPDATE ON processes BEGIN SELECT RAISE(IGNORE); END")
    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(StoreCorrupt):
            await append(registry, "p", "line", {})
        with pytest.raises(StoreCorrupt):
            await registry.delete_session_process_state("s", cancel_reason="gone")
