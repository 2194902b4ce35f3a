"""Plans: what goes in comes back, and guards decide how a plan ends."""

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from lash_store import (
    Database,
    Expect,
    GuardFailed,
    Otherwise,
    Plan,
    PlanResult,
    SqliteConnection,
    Step,
    StoreBackend,
)
from lash_store.sqlite.plan import SqlValue

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
# How long anything may take before a test calls it a hang, in seconds.
PATIENCE_S = 20.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "x.db") as opened:
        opened.call(lambda connection: connection.execute("CREATE TABLE t(a UNIQUE, b)").fetchall())
        yield opened


def column(database: Database) -> list[Any]:
    return [row[0] for row in database.read(lambda reader: reader.execute("SELECT a FROM t ORDER BY rowid").fetchall())]


def run(database: Database, *steps: Step) -> PlanResult:
    return database.run(Plan(steps))


def insert(value: Any) -> Step:
    return Step("INSERT INTO t(a) VALUES (?)", (value,))


# -- values ----------------------------------------------------------------------------------------------------------

TEXTS = ["", "a", "\0", "a\0b\0", "é€😀\ufeff\uffff", "x" * 70_000]
BLOBS = [b"", b"\0", b"a\0b\0", b"\xff\xfe", bytes(200_000)]
VALUES = [
    pytest.param(None, None, "null", id="null"),
    *[pytest.param(n, n, "integer", id=f"int {n}") for n in (0, 1, -1, 2**31, -(2**53) - 1, INT_MAX, INT_MIN)],
    *[pytest.param(flag, int(flag), "integer", id=f"bool {flag}") for flag in (True, False)],
    *[pytest.param(x, x, "real", id=f"float {x}") for x in (0.0, 1.5, -1e-308, 5e-324, 1e308, math.inf, -math.inf)],
    pytest.param(math.nan, None, "null", id="nan becomes NULL"),
    *[pytest.param(text, text, "text", id=f"text {text[:9]!a}") for text in TEXTS],
    *[pytest.param(blob, blob, "blob", id=f"blob {blob[:9]!r}") for blob in BLOBS],
    pytest.param(bytearray(b"x\0y"), b"x\0y", "blob", id="bytearray"),
    pytest.param(bytearray(), b"", "blob", id="empty bytearray"),
    pytest.param(memoryview(b"x\0yz"), b"x\0yz", "blob", id="memoryview"),
    pytest.param(memoryview(b"abcdef")[::2], b"ace", "blob", id="memoryview with strides"),
    pytest.param(memoryview(b""), b"", "blob", id="empty memoryview"),
]


@pytest.mark.parametrize(("value", "expected", "kind"), VALUES)
def test_a_value_comes_back(database: Database, value: Any, expected: object, kind: str) -> None:
    run(database, insert(value))
    stored = Step("SELECT a, typeof(a), ?1, typeof(?1) FROM t", (value,), rows=True)
    ((row,),) = run(database, stored).rows
    assert row == (expected, kind, expected, kind)
    assert [type(cell) for cell in row[::2]] == [type(expected)] * 2
    ((stored_by_hand,),) = database.read(lambda reader: reader.execute("SELECT a FROM t").fetchall())
    assert stored_by_hand == expected


def test_minus_zero_keeps_its_sign(database: Database) -> None:
    ((row,),) = run(database, Step("SELECT ?", (-0.0,), rows=True)).rows
    assert math.copysign(1, row[0]) == -1


# -- guards ----------------------------------------------------------------------------------------------------------

ONE_ROW = Step("SELECT 7, 'x' UNION ALL SELECT 8, 'y'")
NO_ROWS = Step("SELECT 7 WHERE 0")
TWO_CHANGES = Step("INSERT INTO t(a) VALUES (101), (102)")
NO_CHANGES = Step("UPDATE t SET b = 1 WHERE a = -5")


class Guard(NamedTuple):
    """A step and its expectation; if that does not hold: the wording, the row and the changes that the miss tells."""

    step: Step
    expect: int
    missed: str = ""
    row: tuple[Any, ...] | None = None
    changes: int = 0

    def otherwise(self, otherwise: Otherwise) -> Step:
        return Step(self.step.sql, self.step.values, expect=self.expect, otherwise=otherwise, name="guard")


