"""What cannot be opened or written gives a typed error that names the thing, and stays as it was, byte for byte."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_store import (
    Database,
    NotADatabase,
    Plan,
    Step,
    StoreCorrupt,
    StoreOpenFailed,
    WalUnavailable,
)

PAGE = 4096
posix_only = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and limits")


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file of the folder with its bytes (None: a folder). Only while no handle is open."""
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


def create(path: Path) -> None:
    """Make a database of some 60 pages in WAL mode, without a log left over."""
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    with connection:
        connection.execute("CREATE TABLE t(a, b)")
        connection.executemany("INSERT INTO t VALUES (?, zeroblob(1000))", [(n,) for n in range(200)])
    connection.close()


def use(database: Database) -> None:
    """Look at every page, then write."""
    database.read(lambda reader: reader.execute("SELECT count(*), sum(length(b)) FROM t").fetchall())
    database.run(Plan([Step("UPDATE t SET b = 1")]))


# -- places ----------------------------------------------------------------------------------------------------------

OPENS: list[Any] = [Database.open, Database.open_readonly]
Open = Callable[[str], Database]
NO_FILES = ["no folder/x.db", "folder", "folder/", ".", "file.txt/x.db", "", "a\0b", "\0", "a\ud800b", "x" * 300]
NO_URIS = ["no folder/x.db", "folder", "a\ud800b", "a\0b", "x.db?vfs=nonsense", "//host/x.db"]


@pytest.mark.parametrize("opening", OPENS, ids=["open", "open_readonly"])
@pytest.mark.parametrize(
    "name",
    [*NO_FILES, *(f"file:{name}" for name in NO_URIS)],
    ids=lambda name: ascii(name)[:30],
)
def test_a_name_that_names_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opening: Open, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.txt").write_text("a text")
    before = contents(tmp_path)
    with pytest.raises(StoreOpenFailed) as caught:
        opening(name).close()
    assert caught.value.path == name
    assert repr(name) in str(caught.value)
    assert contents(tmp_path) == before


def test_where_a_log_is_not_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "file:x?mode=memory", "file::memory:", "file:"):
        with pytest.raises(WalUnavailable) as caught:
            Database.open(name).close()
        assert (caught.value.path, caught.value.mode in {"memory", "delete"}) == (name, True)
    assert contents(tmp_path) == {}


@posix_only
@pytest.mark.parametrize("vfs", ["unix-dotfile", "unix-none"])
def test_a_file_system_without_shared_memory(tmp_path: Path, vfs: str) -> None:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.execute("CREATE TABLE t(a)")
    connection.close()
    before = contents(tmp_path)
    name = f"file:{tmp_path}/x.db?vfs={vfs}"
    with pytest.raises(WalUnavailable) as caught:
        Database.open(name).close()
    assert (caught.value.path, caught.value.mode) == (name, "delete")
    assert contents(tmp_path) == before
    with pytest.raises(WalUnavailable):
        Database.open(f"file:{tmp_path}/new.db?vfs={vfs}").close()
    # SQLite makes the file when it opens it. To remove it again could take it from under somebody else.
    assert contents(tmp_path) == before | {"new.db": b""}


# -- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"durability": "paranoid"}, "'paranoid'"),
        ({"durability": ""}, "durability is ''"),
        ({"durability": None}, "durability is None"),
        ({"busy_timeout_ms": -1}, "busy_timeout_ms is -1"),
        ({"busy_timeout_ms": 2**31}, "busy_timeout_ms is 2147483648"),
    ],
)
def test_options_out_of_range(tmp_path: Path, options: dict[str, Any], named: str) -> None:
    with pytest.raises(StoreOpenFailed, match=named) as caught:
        Database.open(tmp_path / "x.db", **options).close()
    assert caught.value.path == str(tmp_path / "x.db")
    assert contents(tmp_path) == {}


# -- contents --------------------------------------------------------------------------------------------------------

STRANGE = [
    b"xy",
    b"a text, and no database\n" * 400,
    b"SQLite format 3\0",
    b"SQLite format 4\0" + bytes(5000),
    b"\xff" * 8192,
]


