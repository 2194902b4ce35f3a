"""What is no record, or holds something else than it should, is refused with a typed error and written nowhere."""

import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lash_store import (
    InvalidJsonValue,
    InvalidRecord,
    LashSchema,
    ProcessAwaitOutputSuccess,
    ProcessEventAppendRequest,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessExternalRef,
    ProcessHandleDescriptor,
    ProcessInputExternal,
    ProcessLease,
    ProcessLeaseCompletion,
    ProcessProvenance,
    ProcessRegistration,
    ProcessScope,
    RuntimeReplay,
    SqliteProcessRegistry,
    UndeclaredProcessEvent,
    lashlang_process_event_types,
    materialize_process_event_semantics,
    prepare_process_registration,
    process_wake_input_from_event_payload,
)
from tests.process_examples import DESCRIPTOR, append, plain_type, register

BAD: list[Any] = [None, 5, 1.5, True, "x", [], {}, b"x", object()]
SCOPE = ProcessScope("s")
CANCEL = ProcessEventAppendRequest("process.cancel_requested", {}, RuntimeReplay("k"))
Call = Callable[[SqliteProcessRegistry, Any], Awaitable[object]]

NO_RECORD: dict[str, Call] = {
    "register": lambda registry, bad: registry.register_process(bad),
    "append": lambda registry, bad: registry.append_event("p", bad),
    "set_external_ref": lambda registry, bad: registry.set_external_ref("p", bad),
    "grant a scope": lambda registry, bad: registry.grant_handle(bad, "p", DESCRIPTOR),
    "grant a descriptor": lambda registry, bad: registry.grant_handle(SCOPE, "p", bad),
    "revoke": lambda registry, bad: registry.revoke_handle(bad, "p"),
    "has": lambda registry, bad: registry.has_handle_grant(bad, "p"),
    "list": lambda registry, bad: registry.list_handle_grants(bad),
    "list live": lambda registry, bad: registry.list_live_handle_grants(bad),
    "transfer from": lambda registry, bad: registry.transfer_handle_grants(bad, SCOPE, ["p"]),
    "transfer to": lambda registry, bad: registry.transfer_handle_grants(SCOPE, bad, ["p"]),
    "renew": lambda registry, bad: registry.renew_process_lease(bad, 1),
    "complete lease": lambda registry, bad: registry.complete_process_lease(bad),
    "complete": lambda registry, bad: registry.complete_process("p", bad),
}


def changed(**fields: Any) -> ProcessRegistration:
    values: dict[str, Any] = {"id": "q", "input": ProcessInputExternal(), "event_types": []}
    return ProcessRegistration(**(values | fields))


def of_type(**fields: Any) -> ProcessRegistration:
    values: dict[str, Any] = {
        "name": "line",
        "payload_schema": LashSchema({}),
        "semantics": ProcessEventSemanticsSpec(),
    }
    return changed(event_types=[ProcessEventType(**(values | fields))])


NO_FIELD: dict[str, Call] = {
    "id": lambda registry, bad: registry.register_process(changed(id=bad)),
    "input": lambda registry, bad: registry.register_process(changed(input=bad)),
    "event_types": lambda registry, bad: registry.register_process(changed(event_types=[bad])),
    "provenance": lambda registry, bad: registry.register_process(changed(provenance=bad)),
    "owner": lambda registry, bad: registry.register_process(changed(provenance=ProcessProvenance(bad, "d"))),
    "profile": lambda registry, bad: registry.register_process(changed(provenance=ProcessProvenance(SCOPE, bad))),
    "name": lambda registry, bad: registry.register_process(of_type(name=bad)),
    "semantics": lambda registry, bad: registry.register_process(of_type(semantics=bad)),
    "append to": lambda registry, bad: registry.append_event(bad, CANCEL),
    "complete": lambda registry, bad: registry.complete_process(bad, ProcessAwaitOutputSuccess(1)),
    "scope of a session": lambda registry, bad: registry.has_handle_grant(ProcessScope(bad), "p"),
    "key": lambda registry, bad: append(registry, "p", "process.cancel_requested", {}, key=bad),
    "cancel id": lambda registry, bad: registry.append_event("p", ProcessEventAppendRequest.cancel_requested(bad)),
}
OPTIONAL: dict[str, Call] = {
    "replay": lambda registry, bad: registry.append_event("p", ProcessEventAppendRequest("line", {}, bad)),
    "wake target": lambda registry, bad: registry.append_event("p", ProcessEventAppendRequest("line", {}, None, bad)),
    "lease": lambda registry, bad: registry.complete_process("p", ProcessAwaitOutputSuccess(1), lease=bad),
    "frame": lambda registry, bad: registry.revoke_handle(ProcessScope("s", bad), "p"),
}


RECORDS = [
    *(NO_FIELD[name] for name in ("input", "event_types", "provenance", "owner", "semantics")),
    *(OPTIONAL[name] for name in ("replay", "wake target", "lease")),
]
"""The fields that no text fits into."""