HOLDING = [
    pytest.param(Guard(ONE_ROW, Expect.ROW), id="row: met one"),
    pytest.param(Guard(NO_ROWS, Expect.NO_ROW), id="no row: none"),
    pytest.param(Guard(TWO_CHANGES, 2, changes=2), id="2 changes: 2"),
    pytest.param(Guard(NO_CHANGES, 0), id="0 changes: 0"),
    pytest.param(Guard(TWO_CHANGES, Expect.ANYTHING, changes=2), id="anything: changes"),
    pytest.param(Guard(NO_ROWS, Expect.ANYTHING), id="anything: nothing"),
]
MISSED = [
    pytest.param(Guard(NO_ROWS, Expect.ROW, "a row"), id="row: none"),
    pytest.param(Guard(ONE_ROW, Expect.NO_ROW, "no row", (7, "x")), id="no row: met one"),
    pytest.param(Guard(TWO_CHANGES, 1, "1 changes", changes=2), id="1 change: 2"),
    pytest.param(Guard(NO_CHANGES, 1, "1 changes"), id="1 change: 0"),
    pytest.param(Guard(TWO_CHANGES, 0, "0 changes", changes=2), id="0 changes: 2"),
    pytest.param(Guard(ONE_ROW, 1, "1 changes"), id="1 change: a SELECT makes none"),
]


@pytest.mark.parametrize("otherwise", Otherwise)
@pytest.mark.parametrize("guard", HOLDING)
def test_a_guard_that_holds_lets_the_plan_go_on(database: Database, guard: Guard, otherwise: Otherwise) -> None:
    result = run(database, insert(1), guard.otherwise(otherwise), insert(2))
    assert result == PlanResult(None, None, (), 2 + guard.changes)
    assert column(database) == [1, *[101, 102][: guard.changes], 2]


@pytest.mark.parametrize("guard", MISSED)
def test_a_miss_with_fail_undoes_the_plan_and_tells_what_it_saw(database: Database, guard: Guard) -> None:
    with pytest.raises(GuardFailed) as caught:
        run(database, insert(1), guard.otherwise(Otherwise.FAIL), insert(2))
    error = caught.value
    assert (error.step, error.name, error.expected) == (1, "guard", guard.missed)
    assert (error.row, error.changes) == (guard.row, guard.changes)
    assert column(database) == []
    assert database.stats().conflicts == 1


@pytest.mark.parametrize("guard", MISSED)
def test_a_miss_with_stop_keeps_what_came_before_and_ends_the_plan(database: Database, guard: Guard) -> None:
    result = run(database, insert(1), guard.otherwise(Otherwise.STOP), insert(2))
    assert (result.stopped, result.row, result.rows) == (1, guard.row, ())
    kept = column(database)
    assert kept[0] == 1
    assert 2 not in kept
    assert result.changes == len(kept)
    assert database.stats().conflicts == 0


def test_a_guard_over_many_runs_adds_up(database: Database) -> None:
    run(database, Step("INSERT INTO t(a) VALUES (?)", [(n,) for n in range(5)], many=True, expect=5))
    assert column(database) == [0, 1, 2, 3, 4]
    with pytest.raises(GuardFailed) as caught:
        run(database, Step("DELETE FROM t WHERE a = ?", [(0,), (77,), (4,)], many=True, expect=3))
    assert (caught.value.changes, column(database)) == (2, [0, 1, 2, 3, 4])
    with pytest.raises(GuardFailed) as seen:
        run(database, Step("SELECT a FROM t WHERE a = ?", [(9,), (3,), (4,)], many=True, expect=Expect.NO_ROW))
    assert seen.value.row == (3,)


# -- rows and changes ------------------------------------------------------------------------------------------------


def test_rows_come_back_of_marked_steps_only_and_in_order(database: Database) -> None:
    result = run(
        database,
        Step("INSERT INTO t(a) VALUES (1), (2) RETURNING a, a * 10", rows=True),
        Step("SELECT 'unmarked'"),
        Step("SELECT a FROM t WHERE a > 5", rows=True),
        Step("SELECT a FROM t ORDER BY a DESC", rows=True),
    )
    assert result == PlanResult(None, None, ([(1, 10), (2, 20)], [], [(2,), (1,)]), 2)


def test_rows_of_steps_that_were_not_reached_are_empty(database: Database) -> None:
    result = run(
        database,
        Step("SELECT 1", rows=True),
        Step("SELECT 2 UNION SELECT 3", rows=True, expect=Expect.NO_ROW, otherwise=Otherwise.STOP),
        Step("SELECT 4", rows=True),
        Step("SELECT 5"),
        Step("SELECT 6", rows=True),
    )
    assert result == PlanResult(1, (2,), ([(1,)], [(2,), (3,)], [], []), 0)


@pytest.mark.parametrize("count", [0, 1, 2, 3_000])
def test_insert_many(database: Database, count: int) -> None:
    rows = [(f"key {n}", n) for n in range(count)]
    result = run(database, Step("INSERT INTO t VALUES (?, ?) RETURNING b", rows, many=True, rows=True, expect=count))
    assert result == PlanResult(None, None, ([(n,) for n in range(count)],), count)
    assert column(database) == [key for key, _ in rows]


