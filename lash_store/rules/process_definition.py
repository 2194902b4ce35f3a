"""What of a process never changes once it is registered, made ready for its many events."""

from typing import Any

from lash_store.codecs.process_event_text import EventFrame, text_of
from lash_store.errors import UndeclaredProcessEvent
from lash_store.records.causal import CausalRef
from lash_store.records.process import ProcessRecord
from lash_store.records.process_event_type import CANCEL_REQUESTED, ProcessEventSemanticsSpec, ProcessEventType
from lash_store.rules.process_semantics import has_identity_dedupe_key


class DeclaredEvent:
    """One event type of a process: a copy, which nobody changes who holds the record."""

    __slots__ = ("ends", "has_identity_key", "is_plain", "name", "needs_key", "schema", "semantics", "text")

    def __init__(self, event_type: ProcessEventType) -> None:
        own = ProcessEventType.read_plain(event_type.write_plain(hashed=False))
        semantics: ProcessEventSemanticsSpec = own.semantics
        self.name = own.name
        self.text = text_of(own.name)
        self.schema: Any = own.payload_schema.schema
        self.semantics = semantics
        self.ends = semantics.terminal is not None
        self.is_plain = not self.ends and semantics.wake is None
        self.needs_key = self.ends or own.name == CANCEL_REQUESTED
        self.has_identity_key = has_identity_dedupe_key(semantics)


class ProcessDefinition:
    """What the events of a process need of its record: nothing that changes, and not what it runs, which may be big."""

    __slots__ = ("_declared", "caused_by", "frame", "process_id", "registration_hash", "session_id")

    def __init__(self, record: ProcessRecord) -> None:
        self.process_id = record.id
        self.registration_hash = record.registration_hash
        self.session_id = record.provenance.owner_scope.session_id
        self.caused_by: CausalRef | None = record.provenance.caused_by
        self.frame = EventFrame(self.process_id, self.session_id)
        self._declared = {event_type.name: DeclaredEvent(event_type) for event_type in record.event_types}

    def event_type(self, name: str) -> DeclaredEvent:
        """The declaration of an event type. Raises UndeclaredProcessEvent."""
        declared = self._declared.get(name)
        if declared is None:
            raise UndeclaredProcessEvent(self.process_id, name)
        return declared
