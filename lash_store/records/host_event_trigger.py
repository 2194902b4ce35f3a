"""Trigger subscriptions, and the deliveries that link an occurrence to each of them (specification 2.6, 2.7)."""

import enum
from typing import Self, TypeAlias

import msgspec

from lash_store.records.host_event import HostEventOccurrenceRecord, TypeExpression
from lash_store.records.process_input import ProcessRef
from lash_store.records.record import Record
from lash_store.records.shape import Opaque, Uint


class TriggerInputBindingEvent(Record, frozen=True, tag_field="kind", tag="event"):
    """The input is the whole payload of the event."""


class TriggerInputBindingFixed(Record, frozen=True, tag_field="kind", tag="fixed"):
    """The input is always this free JSON `value`."""

    value: Opaque


TriggerInputBinding: TypeAlias = TriggerInputBindingEvent | TriggerInputBindingFixed
"""Where an input of a triggered process comes from, tagged by `kind`."""


class TriggerSubscriptionDraft(Record, frozen=True, kw_only=True):
    """What is subscribed to: which process of which module a session wants started by events of one source.

    `source` is free JSON that the store neither checks nor hashes. `input_template` names the process' inputs.
    """

    session_id: str
    name: str | None = None
    source_type: str
    source_key: str
    source: Opaque
    event_ty: TypeExpression
    module_ref: str
    required_surface_ref: str
    process_ref: ProcessRef
    process_name: str
    input_template: dict[str, TriggerInputBinding]


class TriggerTargetIdentity(Record, frozen=True):
    """The process that a subscription starts; all four must be equal."""

    module_ref: str
    required_surface_ref: str
    process_ref: ProcessRef
    process_name: str


class TriggerSubscriptionRecord(Record, frozen=True, kw_only=True):
    """A subscription; times in epoch milliseconds. Once cancelled it is not enabled, and never will be again."""

    subscription_id: str
    session_id: str
    handle: str
    name: str | None = None
    source_type: str
    source_key: str
    source: Opaque
    event_ty: TypeExpression
    module_ref: str
    required_surface_ref: str
    process_ref: ProcessRef
    process_name: str
    input_template: dict[str, TriggerInputBinding]
    enabled: bool = True
    created_at_ms: Uint
    updated_at_ms: Uint

    @property
    def target(self) -> TriggerTargetIdentity:
        """The process that it starts."""
        return TriggerTargetIdentity(self.module_ref, self.required_surface_ref, self.process_ref, self.process_name)


class TriggerSubscriptionFilter(Record, frozen=True):
    """What a subscription must be like; what is None is not asked."""

    session_id: str | None = None
    handle: str | None = None
    name: str | None = None
    source_type: str | None = None
    source_key: str | None = None
    target: TriggerTargetIdentity | None = None
    enabled: bool | None = None

    def matches(self, record: TriggerSubscriptionRecord) -> bool:
        """Whether the subscription is like that."""
        wanted = ((field, getattr(self, field)) for field in self.__struct_fields__ if field != "other_keys")
        return all(value is None or getattr(record, field) == value for field, value in wanted)


class TriggerRegistrationTarget(Record, frozen=True):
    """Which process a trigger starts, and with which inputs."""

    process_name: str
    inputs: dict[str, TriggerInputBinding]


class TriggerRegistration(Record, frozen=True, kw_only=True):
    """A subscription as hosts see it: without module, surface and process references, and without the event type."""

    handle: str
    source_key: str
    name: str | None = None
    source_type: str
    source: Opaque
    target: TriggerRegistrationTarget
    enabled: bool = True

    @classmethod
    def from_record(cls, record: TriggerSubscriptionRecord) -> Self:
        """The view of one subscription."""
        return cls(
            handle=record.handle,
            source_key=record.source_key,
            name=record.name,
            source_type=record.source_type,
            source=record.source,
            target=TriggerRegistrationTarget(record.process_name, record.input_template),
            enabled=record.enabled,
        )


class TriggerDeliveryReservation(Record, frozen=True):
    """The right, and the duty, to start the process `process_id` for one occurrence and one subscription."""

    occurrence: HostEventOccurrenceRecord
    subscription: TriggerSubscriptionRecord
    process_id: str


class TriggerDeliveryState(str, enum.Enum):
    """How far a delivery has come."""

    RESERVED = "reserved"
    STARTED = "started"
    DROPPED = "dropped"
    UNKNOWN = "unknown"
    """Another program reserved it, and keeps no such account."""


class TriggerDelivery(msgspec.Struct, frozen=True):
    """The account of a delivery; times in epoch milliseconds.

    `attempts` counts reservation and resumptions, the last at `tried_at_ms`; `reason` says why it was dropped.
    """

    occurrence_id: str
    subscription_id: str
    process_id: str
    created_at_ms: int
    state: TriggerDeliveryState
    attempts: int
    tried_at_ms: int | None
    reason: str | None
