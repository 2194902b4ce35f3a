"""Every kind of connection has the pragmas of the specification, whatever the form in which its path was given."""

import hashlib
import os
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_store import (
    BUSY_TIMEOUT_MS,
    Database,
    SqliteConnection,
    StoreBusy,
    StoreMisuse,
    StoreOpenFailed,
    StoreReadOnly,
)
from lash_store.sqlite.connection import Durability

NORMAL, FULL = 1, 2


def pragmas(connection: apsw.Connection) -> dict[str, Any]:
    names = ("journal_mode", "synchronous", "foreign_keys", "cache_size")
    return {name: connection.pragma(name) for name in names}


def contents(folder: Path) -> dict[str, str]:
    """Every file with the hash of its bytes. Only while no handle is open: to read a file here drops its locks."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def create(path: Path, journal_mode: str = "wal") -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", journal_mode)
    connection.execute("CREATE TABLE t(a); INSERT INTO t VALUES (1)")
    connection.close()


# -- pragmas ---------------------------------------------------------------------------------------------------------


def test_the_busy_timeout_of_the_specification() -> None:
    assert BUSY_TIMEOUT_MS == 15_000


@pytest.mark.parametrize(("durability", "synchronous"), [("normal", NORMAL), ("full", FULL)])
def test_the_writer(tmp_path: Path, durability: Durability, synchronous: int) -> None:
    with Database.open(tmp_path / "x.db", durability=durability) as database:
        assert database.call(pragmas) == {
            "journal_mode": "wal",
            "synchronous": synchronous,
            "foreign_keys": 1,
            "cache_size": -2000,
        }


def test_the_writer_of_a_file_that_had_a_rollback_journal(tmp_path: Path) -> None:
    create(tmp_path / "x.db", "delete")
    with Database.open(tmp_path / "x.db") as database:
        assert database.call(pragmas)["journal_mode"] == "wal"
        assert database.read(lambda reader: reader.execute("SELECT a FROM t").fetchall()) == [(1,)]
    assert (tmp_path / "x.db").read_bytes()[18:20] == b"\x02\x02"  # the file header says: WAL


def test_the_readers_of_a_writable_handle(tmp_path: Path) -> None:
    with Database.open(tmp_path / "x.db") as database:
        found = database.read(lambda reader: (pragmas(reader), reader.pragma("busy_timeout"), reader.readonly("main")))
    assert found[0]["journal_mode"] == "wal"
    assert found[0]["cache_size"] == -500
    assert found[1:] == (1_000, True)


def test_a_read_only_handle(tmp_path: Path) -> None:
    create(tmp_path / "x.db")
    with Database.open_readonly(tmp_path / "x.db") as database:
        for verb in (database.read, database.call):
            found = verb(lambda reader: (pragmas(reader), reader.pragma("busy_timeout"), reader.readonly("main")))
            assert found[0]["cache_size"] == -500
            assert found[0]["journal_mode"] == "wal"
            assert found[1:] == (1_000, True)


def test_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Database.open_in_memory() as database:
        found = {"journal_mode": "memory", "synchronous": NORMAL, "foreign_keys": 1, "cache_size": -2000}
        assert database.call(pragmas) == found
        assert database.read(pragmas) == found
        assert database.path == ":memory:"
        assert list(tmp_path.iterdir()) == []


def test_foreign_keys_are_enforced_by_every_way_of_writing(tmp_path: Path) -> None:
    with Database.open(tmp_path / "x.db") as database:
        database.call(
            lambda raw: raw.execute(
                "CREATE TABLE p(a PRIMARY KEY); CREATE TABLE c(a REFERENCES p ON DELETE CASCADE);"
                "INSERT INTO p VALUES (1); INSERT INTO c VALUES (1)"
            ).fetchall()
        )
        database.write(lambda tx: tx.execute("DELETE FROM p"))
        assert database.read(lambda reader: reader.execute("SELECT * FROM c").fetchall()) == []


# -- read-only means read-only ---------------------------------------------------------------------------------------


def use_every_verb(database: Database) -> None:
    """Read by all verbs, and try to write by all."""
    statement = "INSERT INTO t VALUES (2)"
    assert database.read(lambda reader: reader.execute("SELECT a FROM t").fetchall()) == [(1,)]
    assert database.call(lambda reader: reader.execute("SELECT a FROM t").fetchall()) == [(1,)]
    attempts: list[Callable[[], object]] = [
        lambda: database.read(lambda reader: reader.execute(statement).fetchall()),
        lambda: database.call(lambda reader: reader.execute(statement).fetchall()),
        lambda: database.call(lambda reader: reader.pragma("user_version", 7)),
        lambda: database.write(lambda tx: tx.execute(statement)),
    ]
    for attempt in attempts:
        with pytest.raises(StoreReadOnly) as caught:
            attempt()
        assert caught.value.path == database.path
    assert database.read(lambda reader: reader.execute("SELECT a FROM t").fetchall()) == [(1,)]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_read_only_handle_leaves_file_and_folder_as_they_were(tmp_path: Path, mode: str) -> None:
    create(tmp_path / "x.db", mode)
    before = contents(tmp_path)
    with Database.open_readonly(tmp_path / "x.db") as database:
        use_every_verb(database)
    after = contents(tmp_path)
    # A log cannot be read without its index, which SQLite makes where it is missing; a read-only closer leaves it.
    log, index = after.pop("x.db-wal", None), after.pop("x.db-shm", None)
    assert after == before
    assert (log is None) == (index is None) == (mode == "delete")
    Database.open(tmp_path / "x.db").close()
    assert set(contents(tmp_path)) == {"x.db"}


@pytest.mark.parametrize("name", ["x.db", "file:x.db", "no folder/x.db"])
def test_a_read_only_handle_creates_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreOpenFailed) as caught:
        Database.open_readonly(name)
    assert caught.value.path == name
    assert list(tmp_path.iterdir()) == []


# -- the end of the log ----------------------------------------------------------------------------------------------


def test_the_last_close_removes_the_log(tmp_path: Path) -> None:
    first, second = Database.open(tmp_path / "x.db"), Database.open(tmp_path / "x.db")
    first.write(lambda tx: tx.execute("CREATE TABLE t(a)"))
    assert first.stats().wal_bytes == (tmp_path / "x.db-wal").stat().st_size > 0
    first.close()
    assert (tmp_path / "x.db-wal").stat().st_size > 0
    second.write(lambda tx: tx.execute("INSERT INTO t VALUES (1)"))
    second.read(lambda reader: None)
    second.close()
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


# -- path forms ------------------------------------------------------------------------------------------------------

NAMES = [
    "plain.db",
    "with spaces .db",
    "q?mark=1.db",
    "hash#tag.db",
    "per%20cent%.db",
    "ünïcödé-日本-😀.db",
    "a&b;c'd\"e.db",
    "-wal",
]


class Named(os.PathLike[str]):
    """A path that is no str and no Path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


