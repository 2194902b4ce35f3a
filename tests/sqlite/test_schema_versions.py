"""Schema versions: a file of another version or program is refused as it is; a current one costs its opener no lock."""

import hashlib
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any, TypeAlias

import apsw
import pytest

from lash_store import (
    Database,
    NotADatabase,
    Schema,
    Store,
    StoreBackend,
    StoreOpenFailed,
    StoreReadOnly,
    UnsupportedSchemaVersion,
)
from lash_store.sqlite import connection as connection_module
from lash_store.sqlite.ops.session_schema import SESSION_SCHEMA
from tests.sqlite.session_file import ADDED, LAYOUT, VERSION, create_as_lash, layout
from tests.watchdog import LIMIT_S, Background, Program

AT_ONCE_S = 10.0  # on a slow machine; who waits for the writer does so for 15 s
PROCESSES = 16
RACES = 8

Opening: TypeAlias = Callable[[Path], Awaitable[Store]]
OPENINGS: dict[str, Opening] = {"writable": Store.open, "read-only": Store.open_readonly}

FOREIGN = {
    "another version": (99, "CREATE TABLE legacy (a)"),
    "another version, empty": (99, ""),
    "an older version": (2, "CREATE TABLE blobs (hash TEXT PRIMARY KEY, content BLOB NOT NULL)"),
    "a newer version": (4, "CREATE TABLE blobs (hash TEXT PRIMARY KEY, content BLOB NOT NULL)"),
    "a file about to be removed": (-1, ""),
    "no version, a table": (0, "CREATE TABLE legacy (a)"),
    "no version, a table named like SQLite's": (0, "CREATE TABLE sqlite2x (a)"),
    "no version, a table named like SQLite's in capitals": (0, "CREATE TABLE SQLitedata (a)"),
    "no version, an index": (0, "CREATE TABLE sqlite2x (a); CREATE INDEX sqlite2i ON sqlite2x (a)"),
    "no version, a view": (0, "CREATE VIEW v AS SELECT 1 AS a"),
    "no version, a trigger": (
        0,
        "CREATE VIEW sqlite2v AS SELECT 1 AS a;CREATE TRIGGER t INSTEAD OF INSERT ON sqlite2v BEGIN SELECT 1; END",
    ),
    "no version, a virtual table": (0, "CREATE VIRTUAL TABLE f USING fts5 (a)"),
    "no version, all our tables": (0, "CREATE TABLE blobs (hash TEXT PRIMARY KEY, content BLOB NOT NULL)"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture(params=OPENINGS)
def opening(request: pytest.FixtureRequest) -> Opening:
    return OPENINGS[request.param]


def digests(folder: Path) -> dict[str, str]:
    """Every file with the hash of its bytes. Only while no handle is open: to read a file here drops its locks.

    What a reader must leave beside a file in WAL mode, an index and an empty log, does not count.
    """
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if not (file.name.endswith("-shm") or (file.name.endswith("-wal") and file.stat().st_size == 0))
    }


def put(path: Path, content: bytes = b"") -> None:
    path.write_bytes(content)


def create(path: Path, version: int, statements: str, journal_mode: str = "delete") -> None:
    connection = apsw.Connection(str(path))
    try:
        connection.pragma("journal_mode", journal_mode)
        connection.execute(statements)
        connection.pragma("user_version", version)
    finally:
        connection.close()


# -- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
@pytest.mark.parametrize("foreign", FOREIGN)
async def test_a_refused_file_stays_as_it_is(path: Path, opening: Opening, foreign: str, journal_mode: str) -> None:
    version, statements = FOREIGN[foreign]
    create(path, version, statements, journal_mode)
    before = digests(path.parent)
    with pytest.raises(UnsupportedSchemaVersion) as refused:
        await opening(path)
    assert digests(path.parent) == before
    assert (refused.value.path, refused.value.kind) == (str(path), "session")
    assert (refused.value.expected, refused.value.found) == (VERSION, version)
    assert "version 3" in str(refused.value)
    assert str(version) in str(refused.value)


@pytest.mark.parametrize("content", [b"no database", b"no database" * 1000, b"SQLite format 3\0" + bytes(5000)])
async def test_what_is_no_database_is_refused_and_stays_as_it_is(path: Path, opening: Opening, content: bytes) -> None:
    put(path, content)
    with pytest.raises(NotADatabase):
        await opening(path)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == {path.name: content}


async def test_a_refused_file_keeps_the_log_of_a_program_that_was_killed(path: Path, opening: Opening) -> None:
    with Program("stranger", path) as stranger:
        for statement in ("PRAGMA journal_mode = wal", "CREATE TABLE legacy (a)", "PRAGMA user_version = 99"):
            stranger.ask(statement)
        stranger.kill()
    before = digests(path.parent)
    assert before.keys() == {path.name, f"{path.name}-wal"}
    with pytest.raises(UnsupportedSchemaVersion):
        await opening(path)
    assert digests(path.parent) == before


async def test_a_read_only_open_refuses_what_is_not_created_yet(path: Path) -> None:
    with pytest.raises(StoreOpenFailed):
        await Store.open_readonly(path)
    assert digests(path.parent) == {}
    put(path)
    before = digests(path.parent)
    with pytest.raises(UnsupportedSchemaVersion) as refused:
        await Store.open_readonly(path)
    assert refused.value.found == 0
    assert digests(path.parent) == before


# -- created ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exists", [False, True], ids=["no file", "an empty file"])
async def test_a_new_file_is_as_the_specification_draws_it(path: Path, *, exists: bool) -> None:
    if exists:
        put(path)
    async with await Store.open(path) as store:
        assert await store._read(layout) == LAYOUT
        assert await store._read(lambda connection: connection.pragma("user_version")) == VERSION


async def test_a_file_of_lash_is_completed_and_stays_as_the_specification_draws_it(path: Path) -> None:
    create_as_lash(path, "INSERT INTO blobs VALUES ('h', x'00')")
    connection = apsw.Connection(str(path))
    drawn = layout(connection), connection.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall()
    connection.close()
    assert drawn[0] == LAYOUT
    async with await Store.open(path) as store:
        assert await store._read(layout) == LAYOUT
        rest = f"SELECT sql FROM sqlite_schema WHERE name NOT LIKE '{ADDED}%' ORDER BY name"
        assert await store._read(lambda connection: connection.execute(rest).fetchall()) == drawn[1]
        assert await store._read(lambda connection: connection.execute("SELECT * FROM blobs").get) == ("h", b"\0")
        added = await store._read(
            lambda c: c.execute(f"SELECT 1 FROM sqlite_schema WHERE name LIKE '{ADDED}%'").fetchall()
        )
    async with await Store.open(path.with_name("new.db")) as new:
        names = "SELECT type, name, tbl_name FROM sqlite_schema ORDER BY name"
        fresh = await new._read(lambda connection: connection.execute(names).fetchall())
    assert added
    async with await Store.open(path) as store:
        assert await store._read(lambda connection: connection.execute(names).fetchall()) == fresh


async def test_a_creation_that_fails_leaves_nothing(path: Path) -> None:
    broken = Schema("broken", 7, {"a": "CREATE TABLE IF NOT EXISTS a (x)", "b": "CREATE TABLE b ("})
    with pytest.raises((StoreOpenFailed, StoreBackend)):
        Database.open(path, schema=broken)
    connection = apsw.Connection(str(path))
    assert connection.execute("SELECT * FROM sqlite_schema").fetchall() == []
    assert connection.pragma("user_version") == 0
    connection.close()
    async with await Store.open(path) as store:
        assert await store._read(layout) == LAYOUT


def test_a_completion_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    broken = Schema("broken", 7, {"a": "CREATE TABLE IF NOT EXISTS a (x)", "b": "CREATE TABLE b ("})
    create(path, 7, "CREATE TABLE c (x)", "wal")
    before = digests(path.parent)
    with pytest.raises((StoreOpenFailed, StoreBackend)):
        Database.open(path, schema=broken)
    assert digests(path.parent) == before


# -- opened while others write ----------------------------------------------------------------------------------------


async def test_a_current_file_is_opened_at_once_while_another_process_writes(path: Path, opening: Opening) -> None:
    await (await Store.open(path)).close()
    with Program("stranger", path) as stranger:
        assert stranger.ask("BEGIN IMMEDIATE") == "done"
        assert stranger.ask("INSERT INTO blobs VALUES ('h', x'00')") == "done"
        began = time.monotonic()
        async with await opening(path) as store:
            assert await store.load_session() is None
        assert time.monotonic() - began < AT_ONCE_S
        assert stranger.ask("COMMIT") == "done"


async def test_a_file_of_lash_is_read_at_once_while_lash_writes(path: Path) -> None:
    create_as_lash(path)
    with Program("stranger", path) as stranger:
        assert stranger.ask("BEGIN IMMEDIATE") == "done"
        began = time.monotonic()
        async with await Store.open_readonly(path) as store:
            assert await store.load_session() is None
            assert await store.load_session_head() is None
            assert await store.load_picker_info() is None
            assert await store.list_queued_work("root") == []
            assert await store.load_usage_deltas() == []
            with pytest.raises(StoreReadOnly):
                await store.put_blob(b"x")
        assert time.monotonic() - began < AT_ONCE_S


def test_a_file_of_lash_is_completed_as_soon_as_lash_lets_it(path: Path) -> None:
    create_as_lash(path)
    with Program("stranger", path) as stranger:
        assert stranger.ask("BEGIN IMMEDIATE") == "done"
        opened = Background(lambda: complete(path))
        assert not opened.done(0.1)
        assert stranger.ask("COMMIT") == "done"
        assert opened.result() == LAYOUT


def complete(path: Path) -> dict[str, object]:
    with Database.open(path, schema=SESSION_SCHEMA) as database:
        return database.read(layout)


@pytest.mark.parametrize("moment", ["user_version", "sqlite_schema", "journal_mode"])
async def test_who_comes_while_another_creates_the_schema_waits_for_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Whichever of his statements ends when the other begins: he does not take half of what he sees for a file."""
    put(path)
    opened = connection_module._open
    with Program("session_opener", "store") as other:
        assert other.ask(str(path)) == "ready"

        def open_and_watch(name: str, flags: int) -> apsw.Connection:
            seen = []

            def traced(event: dict[str, Any]) -> None:
                seen.append(event["code"] == apsw.SQLITE_TRACE_PROFILE and moment in event["sql"])
                if any(seen) and connection.txn_state() == apsw.SQLITE_TXN_NONE:
                    connection.trace_v2(0)
                    assert other.ask("go") == "ok"

            connection = opened(name, flags)
            connection.trace_v2(apsw.SQLITE_TRACE_PROFILE | apsw.SQLITE_TRACE_STMT, traced)
            monkeypatch.undo()
            return connection

        monkeypatch.setattr(connection_module, "_open", open_and_watch)
        async with await Store.open(path) as store:
            assert await store._read(layout) == LAYOUT


def test_of_sixteen_first_openers_all_come_in_and_nobody_sees_half_a_schema(tmp_path: Path) -> None:
    with ExitStack() as stack:
        openers = [stack.enter_context(Program("session_opener", "store")) for _ in range(PROCESSES)]
        for number in range(RACES):
            path = tmp_path / f"{number}.db"
            for opener in openers:
                opener.say(str(path))
            assert [opener.hear() for opener in openers] == ["ready"] * PROCESSES
            over = Event()
            seen = Background(lambda path=path, over=over: states(path, over))  # type: ignore[misc]
            for opener in openers:
                opener.say("go")
            assert [opener.hear() for opener in openers] == ["ok"] * PROCESSES
            over.set()
            assert {(0, False), (VERSION, True)} >= seen.result()
            for opener in openers:
                assert opener.ask("") == "closed"
            connection = apsw.Connection(str(path))
            assert layout(connection) == LAYOUT
            connection.close()


def states(path: Path, over: Event) -> set[tuple[int, bool]]:
    """Version, and whether there is any table, as a stranger sees them until it is `over`."""
    asked = "SELECT user_version, EXISTS (SELECT 1 FROM sqlite_schema) FROM pragma_user_version"
    seen = set()
    while not over.is_set():
        if path.exists():
            connection = apsw.Connection(str(path))
            connection.set_busy_timeout(int(LIMIT_S * 1000))
            try:
                seen |= {(version, bool(any_table)) for version, any_table in connection.execute(asked)}
            finally:
                connection.close()
    return seen
