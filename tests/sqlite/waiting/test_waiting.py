"""The waiting room: whoever commits, those who wait for it wake; however many wait, one looks."""

import asyncio
import gc
import threading
import time
from collections.abc import Collection
from pathlib import Path

import apsw
import pytest

from lash_store import (
    Plan,
    SqliteConnection,
    Step,
    StoreBackend,
    StoreClosed,
    StoreCorrupt,
    StoreForked,
    StoreWrongLoop,
)
from lash_store.sqlite import forks, waiting
from lash_store.sqlite.waiting import LookAgain, WaitingRoom
from tests.clocks import ManualClock
from tests.sqlite.waiting.rooms import (
    LINUX,
    Looks,
    descriptors,
    eventually,
    insert,
    leave,
    own_threads,
    quiet,
    result,
    seated,
    unwatched,
)
from tests.watchdog import LIMIT_S


async def test_what_is_there_is_found_without_a_watch(
    room: WaitingRoom[int, str], connection: SqliteConnection, looks: Looks
) -> None:
    await connection.run(insert(1, "old"))
    assert await room.wait(1) == "old"
    assert looks.asked == [{1}]
    assert room._signal is None


async def test_a_commit_that_is_told_wakes(room: WaitingRoom[int, str], connection: SqliteConnection) -> None:
    [first, second] = await seated(room, 1, 2)
    await connection.run(insert(2, "new"))
    room.changed()
    assert await result(second) == "new"
    assert not first.done()
    await connection.run(insert(1))
    room.changed()
    assert await result(first) == "there"


