"""The first openers of a file put it into WAL mode: raced, waited for, given up within the budget."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import apsw
import pytest

from lash_store import Database, StoreBusy
from tests.watchdog import Background, Program, bounded

OPENERS = 16
SOON_S = 0.15  # how long a call is watched before it counts as waiting
BUDGET_MS = 300
SLACK_MS = 20_000

IN_THE_WAY = {
    "reader": ("BEGIN", "SELECT count(*) FROM item"),
    "writer": ("BEGIN IMMEDIATE", "INSERT INTO item VALUES (2)"),
    "exclusive writer": ("BEGIN EXCLUSIVE", "INSERT INTO item VALUES (2)"),
}


def make_rollback_mode(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE item (a); INSERT INTO item VALUES (1)")
    connection.close()


def journal_mode(path: Path) -> str:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    mode = str(connection.pragma("journal_mode"))
    connection.close()
    return mode


@pytest.fixture
def openers() -> Iterator[list[Program]]:
    with ExitStack() as programs:
        yield [programs.enter_context(Program("opener")) for _ in range(OPENERS)]


def race(openers: list[Program], path: Path) -> None:
    for opener in openers:
        opener.say(str(path))
    for opener in openers:
        assert opener.hear() == "ready"
    for opener in openers:
        opener.say("go")
    assert [opener.hear() for opener in openers] == ["ok"] * OPENERS
    with Database.open_readonly(path) as database:
        assert database.read(lambda connection: connection.execute("SELECT count(*) FROM arrival").get) == OPENERS


def test_sixteen_processes_open_a_fresh_file_at_once_without_an_error(openers: list[Program], tmp_path: Path) -> None:
    for number in range(50):
        race(openers, tmp_path / f"{number}.db")
    for opener in openers:
        assert opener.end() == ""


def test_sixteen_processes_convert_a_rollback_mode_file_at_once(openers: list[Program], tmp_path: Path) -> None:
    for number in range(10):
        path = tmp_path / f"{number}.db"
        make_rollback_mode(path)
        race(openers, path)
        assert journal_mode(path) == "wal"


@pytest.mark.parametrize("blocker", IN_THE_WAY)
def test_the_conversion_waits_until_what_is_in_its_way_ends(blocker: str, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    make_rollback_mode(path)
    with Program("stranger", path) as stranger:
        for statement in IN_THE_WAY[blocker]:
            stranger.ask(statement)
        opening = Background(lambda: Database.open(path))
        assert not opening.done(SOON_S)
        assert stranger.ask("COMMIT") == "done"
        database = opening.result()
        with database:
            expected = 1 if blocker == "reader" else 2
            assert database.read(lambda connection: connection.execute("SELECT count(*) FROM item").get) == expected
            assert database.call(lambda connection: connection.pragma("journal_mode")) == "wal"


@pytest.mark.parametrize("blocker", IN_THE_WAY)
def test_the_conversion_gives_up_when_its_budget_is_over(blocker: str, tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    make_rollback_mode(path)
    with Program("stranger", path) as stranger:
        for statement in IN_THE_WAY[blocker]:
            stranger.ask(statement)
        began = time.monotonic()
        with pytest.raises(StoreBusy) as caught:
            bounded(lambda: Database.open(path, busy_timeout_ms=BUDGET_MS))
        assert BUDGET_MS * 0.9 <= (time.monotonic() - began) * 1000 < BUDGET_MS + SLACK_MS
        assert BUDGET_MS * 0.9 <= caught.value.waited_ms < BUDGET_MS + SLACK_MS
        stranger.ask("ROLLBACK")
    assert journal_mode(path) == "delete"
    with Database.open(path) as database:
        assert database.read(lambda connection: connection.execute("SELECT count(*) FROM item").get) == 1


def test_opening_a_file_in_wal_mode_waits_for_no_writer(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Database.open(path).close()
    with Program("stranger", path) as stranger:
        stranger.ask("BEGIN IMMEDIATE")
        with bounded(lambda: Database.open(path, busy_timeout_ms=0)) as database:
            assert database.read(lambda connection: connection.execute("SELECT count(*) FROM sqlite_schema").get) == 0
            with pytest.raises(StoreBusy):
                database.write(lambda transaction: None)
        with bounded(lambda: Database.open(path)):
            stranger.ask("COMMIT")
