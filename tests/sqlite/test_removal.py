"""Removing a database: only when nobody has it open, and then completely."""

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import apsw
import pytest

from lash_store import Database
from lash_store.errors import StoreInUse, StoreOpenFailed, StoreReadOnly, StoreRemovalFailed
from tests.sqlite.removals import ADD, create, files, remove, rows
from tests.watchdog import Program

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def programs() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


# -- completely -------------------------------------------------------------------------------------------------------


def test_a_closed_database_is_removed_and_again(path: Path) -> None:
    create(path)
    remove(path)
    assert files(path) == []
    remove(path)
    assert files(path) == []


def test_the_log_of_a_killed_process_is_removed(path: Path, programs: ExitStack) -> None:
    killed = programs.enter_context(Program("stranger", path))
    for statement in ("PRAGMA journal_mode = wal", "CREATE TABLE t (a)"):
        killed.ask(statement)
    killed.kill()
    assert f"{path.name}-wal" in files(path)
    remove(path)
    assert files(path) == []


@pytest.mark.parametrize("name", ["x.db", "x.db-wal", "x.db-shm"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"garbage" * 10_000])
def test_one_file_alone_is_removed_whatever_it_holds(path: Path, name: str, content: bytes) -> None:
    path.with_name(name).write_bytes(content)
    remove(path)
    assert files(path) == []


def test_garbage_under_all_three_names_is_removed(path: Path) -> None:
    for name in ("x.db", "x.db-wal", "x.db-shm"):
        path.with_name(name).write_bytes(b"garbage" * 1000)
    remove(path)
    assert files(path) == []


def test_a_database_beside_garbage_is_removed(path: Path) -> None:
    create(path)
    for name in ("x.db-wal", "x.db-shm"):
        path.with_name(name).write_bytes(b"garbage" * 1000)
    remove(path)
    assert files(path) == []


def test_a_file_that_was_marked_and_then_left_is_removed(path: Path) -> None:
    create(path)
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", -1)
    connection.close()
    remove(path)
    assert files(path) == []


def test_other_files_stay(path: Path) -> None:
    create(path)
    for name in ("x.db2", "x.db-walx", "x"):
        path.with_name(name).touch()
    remove(path)
    assert files(path) == ["x", "x.db-walx", "x.db2"]


# -- not while anybody has it open ------------------------------------------------------------------------------------


def writable(path: Path) -> Callable[[], None]:
    return Database.open(path).close


def read_only(path: Path) -> Callable[[], None]:
    return Database.open_readonly(path).close


def reading(path: Path) -> Callable[[], None]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    cursor = connection.execute("SELECT n FROM arrival UNION ALL SELECT 2")
    next(cursor)
    return connection.close


@pytest.mark.parametrize("opening", [writable, read_only, reading])
def test_a_database_that_is_open_here_is_left(path: Path, opening: Callable[[Path], Callable[[], None]]) -> None:
    create(path)
    close = opening(path)
    with pytest.raises(StoreInUse) as refused:
        remove(path)
    assert refused.value.path == str(path)
    close()
    assert rows(path) == 1
    remove(path)
    assert files(path) == []


STRANGERS = {
    "open": ["SELECT count(*) FROM arrival"],
    "reading": ["BEGIN", "SELECT count(*) FROM arrival"],
    "writing": ["BEGIN IMMEDIATE", "INSERT INTO arrival DEFAULT VALUES"],
}


@pytest.mark.parametrize("statements", STRANGERS.values(), ids=STRANGERS)
def test_a_database_that_is_open_elsewhere_is_left(path: Path, programs: ExitStack, statements: list[str]) -> None:
    create(path)
    stranger = programs.enter_context(Program("stranger", path))
    for statement in statements:
        assert "Error" not in stranger.ask(statement)
    before = files(path)
    with pytest.raises(StoreInUse):
        remove(path)
    assert files(path) == before
    if "BEGIN" in statements[0]:
        assert stranger.ask("COMMIT") == "done"
    assert stranger.ask("INSERT INTO arrival DEFAULT VALUES") == "done"
    stranger.end()
    assert rows(path) >= 2
    remove(path)
    assert files(path) == []


def test_a_refusal_leaves_the_open_handle_in_working_order(path: Path) -> None:
    with Database.open(path) as database:
        for number in range(1, 4):
            database.run(ADD)
            with pytest.raises(StoreInUse):
                remove(path)
            with Database.open(path) as other:
                assert other.read(lambda connection: connection.execute("SELECT count(*) FROM arrival").get) == number
    assert rows(path) == 3


# -- errors -----------------------------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_removed_is_named(path: Path) -> None:
    sidecar = path.with_name("x.db-wal")
    sidecar.mkdir()
    with pytest.raises(StoreRemovalFailed) as failed:
        remove(path)
    assert failed.value.path == str(sidecar)
    assert failed.value.reason


def test_a_folder_is_no_database(path: Path) -> None:
    path.mkdir()
    with pytest.raises((StoreRemovalFailed, StoreOpenFailed), match=re.escape(str(path))):
        remove(path)
    assert path.is_dir()


@pytest.fixture
def foreign_folder() -> Iterator[Path]:
    """A folder of somebody else, with a database in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        create(folder / "x.db")
        if os.geteuid() == 0:
            os.seteuid(NOBODY)
            try:
                yield folder
            finally:
                os.seteuid(0)
        else:
            folder.chmod(0o555)
            yield folder
            folder.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="this platform keeps permissions in another way")
@pytest.mark.parametrize("mode", [0o644, 0o666], ids=["the file neither", "the file can be written"])
def test_a_folder_that_cannot_be_written_keeps_the_database(foreign_folder: Path, mode: int) -> None:
    path = foreign_folder / "x.db"
    rights = os.geteuid()
    if rights == NOBODY:
        os.seteuid(0)
    path.chmod(mode)
    os.seteuid(rights)
    with pytest.raises((StoreRemovalFailed, StoreReadOnly, StoreOpenFailed), match=re.escape(str(path))):
        remove(path)
    if rights == NOBODY:
        os.seteuid(0)
    assert path.exists()
    assert rows(path) == 1
    os.seteuid(rights)
