"""What is refused at registration, in which order, and what is added (process specification 4.1)."""

import msgspec
import pytest

from lash_store.errors import InvalidProcessRegistration, InvalidRecord
from lash_store.records.process import ProcessProvenance, ProcessRegistration, ProcessScope
from lash_store.records.process_event_type import (
    LashSchema,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessTerminalSpec,
    default_process_event_types,
)
from lash_store.records.process_input import ProcessInputExternal, ProcessInputToolCall
from lash_store.rules.process_registration import prepare_process_registration


def event_type(name: str, terminal: ProcessTerminalSpec | None = None) -> ProcessEventType:
    return ProcessEventType(name, LashSchema({}), ProcessEventSemanticsSpec(terminal))


def registration(**changes: object) -> ProcessRegistration:
    return msgspec.structs.replace(ProcessRegistration("p", ProcessInputExternal()), **changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": " \u3000\n"}, "id is blank"),
        ({"provenance": ProcessProvenance(ProcessScope(""), "")}, "no session"),
        ({"provenance": ProcessProvenance(ProcessScope("s"), "\t")}, "host profile"),
        ({"event_types": [event_type(" ")]}, "blank"),
        ({"event_types": [event_type("a"), event_type("a")]}, "twice"),
        ({"event_types": [event_type("a", ProcessTerminalSpec("failed"))]}, "await output"),
        ({"event_types": [event_type("a", ProcessTerminalSpec("cancelled"))]}, "await output"),
        ({"id": "", "event_types": [event_type(" ")]}, "id is blank"),
        ({"event_types": [event_type("a"), event_type("a", ProcessTerminalSpec("failed"))]}, "twice"),
    ],
)
def test_refusals(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidProcessRegistration, match=reason) as refused:
        prepare_process_registration(registration(**changes))
    assert refused.value.process_id == changes.get("id", "p")


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "\x1c"},  # no white space to upstream
        {"provenance": ProcessProvenance(ProcessScope(" "), "h")},
        {"event_types": [event_type("a", ProcessTerminalSpec("completed"))]},
    ],
)
def test_what_is_just_good_enough(changes: dict[str, object]) -> None:
    prepare_process_registration(registration(**changes))


def test_core_types_are_added_behind_and_a_caller_s_own_stays() -> None:
    own = event_type("process.failed")
    complete, _ = prepare_process_registration(registration(event_types=[event_type("x"), own]))
    names = [declared.name for declared in complete.event_types]
    assert names == ["x", "process.failed", "process.cancel_requested", "process.completed", "process.cancelled"]
    assert complete.event_types[1] is own


def test_the_order_of_types_and_unknown_keys_in_the_hash() -> None:
    core = default_process_event_types()
    plain = prepare_process_registration(registration())[1]
    assert prepare_process_registration(registration(event_types=core))[1] == plain
    assert prepare_process_registration(registration(event_types=core[::-1]))[1] != plain
    assert prepare_process_registration(registration(other_keys={"later": 1}))[1] == plain


def test_an_input_that_upstream_could_not_read() -> None:
    with pytest.raises(InvalidRecord) as refused:
        prepare_process_registration(registration(input=ProcessInputToolCall({"call_id": "c", "args": {}})))
    assert refused.value.path == "$.input.call.tool_name"
