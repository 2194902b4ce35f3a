"""Waiting for events and for the end of processes (process specification 4.7)."""

from functools import partial

from lash_store.records.process_event import ProcessEvent
from lash_store.records.process_output import ProcessAwaitOutput, ProcessStatusRunning
from lash_store.sqlite.ops import process_events, processes
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.ops.process_events import AwaitedEvent
from lash_store.sqlite.process_registry.handle import RegistryHandle


class WaitOperations(RegistryHandle):
    """What can be waited for. There is no limit of time: cancel the task, for example with `asyncio.timeout`."""

    async def wait_event_after(self, process_id: str, event_type: str, after_sequence: int) -> ProcessEvent:
        """The first event of this type with a sequence above `after_sequence`, as soon as there is one.

        It does not end with the process, whose log goes on: whoever waits for an event that only a running process
        appends waits for `await_process` at the same time (two tasks, and `asyncio.wait` with FIRST_COMPLETED), and
        looks at `events_after` once more if that was first.

        Raises UnknownProcess, UndeclaredProcessEvent for a type that the process has not declared and so never appends,
        InvalidRecord for a sequence outside 0 ... 2^63-1, StoreCorrupt, StoreClosed.
        """
        column_integer("process event", "after_sequence", after_sequence)
        awaited = AwaitedEvent(process_id, event_type, after_sequence)
        event = await self._read(partial(process_events.read_first_of_type, awaited=awaited))
        return event if event is not None else (await self._events.wait(awaited)).event()

    async def await_process(self, process_id: str) -> ProcessAwaitOutput:
        """What a process ends with, as soon as it has ended. Raises UnknownProcess, StoreCorrupt, StoreClosed."""
        record = await self._read(partial(processes.read_process, process_id=process_id))
        while isinstance(record.status, ProcessStatusRunning):
            record = (await self._ends.wait(process_id)).record()
        return record.status.await_output
