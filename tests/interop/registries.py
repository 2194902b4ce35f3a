"""A process registry that lash_store and alpha.40 have open, each with the same operations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from lash_store import (
    ProcessAwaitOutput,
    ProcessAwaitOutputCancelled,
    ProcessAwaitOutputFailure,
    ProcessAwaitOutputSuccess,
    ProcessEvent,
    ProcessEventAppendRequest,
    ProcessEventAppendResult,
    ProcessExternalRef,
    ProcessHandleDescriptor,
    ProcessHandleGrant,
    ProcessLease,
    ProcessLeaseCompletion,
    ProcessRecord,
    ProcessRegistration,
    ProcessRegistryError,
    ProcessScope,
    ProcessSessionDeleteReport,
)
from lash_store.records.process_grant import ProcessHandleGrantEntry
from tests.interop.driver import Alpha40, Alpha40Refused

REFUSED: Final = (ProcessRegistryError, Alpha40Refused)
"""What either program raises for what it does not do. alpha.40 says it in words only."""
_OUTPUTS: Final[dict[str, type[ProcessAwaitOutput]]] = {
    "success": ProcessAwaitOutputSuccess,
    "failure": ProcessAwaitOutputFailure,
    "cancelled": ProcessAwaitOutputCancelled,
}


class Registry(Protocol):
    """The operations of `lash_store.SqliteProcessRegistry` that alpha.40 has, too."""

    async def register_process(self, registration: ProcessRegistration) -> ProcessRecord: ...
    async def get_process(self, process_id: str) -> ProcessRecord | None: ...
    async def list_non_terminal(self) -> list[ProcessRecord]: ...
    async def set_external_ref(self, process_id: str, external_ref: ProcessExternalRef) -> ProcessRecord: ...
    async def append_event(self, process_id: str, request: ProcessEventAppendRequest) -> ProcessEventAppendResult: ...
    async def complete_process(self, process_id: str, await_output: ProcessAwaitOutput) -> ProcessRecord: ...
    async def events_after(self, process_id: str, after_sequence: int) -> list[ProcessEvent]: ...
    async def wake_events_after(self, process_id: str, after_sequence: int) -> list[ProcessEvent]: ...
    async def ack_wake(self, process_id: str, sequence: int) -> None: ...
    async def wait_event_after(self, process_id: str, event_type: str, after_sequence: int) -> ProcessEvent: ...
    async def await_process(self, process_id: str) -> ProcessAwaitOutput: ...
    async def claim_process_lease(self, process_id: str, owner_id: str, lease_ttl_ms: int) -> ProcessLease: ...
    async def renew_process_lease(self, lease: ProcessLease, lease_ttl_ms: int) -> ProcessLease: ...
    async def complete_process_lease(self, completion: ProcessLeaseCompletion) -> None: ...
    async def grant_handle(
        self, owner_scope: ProcessScope, process_id: str, descriptor: ProcessHandleDescriptor
    ) -> ProcessHandleGrant: ...
    async def revoke_handle(self, owner_scope: ProcessScope, process_id: str) -> None: ...
    async def transfer_handle_grants(
        self, from_scope: ProcessScope, to_scope: ProcessScope, process_ids: Sequence[str]
    ) -> None: ...
    async def list_handle_grants(self, owner_scope: ProcessScope) -> list[ProcessHandleGrantEntry]: ...
    async def list_live_handle_grants(self, owner_scope: ProcessScope) -> list[ProcessHandleGrantEntry]: ...
    async def handle_grants_for_process(self, process_id: str) -> list[ProcessHandleGrant]: ...
    async def delete_session_process_state(self, session_id: str) -> ProcessSessionDeleteReport: ...


class TheirRegistry:
    """alpha.40 on a process registry: its operations under the names that ours have."""

    def __init__(self, alpha: Alpha40) -> None:
        self.alpha = alpha

    async def register_process(self, registration: ProcessRegistration) -> ProcessRecord:
        return await self.alpha.record(ProcessRecord, "register", registration=registration)

    async def get_process(self, process_id: str) -> ProcessRecord | None:
        return await self.alpha.maybe(ProcessRecord, "get", process_id=process_id)

    async def list_non_terminal(self) -> list[ProcessRecord]:
        return await self.alpha.records(ProcessRecord, "list_non_terminal")

    async def set_external_ref(self, process_id: str, external_ref: ProcessExternalRef) -> ProcessRecord:
        return await self.alpha.record(
            ProcessRecord, "set_external_ref", process_id=process_id, external_ref=external_ref
        )

    async def append_event(self, process_id: str, request: ProcessEventAppendRequest) -> ProcessEventAppendResult:
        return await self.alpha.record(ProcessEventAppendResult, "append", process_id=process_id, request=request)

    async def complete_process(self, process_id: str, await_output: ProcessAwaitOutput) -> ProcessRecord:
        return await self.alpha.record(ProcessRecord, "complete", process_id=process_id, await_output=await_output)

    async def events_after(self, process_id: str, after_sequence: int) -> list[ProcessEvent]:
        return await self._events("events_after", process_id, after_sequence)

    async def wake_events_after(self, process_id: str, after_sequence: int) -> list[ProcessEvent]:
        return await self._events("wake_events_after", process_id, after_sequence)

    async def _events(self, op: str, process_id: str, after_sequence: int) -> list[ProcessEvent]:
        return await self.alpha.records(ProcessEvent, op, process_id=process_id, after_sequence=after_sequence)

    async def ack_wake(self, process_id: str, sequence: int) -> None:
        await self.alpha("ack_wake", process_id=process_id, sequence=sequence)

    async def wait_event_after(self, process_id: str, event_type: str, after_sequence: int) -> ProcessEvent:
        return await self.alpha.record(
            ProcessEvent,
            "wait_event",
            process_id=process_id,
            event_type=event_type,
            after_sequence=after_sequence,
        )

    async def await_process(self, process_id: str) -> ProcessAwaitOutput:
        output = await self.alpha("await", process_id=process_id)
        found: ProcessAwaitOutput = _OUTPUTS[output["type"]].from_json(output)
        return found

    async def claim_process_lease(self, process_id: str, owner_id: str, lease_ttl_ms: int) -> ProcessLease:
        return await self.alpha.record(
            ProcessLease, "claim", process_id=process_id, owner_id=owner_id, lease_ttl_ms=lease_ttl_ms
        )

    async def renew_process_lease(self, lease: ProcessLease, lease_ttl_ms: int) -> ProcessLease:
        return await self.alpha.record(ProcessLease, "renew", lease=lease, lease_ttl_ms=lease_ttl_ms)

    async def complete_process_lease(self, completion: ProcessLeaseCompletion) -> None:
        await self.alpha("complete_lease", completion=completion)

    async def grant_handle(
        self, owner_scope: ProcessScope, process_id: str, descriptor: ProcessHandleDescriptor
    ) -> ProcessHandleGrant:
        return await self.alpha.record(
            ProcessHandleGrant, "grant", owner_scope=owner_scope, process_id=process_id, descriptor=descriptor
        )

    async def revoke_handle(self, owner_scope: ProcessScope, process_id: str) -> None:
        await self.alpha("revoke", owner_scope=owner_scope, process_id=process_id)

    async def transfer_handle_grants(
        self, from_scope: ProcessScope, to_scope: ProcessScope, process_ids: Sequence[str]
    ) -> None:
        await self.alpha("transfer", from_scope=from_scope, to_scope=to_scope, process_ids=process_ids)

    async def list_handle_grants(self, owner_scope: ProcessScope) -> list[ProcessHandleGrantEntry]:
        return _entries(await self.alpha("list_grants", owner_scope=owner_scope))

    async def list_live_handle_grants(self, owner_scope: ProcessScope) -> list[ProcessHandleGrantEntry]:
        return _entries(await self.alpha("list_live_grants", owner_scope=owner_scope))

    async def handle_grants_for_process(self, process_id: str) -> list[ProcessHandleGrant]:
        return await self.alpha.records(ProcessHandleGrant, "grants_for_process", process_id=process_id)

    async def delete_session_process_state(self, session_id: str) -> ProcessSessionDeleteReport:
        return await self.alpha.record(ProcessSessionDeleteReport, "delete_session", session_id=session_id)


def _entries(answer: Any) -> list[ProcessHandleGrantEntry]:
    return [(ProcessHandleGrant.from_json(grant), ProcessRecord.from_json(record)) for grant, record in answer]


@dataclass(frozen=True)
class BothRegistries:
    """A registry that `one` has made and `other` has opened then; one of them is ours, one alpha.40."""

    one: Registry
    other: Registry

    def __getitem__(self, number: int) -> Registry:
        """The one for even numbers, the other for odd ones."""
        return self.other if number % 2 else self.one

    async def same_process(self, process_id: str) -> ProcessRecord:
        """The record that both have."""
        record = await self.one.get_process(process_id)
        assert record is not None
        assert record == await self.other.get_process(process_id)
        return record

    async def same_events(self, process_id: str, after: int = 0) -> list[ProcessEvent]:
        """The events that both have."""
        events = await self.one.events_after(process_id, after)
        assert events == await self.other.events_after(process_id, after)
        return events

    async def same_wakes(self, process_id: str, after: int = 0) -> list[int]:
        """The sequences of the wakes that both still offer."""
        wakes = await self.one.wake_events_after(process_id, after)
        assert wakes == await self.other.wake_events_after(process_id, after)
        return [event.sequence for event in wakes]
