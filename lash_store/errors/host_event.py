"""What the host-event store and its router refuse (host events specification, section 5)."""

from collections.abc import Sequence
from typing import Any

from lash_store.errors.root import StoreError
from lash_store.errors.storage import StoreCorrupt


class HostEventError(StoreError):
    """The root of what only host events raise."""


class InvalidHostEventOccurrence(HostEventError):
    """The request's `field` ("source_type", "source_key" or "idempotency_key") is blank."""

    def __init__(self, field: str) -> None:
        super().__init__(f"the {field} of a host event occurrence is blank; give it a text")
        self.field = field


class HostEventOccurrenceConflict(HostEventError):
    """`idempotency_key` stands for an occurrence with another source, source key or payload; that one is unchanged."""

    def __init__(self, idempotency_key: str) -> None:
        super().__init__(
            f"the idempotency key {idempotency_key!r} was used for another host event occurrence; repeat a request as "
            "it was, and give another occurrence another key"
        )
        self.idempotency_key = idempotency_key


class UnknownHostEventOccurrence(HostEventError):
    """No occurrence `occurrence_id` is recorded in this database."""

    def __init__(self, occurrence_id: str) -> None:
        super().__init__(f"the host event occurrence {occurrence_id!r} is not recorded; record it first")
        self.occurrence_id = occurrence_id


class UnknownTriggerDelivery(HostEventError):
    """Nothing of the occurrence `occurrence_id` was reserved for the subscription `subscription_id`."""

    def __init__(self, occurrence_id: str, subscription_id: str) -> None:
        super().__init__(
            f"the host event occurrence {occurrence_id!r} has no delivery to {subscription_id!r}; reserve it first"
        )
        self.occurrence_id = occurrence_id
        self.subscription_id = subscription_id


class InvalidTriggerSubscription(HostEventError):
    """The draft's `field` ("source_type" or "source_key") is blank: no occurrence could ever match."""

    def __init__(self, field: str) -> None:
        super().__init__(f"the {field} of a trigger subscription is blank, so nothing would ever match; give it a text")
        self.field = field


class HostEventDeliveryUnavailable(HostEventError):
    """Deliveries of the occurrence `occurrence_id` are reserved, but the router has no process registry."""

    def __init__(self, occurrence_id: str) -> None:
        super().__init__(
            f"the host event occurrence {occurrence_id!r} has subscribers, and this router has no process registry to "
            "start their processes; give it one, and resume the deliveries"
        )
        self.occurrence_id = occurrence_id


class InvalidTriggerPayload(HostEventError):
    """The payload of the occurrence `occurrence_id` does not fit the event type of the subscription `handle`.

    `path` is the first place that does not fit, for example `$.button`.
    """

    def __init__(self, handle: str, occurrence_id: str = "", path: str = "$") -> None:
        super().__init__(
            f"invalid payload for trigger {handle!r}: at {path} that of the occurrence {occurrence_id!r} does not fit "
            "the event type; the delivery is dropped, others are not concerned"
        )
        self.handle = handle
        self.occurrence_id = occurrence_id
        self.path = path


class TriggerDeliveryCorrupt(HostEventError, StoreCorrupt):
    """The occurrence or the subscription of a delivery cannot be read; others that were asked for are not concerned.

    The delivery stays reserved: it starts when the row is repaired and the delivery resumed, or is given up with
    `drop_delivery`. `also` are the same errors of other deliveries, `reservations` those that the call has made (and
    that it would have returned).
    """

    def __init__(self, occurrence_id: str, subscription_id: str) -> None:
        # Not super(): StoreCorrupt has another message.
        StoreError.__init__(
            self,
            f"the delivery of the host event occurrence {occurrence_id!r} to {subscription_id!r} cannot be read; "
            "restore its rows from a backup and resume it, or drop it",
        )
        self.kind = "trigger delivery"
        self.key = f"{occurrence_id}/{subscription_id}"
        self.occurrence_id = occurrence_id
        self.subscription_id = subscription_id
        self.also: Sequence[TriggerDeliveryCorrupt] = ()
        self.reservations: Sequence[Any] = ()


class DuplicateHostEvent(HostEventError):
    """The catalogue has an event of the source type `source_type` already."""

    def __init__(self, source_type: str) -> None:
        super().__init__(f"the host event {source_type!r} is declared already; declare each source type once")
        self.source_type = source_type
