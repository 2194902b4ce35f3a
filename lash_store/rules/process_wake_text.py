"""Wakes as the woken model reads them (process specification 4.12)."""

from typing import Any, Final

from lash_store.records.conversation import MessageOriginProcess
from lash_store.records.process_event import ProcessWakeDelivery
from lash_store.records.process_wake import TurnCause
from lash_store.rules.process_selection import text_of, value_at

_NOTHING: Final = object()


def process_wake_input_from_event_payload(payload: Any) -> str:
    """The wake input of a raw payload: its text, else its value, else all of it. A null that is there counts.

    Raises InvalidJsonValue if that has no stored form.
    """
    found = value_at(payload, "/text", _NOTHING)
    if found is _NOTHING:
        found = value_at(payload, "/value", payload)
    return text_of(found)


def process_wake_turn_text(delivery: ProcessWakeDelivery) -> str:
    """The text of a wake; its lines, and those of its input, without a line feed at the end."""
    lines = [
        "Background process wake",
        f"Process: {delivery.process_id}",
        f"Event: {delivery.event_type} #{delivery.sequence}",
        "Wake input:",
        delivery.input,
    ]
    return "\n".join(lines)


def process_wake_turn_cause(delivery: ProcessWakeDelivery) -> TurnCause:
    """The cause of a turn that a wake begins."""
    origin = MessageOriginProcess(
        delivery.process_id, delivery.event_type, delivery.sequence, delivery.wake_id, delivery.process_caused_by
    )
    return TurnCause(delivery.wake_id, delivery.event_type, origin, process_wake_turn_text(delivery))