@pytest.mark.parametrize("call", NO_RECORD.values(), ids=NO_RECORD)
async def test_what_is_no_record(registry: SqliteProcessRegistry, call: Call) -> None:
    await register(registry, "p", plain_type("line"))
    before = await registry.get_process("p")
    for bad in BAD:
        with pytest.raises(InvalidRecord):
            await call(registry, bad)
    assert (await registry.get_process("p"), await registry.events_after("p", 0)) == (before, [])


@pytest.mark.parametrize("call", [*NO_FIELD.values(), *OPTIONAL.values()], ids=[*NO_FIELD, *OPTIONAL])
async def test_a_field_that_holds_something_else(registry: SqliteProcessRegistry, call: Call) -> None:
    await register(registry, "p", plain_type("line"))
    optional = call in OPTIONAL.values() or call is NO_FIELD["key"]
    for bad in BAD:
        if (isinstance(bad, str) and call not in RECORDS) or (bad is None and optional):
            continue
        with pytest.raises((InvalidRecord, InvalidJsonValue)):
            await call(registry, bad)
    assert await registry.get_process("q") is None
    assert await registry.events_after("p", 0) == []


@pytest.mark.parametrize("ids", ["p", 5, None, ["p", 5], {"p": 1}.items()], ids=repr)
async def test_what_are_no_ids_to_transfer(registry: SqliteProcessRegistry, ids: Any) -> None:
    await register(registry, "p")
    await registry.grant_handle(SCOPE, "p", DESCRIPTOR)
    with pytest.raises(InvalidRecord):
        await registry.transfer_handle_grants(SCOPE, ProcessScope("t"), ids)
    assert await registry.has_handle_grant(SCOPE, "p")


async def test_ids_to_transfer_in_any_collection(registry: SqliteProcessRegistry) -> None:
    for process_id in ("a", "b"):
        await register(registry, process_id)
        await registry.grant_handle(SCOPE, process_id, DESCRIPTOR)
    await registry.transfer_handle_grants(SCOPE, ProcessScope("t"), (each for each in ("a",)))
    await registry.transfer_handle_grants(SCOPE, ProcessScope("t"), {"b"})
    assert len(await registry.list_handle_grants(ProcessScope("t"))) == 2


async def test_scopes_that_no_column_holds_are_refused_alike(registry: SqliteProcessRegistry) -> None:
    scope = ProcessScope("s\ud800")
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: registry.revoke_handle(scope, "p"),
        lambda: registry.has_handle_grant(scope, "p"),
        lambda: registry.list_handle_grants(scope),
        lambda: registry.transfer_handle_grants(scope, SCOPE, ["p"]),
        lambda: registry.delete_session_process_state(scope.session_id),
    ]
    for call in calls:
        with pytest.raises(InvalidRecord, match=r"\$\.session_id"):
            await call()


async def test_a_lease_that_is_none_ends_nothing(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p")
    lease = await registry.claim_process_lease("p", "o", 1000)
    completion = ProcessLeaseCompletion.from_lease(lease)
    wrong: Any = completion
    with pytest.raises(InvalidRecord):
        await registry.renew_process_lease(wrong, 1)
    assert isinstance(await registry.renew_process_lease(lease, 1000), ProcessLease)


@pytest.mark.parametrize("reason", [1.5, 5, [], {}, b"x", True])
def test_a_reason_is_a_text_or_none(reason: Any) -> None:
    with pytest.raises(InvalidRecord, match=r"\$\.reason"):
        ProcessEventAppendRequest.cancel_requested("p", reason)
    assert ProcessEventAppendRequest.cancel_requested("p", None).payload == {"reason": None}


@pytest.mark.parametrize("payload", [{"text": math.nan}, {"value": {1}}, object(), {"text": {"a": [2**64]}}], ids=repr)
def test_pure_rules_raise_public_errors(payload: Any) -> None:
    with pytest.raises(InvalidJsonValue):
        process_wake_input_from_event_payload(payload)
    spec = lashlang_process_event_types()[1].semantics
    if isinstance(payload, dict) and "text" in payload:
        with pytest.raises(InvalidJsonValue):
            materialize_process_event_semantics("p", 1, payload, spec)
    bad: Any = payload
    with pytest.raises(InvalidRecord):
        prepare_process_registration(bad)


async def test_nobody_waits_for_what_never_comes(registry: SqliteProcessRegistry) -> None:
    """Declarations never change, so an event of another type is never appended (4.3)."""
    await register(registry, "p", plain_type("line"))
    with pytest.raises(UndeclaredProcessEvent) as undeclared:
        await registry.wait_event_after("p", "process.signal", 0)
    assert (undeclared.value.process_id, undeclared.value.event_type) == ("p", "process.signal")
    ref = ProcessExternalRef("b", "i")
    assert (await registry.set_external_ref("p", ref)).external_ref == ref
    assert ProcessHandleDescriptor() == ProcessHandleDescriptor(None, None)
