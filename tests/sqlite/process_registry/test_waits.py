"""Waiting: for what this handle does, for what another one does, and for nothing after the end."""

import asyncio
from collections.abc import Awaitable

import pytest

from lash_store.errors import InvalidRecord, StoreClosed, StoreCorrupt, StoreWrongLoop
from lash_store.records.process_output import ProcessAwaitOutputCancelled
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.process_examples import OK, append, plain_type, register
from tests.process_registries import PATIENCE_S, Registries, waiting
from tests.sqlite.process_registry.rows import rows

TYPES = (plain_type("line"), plain_type("other"))


async def test_the_end_of_a_process(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p", *TYPES)
    async with asyncio.timeout(PATIENCE_S):
        waiters = [asyncio.create_task(registry.await_process("p")) for _ in range(30)]
        await waiting(registry, for_ends=30)
        await append(registry, "p", "line", {})
        await registry.complete_process("p", ProcessAwaitOutputCancelled("stop"))
        assert await asyncio.gather(*waiters) == [ProcessAwaitOutputCancelled("stop")] * 30


async def test_only_the_type_asked_for_and_only_behind_the_place(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p", *TYPES)
    await append(registry, "p", "line", {"n": 1})
    async with asyncio.timeout(PATIENCE_S):
        waiter = asyncio.create_task(registry.wait_event_after("p", "line", 1))
        other = asyncio.create_task(registry.wait_event_after("p", "other", 0))
        await waiting(registry, for_events=2)
        second = await append(registry, "p", "other", {"n": 2})
        assert await other == second.event
        third = await append(registry, "p", "line", {"n": 3})
        await append(registry, "p", "line", {"n": 4})
        assert await waiter == third.event


async def test_what_another_handle_does(registries: Registries) -> None:
    one, two = await registries.file(), await registries.file()
    for number in range(20):
        await register(one, f"p{number}", *TYPES)
    async with asyncio.timeout(PATIENCE_S):
        events = [asyncio.create_task(two.wait_event_after(f"p{n}", "line", 0)) for n in range(20)]
        ends = [asyncio.create_task(two.await_process(f"p{n}")) for n in range(20)]
        await waiting(two, for_ends=20, for_events=20)
        appended = [(await append(one, f"p{n}", "line", {"n": n})).event for n in range(20)]
        assert await asyncio.gather(*events) == appended
        for n in range(20):
            await one.complete_process(f"p{n}", OK)
        assert await asyncio.gather(*ends) == [OK] * 20


async def test_a_cancelled_wait_leaves_nothing(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p", *TYPES)
    waits = [
        asyncio.create_task(registry.await_process("p")),
        asyncio.create_task(registry.wait_event_after("p", "line", 0)),
    ]
    await waiting(registry, for_ends=1, for_events=1)
    for wait in waits:
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
    await waiting(registry)
    await append(registry, "p", "line", {})
    await registry.complete_process("p", OK)
    assert await registry.await_process("p") == OK


async def test_closing_ends_waits(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p", *TYPES)
    waits = [
        asyncio.create_task(registry.await_process("p")),
        asyncio.create_task(registry.wait_event_after("p", "line", 0)),
    ]
    await waiting(registry, for_ends=1, for_events=1)
    await registry.close()
    async with asyncio.timeout(PATIENCE_S):
        outcomes = await asyncio.gather(*waits, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreClosed] * 2


async def test_a_damaged_event_concerns_only_who_waits_for_it(registries: Registries) -> None:
    one, two = await registries.file(), await registries.file()
    await register(one, "p", *TYPES)
    async with asyncio.timeout(PATIENCE_S):
        hit = asyncio.create_task(two.wait_event_after("p", "line", 0))
        spared = asyncio.create_task(two.wait_event_after("p", "other", 0))
        await waiting(two, for_events=2)
        rows(
            registries.path,
            "INSERT INTO process_events VALUES ('p', 1, 'line', 'hash', NULL, 0, '{')",
        )
        with pytest.raises(StoreCorrupt):
            await hit
        assert (await append(one, "p", "other", {})).event == await spared


@pytest.mark.parametrize("column", ["record_json", "status"])
async def test_a_damaged_text_concerns_only_who_waits_for_it(registries: Registries, column: str) -> None:
    registry = await registries.file()

    async def damaged(wait: Awaitable[object], kind: str, key: str) -> None:
        with pytest.raises(StoreCorrupt) as corrupt:
            await wait
        assert (corrupt.value.kind, corrupt.value.key) == (kind, key)

    for process_id in ("hit", "spared"):
        await register(registry, process_id, *TYPES)
    async with asyncio.timeout(PATIENCE_S):
        events = {name: asyncio.create_task(registry.wait_event_after(name, "line", 0)) for name in ("hit", "spared")}
        ends = {name: asyncio.create_task(registry.await_process(name)) for name in ("hit", "spared")}
        await waiting(registry, for_ends=2, for_events=2)
        rows(
            registries.path,
            "INSERT INTO process_events VALUES ('hit', 1, 'line', 'hash', NULL, 0, CAST(x'ff' AS TEXT))",
        )
        await damaged(events["hit"], "process event", "hit:1")
        rows(
            registries.path,
            f"UPDATE processes SET status = 'completed', {column} = CAST(x'ff' AS TEXT) WHERE process_id = 'hit'",
        )
        await damaged(ends["hit"], "process", "hit")
        assert (await append(registry, "spared", "line", {})).event == await events["spared"]
        await registry.complete_process("spared", OK)
        assert await ends["spared"] == OK


async def test_closing_in_another_loop_closes_nothing(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p", *TYPES)
    waiter = asyncio.create_task(registry.wait_event_after("p", "line", 0))
    await waiting(registry, for_events=1)
    with pytest.raises(StoreWrongLoop):
        await asyncio.to_thread(asyncio.run, registry.close())
    async with asyncio.timeout(PATIENCE_S):
        appended = await append(registry, "p", "line", {})
        assert await waiter == appended.event
        await registry.complete_process("p", OK)
        assert await registry.await_process("p") == OK


async def test_what_is_no_type(registry: SqliteProcessRegistry) -> None:
    await register(registry, "p", *TYPES)
    with pytest.raises(InvalidRecord):
        await registry.wait_event_after("p", "\ud800", 0)


@pytest.mark.parametrize("turns", range(8))
async def test_an_append_that_is_cancelled_too_late_still_wakes(registry: SqliteProcessRegistry, turns: int) -> None:
    await register(registry, "p", *TYPES)
    async with asyncio.timeout(PATIENCE_S):
        waits = [
            asyncio.create_task(registry.wait_event_after("p", "process.completed", 0)),
            asyncio.create_task(registry.await_process("p")),
        ]
        await waiting(registry, for_ends=1, for_events=1)
        ending = asyncio.create_task(registry.complete_process("p", OK))
        for _ in range(turns):
            await asyncio.sleep(0)
        ending.cancel()
        await asyncio.gather(ending, return_exceptions=True)
        if await registry.events_after("p", 0):
            await asyncio.gather(*waits)
    for wait in waits:
        wait.cancel()
