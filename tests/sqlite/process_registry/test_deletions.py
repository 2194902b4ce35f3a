"""Sessions that go while others grant and revoke, or while a process refuses to be asked."""

import asyncio
import gc
from typing import Any

import pytest

from lash_store.errors import InvalidProcessPayload, ProcessCancelRefused, UnknownProcess
from lash_store.records.process import ProcessRegistration, ProcessScope
from lash_store.records.process_input import ProcessInputExternal
from lash_store.records.process_work import ProcessCancelSummary
from lash_store.sqlite.process_registry.cancellation import ProcessCancellation
from tests.process_examples import DESCRIPTOR, plain_type, register
from tests.process_registries import Registries

ASKED = "process.cancel_requested"
OTHER = ProcessScope("other")


async def test_others_who_grant_and_revoke_meanwhile(registries: Registries, monkeypatch: pytest.MonkeyPatch) -> None:
    """They change nothing that a deletion could see in the record, and it starts over as often as it takes."""
    registry, another = await registries.file(), await registries.file()
    await register(registry, "p")
    await registry.grant_handle(ProcessScope("s"), "p", DESCRIPTOR)
    orphans, tries = registry._orphans, 0

    async def disturbed(*arguments: Any) -> Any:
        nonlocal tries
        tries += 1
        await another.revoke_handle(OTHER, "p")
        found = await orphans(*arguments)
        if tries < 6:
            await another.grant_handle(OTHER, "p", DESCRIPTOR)
        return found

    monkeypatch.setattr(registry, "_orphans", disturbed)
    report = await registry.delete_session_process_state("s", cancel_reason="gone")
    assert (tries, report.revoked_handle_count, report.cancel_process_ids) == (6, 1, ["p"])
    assert [event.event_type for event in await registry.events_after("p", 0)] == [ASKED]


async def test_one_that_refuses_keeps_no_other_from_being_asked(registries: Registries) -> None:
    registry = await registries.file()
    for process_id in ("a", "b", "c"):
        own = [plain_type(ASKED, {"type": "string"})] if process_id == "b" else []
        record = await registry.register_process(ProcessRegistration(process_id, ProcessInputExternal(), own))
        await registry.grant_handle(ProcessScope("s"), record.id, DESCRIPTOR)
    with pytest.raises(ProcessCancelRefused) as refused:
        await ProcessCancellation(registry).cancel_all("s", "enough")
    assert refused.value.done == [ProcessCancelSummary("a", "running"), ProcessCancelSummary("c", "running")]
    assert list(refused.value.refusals) == ["b"]
    assert isinstance(refused.value.__cause__, InvalidProcessPayload)
    assert [len(await registry.events_after(each, 0)) for each in "abc"] == [1, 0, 1]


async def test_a_cancelled_read_that_fails_says_nothing_to_the_loop(registries: Registries) -> None:
    registry = await registries.file()
    said: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["message"]))
    for turn in range(200):
        reading = asyncio.ensure_future(registry.events_after("unknown", 0))
        await asyncio.sleep(0.0001 * (turn % 8))
        reading.cancel()
        with pytest.raises((asyncio.CancelledError, UnknownProcess)):
            await reading
    gc.collect()
    await asyncio.sleep(0)
    assert said == []