async def test_a_told_commit_wakes_at_once_however_many_looks_the_watch_has_asked_for(
    watched: WaitingRoom[int, str], file: SqliteConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_PACE_S", 3600)
    [task] = await seated(watched, 1)
    await file.run(insert(1))
    watched.changed()
    assert await result(task) == "there"


async def test_a_thousand_waiters_share_one_watch_and_each_look(
    watched: WaitingRoom[int, str], file: SqliteConnection, looks: Looks
) -> None:
    await eventually(unwatched)
    tasks = len(asyncio.all_tasks())
    everyone = set(range(1000))
    waiters = await seated(watched, *sorted(everyone))
    assert looks.asked == [everyone, everyone]  # at once, and once more when the watch was there
    assert len(asyncio.all_tasks()) == tasks + 1000
    assert {name.split()[1] for name in own_threads()} <= {"reader", "writer"}
    for number in range(10):
        await file.run(insert(number))
        watched.changed()
        assert await result(waiters[number]) == "there"
        await quiet(watched)
    assert looks.asked[2:] == [everyone - set(range(number)) for number in range(10)]


async def test_who_comes_later_makes_nobody_else_look_again(watched: WaitingRoom[int, str], looks: Looks) -> None:
    await seated(watched, 1, 2, 3)
    looks.asked.clear()
    await seated(watched, 4)
    assert looks.asked == [{4}]


async def test_a_wait_that_begins_during_a_look_gets_one_of_its_own(
    watched: WaitingRoom[int, str], file: SqliteConnection, looks: Looks
) -> None:
    began, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        began.set()
        go_on.wait(LIMIT_S)

    looks.before = hold
    await file.run(insert(1, "before"))
    first = asyncio.create_task(watched.wait(1))
    await asyncio.to_thread(began.wait, LIMIT_S)
    snapshots = len(looks.asked)
    second = asyncio.create_task(watched.wait(1))
    await asyncio.sleep(0)
    go_on.set()
    assert (await result(first), await result(second)) == ("before", "before")
    assert len(looks.asked) == snapshots + 1


async def test_a_cancelled_wait_leaves_nothing_behind(
    room: WaitingRoom[int, str], connection: SqliteConnection
) -> None:
    await connection.read(lambda _: None)  # a reader stays open, whoever waits
    await eventually(unwatched)
    tasks = asyncio.all_tasks()
    before = descriptors() if LINUX else []
    waiters = await seated(room, *range(100))
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    assert (room._waiters, room._due, room._again) == ({}, set(), {})
    await eventually(lambda: room._signal is None and unwatched())
    assert (room._watch, room._timer, room._looking) == (None, None, None)
    assert asyncio.all_tasks() == tasks
    if LINUX:
        # A descriptor of a file that others have open here is kept by SQLite, and used again: its closing drops locks.
        assert [name for name in descriptors() if "inotify" in name] == []
        assert len(descriptors()) <= len(before) + 1


async def test_one_of_two_who_wait_for_the_same_is_cancelled(
    room: WaitingRoom[int, str], connection: SqliteConnection
) -> None:
    [first, second] = await seated(room, 1, 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await connection.run(insert(1))
    room.changed()
    assert await result(second) == "there"
    assert first.cancelled()


async def test_closing_ends_all_waits(room: WaitingRoom[int, str]) -> None:
    waiters = await seated(room, *range(10))
    room.close()
    errors = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(error) for error in errors] == [StoreClosed] * 10
    with pytest.raises(StoreClosed):
        await room.wait(1)
    assert room._signal is None
    room.close()


async def test_a_connection_that_is_closed_first_ends_all_waits(
    connection: SqliteConnection, room: WaitingRoom[int, str]
) -> None:
    [task] = await seated(room, 1)
    await connection.close()
    with pytest.raises(StoreClosed):
        await result(task)
    assert room._signal is None


@pytest.mark.parametrize("error", [StoreBackend(1, 1, "no such table"), KeyError("a mistake in the look")])
async def test_errors_of_the_look_reach_all_who_wait(
    room: WaitingRoom[int, str], connection: SqliteConnection, looks: Looks, error: Exception
) -> None:
    waiters = await seated(room, *range(10))
    looks.error = error
    await connection.run(insert(1))
    room.changed()
    assert await asyncio.gather(*waiters, return_exceptions=True) == [error] * 10
    looks.error = None
    assert await room.wait(1) == "there"


async def test_errors_of_sqlite_in_the_look_are_typed(
    room: WaitingRoom[int, str], connection: SqliteConnection
) -> None:
    [task] = await seated(room, 1)
    await connection.run(Plan([Step("DROP TABLE item")]))
    room.changed()
    with pytest.raises(StoreBackend, match="no such table"):
        await result(task)


async def test_a_text_that_is_no_utf_8_is_damage(room: WaitingRoom[int, str], connection: SqliteConnection) -> None:
    [task] = await seated(room, 1)
    await connection.run(Plan([Step("INSERT INTO item VALUES (1, CAST(x'ff' AS TEXT))")]))
    room.changed()
    with pytest.raises(StoreCorrupt) as corrupt:
        await result(task)
    assert (corrupt.value.kind, corrupt.value.key) == ("text in the database", connection.path)
    assert isinstance(corrupt.value.__cause__, UnicodeDecodeError)


async def test_a_time_that_comes_makes_look_again(connection: SqliteConnection) -> None:
    clock = ManualClock(1_000)
    looked: list[int] = []

    def look(_connection: apsw.Connection, keys: Collection[str]) -> dict[str, int | LookAgain]:
        looked.append(clock.now)
        return {key: LookAgain(31_000) if clock.now < 31_000 else clock.now for key in keys}

    room = WaitingRoom[str, int](connection, look, clock=clock)
    task = asyncio.create_task(room.wait("lease"))
    await eventually(lambda: clock.asked > 10)
    assert len(looked) <= 2
    clock.now = 31_000
    async with asyncio.timeout(LIMIT_S):
        assert await task == 31_000
    room.close()


async def test_a_time_that_passes_during_the_look_has_come_though_the_clock_stands_still(
    connection: SqliteConnection,
) -> None:
    clock = ManualClock(1_000)

    def look(_connection: apsw.Connection, keys: Collection[str]) -> dict[str, int | LookAgain]:
        seen = clock.now
        clock.now = 2_000  # and no further
        return {key: LookAgain(2_000) if seen < 2_000 else seen for key in keys}

    room = WaitingRoom[str, int](connection, look, clock=clock)
    async with asyncio.timeout(LIMIT_S):
        assert await room.wait("lease") == 2_000
    room.close()


async def test_a_time_that_comes_is_not_put_off_by_looks_at_others(memory: SqliteConnection) -> None:
    clock = ManualClock(1_000)

    def look(_connection: apsw.Connection, keys: Collection[str]) -> dict[str, int | LookAgain]:
        return {key: LookAgain(2_000) if key == "lease" and clock.now < 2_000 else clock.now for key in keys}

    room = WaitingRoom[str, int](memory, look, clock=clock)
    lease = asyncio.create_task(room.wait("lease"))
    assert await room.wait("other") == 1_000
    clock.now = 2_000
    async with asyncio.timeout(LIMIT_S):
        while not lease.done():
            await room.wait("other")
    room.close()


async def test_a_time_that_is_past_is_no_look_without_end(connection: SqliteConnection) -> None:
    looked = 0

    def look(_connection: apsw.Connection, keys: Collection[str]) -> dict[str, LookAgain]:
        nonlocal looked
        looked += 1
        return dict.fromkeys(keys, LookAgain(0))

    room = WaitingRoom[str, int](connection, look)
    began = time.monotonic()
    task = asyncio.create_task(room.wait("lease"))
    await eventually(lambda: looked >= 10)
    room.close()
    with pytest.raises(StoreClosed):
        await task
    assert (
        looked <= (time.monotonic() - began) * 1000 + 3
    )  # one in a millisecond; two begin a wait, one may be under way


async def test_a_child_is_refused(watched: WaitingRoom[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    [task] = await seated(watched, 1)
    signal = watched._signal
    assert signal is not None
    with monkeypatch.context() as child:
        child.setattr(forks, "generation", forks.generation + 1)
        with pytest.raises(StoreForked):
            await watched.wait(2)
        watched.close()
        signal.close()
        assert signal.is_open
    watched._closed = False
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_another_loop_is_refused(tmp_path: Path, looks: Looks) -> None:
    async def open_room() -> tuple[SqliteConnection, WaitingRoom[int, str]]:
        connection = await SqliteConnection.open(tmp_path / "x.db")
        return connection, WaitingRoom[int, str](connection, looks)

    async def refused(room: WaitingRoom[int, str]) -> None:
        with pytest.raises(StoreWrongLoop):
            await room.wait(1)
        with pytest.raises(StoreWrongLoop):
            room.close()

    async def wait_on(connection: SqliteConnection, room: WaitingRoom[int, str]) -> None:
        await connection.run(Plan([Step("CREATE TABLE item (id INTEGER PRIMARY KEY, note TEXT)")]))
        await connection.run(insert(1))
        assert await room.wait(1) == "there"
        await leave(room)
        await connection.close()

    with asyncio.Runner() as first, asyncio.Runner() as second:
        connection, room = first.run(open_room())
        second.run(refused(room))
        first.run(wait_on(connection, room))


def test_a_loop_that_ends_takes_waits_and_watch_with_it(tmp_path: Path, looks: Looks) -> None:
    rooms = []

    async def leave_waiting() -> None:
        connection = await SqliteConnection.open(tmp_path / "x.db")
        await connection.run(Plan([Step("CREATE TABLE item (id INTEGER PRIMARY KEY, note TEXT)")]))
        room = WaitingRoom[int, str](connection, looks)
        rooms.append(room)
        await seated(room, 1, 2, 3)

    def run() -> None:
        asyncio.run(leave_waiting())
        assert rooms[0]._waiters == {}
        rooms.pop()._end_watch()
        gc.collect()

    with pytest.warns(ResourceWarning, match="never closed"):
        run()
