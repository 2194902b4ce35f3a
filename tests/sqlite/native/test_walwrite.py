"""However commits are written to the log, what other SQLite libraries find there is whole: now, and after a crash.

A child process without any open file copies database and log between commits and opens the copies with Python's own
sqlite3; another reads the living file while commits go on.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_store import Database, GuardFailed, Plan, Rollback, Step

# sqlite3 in the test's own process would drop the locks of apsw's SQLite on the same file: these run in children.
COPY = """
import hashlib, json, os, shutil, sqlite3, sys
path = sys.argv[1]
for turn, line in enumerate(sys.stdin):
    copy = f"{path}-copy{turn}"
    for suffix in ("", "-wal"):
        if os.path.exists(path + suffix):
            shutil.copyfile(path + suffix, copy + suffix)
    connection = sqlite3.connect(copy, isolation_level=None)
    check = connection.execute("PRAGMA integrity_check").fetchall()
    rows = connection.execute("SELECT a, b FROM t ORDER BY a").fetchall()
    connection.close()
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(copy + suffix):
            os.unlink(copy + suffix)
    print(json.dumps([check, [[a, hashlib.sha256(b).hexdigest()] for a, b in rows]]), flush=True)
"""
WATCH = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
connection.execute("SELECT count(*) FROM t").fetchall()
print("ready", flush=True)
looks, last, torn = 0, -1, []
while last < int(sys.argv[2]):
    connection.execute("BEGIN")
    low, high, rows = connection.execute("SELECT min(a), max(a), count(*) FROM t").fetchone()
    total = connection.execute("SELECT sum(length(b)) FROM t").fetchone()[0]
    connection.execute("COMMIT")
    looks += 1
    if low != high or rows != 40 or total != 40 * (1000 + 100 * (high % 50)) or high < last:
        torn.append((low, high, rows, total))
    last = high
print(looks, torn[:3], connection.execute("PRAGMA integrity_check").fetchall())
"""


