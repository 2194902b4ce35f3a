"""The executor does what its stub says, in C and in Python alike: one step."""

from typing import Any

import pytest

from tests.sqlite.native.rig import DONE, FAIL, FAILED, GUARD, INVALID, NO_ROW, ROW, STOP, Rig, Step, insert


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("", ()),
        (" \n-- nothing", ()),
        (";;", ()),
        ("/* nothing", ()),
        ("SELECT 1; SELECT 2", ()),
        ("INSERT INTO t(a) VALUES (2); -- x\n garbage", ()),
        ("SELECT ?, ?", (1,)),
        ("SELECT ?", (1, 2)),
        ("SELECT 1", (1,)),
        ("SELECT ?3", (1,)),
        ("COMMIT", ()),
        ("end", ()),
        (" ;\t Begin IMMEDIATE", ()),
        ("\ufeff/* x */ -- y\n ROLLBACK", ()),
        ("SAVEPOINT x", ()),
        ("RELEASE member", ()),
    ],
)
def test_a_step_that_cannot_be_run_as_written_is_invalid(rig: Rig, sql: str, values: Any) -> None:
    kind, step, message = rig.run(insert(1), Step(sql, values))
    assert (kind, step) == (INVALID, 1)
    assert isinstance(message, str)
    assert message
    assert rig.column() == []


@pytest.mark.parametrize("tail", ["", ";", " ; ;\n", "; -- done", "; /* done */ ;", "/* open", " -- done"])
def test_what_follows_a_statement_may_be_nothing_at_all(rig: Rig, tail: str) -> None:
    assert rig.run(Step(f"/* a */ ; SELECT 5{tail}", rows=True)) == (DONE, None, None, ([(5,)],), 0)


def test_words_of_transaction_control_are_free_elsewhere(rig: Rig) -> None:
    trigger = "CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET b = 'COMMIT; END' WHERE a = new.a; END;"
    assert rig.run(Step(trigger), insert(1), Step("SELECT b AS 'end' FROM t", rows=True))[3] == ([("COMMIT; END",)],)


def test_a_wrong_number_of_values_in_many_rows_is_invalid(rig: Rig) -> None:
    assert rig.run(Step("INSERT INTO t(a) VALUES (?)", [(1, 2), (3, 4)], many=True))[:2] == (INVALID, 0)
    assert rig.column() == []


@pytest.mark.parametrize(
    ("checked", "hit", "row", "changes"),
    [
        (Step("SELECT a, b FROM t WHERE a = 1", expect=ROW), True, None, 0),
        (Step("SELECT a, b FROM t WHERE a = 9", expect=ROW), False, None, 0),
        (Step("SELECT a, b FROM t WHERE a = 9", expect=NO_ROW), True, None, 0),
        (Step("SELECT a, b FROM t ORDER BY a DESC", expect=NO_ROW), False, (2, "two"), 0),
        (Step("SELECT a, b FROM t ORDER BY a DESC", expect=NO_ROW, rows=True), False, (2, "two"), 0),
        (Step("SELECT ? WHERE ?", [(1, 0), (2, 1), (3, 1)], expect=NO_ROW, many=True), False, (2,), 0),
        (Step("SELECT ? WHERE ?", [(1, 0), (2, 1), (3, 1)], expect=ROW, many=True), True, None, 0),
        (Step("SELECT 1", [], expect=ROW, many=True), False, None, 0),
        (Step("UPDATE t SET b = 'x'", expect=2), True, None, 2),
        (Step("UPDATE t SET b = 'x'", expect=1), False, None, 2),
        (Step("UPDATE t SET b = 'x' WHERE a = 9", expect=0), True, None, 0),
        (Step("UPDATE t SET b = 'x' WHERE a = 9", expect=1), False, None, 0),
        (Step("UPDATE t SET b = ? WHERE a = ?", [("x", 1), ("y", 9), ("z", 2)], expect=2, many=True), True, None, 2),
        (Step("UPDATE t SET b = ? WHERE a = ?", [("x", 1), ("y", 9), ("z", 2)], expect=3, many=True), False, None, 2),
        (Step("DELETE FROM t WHERE a = 1 RETURNING b", expect=ROW), True, None, 1),
        (Step("DELETE FROM t RETURNING b", expect=3), False, None, 2),
        (Step("SELECT a FROM t", expect=0), True, None, 0),
        (Step("SELECT a FROM t", expect=2), False, None, 0),
        (Step("SELECT a FROM t"), True, None, 0),
    ],
)
def test_a_guard(rig: Rig, checked: Step, hit: bool, row: Any, changes: int) -> None:
    outcome = rig.run(Step("CREATE TABLE u(x)"), insert(1, "one", into="t"), insert(2, "two", into="t"))
    assert outcome[0] == DONE
    counted = rig.executor.counters()
    before = insert("before", into="u")
    checked.otherwise = FAIL
    after = (insert("after", into="u"), Step("SELECT 'seen'", rows=True))
    if hit:
        outcome = rig.run(before, checked, *after)
        assert outcome == (DONE, None, None, outcome[3], 2 + changes)
        assert outcome[3][-1] == [("seen",)]
        return
    assert rig.run(before, checked, *after) == (GUARD, 1, row, changes)
    assert (rig.column(), rig.column("u")) == ([1, 2], [])
    assert rig.executor.counters() == counted | {"conflicts": counted["conflicts"] + 1}
    checked.otherwise = STOP
    stopped = rig.run(before, checked, *after)
    assert stopped[:3] == (DONE, 1, row)
    assert stopped[3] == (*([[(2, "two"), (1, "one")]] if checked.rows else []), [])
    assert stopped[4] == 1 + changes
    assert rig.column("u") == ["before"]


