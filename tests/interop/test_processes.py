"""One process registry in the hands of both programs."""

import asyncio
from typing import Any

import pytest

from lash_store import (
    ProcessAwaitOutputFailure,
    ProcessAwaitOutputSuccess,
    ProcessEventAppendRequest,
    ProcessHandleDescriptor,
    ProcessLeaseCompletion,
    ProcessRegistration,
    ProcessScope,
    ProcessStatusCompleted,
    ProcessStatusRunning,
    ProcessTerminalStatus,
    RuntimeReplay,
    lashlang_process_event_types,
    prepare_process_registration,
)
from tests.interop.examples import RECORDS
from tests.interop.registries import REFUSED, BothRegistries, Registry
from tests.process_examples import DESCRIPTOR, OK, plain_type, registration, wake_type
from tests.records.process_examples import CANCELLED, FAILURE, REFERENCE, SUCCESS

REGISTRATIONS = [record for record in RECORDS if isinstance(record, ProcessRegistration)]
ROOT = ProcessScope("root")


def request(name: str, payload: Any, key: str | None = None, target: ProcessScope | None = None) -> Any:
    return ProcessEventAppendRequest(name, payload, None if key is None else RuntimeReplay(key), target)


@pytest.mark.parametrize("registered", [*REGISTRATIONS, registration("p", plain_type("x"), wake_type("y"))])
async def test_a_registration(registered: ProcessRegistration, registries: BothRegistries) -> None:
    record = await registries.one.register_process(registered)
    assert await registries.other.register_process(registered) == record
    assert await registries.same_process(registered.id) == record
    complete, expected_hash = prepare_process_registration(registered)
    assert (record.registration_hash, record.event_types) == (expected_hash, complete.event_types)
    assert isinstance(record.status, ProcessStatusRunning)
    with pytest.raises(REFUSED):
        await registries.other.register_process(registration(registered.id, plain_type("another")))


async def test_events_in_turns_have_one_sequence(registries: BothRegistries) -> None:
    await registries.one.register_process(registration("p", plain_type("line")))
    for number in range(10):
        result = await registries[number].append_event("p", request("line", {"n": number, "x": [1.5, None, "ä"]}))
        assert result.event.sequence == number + 1
        assert result.wake_delivery is None
    events = await registries.same_events("p")
    assert [event.payload["n"] for event in events] == list(range(10))
    assert await registries.same_events("p", 4) == events[4:]
    for session in (registries.one, registries.other):
        assert await session.wait_event_after("p", "line", 6) == events[6]


async def test_a_replay_key_appends_once(registries: BothRegistries) -> None:
    await registries.one.register_process(registration("p", wake_type("w")))
    wanted = request("w", {"wake_input": "in", "b": {"z": 1, "a": 2}}, "key", ROOT)
    first = await registries.one.append_event("p", wanted)
    assert first.wake_delivery is not None
    assert await registries.other.append_event("p", wanted) == first
    assert await registries.one.append_event("p", wanted) == first
    with pytest.raises(REFUSED):
        await registries.other.append_event("p", request("w", {"wake_input": "else"}, "key", ROOT))
    assert await registries.same_events("p") == [first.event]


async def test_wakes_are_the_same_for_both(registries: BothRegistries) -> None:
    """The same event appended by either program has the same delivery, but for its place and time."""
    types = [wake_type("w"), wake_type("c", when={"present": "/w"}, input="payload", dedupe_key={"const": "k"})]
    types += [declared for declared in lashlang_process_event_types() if declared.name == "process.wake"]
    await registries.one.register_process(registration("p", *types))
    for name, payload in [("w", {"wake_input": "in"}), ("c", {"w": None, "a": [1]}), ("w", {"wake_input": [1.5]})]:
        made = []
        for number in range(2):
            result = await registries[number].append_event("p", request(name, payload, None, ROOT))
            assert result.wake_delivery is not None
            made.append(result.wake_delivery)
        assert made[0].input == made[1].input
        assert (made[0].wake_id == made[1].wake_id) == (name == "c")  # others are named for their sequence
        assert made[0].target_scope_id == made[1].target_scope_id == "session:root"
    await registries.one.append_event("p", request("process.wake", {"text": "standard"}, None, ROOT))
    assert await registries.same_wakes("p") == [1, 2, 3, 4, 5, 6, 7]
    for number, sequence in enumerate([2, 3, 7]):
        await registries[number].ack_wake("p", sequence)
    assert await registries.same_wakes("p") == [1, 4, 5, 6]
    assert await registries.same_wakes("p", 4) == [5, 6]