FORMS: list[Any] = [
    pytest.param(str, id="str"),
    pytest.param(lambda path: path, id="Path"),
    pytest.param(Named, id="PathLike"),
    pytest.param(lambda path: path.name, id="relative"),
    pytest.param(lambda path: f"./{path.name}", id="relative, dot"),
    pytest.param(lambda path: "file:" + urllib.parse.quote(str(path)), id="URI"),
    pytest.param(lambda path: "file://" + urllib.parse.quote(str(path)) + "?cache=private", id="URI, options"),
    pytest.param(lambda path: "file:" + urllib.parse.quote(path.name), id="URI, relative"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, form: Callable[[Path], str | os.PathLike[str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = form(tmp_path / name)
    with Database.open(given) as database:
        assert database.path == os.fspath(given)
        database.write(lambda tx: tx.execute("CREATE TABLE t(a)"))
        assert database.read(lambda reader: reader.execute("SELECT * FROM t").fetchall()) == []
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, f"{name}-wal", f"{name}-shm"])
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with Database.open_readonly(given) as database:
        assert database.read(lambda reader: reader.execute("SELECT * FROM t").fetchall()) == []


def test_a_relative_path_stays_what_it_was_when_the_process_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    create(tmp_path / "elsewhere" / "x.db")
    monkeypatch.chdir(tmp_path)
    with Database.open("x.db") as database:
        database.write(lambda tx: tx.execute("CREATE TABLE mine(a)"))
        monkeypatch.chdir(tmp_path / "elsewhere")
        tables = database.read(lambda reader: reader.execute("SELECT name FROM sqlite_schema").fetchall())
        assert tables == [("mine",)]
        assert database.stats().wal_bytes == (tmp_path / "x.db-wal").stat().st_size


def test_a_symbolic_link_is_the_same_database(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "x.db")
    with Database.open(tmp_path / "x.db") as direct, Database.open(tmp_path / "link.db", busy_timeout_ms=0) as linked:
        direct.write(lambda tx: tx.execute("CREATE TABLE t(a)"))
        linked.write(lambda tx: tx.execute("INSERT INTO t VALUES (1)"))
        with pytest.raises(StoreBusy):
            direct.write(lambda tx: linked.write(lambda other: other.execute("INSERT INTO t VALUES (2)")))
        assert direct.read(lambda reader: reader.execute("SELECT a FROM t").fetchall()) == [(1,)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.db", "x.db"]


def test_the_size_of_the_log_is_told_whatever_the_form_of_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.db").symlink_to(tmp_path / "x.db")
    told = {}
    with Database.open("x.db") as keeper:
        keeper.write(lambda tx: tx.execute("CREATE TABLE t(a)"))
        for form in ("x.db", str(tmp_path / "x.db"), "link.db", "file:x.db", f"file:{tmp_path}/x.db?cache=private"):
            with Database.open(form) as database:
                told[form] = database.stats().wal_bytes
        assert told == dict.fromkeys(told, (tmp_path / "x.db-wal").stat().st_size)


# -- the asynchronous face opens the same ----------------------------------------------------------------------------


async def test_asynchronous_opens_have_the_same_pragmas(tmp_path: Path) -> None:
    async with await SqliteConnection.open(tmp_path / "x.db", durability="full") as connection:
        found = await connection.call(pragmas)
        assert found == {"journal_mode": "wal", "synchronous": FULL, "foreign_keys": 1, "cache_size": -2000}
    async with await SqliteConnection.open_readonly(tmp_path / "x.db") as connection:
        assert (await connection.call(pragmas))["cache_size"] == -500
    async with await SqliteConnection.open_in_memory() as connection:
        assert (await connection.call(pragmas))["journal_mode"] == "memory"


def test_a_transaction_left_open_by_call_is_undone(tmp_path: Path) -> None:
    with Database.open(tmp_path / "x.db") as database:
        with pytest.raises(StoreMisuse, match="left a transaction open"):
            database.call(lambda raw: raw.execute("BEGIN; CREATE TABLE t(a)").fetchall())
        assert database.read(lambda reader: reader.execute("SELECT * FROM sqlite_schema").fetchall()) == []
