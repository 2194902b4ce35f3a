"""Handles at their edges: scopes that are one, transfers to oneself, sessions that go while others write."""

import asyncio

import pytest

from lash_store.errors import (
    HandleNotGranted,
    InvalidJsonValue,
    InvalidRecord,
    MissingWakeTarget,
    ProcessCancelRefused,
    StoreCorrupt,
    UnknownProcess,
)
from lash_store.records.process import ProcessRegistration, ProcessScope
from lash_store.records.process_event import ProcessEventAppendRequest
from lash_store.records.process_grant import ProcessHandleDescriptor, ProcessHandleGrant, ProcessSessionDeleteReport
from lash_store.records.process_input import ProcessInputExternal
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.process_examples import OK, register, wake_type
from tests.process_registries import Registries
from tests.sqlite.process_registry.rows import rows

S1, S2 = ProcessScope("s1"), ProcessScope("s2")
FRAME = ProcessScope("s1", "f")
ONE, TWO = ProcessHandleDescriptor("k", "one"), ProcessHandleDescriptor("k", "two")
REASON = "session deleted"


async def sessions(registry: SqliteProcessRegistry, process_id: str) -> list[ProcessHandleGrant]:
    return await registry.handle_grants_for_process(process_id)


async def test_a_second_grant_replaces_the_first(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p")
    assert await registry.grant_handle(S1, "p", ONE) == ProcessHandleGrant("s1", "p", ONE)
    await registry.grant_handle(S1, "p", TWO)
    assert await sessions(registry, "p") == [ProcessHandleGrant("s1", "p", TWO)]
    with pytest.raises(UnknownProcess):
        await registry.grant_handle(S1, "nobody", ONE)
    assert not await registry.has_handle_grant(S1, "nobody")
    await registry.revoke_handle(S1, "nobody")


async def test_a_frame_is_a_scope_of_its_own(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p")
    await registry.grant_handle(FRAME, "p", ONE)
    assert await registry.has_handle_grant(FRAME, "p")
    assert not await registry.has_handle_grant(S1, "p")
    assert await registry.list_handle_grants(S1) == []
    ((grant, _),) = await registry.list_handle_grants(FRAME)
    assert grant.session_id == "s1"


async def test_scopes_of_one_text_are_one(registry: SqliteProcessRegistry) -> None:
    """Weakness 15 is the format's. The session listed is the one asked for."""
    await register(registry, "p")
    twin = ProcessScope("s1/frame:f")
    await registry.grant_handle(FRAME, "p", ONE)
    ((grant, _),) = await registry.list_handle_grants(twin)
    assert grant.session_id == "s1/frame:f"
    await registry.transfer_handle_grants(FRAME, twin, ["p"])
    assert await sessions(registry, "p") == [ProcessHandleGrant("s1/frame:f", "p", ONE)]


async def test_transfers(registry: SqliteProcessRegistry) -> None:
    for process_id in ("p", "q"):
        await register(registry, process_id)
        await registry.grant_handle(S1, process_id, ONE)
    await registry.grant_handle(S2, "q", TWO)
    await registry.transfer_handle_grants(S1, S2, [])
    await registry.transfer_handle_grants(S1, S1, ["p", "p"])
    with pytest.raises(HandleNotGranted):
        await registry.transfer_handle_grants(S1, S2, ["p", "p"])
    assert await sessions(registry, "p") == [ProcessHandleGrant("s1", "p", ONE)]
    await registry.transfer_handle_grants(S1, S2, ["q", "p"])
    assert await sessions(registry, "q") == [ProcessHandleGrant("s2", "q", ONE)]
    assert await registry.list_handle_grants(S1) == []


async def test_handles_are_ordered_by_code_points(registry: SqliteProcessRegistry) -> None:
    ids = ["b", "B", "a", "\U0001f600", "\uffff", "\u00e9", ""]
    await register(registry, "p")
    for session_id in ids:
        await registry.grant_handle(ProcessScope(session_id), "p", ONE)
    for process_id in ids[:-1]:
        await register(registry, process_id)
        await registry.grant_handle(S1, process_id, ONE)
    assert [grant.session_id for grant in await sessions(registry, "p")] == sorted([*ids])
    listed = [record.id for _, record in await registry.list_handle_grants(S1)]
    assert listed == sorted(ids[:-1])
    assert [record.id for record in await registry.list_non_terminal()] == sorted([*ids[:-1], "p"])


async def test_what_is_no_scope(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p")
    bad = ProcessScope("\ud800")
    for call in (
        registry.grant_handle(bad, "p", ONE),
        registry.revoke_handle(bad, "p"),
        registry.transfer_handle_grants(S1, bad, ["p"]),
        registry.list_handle_grants(bad),
        registry.has_handle_grant(bad, "p"),
        registry.delete_session_process_state("\ud800"),
    ):
        with pytest.raises((InvalidRecord, InvalidJsonValue)):
            await call


async def test_a_damaged_descriptor(registries: Registries) -> None:
    registry = await registries.file()
    await register(registry, "p")
    await registry.grant_handle(S1, "p", ONE)
    rows(registries.path, "UPDATE process_handle_grants SET descriptor_json = '{'")
    for call in (registry.list_handle_grants(S1), registry.handle_grants_for_process("p")):
        with pytest.raises(StoreCorrupt) as refused:
            await call
        assert (refused.value.kind, refused.value.key) == ("process handle grant", "session:s1 p")


async def test_a_session_goes_with_its_frames(registry: SqliteProcessRegistry) -> None:
    for process_id in ("b", "a"):
        await register(registry, process_id)
        await registry.grant_handle(S1, process_id, ONE)
        await registry.grant_handle(FRAME, process_id, ONE)
    await registry.grant_handle(S2, "b", ONE)
    assert await registry.delete_session_process_state("s1") == ProcessSessionDeleteReport("s1", 4, 0, ["a"], ["b"])
    assert await registry.delete_session_process_state("s1") == ProcessSessionDeleteReport("s1", 0, 0, [], [])


async def test_asking_twice_is_asking_once(registry: SqliteProcessRegistry) -> None:
    """Weakness 8: the requests are part of the deletion; one that was made before stands."""
    for process_id in ("asked", "fresh"):
        await register(registry, process_id)
        await registry.grant_handle(S1, process_id, ONE)
    first = await registry.append_event("asked", ProcessEventAppendRequest.cancel_requested("asked", REASON))
    report = await registry.delete_session_process_state("s1", cancel_reason=REASON)
    assert report == ProcessSessionDeleteReport("s1", 2, 0, ["asked", "fresh"], [])
    assert await registry.events_after("asked", 0) == [first.event]
    assert len(await registry.events_after("fresh", 0)) == 1
    again = await registry.append_event("fresh", ProcessEventAppendRequest.cancel_requested("fresh", REASON))
    assert await registry.events_after("fresh", 0) == [again.event]


async def test_a_request_that_is_refused_does_not_stop_the_deletion(registry: SqliteProcessRegistry) -> None:
    wakes = wake_type("process.cancel_requested", input={"const": "stop"})
    await registry.register_process(ProcessRegistration("odd", ProcessInputExternal(), [wakes]))
    for process_id in ("odd", "plain"):
        if process_id == "plain":
            await register(registry, process_id)
        await registry.grant_handle(S1, process_id, ONE)
    with pytest.raises(ProcessCancelRefused, match="'odd'") as refused:
        await registry.delete_session_process_state("s1", cancel_reason=REASON)
    assert refused.value.done == ProcessSessionDeleteReport("s1", 2, 0, ["odd", "plain"], [])
    assert isinstance(refused.value.__cause__, MissingWakeTarget)
    assert refused.value.refusals == {"odd": str(refused.value.__cause__)}
    assert await registry.list_handle_grants(S1) == []
    assert [event.payload for event in await registry.events_after("plain", 0)] == [{"reason": REASON}]
    assert await registry.events_after("odd", 0) == []
    assert (await registry.delete_session_process_state("s1", cancel_reason=REASON)).revoked_handle_count == 0


async def test_a_deletion_while_others_write(registries: Registries) -> None:
    """Who is asked to end is decided with the deletion, whatever happens between reading and writing."""
    one, two = await registries.file(), await registries.file()
    for n in range(60):
        for process_id in (f"shared{n}", f"ended{n}", f"sole{n}"):
            await register(one, process_id)
            await one.grant_handle(ProcessScope(f"s{n}"), process_id, ONE)

    async def disturb() -> None:
        for n in range(60):
            await two.grant_handle(S2 if n != 2 else FRAME, f"shared{n}", ONE)
            await two.complete_process(f"ended{n}", OK)
            await two.append_event(f"sole{n}", ProcessEventAppendRequest.cancel_requested(f"sole{n}", REASON))

    async def delete() -> list[ProcessSessionDeleteReport]:
        return [await one.delete_session_process_state(f"s{n}", cancel_reason=REASON) for n in range(60) if n != 2]

    reports, _ = await asyncio.gather(delete(), disturb())
    for report in reports:
        number = report.session_id[1:]
        for process_id in (f"shared{number}", f"ended{number}", f"sole{number}"):
            requests = [
                event
                for event in await one.events_after(process_id, 0)
                if event.event_type == "process.cancel_requested"
            ]
            asked = process_id in report.cancel_process_ids or process_id.startswith("sole")
            assert len(requests) == asked, (process_id, report)


@pytest.mark.parametrize("running", [1, 70])
async def test_live_handles_among_many(registry: SqliteProcessRegistry, running: int) -> None:
    """The same list whichever is fewer: the handles of the scope, or the processes that run."""
    for n in range(140):
        process_id = f"p{n:03}"
        await register(registry, process_id)
        await registry.grant_handle(S1, process_id, ONE)
        if n % 20 == 0:
            await registry.grant_handle(S2, process_id, TWO)
        if n >= running:
            await registry.complete_process(process_id, OK)
    for scope, step in ((S1, 1), (S2, 20)):
        entries = await registry.list_live_handle_grants(scope)
        assert [record.id for _, record in entries] == [f"p{n:03}" for n in range(0, running, step)]
        assert entries == [entry for entry in await registry.list_handle_grants(scope) if not entry[1].is_terminal]