@pytest.mark.parametrize("opening", OPENS, ids=["open", "open_readonly"])
@pytest.mark.parametrize("data", STRANGE, ids=lambda data: ascii(data[:16]))
def test_a_file_of_another_kind(tmp_path: Path, opening: Open, data: bytes) -> None:
    (tmp_path / "x.db").write_bytes(data)
    before = contents(tmp_path)
    with pytest.raises(NotADatabase) as caught:
        opening(str(tmp_path / "x.db")).close()
    assert caught.value.path == str(tmp_path / "x.db")
    assert contents(tmp_path) == before


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    with Database.open_readonly(tmp_path / "x.db") as database:
        assert database.read(lambda reader: reader.execute("SELECT * FROM sqlite_schema").fetchall()) == []
    assert contents(tmp_path) == {"x.db": b""}
    with Database.open(tmp_path / "x.db") as database:
        database.write(lambda tx: tx.execute("CREATE TABLE t(a)"))
    assert (tmp_path / "x.db").read_bytes().startswith(b"SQLite format 3\0")


@pytest.mark.parametrize("size", [100, PAGE // 2, PAGE, 5 * PAGE + 100, 30 * PAGE])
def test_a_truncated_database(tmp_path: Path, size: int) -> None:
    create(tmp_path / "x.db")
    os.truncate(tmp_path / "x.db", size)
    before = contents(tmp_path)
    path = str(tmp_path / "x.db")
    with pytest.raises((StoreCorrupt, NotADatabase)) as caught, Database.open(path) as database:
        use(database)
    assert path in str(caught.value)
    if isinstance(caught.value, StoreCorrupt):
        assert (caught.value.kind, caught.value.key) == ("database", path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("page", [0, 1, 20])
def test_a_page_of_garbage(tmp_path: Path, page: int) -> None:
    create(tmp_path / "x.db")
    with (tmp_path / "x.db").open("r+b") as file:
        file.seek(page * PAGE + (100 if page == 0 else 0))
        file.write(b"\xa5" * (PAGE - 100))
    before = contents(tmp_path)
    path = str(tmp_path / "x.db")
    with pytest.raises(StoreCorrupt) as caught, Database.open(path) as database:
        use(database)
    assert (caught.value.kind, caught.value.key) == ("database", path)
    assert contents(tmp_path) == before


# -- permissions -----------------------------------------------------------------------------------------------------

AS_NOBODY = """
import os, sys
from lash_store import Database, Plan, Step, StoreError
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
opening, path = sys.argv[1:]
try:
    with getattr(Database, opening)(path) as database:
        print(database.read(lambda reader: reader.execute("SELECT count(*) FROM t").fetchall()))
        database.run(Plan([Step("INSERT INTO t VALUES (1, 1)")]))
except StoreError as error:
    print(type(error).__name__, path in str(error), getattr(error, "path", None) == path)
"""


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that other users can reach, which pytest's own is not; what is in it becomes theirs."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        Path(folder).chmod(0o755)


def as_nobody(opening: str, path: Path) -> list[str]:
    command = [sys.executable, "-c", AS_NOBODY, opening, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return ended.stdout.splitlines()


@posix_only
@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "opening", "said"),
    [
        pytest.param(0o444, 0o777, "open", {"StoreReadOnly True True"}, id="read-only file"),
        pytest.param(0o666, 0o555, "open", {"StoreOpenFailed True True", "StoreReadOnly True True"}, id="folder"),
        pytest.param(0o000, 0o777, "open", {"StoreOpenFailed True True"}, id="no permission"),
        pytest.param(0o000, 0o777, "open_readonly", {"StoreOpenFailed True True"}, id="no permission to read"),
        pytest.param(0o666, 0o000, "open", {"StoreOpenFailed True True"}, id="no way into the folder"),
    ],
)
def test_without_permission(
    shared_folder: Path, file_mode: int, folder_mode: int, opening: str, said: set[str]
) -> None:
    create(shared_folder / "x.db")
    before = contents(shared_folder)
    (shared_folder / "x.db").chmod(file_mode)
    shared_folder.chmod(folder_mode)
    lines = as_nobody(opening, shared_folder / "x.db")
    shared_folder.chmod(0o755)
    (shared_folder / "x.db").chmod(0o644)
    assert len(lines) == 1
    assert set(lines) <= said
    assert contents(shared_folder) == before


@posix_only
def test_a_new_file_in_a_folder_that_cannot_be_written(shared_folder: Path) -> None:
    shared_folder.chmod(0o555)
    assert as_nobody("open", shared_folder / "x.db") == ["StoreOpenFailed True True"]
    assert contents(shared_folder) == {}
