"""Rules that any backend shares, and read models: scenarios 47 to 50 and 52 to 56."""

from typing import Any

import msgspec
import pytest

from lash_store.records.causal import CausalRefSessionNode
from lash_store.records.conversation import MessageOriginProcess
from lash_store.records.effect_command import ProcessListMode
from lash_store.records.process import ProcessRecord, ProcessRegistration, ProcessScope
from lash_store.records.process_event import ProcessWakeDelivery
from lash_store.records.process_grant import ProcessHandleDescriptor, ProcessHandleGrant
from lash_store.records.process_input import (
    ProcessInput,
    ProcessInputExternal,
    ProcessInputLashlangProcess,
    ProcessInputSessionTurn,
    ProcessInputToolCall,
    ProcessRef,
)
from lash_store.records.process_output import (
    ProcessAwaitOutputCancelled,
    ProcessAwaitOutputFailure,
    ProcessAwaitOutputSuccess,
    ProcessStatusCompleted,
)
from lash_store.records.process_work import ProcessListFilter
from lash_store.rules.process_append import prepare_process_event_append
from lash_store.rules.process_completion import completion_request
from lash_store.rules.process_registration import prepare_process_registration
from lash_store.rules.process_selection import select
from lash_store.rules.process_wake_text import (
    process_wake_input_from_event_payload,
    process_wake_turn_cause,
    process_wake_turn_text,
)
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from lash_store.sqlite.process_registry.work_observer import ProcessWorkObserver
from tests.clocks import ManualClock
from tests.process_examples import DESCRIPTOR, OK, append, plain_type, register, registration


def running(process_id: str, process_input: ProcessInput | None = None) -> ProcessRecord:
    complete, registration_hash = prepare_process_registration(registration(process_id))
    return ProcessRecord(
        id=process_id,
        registration_hash=registration_hash,
        input=complete.input if process_input is None else process_input,
        event_types=complete.event_types,
        provenance=complete.provenance,
    )


def test_scenario_47_a_replayed_end_repairs_the_status() -> None:
    request = completion_request("proc", OK)
    first = prepare_process_event_append(running("proc"), request, 1, None, 42)
    assert (first.event.sequence, first.occurred_at_ms, first.replayed) == (1, 42, False)
    again = prepare_process_event_append(running("proc"), request, 99, (first.payload_hash, first.event), 100)
    assert (again.event.sequence, again.occurred_at_ms, again.replayed) == (1, 42, True)
    assert again.status_update == ProcessStatusCompleted(OK)
    assert again.event == first.event


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ("payload", {"line": "done", "wake_input": "wake me"}),
        ({"pointer": "/line"}, "done"),
        ({"const": {"ok": True}}, {"ok": True}),
        ({"template": {"template": "event: {line}", "fields": {"line": {"pointer": "/line"}}}}, "event: done"),
        ({"present": "/wake_input"}, True),
    ],
)
def test_scenario_48_selectors(selector: Any, selected: Any) -> None:
    assert select(selector, {"line": "done", "wake_input": "wake me"}) == selected


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"text": "ready", "value": "ignored"}, "ready"),
        ({"value": {"status": "ready"}}, '{"status":"ready"}'),
        ({"unexpected": True}, '{"unexpected":true}'),
        (42, "42"),
    ],
)
def test_scenario_49_the_wake_input_of_a_raw_payload(payload: Any, text: str) -> None:
    assert process_wake_input_from_event_payload(payload) == text


def test_scenario_50_the_wake_text() -> None:
    cause = CausalRefSessionNode("s", "n")
    delivery = ProcessWakeDelivery(
        wake_id="wake:1",
        target_session_id="s",
        target_scope_id="session:s",
        process_id="process-1",
        sequence=7,
        event_type="process.ready",
        process_caused_by=cause,
        dedupe_key="process-1:7",
        input="first line\nsecond line",
        created_at_ms=1,
    )
    text = "Background process wake\nProcess: process-1\nEvent: process.ready #7\nWake input:\nfirst line\nsecond line"
    assert process_wake_turn_text(delivery) == text
    turn = process_wake_turn_cause(delivery)
    assert (turn.id, turn.event_type, turn.text) == ("wake:1", "process.ready", text)
    assert turn.origin == MessageOriginProcess("process-1", "process.ready", 7, "wake:1", cause)


