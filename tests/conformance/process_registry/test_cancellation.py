"""Cancel requests of a session (specification 4.12)."""

import pytest

from lash_store import ProcessCancelSummary, ProcessNotVisible, ProcessScope, SqliteProcessRegistry
from lash_store.sqlite.process_registry.cancellation import ProcessCancellation
from tests.process_examples import DESCRIPTOR, OK, register

SESSION = "session-a"
ASKED = "process.cancel_requested"


async def visible(registry: SqliteProcessRegistry, *process_ids: str) -> ProcessCancellation:
    for process_id in process_ids:
        await register(registry, process_id)
        await registry.grant_handle(ProcessScope(SESSION), process_id, DESCRIPTOR)
    return ProcessCancellation(registry)


async def asked(registry: SqliteProcessRegistry, process_id: str) -> list[object]:
    """The payloads of the requests in a process's log."""
    events = await registry.events_after(process_id, 0)
    return [event.payload for event in events if event.event_type == ASKED]


async def test_scenario_57_cancelling_what_is_visible(registry: SqliteProcessRegistry) -> None:
    cancellation = await visible(registry, "process-1")
    summary = await cancellation.cancel(SESSION, "process-1", "requested by tool")
    assert summary == ProcessCancelSummary("process-1", "running")
    assert await asked(registry, "process-1") == [{"reason": "requested by tool"}]


async def test_scenario_57_what_is_not_visible_is_not_cancelled(registry: SqliteProcessRegistry) -> None:
    cancellation = await visible(registry, "process-1")
    await register(registry, "process-2")
    for session_id, process_id in ((SESSION, "process-2"), ("session-b", "process-1"), (SESSION, "unknown")):
        with pytest.raises(ProcessNotVisible, match="not visible"):
            await cancellation.cancel(session_id, process_id)
    assert await asked(registry, "process-1") == await asked(registry, "process-2") == []


async def test_scenario_57_cancelling_all_in_order_but_those_that_have_ended(registry: SqliteProcessRegistry) -> None:
    cancellation = await visible(registry, "process-2", "process-1", "process-3")
    await registry.complete_process("process-3", OK)
    summaries = await cancellation.cancel_all(SESSION, "requested by tool")
    assert summaries == [ProcessCancelSummary("process-1", "running"), ProcessCancelSummary("process-2", "running")]
    for process_id in ("process-1", "process-2"):
        assert await asked(registry, process_id) == [{"reason": "requested by tool"}]
    assert await asked(registry, "process-3") == []
    assert await cancellation.cancel_all("session-b") == []
