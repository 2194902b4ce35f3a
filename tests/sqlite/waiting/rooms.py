"""A look at a table, and what tests ask of a waiting room."""

import asyncio
import json
import os
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import apsw

from lash_store import Plan, Step
from lash_store.sqlite.waiting import WaitingRoom
from tests.watchdog import LIMIT_S, Program, await_true

FIND = "SELECT id, note FROM item WHERE id IN (SELECT value FROM json_each(?1))"
LINUX = os.path.exists("/proc/self/fd")  # noqa: PTH110


class Looks:
    """A look at the table `item`, and which keys each call of it was for."""

    def __init__(self) -> None:
        self.asked: list[set[int]] = []
        self.error: Exception | None = None
        self.before: Callable[[], object] = lambda: None

    def __call__(self, connection: apsw.Connection, keys: Collection[int]) -> Mapping[int, str]:
        self.asked.append(set(keys))
        self.before()
        if self.error is not None:
            raise self.error
        found: list[tuple[int, str]] = connection.execute(FIND, (json.dumps(list(keys)),)).fetchall()  # type: ignore[assignment]
        return dict(found)


def insert(number: int, note: str = "there") -> Plan:
    return Plan([Step("INSERT INTO item VALUES (?1, ?2)", (number, note))])


async def leave(room: WaitingRoom[int, str]) -> None:
    for waiters in list(room._waiters.values()):
        for waiter in waiters:
            waiter.cancel()
    await asyncio.sleep(0)
    room.close()


async def seated(room: WaitingRoom[int, str], *keys: int) -> list[asyncio.Task[str]]:
    """Start to wait for each of `keys`, and return when none of them is there and the room is quiet."""
    tasks = [asyncio.create_task(room.wait(key)) for key in keys]
    await quiet(room)
    return tasks


def at_rest(room: WaitingRoom[Any, Any], *, waiters: int | None = None) -> bool:
    """Whether no look is under way or due, and so many wait."""
    busy = room._proceeding or room._looking or room._due or room._changed
    return not busy and (waiters is None or waiters == sum(len(waiting) for waiting in room._waiters.values()))


async def quiet(room: WaitingRoom[int, str]) -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await eventually(lambda: at_rest(room))


async def eventually(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(await_true, condition)


async def tell(stranger: Program, sql: str) -> None:
    assert await asyncio.to_thread(stranger.ask, sql) == "done"


async def result(task: "asyncio.Task[str]") -> str:
    async with asyncio.timeout(LIMIT_S):
        return await task


def descriptors() -> list[str]:
    return sorted(os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _there(name))  # noqa: PTH115, PTH208


def _there(name: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{name}")


def unwatched() -> bool:
    """Whether no watch is being given back any more."""
    return "lash_store unwatch" not in own_threads()


def own_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("lash_store")]


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def log_size(path: str) -> int:
    return Path(f"{path}-wal").stat().st_size