async def test_scenario_52_a_session_sees_its_own_processes(registry: SqliteProcessRegistry) -> None:
    for process_id, session_id in (("mine", "s1"), ("theirs", "s2")):
        await register(registry, process_id, plain_type("producer.line"))
        await registry.grant_handle(ProcessScope(session_id), process_id, DESCRIPTOR)
    await append(registry, "mine", "producer.line", {"line": 1})
    snapshot = await ProcessWorkObserver(registry).snapshot_for_session("s1")
    assert (snapshot.session_id, snapshot.visible_process_ids) == ("s1", ["mine"])
    (item,) = snapshot.items
    (event,) = item.events
    assert (event.sequence, event.event_type, event.payload) == (1, "producer.line", {"line": 1})
    assert event.occurred_at_ms > 0
    assert (item.kind, item.label) == ("test", "external ref")


async def test_scenario_53_what_changed_last_comes_first(registry: SqliteProcessRegistry, clock: ManualClock) -> None:
    for process_id in ("older", "newer"):
        await register(registry, process_id, plain_type("producer.line"))
        await registry.grant_handle(ProcessScope("s1"), process_id, DESCRIPTOR)
        clock.advance(2)
    observer = ProcessWorkObserver(registry)
    assert (await observer.snapshot_for_session("s1")).visible_process_ids == ["newer", "older"]
    await append(registry, "older", "producer.line", {})
    assert (await observer.snapshot_for_session("s1")).visible_process_ids == ["older", "newer"]


async def test_scenario_54_how_failed_processes_are_shown(registry: SqliteProcessRegistry) -> None:
    observer = ProcessWorkObserver(registry)
    failure = ProcessAwaitOutputFailure("external", "boom", "failed loudly")
    for output, label in ((failure, "failed"), (ProcessAwaitOutputCancelled("cancelled intentionally"), "cancelled")):
        await register(registry, label)
        await registry.complete_process(label, output)
        observed = await observer.process(label)
        assert observed is not None
        assert (observed.status_label, observed.lifecycle, observed.terminal) == (label, label, True)
        assert observed.error == output.message


LASHLANG = ProcessInputLashlangProcess(
    "lashlang:v1:sha256:module", ProcessRef("process", 1), "lashlang-surface:v1:sha256:surface", "remember"
)
TURN = ProcessInputSessionTurn(
    {
        "session_id": "child-session",
        "start": {"kind": "empty"},
        "subagent": {"parent_session_id": "s", "capability": "researcher", "depth": 1, "max_depth": 2},
    },
    {"items": [{"type": "text", "text": "look"}]},
    {"kind": "static"},
)


@pytest.mark.parametrize(
    ("process_input", "label", "child"),
    [
        (ProcessInputToolCall({"call_id": "c1", "tool_name": "shell.run", "args": {}}), "shell.run", None),
        (LASHLANG, "remember", None),
        (TURN, "researcher", "child-session"),
        (ProcessInputExternal({"label": "external job"}), "external job", None),
    ],
    ids=["tool", "lashlang", "session_turn", "external"],
)
async def test_scenario_55_labels(
    registry: SqliteProcessRegistry, process_input: ProcessInput, label: str, child: str | None
) -> None:
    await registry.register_process(ProcessRegistration("proc", process_input))
    observer = ProcessWorkObserver(registry)
    observed = await observer.process("proc")
    assert observed is not None
    assert (observed.label, observed.child_session_id) == (label, child)
    assert await observer.process("unknown") is None


def test_scenario_56_the_list_filter() -> None:
    definition = {
        "$lash_process": True,
        "module_ref": LASHLANG.module_ref,
        "required_surface_ref": LASHLANG.required_surface_ref,
        "process_ref": {"component": "process", "pos": 1},
        "process_name": "remember",
    }
    asked = ProcessListFilter.decode({"definition": definition, "status": "completed"})
    assert asked.list_mode is ProcessListMode.ALL
    done = ProcessStatusCompleted(ProcessAwaitOutputSuccess(None))
    others = [
        msgspec.structs.replace(LASHLANG, **{key: value})
        for key, value in {
            "module_ref": "other",
            "required_surface_ref": "other",
            "process_ref": ProcessRef("process", 2),
            "process_name": "other",
        }.items()
    ]
    matches = [
        asked.matches_entry((ProcessHandleGrant("s", "p", ProcessHandleDescriptor()), record))
        for record in (
            msgspec.structs.replace(running("p", LASHLANG), status=done),
            running("p", LASHLANG),
            *(msgspec.structs.replace(running("p", other), status=done) for other in others),
            msgspec.structs.replace(running("p"), status=done),
        )
    ]
    assert matches == [True] + [False] * 6
