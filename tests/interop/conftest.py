"""lash_store and alpha.40 on one file."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from lash_store import SqliteEffectHost, SqliteHostEventStore, SqliteProcessRegistry, Store
from tests.interop.driver import HOW_TO_BUILD, VARIABLE, Alpha40, running
from tests.interop.registries import BothRegistries, TheirRegistry
from tests.interop.stores import Both, TheirStore


@pytest.fixture(autouse=True)
def _is_built() -> None:
    if not os.environ.get(VARIABLE):
        pytest.skip(HOW_TO_BUILD)


class Opener:
    """Opens files with either program as often as is asked for, and closes them when the test is over."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def alpha40(self, kind: str, path: Path | None = None) -> Alpha40:
        return await self._stack.enter_async_context(running(kind, path))

    async def ours(self, path: Path) -> Store:
        return await self._stack.enter_async_context(await Store.open(path))

    async def theirs(self, path: Path) -> TheirStore:
        return TheirStore(await self.alpha40("session", path))

    async def our_registry(self, path: Path) -> SqliteProcessRegistry:
        return await self._stack.enter_async_context(await SqliteProcessRegistry.open(path))

    async def their_registry(self, path: Path) -> TheirRegistry:
        return TheirRegistry(await self.alpha40("processes", path))

    async def our_effects(self, path: Path) -> SqliteEffectHost:
        return await self._stack.enter_async_context(await SqliteEffectHost.open(path))

    async def our_events(self, path: Path) -> SqliteHostEventStore:
        return await self._stack.enter_async_context(await SqliteHostEventStore.open(path))


@pytest_asyncio.fixture
async def opener(_is_built: None) -> AsyncIterator[Opener]:
    async with AsyncExitStack() as stack:
        yield Opener(stack)


@pytest_asyncio.fixture
async def records(opener: Opener) -> Alpha40:
    """alpha.40 without a database."""
    return await opener.alpha40("records")


@pytest_asyncio.fixture(params=["ours_first", "alpha40_first"])
async def both(request: pytest.FixtureRequest, opener: Opener, tmp_path: Path) -> Both:
    """A session file, made by either program and open in both."""
    path = tmp_path / "session.db"
    if request.param == "ours_first":
        ours = await opener.ours(path)
        return Both(ours, await opener.theirs(path))
    theirs = await opener.theirs(path)
    return Both(theirs, await opener.ours(path))


@pytest_asyncio.fixture(params=["ours_first", "alpha40_first"])
async def registries(request: pytest.FixtureRequest, opener: Opener, tmp_path: Path) -> BothRegistries:
    """A process registry, made by either program and open in both."""
    path = tmp_path / "processes.db"
    if request.param == "ours_first":
        ours = await opener.our_registry(path)
        return BothRegistries(ours, await opener.their_registry(path))
    theirs = await opener.their_registry(path)
    return BothRegistries(theirs, await opener.our_registry(path))
