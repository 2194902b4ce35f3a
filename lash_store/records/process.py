"""Processes: registrations, and the records that are kept of them (process specification 2.1, 2.3)."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from lash_store.records.causal import CausalRef
from lash_store.records.layout import Unfit
from lash_store.records.process_event_type import ProcessEventType
from lash_store.records.process_ids import scope_id
from lash_store.records.process_input import ProcessInput
from lash_store.records.process_output import ProcessStatus, ProcessStatusRunning
from lash_store.records.record import Record
from lash_store.records.shape import Opaque, Uint


class ProcessScope(Record, frozen=True):
    """A session, or one agent frame of it: who owns a process, may address it, or is woken by it."""

    session_id: str
    agent_frame_id: str | None = None

    @property
    def id(self) -> str:
        """The scope as a text. Two scopes with the same text are one (a session id may look like another's frame)."""
        return scope_id(self.session_id, self.agent_frame_id)


class ProcessProvenance(Record, frozen=True):
    """Who started a process, on which host profile, and because of what."""

    owner_scope: ProcessScope
    host_profile_id: str
    caused_by: CausalRef | None = None


class ProcessExternalRef(Record, frozen=True):
    """Where a process runs, if it runs elsewhere; free JSON `metadata`."""

    backend: str
    id: str
    metadata: Opaque = None


DEFAULT_PROVENANCE: Final = ProcessProvenance(ProcessScope("root"), "default")


class ProcessRegistration(Record, frozen=True):
    """What is registered. The core event types need not be among `event_types`; they are added."""

    id: str
    input: ProcessInput
    event_types: list[ProcessEventType] = msgspec.field(default_factory=list)
    provenance: ProcessProvenance = DEFAULT_PROVENANCE

    @classmethod
    def read_fields(cls, value: Mapping[str, Any], fields: Any) -> dict[str, Any]:
        """As `Record.read_fields`; the default provenance is for constructing one, not for reading one."""
        if "provenance" not in value:
            raise Unfit("the key is missing").at("provenance")
        return super().read_fields(value, fields)


class ProcessRecord(Record, frozen=True, kw_only=True):
    """A registered process; times in epoch milliseconds. `event_types` holds the core types too."""

    id: str
    registration_hash: str
    input: ProcessInput
    event_types: list[ProcessEventType] = msgspec.field(default_factory=list)
    provenance: ProcessProvenance
    created_at_ms: Uint = 0
    updated_at_ms: Uint = 0
    external_ref: ProcessExternalRef | None = None
    status: ProcessStatus = msgspec.field(default_factory=ProcessStatusRunning)

    @property
    def is_terminal(self) -> bool:
        """Whether the process has ended."""
        return not isinstance(self.status, ProcessStatusRunning)
