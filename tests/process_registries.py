"""Registries to try things on: file and memory, on one clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.clocks import ManualClock
from tests.sqlite.waiting.rooms import at_rest

PATIENCE_S: Final = 20.0
"""How long anything may take before a test calls it a hang."""


class Registries:
    """Opens registries, and closes them when the test is over. All handles on files name the same one."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.path = folder / "processes.db"
        self.clock = clock
        self._opened: list[SqliteProcessRegistry] = []

    async def file(self) -> SqliteProcessRegistry:
        """Another handle on the file."""
        return self._kept(await SqliteProcessRegistry.open(self.path, clock=self.clock))

    async def memory(self) -> SqliteProcessRegistry:
        """A database of its own."""
        return self._kept(await SqliteProcessRegistry.memory(clock=self.clock))

    async def close(self) -> None:
        """Close every handle that is still open."""
        while self._opened:
            await self._opened.pop().close()

    def _kept(self, registry: SqliteProcessRegistry) -> SqliteProcessRegistry:
        self._opened.append(registry)
        return registry


async def waiting(registry: SqliteProcessRegistry, *, for_ends: int = 0, for_events: int = 0) -> None:
    """Return when so many wait for ends of processes and for events: they have looked, and found nothing."""
    async with asyncio.timeout(PATIENCE_S):
        for room, waiters in ((registry._ends, for_ends), (registry._events, for_events)):
            while not at_rest(room, waiters=waiters):  # noqa: ASYNC110  no event announces it
                await asyncio.sleep(0.001)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def registries(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Registries]:
    opener = Registries(tmp_path, clock)
    yield opener
    await opener.close()


@pytest_asyncio.fixture(params=["file", "memory"])
async def registry(request: pytest.FixtureRequest, registries: Registries) -> SqliteProcessRegistry:
    """A fresh, empty registry of either kind."""
    return await (registries.file() if request.param == "file" else registries.memory())