def test_changes_of_all_kinds_of_statements(database: Database) -> None:
    result = run(
        database,
        Step("INSERT INTO t(a) VALUES (1), (2), (3)"),
        Step("UPDATE t SET b = 5"),
        Step("SELECT 1"),
        Step("DELETE FROM t WHERE a > 1 RETURNING a"),
        Step("REPLACE INTO t(a) VALUES (1)"),
        Step("WITH w(x) AS (VALUES (8), (9)) INSERT INTO t(a) SELECT x FROM w"),
        Step("CREATE TABLE other(z)"),
        Step("PRAGMA user_version"),
    )
    assert result.changes == 3 + 3 + 2 + 1 + 2


def test_parameters_by_number(database: Database) -> None:
    assert run(database, Step("SELECT ?2, ?1, ?2", ("a", "b"), rows=True)).rows == ([("b", "a", "b")],)


def test_what_a_plan_wrote_is_seen_by_its_later_steps(database: Database) -> None:
    assert run(database, insert("x"), Step("SELECT a FROM t", rows=True)).rows == ([("x",)],)


# -- the caller's lists are his own ----------------------------------------------------------------------------------


@asynccontextmanager
async def held_writer(path: Path) -> AsyncIterator[SqliteConnection]:
    """A handle whose writer is busy until the block ends: what is submitted in it stays queued."""
    async with await SqliteConnection.open(path) as connection:
        await connection.call(lambda raw: raw.execute("CREATE TABLE t(a UNIQUE, b)").fetchall())
        gate = threading.Event()
        holder = asyncio.create_task(connection.write(lambda tx: gate.wait(PATIENCE_S)))
        await asyncio.sleep(0)
        yield connection
        gate.set()
        assert await holder
        await connection.run(Plan([Step("SELECT 'all before this has been answered'")]))


async def test_lists_changed_after_submission_do_not_matter(tmp_path: Path) -> None:
    blob = bytearray(b"before")
    values: list[SqlValue] = [1, "one"]
    many: list[list[SqlValue]] = [[2, "two"], [3, "three"]]
    into = "INSERT INTO t VALUES (?, ?)"
    steps = [Step(into, values), Step(into, many, many=True), Step(into, (4, blob)), Step(into, (5, memoryview(blob)))]
    async with held_writer(tmp_path / "x.db") as connection:
        waiting = asyncio.create_task(connection.run(Plan(steps)))
        await asyncio.sleep(0)
        blob[:] = b"AFTER!"
        values[:] = [77]
        many[0][:] = []
        many.clear()
        steps.clear()
    assert (await waiting).changes == 5
    with Database.open_readonly(tmp_path / "x.db") as database:
        rows = database.read(lambda reader: reader.execute("SELECT * FROM t ORDER BY a").fetchall())
    assert rows == [(1, "one"), (2, "two"), (3, "three"), (4, b"before"), (5, b"before")]


async def test_a_failed_guard_is_named_though_the_list_of_steps_was_changed(tmp_path: Path) -> None:
    steps = [Step("SELECT 1"), Step("SELECT 9", expect=Expect.NO_ROW, name="mine")]
    async with held_writer(tmp_path / "x.db") as connection:
        waiting = asyncio.create_task(connection.run(Plan(steps)))
        await asyncio.sleep(0)
        steps.clear()
    with pytest.raises(GuardFailed) as caught:
        await waiting
    assert (caught.value.step, caught.value.name, caught.value.row) == (1, "mine", (9,))


# -- many texts, moving schemas --------------------------------------------------------------------------------------


def test_two_thousand_texts(database: Database) -> None:
    for n in [*range(2_000), *range(0, 2_000, 400)]:
        assert run(database, Step(f"SELECT {n} + ?", (1,), rows=True)).rows == ([(n + 1,)],)
    plan = [Step(f"INSERT INTO t(a) VALUES ({n}) -- {n % 7}") for n in range(1_500)]
    assert database.run(Plan(plan)).changes == 1_500
    assert column(database) == list(range(1_500))


def test_a_schema_that_changes_between_runs(database: Database) -> None:
    every, into = Step("SELECT * FROM t", rows=True), Step("INSERT INTO t VALUES (?, ?)", (1, 2))
    run(database, into)
    assert run(database, every).rows == ([(1, 2)],)
    run(database, Step("ALTER TABLE t ADD COLUMN c DEFAULT 3"))
    assert run(database, every).rows == ([(1, 2, 3)],)
    with pytest.raises(StoreBackend, match="3 columns but 2 values"):
        run(database, into)
    run(database, Step("DROP TABLE t"))
    with pytest.raises(StoreBackend, match="no such table: t"):
        run(database, every)
    run(database, Step("CREATE TABLE t(a)"), insert("new"))
    assert run(database, every).rows == ([("new",)],)
