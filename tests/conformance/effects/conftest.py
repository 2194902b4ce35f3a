"""Hosts and controllers to try the catalogue on: file and memory, on one clock that the test moves."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
import pytest_asyncio

from lash_store.records.effect_scope import EffectScope
from lash_store.sqlite.effect_host import naps
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from lash_store.sqlite.effect_host.host import SqliteEffectHost
from tests.clocks import ManualClock
from tests.effects import SCOPE


class Effects:
    """Opens hosts on one file, or each in memory, and closes them when the test is over."""

    def __init__(self, path: Path | None, clock: ManualClock) -> None:
        self.path = path
        self.clock = clock
        self._opened: list[SqliteEffectHost | SqliteRuntimeEffectController] = []

    async def host(self, **options: Any) -> SqliteEffectHost:
        """A host on the injected clock, unless `options` have another."""
        options = {"clock": self.clock, **options}
        opened = await (
            SqliteEffectHost.open(self.path, **options) if self.path else SqliteEffectHost.memory(**options)
        )
        self._opened.append(opened)
        return opened

    async def controller(self, scope: EffectScope = SCOPE, **options: Any) -> SqliteRuntimeEffectController:
        """A controller with a handle of its own."""
        kind = SqliteRuntimeEffectController
        options = {"clock": self.clock, **options}
        opened = await (kind.open(self.path, scope, **options) if self.path else kind.memory(scope, **options))
        self._opened.append(opened)
        return opened

    async def close(self) -> None:
        while self._opened:
            await self._opened.pop().close()


Opened = SqliteEffectHost | SqliteRuntimeEffectController


async def rows(opened: Opened, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows of a query on the store's database."""
    return await opened._read(lambda connection: connection.execute(sql, values).fetchall())


async def change(opened: Opened, sql: str, *values: Any) -> None:
    """Change the store's database behind its back."""
    run: Callable[[apsw.Connection], object] = lambda connection: connection.execute(sql, values).fetchall()  # noqa: E731
    await opened._connection.call(run)


@pytest.fixture(autouse=True)
def short_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sleepers see soon that the clock was moved."""
    monkeypatch.setattr(naps, "LONGEST_NAP_S", 0.002)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture(params=["file", "memory"])
async def effects(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Effects]:
    opener = Effects(tmp_path / "effects.db" if request.param == "file" else None, clock)
    yield opener
    await opener.close()


@pytest_asyncio.fixture
async def file_effects(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Effects]:
    """For what needs two handles on one file."""
    opener = Effects(tmp_path / "effects.db", clock)
    yield opener
    await opener.close()


@pytest_asyncio.fixture
async def controller(effects: Effects) -> SqliteRuntimeEffectController:
    return await effects.controller()
