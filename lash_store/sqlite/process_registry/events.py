"""Appending events, reading and acknowledging them (process specification 4.2, 4.3, 4.6)."""

from functools import partial

from lash_store.errors import GuardFailed, ProcessRegistryError, StoreCorrupt, UnknownProcess
from lash_store.records.process import ProcessRecord
from lash_store.records.process_event import ProcessEvent, ProcessEventAppendRequest, ProcessEventAppendResult
from lash_store.records.process_lease import ProcessLease
from lash_store.records.process_output import ProcessAwaitOutput
from lash_store.rules.process_append import (
    EventDraft,
    PreparedProcessEventAppend,
    RequestedEvent,
    draft_event,
    finished,
    prepare_process_event_append,
    replayed,
    requested_event,
    require_wake_target,
)
from lash_store.rules.process_completion import completion_request
from lash_store.rules.process_definition import ProcessDefinition
from lash_store.sqlite.ops import process_acks, process_events, process_leases, processes
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.process_registry.handle import RegistryHandle


class EventOperations(RegistryHandle):
    """What can be done with the events of processes."""

    async def append_event(self, process_id: str, request: ProcessEventAppendRequest) -> ProcessEventAppendResult:
        """Append an event, or return the one that was appended under the request's replay key before.

        The event's time is that of the clock under the write lock. Raises UnknownProcess, ProcessReplayKeyConflict,
        UndeclaredProcessEvent, ProcessReplayKeyRequired, InvalidProcessPayload, SelectorMismatch,
        ProcessAlreadyTerminal, MissingWakeTarget, InvalidRecord, InvalidJsonValue, StoreCorrupt. One transaction: the
        event, and the status if it ends the process. A replay writes nothing, unless its process lacks the status that
        it should have.
        """
        prepared, _ = await self._append(process_id, request, None)
        return ProcessEventAppendResult(prepared.event, prepared.wake_delivery)

    async def complete_process(
        self, process_id: str, await_output: ProcessAwaitOutput, *, lease: ProcessLease | None = None
    ) -> ProcessRecord:
        """End a process with `await_output`, once, and return its record; the same output again changes nothing.

        With `lease` it ends only if that is still the live lease on it, which is looked at in the same transaction.
        Raises UnknownProcess, ProcessReplayKeyConflict if it ended in the same way with another output,
        ProcessAlreadyTerminal if it ended otherwise, ProcessLeaseLost, InvalidRecord or InvalidJsonValue, StoreCorrupt.
        """
        _, record = await self._append(process_id, completion_request(process_id, await_output), lease)
        if record is not None:
            return record
        return await self._read(partial(processes.read_process, process_id=process_id))

    async def events_after(self, process_id: str, after_sequence: int) -> list[ProcessEvent]:
        """The events of a process with a sequence above `after_sequence`, in order.

        Raises UnknownProcess, InvalidRecord for a sequence outside 0 ... 2^63-1, StoreCorrupt.
        """
        column_integer("process event", "after_sequence", after_sequence)
        return await self._read(
            partial(process_events.read_events_after, process_id=process_id, after_sequence=after_sequence)
        )

    async def wake_events_after(self, process_id: str, after_sequence: int) -> list[ProcessEvent]:
        """Of these events those that wake and are not acknowledged; raises as `events_after`. One snapshot."""
        column_integer("process event", "after_sequence", after_sequence)
        return await self._read(
            partial(process_acks.read_wakes_after, process_id=process_id, after_sequence=after_sequence)
        )

    async def ack_wake(self, process_id: str, sequence: int) -> None:
        """Acknowledge a wake; a second time changes nothing. Whether there is such an event is not asked.

        Raises UnknownProcess, InvalidRecord for a sequence outside 0 ... 2^63-1. One transaction.
        """
        try:
            await self._run(process_acks.prepare_ack(process_id, sequence))
        except GuardFailed as failed:
            raise UnknownProcess(process_id) from failed

    async def _append(
        self, process_id: str, request: ProcessEventAppendRequest, lease: ProcessLease | None
    ) -> tuple[PreparedProcessEventAppend, ProcessRecord | None]:
        """The event, and the record that it left if it has ended the process just now.

        All is made ready beforehand, with the definition that this handle knows; the plan verifies under the lock that
        it holds. Where that fails, or something is refused, the file is asked how things stand: it alone decides.
        """
        requested = requested_event(request)
        if type(process_id) is not str:
            process_id = processes.process_key(process_id)
        seen: ProcessRecord | None = None
        while True:
            definition = self._definitions.get(process_id)
            if definition is not None and (draft := _acceptable(definition, requested)) is not None:
                try:
                    return await self._append_draft(definition, draft, lease)
                except GuardFailed as failed:
                    if (refusal := process_leases.refusal(process_id, failed)) is not None:
                        raise refusal from failed
            found = await self._read(
                partial(process_events.find_replay, process_id=process_id, replay_key=requested.replay_key)
            )
            prepared = prepare_process_event_append(found.record, request, 0, found.lookup, 0)
            if prepared.replayed:
                return await self._replayed(found.record, prepared), None
            if found.record == seen:  # and yet the plan does not find in it what was read
                raise StoreCorrupt("process", process_id)
            seen = found.record
            self._remember(seen)

    async def _append_draft(
        self, definition: ProcessDefinition, draft: EventDraft, lease: ProcessLease | None
    ) -> tuple[PreparedProcessEventAppend, ProcessRecord | None]:
        process_id = definition.process_id
        result = await self._run_on(process_events.prepare_append(definition, draft, lease), (process_id,))
        done = process_events.appended(result)
        if done is not None:
            self._events.changed()
            if done.record is not None:
                self._ends.changed()
            return finished(definition, draft, done.sequence, done.occurred_at_ms), done.record
        payload_hash, event = process_events.replayed_event(process_id, result)
        if event.semantics.terminal is None:
            return replayed(definition, draft.requested, payload_hash, event, is_terminal=False), None
        record = await self._read(partial(processes.read_process, process_id=process_id))
        prepared = replayed(definition, draft.requested, payload_hash, event, is_terminal=record.is_terminal)
        return await self._replayed(record, prepared), None

    async def _replayed(
        self, record: ProcessRecord, prepared: PreparedProcessEventAppend
    ) -> PreparedProcessEventAppend:
        """A replay. If the process does not have the status that the event gave it, it gets it now."""
        if prepared.status_update is not None:
            plan = process_events.prepare_status_repair(ProcessDefinition(record), prepared.status_update)
            try:
                await self._run_on(plan, (record.id,))
            except GuardFailed:
                return prepared  # it has ended meanwhile
            self._ends.changed()
        return prepared


def _acceptable(definition: ProcessDefinition, requested: RequestedEvent) -> EventDraft | None:
    """The draft of the requested event; None if something speaks against it, whatever it is."""
    try:
        draft = draft_event(definition, requested)
        require_wake_target(definition, draft)
    except ProcessRegistryError:
        return None
    return draft
