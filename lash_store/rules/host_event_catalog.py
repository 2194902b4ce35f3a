"""The catalogue of the host events that a host declares (specification 4.7); nothing of it is stored."""

from lash_store.codecs.host_event_ids import host_event_source_type
from lash_store.errors import DuplicateHostEvent, InvalidRecord
from lash_store.records.host_event import HostEvent


class HostEventCatalog:
    """Declared events, each known by resource type, alias and event, and by its source type."""

    def __init__(self) -> None:
        self._by_source_type: dict[str, HostEvent] = {}

    def declare(self, event: HostEvent) -> None:
        """Add an event.

        Raises DuplicateHostEvent if its key, or its source type `<alias>.<event>`, is taken, InvalidRecord or
        InvalidJsonValue for what is no declaration.
        """
        if not isinstance(event, HostEvent):
            raise InvalidRecord(HostEvent.__name__, "$", f"expected a HostEvent, got a {type(event).__name__}")
        event.to_json()
        source_type = host_event_source_type(event.alias, event.event)
        if source_type in self._by_source_type:
            raise DuplicateHostEvent(source_type)  # an equal key has an equal source type
        self._by_source_type[source_type] = event

    def event(self, source_type: str) -> HostEvent | None:
        """The event of a source type."""
        return self._by_source_type.get(source_type)

    def events(self) -> list[HostEvent]:
        """All declared events, in the order of their declaration."""
        return list(self._by_source_type.values())