@pytest.mark.parametrize("output", [OK, SUCCESS, FAILURE, CANCELLED])
async def test_an_end_is_known_to_both(output: Any, registries: BothRegistries) -> None:
    await registries.one.register_process(registration("p"))
    waiting = asyncio.ensure_future(registries.other.await_process("p"))
    await asyncio.sleep(0.02)
    record = await registries.one.complete_process("p", output)
    assert await waiting == output
    assert await registries.other.await_process("p") == output
    assert await registries.same_process("p") == record
    assert isinstance(record.status, ProcessTerminalStatus)
    assert record.status.await_output == output
    assert await registries.other.complete_process("p", output) == record
    for session in (registries.one, registries.other):
        for another in (ProcessAwaitOutputSuccess("other"), ProcessAwaitOutputFailure("timeout", "c", "m")):
            with pytest.raises(REFUSED):
                await session.complete_process("p", another)
    assert len(await registries.same_events("p")) == 1


async def test_waiting_for_the_others_event(registries: BothRegistries) -> None:
    await registries.one.register_process(registration("p", plain_type("x"), plain_type("y")))
    waiting = asyncio.ensure_future(registries.one.wait_event_after("p", "y", 0))
    await asyncio.sleep(0.02)
    await registries.other.append_event("p", request("x", 1))
    appended = await registries.other.append_event("p", request("y", 2))
    assert await waiting == appended.event


async def test_both_refuse_the_same(registries: BothRegistries) -> None:
    types = [plain_type("strict", {"type": "object", "required": ["a"]}), wake_type("w")]
    await registries.one.register_process(registration("p", *types))
    refused: list[tuple[str, Any]] = [
        ("unknown", request("strict", {"a": 1})),
        ("p", request("undeclared", {})),
        ("p", request("strict", {})),
        ("p", request("strict", [])),
        ("p", request("w", {"wake_input": "no target"})),
        ("p", request("process.completed", {"await_output": {"type": "success", "value": 1}})),
        ("p", request("process.completed", {}, "k")),
        ("p", request("process.cancel_requested", {})),
    ]
    for session in (registries.one, registries.other):
        for process_id, wanted in refused:
            with pytest.raises(REFUSED):
                await session.append_event(process_id, wanted)
    assert await registries.same_events("p") == []


async def test_places_of_running_processes(registries: BothRegistries) -> None:
    for number, process_id in enumerate("bacd"):
        await registries[number].register_process(registration(process_id))
    record = await registries.other.set_external_ref("a", REFERENCE)
    assert (await registries.same_process("a")).external_ref == REFERENCE == record.external_ref
    await registries.one.complete_process("c", OK)
    listed = await registries.one.list_non_terminal()
    assert [record.id for record in listed] == ["a", "b", "d"]
    assert listed == await registries.other.list_non_terminal()
    assert await registries.one.get_process("unknown") is await registries.other.get_process("unknown") is None


