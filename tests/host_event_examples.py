"""The host events of the specification's scenarios and examples: a button, and who is told when it is pressed."""

from typing import Any, Final

from lash_store.codecs.host_event_ids import empty_host_event_source_key
from lash_store.records.host_event import (
    HostEvent,
    HostEventEmitReport,
    HostEventOccurrenceRecord,
    HostEventOccurrenceRequest,
    HostEventPayloadType,
)
from lash_store.records.host_event_trigger import (
    TriggerDeliveryReservation,
    TriggerInputBindingEvent,
    TriggerInputBindingFixed,
    TriggerRegistration,
    TriggerSubscriptionDraft,
    TriggerSubscriptionFilter,
    TriggerSubscriptionRecord,
)
from lash_store.records.process_input import ProcessRef

BUTTON: Final = "ui.button.pressed"
SOURCE_KEY: Final = empty_host_event_source_key(BUTTON)
EVENT_TY: Final = {"Object": [{"name": "button", "ty": "Str", "optional": False}]}
OCCURRENCE_ID: Final = "host_event:6afdfa6994a29e10641199b3c53f3e9cf8668f0d65da23c95c8ba454769ad4f3"
PROCESS_ID: Final = "process:host-event:ef18266188cce9988a7fc8549a384ac811cd4f562530919fc5e0680a0312d2b2"


def draft(name: str | None = "on_button", session_id: str = "session-a", **changed: Any) -> TriggerSubscriptionDraft:
    """The draft whose record the specification prints, or one like it."""
    values: dict[str, Any] = {
        "session_id": session_id,
        "name": name,
        "source_type": BUTTON,
        "source_key": SOURCE_KEY,
        "source": {},
        "event_ty": EVENT_TY,
        "module_ref": "lashlang:v1:sha256:module",
        "required_surface_ref": "lashlang-surface:v1:sha256:surface",
        "process_ref": ProcessRef("process", 1),
        "process_name": "on_button",
        "input_template": {"event": TriggerInputBindingEvent()},
    }
    return TriggerSubscriptionDraft(**values | changed)


def pressed(key: str = "button-blue-1", button: str = "Blue", **changed: Any) -> HostEventOccurrenceRequest:
    """Somebody presses a button."""
    values: dict[str, Any] = {
        "source_type": BUTTON,
        "source_key": SOURCE_KEY,
        "payload": {"button": button},
        "idempotency_key": key,
        "source": {},
    }
    return HostEventOccurrenceRequest(**values | changed)


OCCURRENCE: Final = HostEventOccurrenceRecord(
    occurrence_id=OCCURRENCE_ID,
    source_type=BUTTON,
    source_key=SOURCE_KEY,
    payload={"button": "Blue"},
    idempotency_key="button-blue-1",
    source={"a": 1},
    occurred_at_ms=7,
)
SUBSCRIPTION: Final = TriggerSubscriptionRecord(
    subscription_id="s-1",
    session_id="session-a",
    handle="trigger:1",
    name="on_button",
    source_type=BUTTON,
    source_key=SOURCE_KEY,
    source={"a": 1},
    event_ty=EVENT_TY,
    module_ref="lashlang:v1:sha256:module",
    required_surface_ref="lashlang-surface:v1:sha256:surface",
    process_ref=ProcessRef("process", 1),
    process_name="on_button",
    input_template={"event": TriggerInputBindingEvent(), "who": TriggerInputBindingFixed("me")},
    enabled=False,
    created_at_ms=1,
    updated_at_ms=2,
)
RECORDS: Final[list[Any]] = [
    draft(source={"a": 1}),
    pressed(source={"a": 1}),
    OCCURRENCE,
    SUBSCRIPTION,
    HostEvent("ui", "button", "pressed", HostEventPayloadType("Pressed", EVENT_TY)),
    HostEventEmitReport(OCCURRENCE_ID, [PROCESS_ID]),
    TriggerSubscriptionFilter("session-a", "trigger:1", "on_button", BUTTON, SOURCE_KEY, SUBSCRIPTION.target, False),
    TriggerRegistration.from_record(SUBSCRIPTION),
    TriggerDeliveryReservation(OCCURRENCE, SUBSCRIPTION, PROCESS_ID),
]
"""An example of every record of host events, with all keys filled in."""
