"""Plans that fail: each is undone as a whole, with a typed error that names the step."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_store import (
    ConstraintViolation,
    Database,
    Expect,
    InvalidPlan,
    Plan,
    PlanResult,
    Step,
    StoreBackend,
    StoreCorrupt,
)

INT_MIN, INT_MAX = -(2**63), 2**63 - 1


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


def untyped(value: Any) -> Any:
    """Hide from the type checker what is wrong on purpose."""
    return value


# -- SQLite's refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "kind", "extended", "message"),
    [
        pytest.param(insert(1), ConstraintViolation, apsw.SQLITE_CONSTRAINT_UNIQUE, "UNIQUE", id="unique"),
        pytest.param(Step("SELECT * FROM nowhere"), StoreBackend, apsw.SQLITE_ERROR, "nowhere", id="no table"),
        pytest.param(Step("SELEKT 1"), StoreBackend, apsw.SQLITE_ERROR, "SELEKT", id="syntax"),
        pytest.param(Step("VACUUM"), StoreBackend, apsw.SQLITE_ERROR, "VACUUM", id="not in a transaction"),
    ],
)
def test_a_refusal_undoes_the_plan_and_names_the_step(
    database: Database, step: Step, kind: type[StoreBackend], extended: int, message: str
) -> None:
    run(database, insert(1))
    with pytest.raises(kind, match=message) as caught:
        run(database, insert(2), step, insert(3))
    assert type(caught.value) is kind
    assert (caught.value.step, caught.value.code, caught.value.extended_code) == (1, extended & 0xFF, extended)
    assert column(database) == [1]


@pytest.mark.parametrize("marked", ["rows", "no row"])
def test_a_text_that_is_not_utf8_is_a_typed_error_and_undone(database: Database, marked: str) -> None:
    expect = Expect.NO_ROW if marked == "no row" else Expect.ANYTHING
    with pytest.raises(StoreCorrupt) as caught:
        run(database, insert(1), Step("SELECT CAST(x'61ff' AS TEXT)", rows=marked == "rows", expect=expect))
    assert caught.value.key == database.path
    assert column(database) == []
    run(database, insert(2))


def test_a_text_that_is_not_utf8_and_is_not_asked_for_does_no_harm(database: Database) -> None:
    run(database, insert(1), Step("SELECT CAST(x'ff' AS TEXT)", expect=Expect.ROW), Step("SELECT CAST(x'ff' AS TEXT)"))
    assert column(database) == [1]


# -- plans that cannot be run ----------------------------------------------------------------------------------------

WRONG: list[Any] = [
    pytest.param(Step("SELECT ?"), "0|number of values", id="too few values"),
    pytest.param(Step("SELECT ?", (1, 2)), "2|number of values", id="too many values"),
    pytest.param(Step("SELECT ?", [(1,), (1, 2)], many=True), "row 1", id="uneven rows"),
    pytest.param(Step("SELECT ?, ?", [(1,), (2,)], many=True), "1|number of values", id="rows too short"),
    pytest.param(Step("SELECT ?", untyped([1]), many=True), "tuple", id="no rows"),
    pytest.param(insert(object()), "value 1 is a object", id="object"),
    pytest.param(insert([1]), "value 1 is a list", id="list"),
    pytest.param(insert(1j), "value 1 is a complex", id="complex"),
    pytest.param(insert(INT_MAX + 1), "value 1 .*64 bits", id="too large"),
    pytest.param(insert(INT_MIN - 1), "value 1 .*64 bits", id="too small"),
    pytest.param(insert("a\ud800"), "value 1 .*surrogates", id="surrogates"),
    pytest.param(Step("SELECT '\ud800'"), "SQL", id="surrogates in the SQL"),
    pytest.param(Step("SELECT 1\0"), "NUL", id="NUL in the SQL"),
    pytest.param(Step(untyped(5)), "SQL", id="no text"),
    pytest.param(Step("SELECT ?", "x"), "values", id="values are a str"),
    pytest.param(Step("SELECT 1; SELECT 2"), "more than one", id="two statements"),
    pytest.param(Step(""), "no statement", id="empty"),
    pytest.param(Step(" -- nothing\n/* at all */;"), "no statement", id="comments"),
    pytest.param(Step("SELECT 1", expect=-4), "expect", id="expect"),
    pytest.param(Step("SELECT 1", otherwise=untyped(2)), "otherwise", id="otherwise"),
    *[
        pytest.param(Step(f"{before}{word}"), "transaction", id=f"{before!a} {word}")
        for word in ("BEGIN", "commit", "End", "ROLLBACK", "SAVEPOINT x", "RELEASE x")
        for before in ("", "\n;/* a */-- b\n", "\ufeff")
    ],
]


@pytest.mark.parametrize(("step", "reason"), WRONG)
def test_a_wrong_step_is_refused_and_nothing_is_written(database: Database, step: Step, reason: str) -> None:
    with pytest.raises(InvalidPlan, match=reason) as caught:
        run(database, insert(1), step)
    assert caught.value.step == 1
    assert column(database) == []
    run(database, insert(2))
    assert column(database) == [2]


def test_a_plan_without_steps_is_refused(database: Database) -> None:
    with pytest.raises(InvalidPlan, match="no steps") as caught:
        run(database)
    assert caught.value.step is None
