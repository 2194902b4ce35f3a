"""Host events: their declarations, and their occurrences (host events specification 2.6, 2.7)."""

from typing import Annotated, Any

import msgspec

from lash_store.records.layout import Plain
from lash_store.records.record import Record
from lash_store.records.shape import ALWAYS, Opaque, Uint

TypeExpression = Annotated[Any, Plain.AS_GIVEN]
"""A type of the program's language, in its stored form; opaque to the store."""

_Payload = Annotated[Any, Plain.SORTED, ALWAYS]


class HostEventPayloadType(Record, frozen=True):
    """The name of an event's payload type, and the object type that it stands for."""

    name: str
    ty: TypeExpression


class HostEvent(Record, frozen=True):
    """The declaration of an event; it is known by resource type, alias and event."""

    resource_type: str
    alias: str
    event: str
    payload_ty: HostEventPayloadType


class HostEventOccurrenceRequest(Record, frozen=True, kw_only=True):
    """What happened. `idempotency_key` is unique in the whole file: under one key something happens once."""

    source_type: str
    source_key: str
    payload: _Payload = None
    idempotency_key: str
    source: Opaque = None


class HostEventOccurrenceRecord(Record, frozen=True, kw_only=True):
    """What happened, as it was recorded first; times in epoch milliseconds."""

    occurrence_id: str
    source_type: str
    source_key: str
    payload: _Payload = None
    idempotency_key: str
    source: Opaque = None
    occurred_at_ms: Uint


class HostEventOccurrenceResult(msgspec.Struct, frozen=True):
    """An occurrence, and whether it was recorded by this very call (`is_new`) or by an earlier one."""

    occurrence: HostEventOccurrenceRecord
    is_new: bool


class HostEventEmitReport(Record, frozen=True):
    """What a router has made of an event. The occurrence's id is left out when empty."""

    occurrence_id: str | None = None
    started_process_ids: list[str] = msgspec.field(default_factory=list)


class HostEventPruneReport(msgspec.Struct, frozen=True):
    """How many rows were removed."""

    occurrences: int
    deliveries: int
    subscriptions: int
