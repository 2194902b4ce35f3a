"""The watch of a waiting room: commits that nobody tells of are noticed, whoever makes them and however."""

import asyncio
import io
import threading
from pathlib import Path

import apsw
import pytest

from lash_store import Plan, SqliteConnection, Step, StoreBackend, StoreClosed
from lash_store.sqlite import changes, waiting
from lash_store.sqlite.changes import ChangeSignal
from lash_store.sqlite.waiting import WaitingRoom
from tests.sqlite.waiting.rooms import (
    LINUX,
    Looks,
    descriptors,
    eventually,
    insert,
    listing,
    log_size,
    quiet,
    result,
    seated,
    tell,
    unwatched,
)
from tests.watchdog import LIMIT_S, Program


async def test_a_commit_of_this_process_that_is_not_told_wakes(
    watched: WaitingRoom[int, str], file: SqliteConnection
) -> None:
    [first, second] = await seated(watched, 1, 2)
    await file.run(insert(1))
    assert await result(first) == "there"
    async with await SqliteConnection.open(file.path) as other:
        await other.run(insert(2))
        assert await result(second) == "there"


async def test_a_commit_of_another_process_wakes(watched: WaitingRoom[int, str], stranger: Program) -> None:
    for number in range(1, 20):
        [task] = await seated(watched, number)
        await tell(stranger, f"INSERT INTO item VALUES ({number}, 'from afar')")
        assert await result(task) == "from afar"


async def test_two_processes_answer_each_other(watched: WaitingRoom[int, str], file: SqliteConnection) -> None:
    with Program("answerer", file.path) as answerer:
        assert await asyncio.to_thread(answerer.hear) == "ready"
        for number in range(1, 100, 2):
            await file.run(insert(number, "ping"))
            async with asyncio.timeout(LIMIT_S):
                assert await watched.wait(number + 1) == "pong"
        assert await asyncio.to_thread(answerer.end) == ""


