"""Disks that fill up and fail: what was answered with success is in the file, what failed is not, the rest goes on."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import apsw
import pytest

from lash_store import Database, Plan, SqliteConnection, Step, StoreBackend, StoreError, StoreFull
from lash_store.sqlite import native
from tests.watchdog import LIMIT_S, Program, bounded

INSERT = "INSERT INTO number VALUES (?, ?)"
TABLE = Plan([Step("CREATE TABLE number (n INTEGER PRIMARY KEY, filling BLOB)")])
FILLING = bytes(600)
LIMIT_MEMBERS = 40


def numbers(connection: apsw.Connection) -> set[int]:
    return {int(number) for (number,) in connection.execute("SELECT n FROM number")}


def stored(path: Path) -> set[int]:
    """Return what the file holds after it is closed and opened anew; it is sound."""
    with bounded(lambda: Database.open(path)) as database:
        assert database.call(lambda connection: connection.pragma("integrity_check")) == "ok"
        return database.read(numbers)


async def write_group(connection: SqliteConnection, group: list[int], filling: bytes = FILLING) -> dict[int, object]:
    """Write all of `group` at once, every fourth in a closure; return the outcome of each."""

    async def write(number: int) -> object:
        if number % 4 == 0:
            return await connection.write(lambda transaction: transaction.execute(INSERT, (number, filling)))
        return await connection.run(Plan([Step(INSERT, (number, filling))]))

    outcomes = await asyncio.gather(*(write(number) for number in group), return_exceptions=True)
    return dict(zip(group, outcomes, strict=True))


def succeeded(outcomes: dict[int, object]) -> set[int]:
    unexpected = [o for o in outcomes.values() if isinstance(o, BaseException) and not isinstance(o, StoreError)]
    assert unexpected == []
    return {number for number, outcome in outcomes.items() if not isinstance(outcome, BaseException)}


# -- the database may not grow ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["run", "write"])
async def test_a_member_that_fills_the_database_up_leaves_the_others_committed(verb: str, tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def write(number: int, size: int) -> object:
        if verb == "write":
            return await connection.write(lambda transaction: transaction.execute(INSERT, (number, bytes(size))))
        return await connection.run(Plan([Step(INSERT, (number, bytes(size)))]))

    async with await SqliteConnection.open(path) as connection, asyncio.timeout(LIMIT_S):
        await connection.run(TABLE)
        await connection.call(lambda c: c.pragma("max_page_count", 40))
        sizes = {number: 500_000 if number in (7, 13) else 100 for number in range(20)}
        outcomes = await asyncio.gather(*(write(n, size) for n, size in sizes.items()), return_exceptions=True)
        assert [type(outcomes[number]) for number in (7, 13)] == [StoreFull, StoreFull]
        answered = succeeded(dict(enumerate(outcomes)))
        assert answered == set(range(20)) - {7, 13}
        assert await connection.read(numbers) == answered
        await write(100, 100)
    assert stored(path) == answered | {100}


# -- the log may not grow ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="this platform has no limit for the size of files")
@pytest.mark.parametrize("growth", [0, 10, 3_000, 9_000, 20_000, 50_000])
@pytest.mark.parametrize("way", ["tasks", "threads"])
def test_what_a_log_that_may_not_grow_has_taken_is_what_was_answered(way: str, growth: int, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Database.open(path) as database:
        database.run(TABLE)
    said = []
    with Program("limited", path, way, growth) as limited:
        while (line := limited.hear()) != "end":
            said.append(line.split())
        assert limited.end() == ""
    answered = {int(number) for outcome, number in said if outcome == "ok"}
    assert sorted(int(number) for _, number in said) == list(range(LIMIT_MEMBERS + 1))
    assert len(answered) <= LIMIT_MEMBERS, "nothing failed: the limit was none"
    assert {0, LIMIT_MEMBERS} <= answered, "the handle does not recover"
    assert stored(path) == answered


# -- the device is full -----------------------------------------------------------------------------------------------


@pytest.fixture
def small_device(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 400 KiB, where the system lets us."""
    place = tmp_path / "device"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True, timeout=LIMIT_S)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this needs the right to mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True, timeout=LIMIT_S)


