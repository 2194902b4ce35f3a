"""Rooms on a file and on a database in memory."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from lash_store import Plan, SqliteConnection, Step
from lash_store.sqlite import waiting
from lash_store.sqlite.waiting import WaitingRoom
from tests.sqlite.waiting.rooms import Looks, leave
from tests.watchdog import Program


@pytest.fixture
def looks() -> Looks:
    return Looks()


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_LINGER_S", 0.02)


@pytest_asyncio.fixture
async def file(tmp_path: Path) -> AsyncIterator[SqliteConnection]:
    async with await SqliteConnection.open(tmp_path / "x.db") as connection:
        await connection.run(Plan([Step("CREATE TABLE item (id INTEGER PRIMARY KEY, note TEXT)")]))
        yield connection


@pytest_asyncio.fixture
async def memory() -> AsyncIterator[SqliteConnection]:
    async with await SqliteConnection.open_in_memory() as connection:
        await connection.run(Plan([Step("CREATE TABLE item (id INTEGER PRIMARY KEY, note TEXT)")]))
        yield connection


@pytest.fixture(params=["file", "memory"])
def connection(request: pytest.FixtureRequest) -> SqliteConnection:
    opened: SqliteConnection = request.getfixturevalue(request.param)
    return opened


@pytest_asyncio.fixture
async def room(connection: SqliteConnection, looks: Looks) -> AsyncIterator[WaitingRoom[int, str]]:
    opened = WaitingRoom[int, str](connection, looks)
    yield opened
    await leave(opened)


@pytest_asyncio.fixture
async def watched(file: SqliteConnection, looks: Looks) -> AsyncIterator[WaitingRoom[int, str]]:
    """A room on a file."""
    opened = WaitingRoom[int, str](file, looks)
    yield opened
    await leave(opened)


@pytest.fixture
def stranger(file: SqliteConnection) -> Iterator[Program]:
    """Another process, with another SQLite library."""
    with Program("stranger", file.path) as program:
        yield program