async def test_handles(registries: BothRegistries) -> None:
    frame = ProcessScope("root", "f")
    for number, process_id in enumerate("pqr"):
        await registries[number].register_process(registration(process_id))
        await registries[number].grant_handle(ROOT, process_id, DESCRIPTOR)
    await registries.other.grant_handle(ROOT, "p", ProcessHandleDescriptor("k"))
    await registries.other.grant_handle(frame, "p", DESCRIPTOR)
    await registries.one.complete_process("q", OK)

    async def same_lists(scope: ProcessScope) -> tuple[list[str], list[str]]:
        every, live = (
            await registries.one.list_handle_grants(scope),
            await registries.one.list_live_handle_grants(scope),
        )
        assert every == await registries.other.list_handle_grants(scope)
        assert live == await registries.other.list_live_handle_grants(scope)
        return [record.id for _, record in every], [record.id for _, record in live]

    assert await same_lists(ROOT) == (["p", "q", "r"], ["p", "r"])
    assert await same_lists(frame) == (["p"], ["p"])
    grants = await registries.one.handle_grants_for_process("p")
    assert grants == await registries.other.handle_grants_for_process("p")
    assert [grant.descriptor for grant in grants] == [ProcessHandleDescriptor("k"), DESCRIPTOR]
    with pytest.raises(REFUSED):
        await registries.other.transfer_handle_grants(ROOT, ProcessScope("s"), ["r", "unknown"])
    await registries.one.transfer_handle_grants(ROOT, ProcessScope("s"), ["r"])
    assert await same_lists(ROOT) == (["p", "q"], ["p"])
    await registries.other.revoke_handle(ROOT, "q")
    assert await same_lists(ROOT) == (["p"], ["p"])
    await registries.one.grant_handle(ProcessScope("s"), "p", DESCRIPTOR)
    await registries.one.grant_handle(frame, "r", DESCRIPTOR)
    report = await registries.other.delete_session_process_state("s")
    assert (report.revoked_handle_count, report.preserved_process_ids) == (2, ["p", "r"])
    report = await registries.one.delete_session_process_state("root")
    assert (report.revoked_handle_count, report.cancel_process_ids) == (3, ["p", "r"])


async def test_leases_are_fenced_across_programs(registries: BothRegistries) -> None:
    await registries.one.register_process(registration("p"))
    tokens = []
    for number in range(5):
        lease = await registries[number].claim_process_lease("p", f"owner-{number}", 60_000)
        tokens.append(lease.fencing_token)
        with pytest.raises(REFUSED):
            await registries[number + 1].claim_process_lease("p", "thief", 60_000)
        renewed = await registries[number + 1].renew_process_lease(lease, 120_000)
        assert renewed.expires_at_epoch_ms >= lease.expires_at_epoch_ms + 60_000
        await registries[number + 1].complete_process_lease(ProcessLeaseCompletion.from_lease(renewed))
        with pytest.raises(REFUSED):
            await registries[number].renew_process_lease(renewed, 60_000)
    assert tokens == sorted(set(tokens))


async def test_an_expired_lease_is_taken_over(registries: BothRegistries) -> None:
    await registries.one.register_process(registration("p"))
    old = await registries.one.claim_process_lease("p", "owner-a", 0)
    new = await registries.other.claim_process_lease("p", "owner-b", 60_000)
    assert new.fencing_token == old.fencing_token + 1
    for session in (registries.one, registries.other):
        with pytest.raises(REFUSED):
            await session.renew_process_lease(old, 60_000)
        await session.complete_process_lease(ProcessLeaseCompletion.from_lease(old))
    await registries.one.renew_process_lease(new, 60_000)


async def test_an_event_appended_by_both_at_once(registries: BothRegistries) -> None:
    """One sequence without gaps, nothing twice, nothing lost; of a shared replay key one event."""
    await registries.one.register_process(registration("p", plain_type("line")))

    async def append_all(registry: Registry, name: str) -> None:
        for number in range(100):
            await registry.append_event("p", request("line", [name, number]))
            await registry.append_event("p", request("line", number, f"shared-{number}"))

    async with asyncio.timeout(60):
        await asyncio.gather(append_all(registries.one, "one"), append_all(registries.other, "other"))
    events = await registries.same_events("p")
    assert [event.sequence for event in events] == list(range(1, 301))
    alone = [event.payload for event in events if isinstance(event.payload, list)]
    for name in ("one", "other"):
        assert [number for who, number in alone if who == name] == list(range(100))
    assert [event.payload for event in events if isinstance(event.payload, int)] == list(range(100))


async def test_an_end_by_both_at_once_is_one(registries: BothRegistries) -> None:
    for number in range(20):
        process_id = f"p{number}"
        await registries.one.register_process(registration(process_id))
        ended = await asyncio.gather(
            *(registries[side].complete_process(process_id, ProcessAwaitOutputSuccess(side)) for side in (0, 1)),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, REFUSED) for outcome in ended) == 1
        record = await registries.same_process(process_id)
        assert isinstance(record.status, ProcessStatusCompleted)
        assert record in ended
        assert len(await registries.same_events(process_id)) == 1
