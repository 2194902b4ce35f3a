"""What the host-event store and its router refuse (host events specification, section 5)."""

from lash_store.errors.root import StoreError


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
    """The payload of an occurrence does not fit the event type of the subscription with the handle `handle`."""

    def __init__(self, handle: str) -> None:
        super().__init__(
            f"invalid payload for trigger {handle!r}: it does not fit the event type; the delivery is dropped, others "
            "are not concerned"
        )
        self.handle = handle


class DuplicateHostEvent(HostEventError):
    """The catalogue has an event of the source type `source_type` already."""

    def __init__(self, source_type: str) -> None:
        super().__init__(f"the host event {source_type!r} is declared already; declare each source type once")
        self.source_type = source_type