def test_a_stop_keeps_what_was_done_and_reaches_nothing_later(rig: Rig) -> None:
    receipt = Step("SELECT a, b FROM t WHERE a = ?", ("key",), expect=NO_ROW, otherwise=STOP)
    plan = (receipt, insert("key", "receipt", into="t"), Step("SELECT count(*) FROM t", rows=True))
    assert rig.run(*plan) == (DONE, None, None, ([(1,)],), 1)
    assert rig.run(*plan) == (DONE, 0, ("key", "receipt"), ([],), 0)


def test_rows_come_back_only_for_marked_steps_but_every_statement_runs_to_its_end(rig: Rig) -> None:
    noted: list[int] = []
    rig.function("note", noted.append)
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5)"
    outcome = rig.run(
        Step(f"{numbers} INSERT INTO t(a) SELECT x FROM n RETURNING a", expect=5),
        Step(f"{numbers} SELECT note(x) FROM n"),
        Step("SELECT a FROM t WHERE a > ? ORDER BY a", [(3,), (4,)], rows=True, many=True),
        Step("SELECT a FROM t WHERE a > 9", rows=True),
    )
    assert outcome == (
        DONE,
        None,
        None,
        (
            [(4,), (5,), (5,)],
            [],
        ),
        5,
    )
    assert noted == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("step", "changes"),
    [
        (Step("SELECT 1"), 0),
        (Step("CREATE TABLE u(x)"), 0),
        (Step("PRAGMA user_version = 5"), 0),
        (Step("EXPLAIN DELETE FROM t"), 0),
        (Step("WITH x AS (SELECT 1) SELECT * FROM x"), 0),
        (Step("WITH x AS (SELECT 7) INSERT INTO t(a) SELECT * FROM x"), 1),
        (Step("/* c */ ; replace INTO t(a) VALUES (1), (2)"), 2),
        (Step("INSERT OR IGNORE INTO t(a) VALUES (1)"), 0),
        (Step("DELETE FROM t"), 3),
    ],
)
def test_only_inserts_updates_and_deletes_count_as_changes(rig: Rig, step: Step, changes: int) -> None:
    three = Step("INSERT INTO t(a) VALUES (?)", [(1,), (2,), (3,)], many=True, expect=3)
    assert rig.run(three, step) == (DONE, None, None, (), 3 + changes)


def test_changes_of_triggers_do_not_count(rig: Rig) -> None:
    rig.run(Step("CREATE TRIGGER r AFTER INSERT ON t WHEN new.a < 9 BEGIN INSERT INTO t(a) VALUES (new.a + 9); END"))
    assert rig.run(Step("INSERT INTO t(a) VALUES (1)", expect=1))[0] == DONE
    assert rig.column() == [1, 10]


@pytest.mark.parametrize(
    ("sql", "code", "extended", "message"),
    [
        ("INSERT INTO t(a) VALUES (1)", 19, 2067, "UNIQUE constraint failed: t.a"),
        ("INSERT INTO nowhere VALUES (1)", 1, 1, "no such table: nowhere"),
        ("SELEC 1", 1, 1, 'near "SELEC": syntax error'),
        ("SELECT abs(-9223372036854775808)", 1, 1, "integer overflow"),
    ],
)
def test_a_refusal_of_sqlite_says_what_it_was(rig: Rig, sql: str, code: int, extended: int, message: str) -> None:
    assert rig.run(insert(1), Step(sql)) == (FAILED, 1, code, extended, message)
    assert rig.column() == []


def test_an_exception_in_a_python_function_fails_its_plan_alone(rig: Rig) -> None:
    def boom() -> None:
        raise ZeroDivisionError("here")

    rig.function("boom", boom)
    outcomes = rig.group(insert(1), (insert(2), Step("SELECT boom()")), insert(3))
    assert outcomes[1][:4] == (FAILED, 1, 1, 1)
    assert "here" in outcomes[1][4]
    assert rig.column() == [1, 3]
