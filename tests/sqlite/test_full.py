"""A device without room: the call that needed it is undone as a whole, and what fits is still written."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_store import Database, Plan, Step, StoreBackend, StoreError, StoreFull, Transaction

ROWS = [(n,) for n in range(200)]
TWO_MIB = "INSERT INTO t VALUES (?, zeroblob(10000))"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of the folder with its bytes. Only while no handle is open."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def create(path: Path) -> None:
    with Database.open(path) as database:
        rows = [(n,) for n in range(50)]
        database.run(
            Plan([Step("CREATE TABLE t(a, b)"), Step("INSERT INTO t VALUES (?, zeroblob(1000))", rows, many=True)])
        )


def fill(tx: Transaction) -> None:
    tx.execute("DELETE FROM t WHERE a = 0")
    tx.executemany(TWO_MIB, ROWS)


FILL = Plan([Step("DELETE FROM t WHERE a = 0"), Step(TWO_MIB, ROWS, many=True)])


def count(database: Database) -> int:
    rows: list[Any] = database.read(lambda reader: reader.execute("SELECT count(*) FROM t").fetchall())
    return int(rows[0][0])


def check_full(database: Database, verb: str) -> None:
    """Two MiB do not fit: nothing of the call is written, and the handle still takes what fits."""
    for _ in range(3):
        with pytest.raises(StoreFull) as caught:
            database.run(FILL) if verb == "run" else database.write(fill)
        assert caught.value.path == database.path
        assert count(database) == 50
    database.run(Plan([Step("UPDATE t SET a = a + 1 WHERE a = 1", expect=1)]))
    assert database.read(lambda reader: reader.execute("PRAGMA integrity_check").fetchall()) == [("ok",)]


@pytest.mark.parametrize("verb", ["run", "write"])
def test_a_database_that_may_not_grow(tmp_path: Path, verb: str) -> None:
    create(tmp_path / "x.db")
    with Database.open(tmp_path / "x.db") as database:
        database.call(lambda raw: raw.pragma("max_page_count", raw.pragma("page_count") + 4))
        check_full(database, verb)


@pytest.fixture
def small_device(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for one MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not (mount and unmount) or subprocess.run(command, capture_output=True, timeout=30, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run([unmount, "-l", str(folder)], timeout=30, check=True)


def use_up(folder: Path) -> None:
    """Take all the room there is."""
    with (folder / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
@pytest.mark.parametrize("verb", ["run", "write"])
def test_a_full_device(small_device: Path, verb: str) -> None:
    create(small_device / "x.db")
    with Database.open(small_device / "x.db") as database:
        check_full(database, verb)
    with pytest.raises(OSError, match="No space"):
        use_up(small_device)
    before = contents(small_device)
    with pytest.raises(StoreFull) as caught:
        Database.open(small_device / "new.db").close()
    assert caught.value.path == str(small_device / "new.db")
    after = contents(small_device)
    assert {name: after[name] for name in before} == before
    (small_device / "filler").unlink()
    with Database.open(small_device / "x.db") as database:
        assert count(database) == 50


LIMITED = """
import resource, sys
from lash_store import Database, StoreError, StoreFull
with Database.open(sys.argv[1]) as database:
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
    for _ in range(3):
        try:
            database.write(lambda tx: tx.executemany("INSERT INTO t VALUES (1, zeroblob(10000))", [()] * 200))
        except StoreError as error:
            print(type(error).__name__, getattr(error, "code", None))
    database.write(lambda tx: tx.execute("DELETE FROM t WHERE a = 0"))
    print(database.read(lambda reader: reader.execute("SELECT count(*) FROM t").fetchall()))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of a file")
def test_a_log_that_may_not_grow(tmp_path: Path) -> None:
    create(tmp_path / "x.db")
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "x.db")]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines()
    # The system refuses a file beyond the limit as too large, not the device as full: SQLite calls that an I/O error.
    assert said == [f"{StoreBackend.__name__} {apsw.SQLITE_IOERR}"] * 3 + ["[(49,)]"]
    assert issubclass(StoreBackend, StoreError)
    with Database.open(tmp_path / "x.db") as database:
        assert count(database) == 49