async def test_commits_that_concern_nobody_do_not_make_looks_without_end(
    watched: WaitingRoom[int, str], file: SqliteConnection, looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_PACE_S", 0.2)
    await seated(watched, -1)
    looks.asked.clear()
    began = asyncio.get_running_loop().time()
    for number in range(500):
        await file.run(insert(number))
    took = asyncio.get_running_loop().time() - began
    await quiet(watched)
    assert 1 <= len(looks.asked) <= 2 + took / 0.2


async def test_a_stream_of_newcomers_does_not_keep_others_waiting(
    watched: WaitingRoom[int, str], file: SqliteConnection, looks: Looks, stranger: Program
) -> None:
    await file.run(insert(0))
    done = False

    async def come_and_go() -> None:
        while not done:
            await watched.wait(0)

    crowd = [asyncio.create_task(come_and_go()) for _ in range(8)]
    task = asyncio.create_task(watched.wait(1))
    await eventually(lambda: len(looks.asked) > 20)
    await tell(stranger, "INSERT INTO item VALUES (1, 'seen')")
    assert await result(task) == "seen"
    done = True
    await asyncio.gather(*crowd)


@pytest.mark.skipif(not LINUX, reason="descriptors are counted in /proc")
async def test_waits_that_come_and_go_use_up_no_descriptors(watched: WaitingRoom[int, str]) -> None:
    counts = []
    for _ in range(20):
        [task] = await seated(watched, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        watched._end_watch()
        await eventually(unwatched)
        counts.append(len(descriptors()))
    assert counts[1:] == counts[:1] * 19


async def test_closing_during_the_look_that_opens_the_watch(watched: WaitingRoom[int, str], looks: Looks) -> None:
    began, go_on = threading.Event(), threading.Event()

    def hold_the_second() -> None:
        if len(looks.asked) == 2:
            began.set()
            go_on.wait(LIMIT_S)

    looks.before = hold_the_second
    task = asyncio.create_task(watched.wait(1))
    await asyncio.to_thread(began.wait, LIMIT_S)
    signal = watched._signal
    assert signal is not None
    opened = signal.is_open
    watched.close()
    assert (opened, signal.is_open) == (True, False)
    go_on.set()
    with pytest.raises(StoreClosed):
        await task
    await quiet(watched)
    assert watched._signal is None


async def test_the_log_is_removed_when_room_and_connection_are_closed(tmp_path: Path, looks: Looks) -> None:
    async with await SqliteConnection.open(tmp_path / "x.db") as connection:
        await connection.run(Plan([Step("CREATE TABLE item (id INTEGER PRIMARY KEY, note TEXT)")]))
        room = WaitingRoom[int, str](connection, looks)
        [task] = await seated(room, 1)
        room.close()
    assert listing(tmp_path) == ["x.db"]
    with pytest.raises(StoreClosed):
        await task


async def test_a_watch_that_fails_tells_all_who_wait(
    watched: WaitingRoom[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiters = await seated(watched, 1, 2)

    def fail(_signal: ChangeSignal) -> bool:
        raise StoreBackend(10, 10, "disk I/O error")

    monkeypatch.setattr(ChangeSignal, "changed", fail)
    errors = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(error) for error in errors] == [StoreBackend, StoreBackend]
    assert watched._signal is None


async def test_a_watch_that_cannot_be_opened_tells_who_waits(
    watched: WaitingRoom[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: str) -> apsw.Connection:
        raise StoreBackend(14, 14, "unable to open database file")

    with monkeypatch.context() as patch:
        patch.setattr(changes, "open_reader", fail)
        with pytest.raises(StoreBackend):
            await watched.wait(1)
    [task] = await seated(watched, 1)
    task.cancel()


async def test_without_announcements_the_watch_asks_often(
    watched: WaitingRoom[int, str], stranger: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "_announcements_of", lambda _log: None)
    for number in range(1, 10):
        [task] = await seated(watched, number)
        await tell(stranger, f"INSERT INTO item VALUES ({number}, 'polled')")
        assert await result(task) == "polled"
        assert watched._watch is None or watched._watch.descriptor is None


@pytest.mark.skipif(not LINUX, reason="only Linux announces writes")
async def test_announcements_that_do_not_come_are_done_without(
    watched: WaitingRoom[int, str], stranger: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    announcements_of = changes._announcements_of
    elsewhere = tmp_path / "elsewhere"
    elsewhere.touch()

    def deaf(_log: str) -> io.FileIO | None:
        return announcements_of(str(elsewhere))

    monkeypatch.setattr(changes, "_announcements_of", deaf)
    await seated(watched, 0)
    watch = watched._watch
    assert watch is not None
    trusting = watch.descriptor is not None
    assert trusting
    for number in range(1, 100):  # for a while after a look it asks often anyway, so one may be found by that
        [task] = await seated(watched, number)
        await asyncio.sleep(0.05)
        await tell(stranger, f"INSERT INTO item VALUES ({number}, 'late')")
        assert await result(task) == "late"
        if watch.descriptor is None:
            return
    pytest.fail("the watch still trusts announcements that do not come")


async def test_a_log_that_is_cut_or_started_over_is_still_watched(
    watched: WaitingRoom[int, str], file: SqliteConnection, stranger: Program
) -> None:
    for number in range(1, 10):
        [task] = await seated(watched, number)
        assert await asyncio.to_thread(stranger.ask, "PRAGMA wal_checkpoint(TRUNCATE)") == "(0, 0, 0)"
        assert log_size(file.path) == 0
        await tell(stranger, f"INSERT INTO item VALUES ({number}, 'after it')")
        assert await result(task) == "after it"


async def test_who_closes_elsewhere_does_not_take_the_log_away(
    watched: WaitingRoom[int, str], file: SqliteConnection
) -> None:
    [task] = await seated(watched, 1)
    for _ in range(3):
        with Program("stranger", file.path) as other:
            await tell(other, "INSERT INTO item VALUES (NULL, 'something')")
            assert other.end() == ""
    assert log_size(file.path) > 0
    with Program("stranger", file.path) as other:
        await tell(other, "UPDATE item SET note = 'at last' WHERE id = 1")
    assert await result(task) in ("something", "at last")
