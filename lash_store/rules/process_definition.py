"""What of a process never changes once it is registered, made ready for its many events."""

from typing import Any

from lash_store.codecs.process_event_text import EventFrame, text_of
from lash_store.errors import UndeclaredProcessEvent
from lash_store.records.process import ProcessRecord
from lash_store.records.process_event_type import CANCEL_REQUESTED, ProcessEventSemanticsSpec, ProcessEventType
from lash_store.rules.process_semantics import has_identity_dedupe_key


class DeclaredEvent:
    """One event type of a process."""

    __slots__ = ("ends", "has_identity_key", "is_plain", "name", "needs_key", "schema", "semantics", "text")

    def __init__(self, event_type: ProcessEventType) -> None:
        semantics: ProcessEventSemanticsSpec = event_type.semantics
        self.name = event_type.name
        self.text = text_of(event_type.name)
        self.schema: Any = event_type.payload_schema.schema
        self.semantics = semantics
        self.ends = semantics.terminal is not None
        self.is_plain = not self.ends and semantics.wake is None
        self.needs_key = self.ends or event_type.name == CANCEL_REQUESTED
        self.has_identity_key = has_identity_dedupe_key(semantics)


class ProcessDefinition:
    """A process as its registration made it; of `record` only what never changes is sure to be current."""

    __slots__ = ("_declared", "frame", "record")

    def __init__(self, record: ProcessRecord) -> None:
        self.record = record
        self.frame = EventFrame(record.id, record.provenance.owner_scope.session_id)
        self._declared = {event_type.name: DeclaredEvent(event_type) for event_type in record.event_types}

    def event_type(self, name: str) -> DeclaredEvent:
        """The declaration of an event type. Raises UndeclaredProcessEvent."""
        declared = self._declared.get(name)
        if declared is None:
            raise UndeclaredProcessEvent(self.record.id, name)
        return declared