class Copier:
    """The child that copies and checks; `model` is what must be found, by key the hash of the blob."""

    def __init__(self, path: Path) -> None:
        self.model: dict[int, str] = {}
        self.turns = 0
        self._child = subprocess.Popen(
            [sys.executable, "-c", COPY, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def check(self) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write("look\n")
        self._child.stdin.flush()
        found = json.loads(self._child.stdout.readline())
        assert found == [[["ok"]], [list(item) for item in sorted(self.model.items())]]
        self.turns += 1

    def close(self) -> None:
        self._child.communicate(timeout=60)
        assert self._child.returncode == 0


def prepare(path: Path, page_size: int) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("page_size", page_size)
    connection.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    connection.close()


@pytest.fixture
def copier(tmp_path: Path) -> Iterator[Copier]:
    made = Copier(tmp_path / "x.db")
    yield made
    made.close()


def put(copier: Copier, database: Database, blobs: dict[int, bytes], *more: Step) -> None:
    rows: list[tuple[int, bytes]] = list(blobs.items())
    database.run(Plan([Step("REPLACE INTO t VALUES (?, ?)", rows, many=True, expect=len(rows)), *more]))
    copier.model |= {key: hashlib.sha256(blob).hexdigest() for key, blob in blobs.items()}


# Changes every page once more, those too that a full cache has already brought to the log in the same transaction.
AGAIN = Step("REPLACE INTO t SELECT a, b FROM t")


@pytest.mark.parametrize("options", [{}, {"durability": "full"}], ids=["normal", "full"])
@pytest.mark.parametrize("page_size", [512, 1024, 4096, 65536])
@pytest.mark.parametrize("cache", [-2000, 10], ids=["cache", "small cache"])
def test_a_copy_between_commits_is_whole(
    tmp_path: Path, copier: Copier, page_size: int, options: Any, cache: int
) -> None:
    prepare(tmp_path / "x.db", page_size)
    numbers = random.Random(page_size + cache)
    with Database.open(tmp_path / "x.db", **options) as database:
        database.call(lambda raw: raw.pragma("cache_size", cache))
        for pages in (1, 2, 3, 5, 28, 29, 30, 31, 32, 100, 300, 1, 240, 2):
            size = min(pages * page_size, 400_000)
            put(copier, database, {numbers.randrange(20): numbers.randbytes(max(1, size // 4)) for _ in range(4)})
            put(copier, database, {20: numbers.randbytes(size // 2)}, AGAIN, AGAIN)
            undo(database, numbers, size)
            copier.check()
    copier.check()  # without a log
    assert copier.turns == 15


def undo(database: Database, numbers: random.Random, size: int) -> None:
    """Write what is rolled back after part of it may have reached the log: by a guard, and by a closure."""
    blob = numbers.randbytes(size)
    with pytest.raises(GuardFailed):
        database.run(Plan([Step("REPLACE INTO t VALUES (?, ?)", [(n, blob) for n in range(3)], many=True, expect=7)]))
    database.write_flow(
        lambda tx: Rollback(tx.executemany("REPLACE INTO t VALUES (?, ?)", [(n, blob) for n in range(3)]))
    )


def test_every_size_of_a_commit_around_the_size_of_one_write(tmp_path: Path, copier: Copier) -> None:
    prepare(tmp_path / "x.db", 4096)
    with Database.open(tmp_path / "x.db") as database:
        for pages in range(20, 70):
            put(copier, database, {0: os.urandom(pages * 4084 - 50)})
            if pages % 5 == 0:
                copier.check()


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_a_device_that_may_tear_writes(tmp_path: Path, copier: Copier, durability: Any) -> None:
    """SQLite then pads each commit to a whole sector, and syncs in the middle of it."""
    prepare(tmp_path / "x.db", 512)
    with Database.open(f"file:{tmp_path}/x.db?psow=0", durability=durability) as database:
        for n in range(12):
            put(copier, database, {n: os.urandom(1 + n * 900)})
            copier.check()


def test_groups_with_members_that_fail(tmp_path: Path, copier: Copier) -> None:
    prepare(tmp_path / "x.db", 4096)
    with Database.open(tmp_path / "x.db") as database:
        database.call(lambda raw: raw.pragma("cache_size", 10))
        for n in range(12):
            blob = os.urandom(60_000)
            closures = [put_by_hand(database, key, blob) for key in (n, n + 100)]
            assert closures == [1, 1]
            copier.model |= {key: hashlib.sha256(blob).hexdigest() for key in (n, n + 100)}
            undo(database, random.Random(n), 200_000)
            copier.check()


def put_by_hand(database: Database, key: int, blob: bytes) -> int:
    return database.write(lambda tx: tx.executemany("INSERT INTO t VALUES (?, ?)", [(key, blob)]))


def test_a_log_that_starts_over(tmp_path: Path, copier: Copier) -> None:
    prepare(tmp_path / "x.db", 4096)
    with Database.open(tmp_path / "x.db", durability="full") as database:
        for n in range(12):
            put(copier, database, {n % 3: os.urandom(30_000 * (1 + n % 5))})
            copier.check()
            if n % 2:
                busy, pages = database.call(lambda raw: raw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART))
                assert busy == pages
        assert database.stats().wal_bytes > 0


@pytest.mark.parametrize("cache", [-2000, 10], ids=["cache", "small cache"])
def test_another_process_always_sees_whole_transactions(tmp_path: Path, cache: int) -> None:
    prepare(tmp_path / "x.db", 4096)
    last = 400

    def version(number: int) -> Plan:
        """All 40 rows in one plan, of a size that goes with the number."""
        rows = [(number, 1000 + 100 * (number % 50))] * 40
        return Plan([Step("DELETE FROM t"), Step("INSERT INTO t(a, b) VALUES (?, zeroblob(?))", rows, many=True)])

    with Database.open(tmp_path / "x.db") as database:
        database.write(lambda tx: tx.execute("DROP TABLE t; CREATE TABLE t(a, b)"))
        database.call(lambda raw: raw.pragma("cache_size", cache))
        database.run(version(0))
        command = [sys.executable, "-c", WATCH, str(tmp_path / "x.db"), str(last)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
            assert watcher.stdout is not None
            assert watcher.stdout.readline() == "ready\n"
            for number in range(1, last + 1):
                database.run(version(number))
                if number % 10 == 0:
                    undo_all(database)
            said, _ = watcher.communicate(timeout=60)
    looks, rest = said.split(" ", 1)
    assert rest == "[] [('ok',)]\n"
    assert int(looks) > 3


def undo_all(database: Database) -> None:
    database.write_flow(lambda tx: Rollback(tx.execute("UPDATE t SET b = zeroblob(20000)")))
