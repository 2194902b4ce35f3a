"""Stores to try the catalogue on: file and memory, on one clock that the test moves."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from lash_store import Store, StoreOptions
from tests.clocks import ManualClock


class Stores:
    """Opens stores, and closes them when the test is over. All handles on files name the same one."""

    def __init__(self, folder: Path, clock: ManualClock) -> None:
        self.path = folder / "session.db"
        self.clock = clock
        self._opened: list[Store] = []

    async def file(self, **options: Any) -> Store:
        """Another handle on the file."""
        return self._kept(await Store.open(self.path, StoreOptions(clock=self.clock, **options)))

    async def readonly(self) -> Store:
        """Another handle on the file, for reading."""
        return self._kept(await Store.open_readonly(self.path))

    async def memory(self, **options: Any) -> Store:
        """A database of its own."""
        return self._kept(await Store.memory(StoreOptions(clock=self.clock, **options)))

    async def close(self) -> None:
        """Close every handle that is still open."""
        while self._opened:
            await self._opened.pop().close()

    def _kept(self, store: Store) -> Store:
        self._opened.append(store)
        return store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def stores(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Stores]:
    opener = Stores(tmp_path, clock)
    yield opener
    await opener.close()


@pytest_asyncio.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, stores: Stores) -> Store:
    """A fresh, empty store of either kind."""
    return await (stores.file() if request.param == "file" else stores.memory())
