"""Several processes on one file: what each reads before it writes still holds when it writes."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lash_store import Database, Plan, Step
from tests.watchdog import Program

LONG_S = 90.0

TABLES = Plan(
    [
        Step("CREATE TABLE counter (n INTEGER NOT NULL)"),
        Step("CREATE TABLE entry (n INTEGER PRIMARY KEY)"),
        Step("INSERT INTO counter VALUES (0)"),
    ]
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Database.open(tmp_path / "store.db") as database:
        database.run(TABLES)
    return tmp_path / "store.db"


@pytest.fixture
def programs() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(programs: ExitStack, path: Path, ways: list[str]) -> list[Program]:
    """Start a process for each of `ways`, and return when all have the database open."""
    started = [programs.enter_context(Program("incrementer", path, way)) for way in ways]
    for program in started:
        assert program.hear() == "ready"
    return started


def increment(programs: list[Program], times: int) -> None:
    for program in programs:
        program.say(f"increment {times}")
    assert [program.hear(LONG_S) for program in programs] == ["done"] * len(programs)
    for program in programs:
        assert program.end() == ""


def counts(path: Path) -> tuple[int, int, int]:
    """Return the counter, how many numbers were entered, and the highest."""
    asked = "SELECT n FROM counter UNION ALL SELECT count(*) FROM entry UNION ALL SELECT max(n) FROM entry"
    with Database.open_readonly(path) as database:
        counter, entries, highest = database.read(lambda connection: [int(n) for (n,) in connection.execute(asked)])
    return counter, entries, highest


@pytest.mark.parametrize(("way", "times"), [("write", 500), ("run", 500), ("verify", 100)])
def test_eight_processes_lose_no_increment(programs: ExitStack, path: Path, way: str, times: int) -> None:
    increment(start(programs, path, [way] * 8), times)
    assert counts(path) == (8 * times, 8 * times, 8 * times)


def test_all_ways_of_writing_together_lose_no_increment(programs: ExitStack, path: Path) -> None:
    increment(start(programs, path, ["write", "run", "verify"] * 2), 100)
    assert counts(path) == (600, 600, 600)


@pytest.mark.parametrize("way", ["write", "run"])
def test_a_process_with_plain_sqlite3_takes_part(programs: ExitStack, path: Path, way: str) -> None:
    strangers = [programs.enter_context(Program("stranger", path)) for _ in range(2)]
    increment([*strangers, *start(programs, path, [way] * 2)], 500)
    counter, entries, _ = counts(path)
    assert (counter, entries) == (2000, 1000)
