"""Stores to try the catalogue on: file and memory, on one clock that the test moves."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from lash_store.sqlite.host_event_store.store import SqliteHostEventStore
from tests.clocks import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def open_file(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Callable[[], Awaitable[SqliteHostEventStore]]]:
    """Opens handles on one file, and closes them when the test is over."""
    opened: list[SqliteHostEventStore] = []

    async def open_one() -> SqliteHostEventStore:
        opened.append(await SqliteHostEventStore.open(tmp_path / "host-events.db", clock=clock))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


@pytest_asyncio.fixture(params=["file", "memory"])
async def store(
    request: pytest.FixtureRequest,
    open_file: Callable[[], Awaitable[SqliteHostEventStore]],
    clock: ManualClock,
) -> AsyncIterator[SqliteHostEventStore]:
    """A fresh, empty store of either kind."""
    if request.param == "file":
        yield await open_file()
        return
    async with await SqliteHostEventStore.memory(clock=clock) as opened:
        yield opened