def enlarge(place: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=4m", str(place)], check=True, timeout=LIMIT_S)


async def test_a_full_device_fails_what_it_does_not_take_and_nothing_else(small_device: Path) -> None:
    path = small_device / "store.db"
    async with await SqliteConnection.open(path) as connection, asyncio.timeout(LIMIT_S):
        await connection.run(TABLE)
        answered: set[int] = set()
        outcomes: dict[int, object] = {}
        for start in range(1, 2_000, 40):
            outcomes = await write_group(connection, list(range(start, start + 40)))
            answered |= succeeded(outcomes)
            if len(succeeded(outcomes)) < 40:
                break
        failures = [outcome for outcome in outcomes.values() if isinstance(outcome, BaseException)]
        assert failures
        assert all(isinstance(failure, StoreFull) for failure in failures)
        assert await connection.read(numbers) == answered
    enlarge(small_device)
    assert stored(path) == answered
    async with await SqliteConnection.open(path) as connection, asyncio.timeout(LIMIT_S):
        assert succeeded(await write_group(connection, [10_000])) == {10_000}


# -- the device fails -------------------------------------------------------------------------------------------------


class Faults:
    """Which write or sync of the log fails, and how; counts them."""

    KINDS: ClassVar = {"full": apsw.SQLITE_FULL, "broken": apsw.SQLITE_IOERR_WRITE}

    def __init__(self) -> None:
        self.armed = False
        self.seen = 0
        self.first = self.last = -1
        self.kind = "full"

    def arm(self, kind: str, first: int, last: int) -> None:
        self.armed, self.seen, self.kind, self.first, self.last = True, 0, kind, first, last

    def meet(self) -> None:
        """Count one operation on the log, and let it fail if it is its turn."""
        if self.armed:
            self.seen += 1
            if self.first <= self.seen <= self.last:
                raise apsw.exception_for(self.KINDS[self.kind])


class LogFile(apsw.VFSFile):
    """The log, on a device with faults."""

    def __init__(self, vfs: str, name: apsw.URIFilename | str, flags: list[int], faults: Faults) -> None:
        super().__init__(vfs, name, flags)
        self._faults = faults

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802  SQLite's name
        self._faults.meet()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802  SQLite's name
        self._faults.meet()
        super().xSync(flags)


class FaultyVfs(apsw.VFS):
    """The system's files, but for the log."""

    def __init__(self, base: str, faults: Faults) -> None:
        super().__init__("lash_store tests", base)
        self._base = base
        self._faults = faults

    def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  SQLite's name
        assert name is not None
        if flags[0] & apsw.SQLITE_OPEN_WAL:
            return LogFile(self._base, name, flags, self._faults)
        return apsw.VFSFile(self._base, name, flags)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    faults = Faults()
    vfs = FaultyVfs("", faults)
    monkeypatch.setattr(native, "VFS", "lash_store tests")
    yield faults
    vfs.unregister()


@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("kind", Faults.KINDS)
async def test_wherever_the_log_fails_success_means_stored_and_failure_not(
    kind: str, lasting: bool, faults: Faults, tmp_path: Path
) -> None:
    for first in range(1, 200):
        path = tmp_path / f"{first}.db"
        async with await SqliteConnection.open(path, durability="full") as connection, asyncio.timeout(LIMIT_S):
            await connection.run(TABLE)
            before = succeeded(await write_group(connection, [1, 2]))
            faults.arm(kind, first, 10**9 if lasting else first)
            outcomes = await write_group(connection, list(range(3, 13)))
            met = faults.seen >= first
            faults.armed = False
            assert await connection.read(numbers) == before | succeeded(outcomes)
            after = succeeded(await write_group(connection, [100, 101]))
            assert after == {100, 101}, "the handle does not recover"
        assert stored(path) == before | succeeded(outcomes) | after
        failures = {type(outcome) for outcome in outcomes.values() if isinstance(outcome, BaseException)}
        assert failures <= {StoreFull if kind == "full" else StoreBackend}
        if not met:
            assert first > 5, "the faults were never met"
            return
    raise AssertionError("a group of ten writes the log again and again")
