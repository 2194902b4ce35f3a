"""Closures in transactions: what they can ask for, how they end, and what becomes of their errors."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_store import (
    Commit,
    ConstraintViolation,
    Database,
    Rollback,
    StoreBackend,
    StoreMisuse,
    Transaction,
)
from lash_store.sqlite.plan import SqlValue


class Ticking:
    """A clock that goes on by one at every look."""

    def __init__(self) -> None:
        self._times = itertools.count(500)

    def now_ms(self) -> int:
        return next(self._times)


@pytest.fixture(params=["file", "memory"])
def database(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    clock = Ticking()
    where = Database.open(tmp_path / "x.db", clock=clock) if request.param == "file" else None
    with where or Database.open_in_memory(clock=clock) as opened:
        opened.call(lambda raw: raw.execute("CREATE TABLE t(a UNIQUE, b)").fetchall())
        yield opened


def column(database: Database) -> list[Any]:
    return [row[0] for row in database.read(lambda reader: reader.execute("SELECT a FROM t ORDER BY rowid").fetchall())]


# -- what a closure can ask for --------------------------------------------------------------------------------------


def test_execute_returns_all_rows(database: Database) -> None:
    def work(tx: Transaction) -> list[list[tuple[Any, ...]]]:
        return [
            tx.execute("INSERT INTO t VALUES (?, ?), (?, ?)", (1, "x", 2, b"y")),
            tx.execute("SELECT a, b FROM t ORDER BY a"),
            tx.execute("DELETE FROM t WHERE a = 2 RETURNING b"),
            tx.execute("SELECT 1 WHERE 0"),
            tx.execute("SELECT 1; SELECT 2, 3"),
            tx.execute("SELECT ?, typeof(?1)", [bytearray(b"z")]),
        ]

    assert database.write(work) == [
        [],
        [(1, "x"), (2, b"y")],
        [(b"y",)],
        [],
        [(1,), (2, 3)],
        [(b"z", "blob")],
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 500])
def test_executemany_tells_the_number_of_changes(database: Database, count: int) -> None:
    rows: Iterator[list[SqlValue]] = ([n, "b"] for n in range(count))
    assert database.write(lambda tx: tx.executemany("INSERT INTO t VALUES (?, ?)", rows)) == count
    assert column(database) == list(range(count))
    keys = [(n,) for n in range(-1, count)]
    assert database.write(lambda tx: tx.executemany("DELETE FROM t WHERE a = ?", keys)) == count
    assert column(database) == []


def test_executemany_that_fails_is_undone_from_where_it_fails(database: Database) -> None:
    def work(tx: Transaction) -> None:
        with pytest.raises(ConstraintViolation):
            tx.executemany("INSERT INTO t(a) VALUES (?)", [(1,), (2,), (1,), (3,)])

    database.write(work)
    assert column(database) == [1, 2]


def test_changes_and_last_insert_rowid(database: Database) -> None:
    def work(tx: Transaction) -> list[int]:
        found = []
        for sql in (
            "INSERT INTO t(a) VALUES (1), (2), (3)",
            "UPDATE t SET b = 0 WHERE a > 1",
            "SELECT 1",
            "DELETE FROM t",
        ):
            tx.execute(sql)
            found += [tx.changes, tx.last_insert_rowid]
        tx.execute("INSERT INTO t(rowid, a) VALUES (77, 1)")
        return [*found, tx.last_insert_rowid]

    assert database.write(work) == [3, 3, 2, 3, 2, 3, 3, 3, 77]


def test_the_injected_clock(database: Database) -> None:
    def work(tx: Transaction) -> list[Any]:
        return [tx.now_ms(), *tx.execute("SELECT lash_now_ms()"), tx.now_ms()]

    assert database.write(work) == [500, (501,), 502]
    assert database.write(lambda tx: tx.now_ms()) == 503


# -- how it ends -----------------------------------------------------------------------------------------------------


def insert(value: object) -> Callable[[Transaction], object]:
    return lambda tx: tx.execute("INSERT INTO t(a) VALUES (?)", (value,))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [None, 0, False, "x", [1], Commit(1), Rollback(1)], ids=repr)
def test_write_commits_whatever_it_returns(database: Database, value: object) -> None:
    assert database.write(lambda tx: (insert(1)(tx), value)[1]) is value
    assert column(database) == [1]


def test_write_flow(database: Database) -> None:
    assert database.write_flow(lambda tx: (insert(1)(tx), Commit("kept"))[1]) == "kept"
    assert database.write_flow(lambda tx: (insert(2)(tx), Rollback("undone"))[1]) == "undone"
    assert database.write_flow(lambda tx: Commit(None)) is None
    assert database.write_flow(lambda tx: Rollback(Commit(3))) == Commit(3)
    assert column(database) == [1]
    assert database.stats().commits == 2


@pytest.mark.parametrize("value", [None, True, "commit", (), Commit, Rollback], ids=repr)
def test_write_flow_takes_nothing_else(database: Database, value: Any) -> None:
    with pytest.raises(StoreMisuse, match="Commit or Rollback"):
        database.write_flow(lambda tx: (insert(1)(tx), value)[1])
    assert column(database) == []
    database.write(insert(2))
    assert column(database) == [2]


class Strange(BaseException):
    """Neither an error of SQLite's nor an Exception."""


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), Strange(), SystemExit(3), StopIteration(4)])
@pytest.mark.parametrize("verb", ["write", "write_flow", "call", "read"])
def test_exceptions_pass_unchanged(database: Database, verb: str, error: BaseException) -> None:
    def work(handle: Any) -> Any:
        if verb.startswith("write"):
            insert(1)(handle)
        raise error

    with pytest.raises(type(error)) as caught:
        getattr(database, verb)(work)
    assert caught.value is error
    assert (error.__cause__, error.__context__) == (None, None)
    database.write(insert(2))
    assert column(database) == [2]


def test_errors_of_apsw_are_translated_with_their_cause(database: Database) -> None:
    database.write(insert(1))
    with pytest.raises(ConstraintViolation, match=r"UNIQUE constraint failed: t\.a") as caught:
        database.write(insert(1))
    assert isinstance(caught.value.__cause__, apsw.ConstraintError)
    assert caught.value.extended_code == apsw.SQLITE_CONSTRAINT_UNIQUE
    assert caught.value.step is None
    verbs: list[Callable[[str], object]] = [
        lambda sql: database.write(lambda tx: tx.execute(sql)),
        lambda sql: database.write(lambda tx: tx.executemany(sql, [()])),
        lambda sql: database.write_flow(lambda tx: Commit(tx.execute(sql))),
        lambda sql: database.call(lambda raw: raw.execute(sql).fetchall()),
        lambda sql: database.read(lambda reader: reader.execute(sql).fetchall()),
    ]
    for verb in verbs:
        with pytest.raises(StoreBackend, match="no such table: nowhere") as refused:
            verb("SELECT * FROM nowhere")
        assert isinstance(refused.value.__cause__, apsw.SQLError)
        assert refused.value.code == apsw.SQLITE_ERROR


def test_a_refused_statement_is_undone_alone_if_the_closure_goes_on(database: Database) -> None:
    def work(tx: Transaction) -> None:
        tx.execute("INSERT INTO t(a) VALUES (1)")
        with pytest.raises(ConstraintViolation):
            tx.execute("INSERT INTO t(a) VALUES (2), (1)")
        tx.execute("INSERT INTO t(a) VALUES (3)")

    database.write(work)
    assert column(database) == [1, 3]


# -- control words ---------------------------------------------------------------------------------------------------

WORDS = ["BEGIN", "begin immediate", "COMMIT", "End", "ROLLBACK", "rollback to x", "SAVEPOINT x", "RELEASE x"]
BEFORE = ["", " \t\n\f\r;;", "-- a comment\n", "/* a */ /* COMMIT */", "--\n/**/ -- x\n", "SELECT 1; ", "\ufeff"]


@pytest.mark.parametrize("before", BEFORE, ids=ascii)
@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("many", [False, True], ids=["execute", "executemany"])
def test_a_closure_cannot_control_its_transaction(database: Database, before: str, word: str, many: bool) -> None:
    def work(tx: Transaction) -> None:
        insert(1)(tx)
        with pytest.raises(StoreMisuse, match=word.upper().partition(" ")[0]):
            tx.executemany(before + word, [()]) if many else tx.execute(before + word)
        insert(2)(tx)
        raise LookupError

    with pytest.raises(LookupError):
        database.write(work)
    assert column(database) == []


@pytest.mark.parametrize(
    "sql", ["SELECT 'COMMIT'", 'SELECT 1 AS "end"', "SELECT CASE WHEN 1 THEN 2 END", "-- BEGIN\nSELECT 1"]
)
def test_a_control_word_elsewhere_does_no_harm(database: Database, sql: str) -> None:
    assert len(database.write(lambda tx: tx.execute(sql))) == 1


def test_a_trigger_has_a_begin_and_an_end_of_its_own(database: Database) -> None:
    trigger = "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET b = 'seen'; END"
    database.write(lambda tx: (tx.execute(trigger), insert(1)(tx)))
    assert database.read(lambda reader: reader.execute("SELECT b FROM t").fetchall()) == [("seen",)]


@pytest.mark.parametrize("comment", ["/**/", "/* x */\n", "-- x\n"])
def test_many_comments_cost_no_time(database: Database, comment: str) -> None:
    began = time.process_time()  # which no other process makes longer
    assert database.write(lambda tx: tx.execute(comment * 24 + "SELECT 5")) == [(5,)]
    assert time.process_time() - began < 1, "the search for control words takes a time that doubles with each comment"


# -- afterwards ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["commit", "rollback", "raise"])
def test_a_transaction_is_no_good_after_its_closure(database: Database, ending: str) -> None:
    kept: list[Transaction] = []

    def work(tx: Transaction) -> Commit[None] | Rollback[None]:
        kept.append(tx)
        if ending == "raise":
            raise LookupError
        return Commit(None) if ending == "commit" else Rollback(None)

    try:
        database.write_flow(work)
    except LookupError:
        assert ending == "raise"
    uses: list[Callable[[Transaction], object]] = [
        lambda tx: tx.execute("INSERT INTO t(a) VALUES (9)"),
        lambda tx: tx.executemany("INSERT INTO t(a) VALUES (?)", [(9,)]),
        lambda tx: tx.changes,
        lambda tx: tx.last_insert_rowid,
        lambda tx: tx.now_ms(),
    ]
    for use in uses:
        with pytest.raises(StoreMisuse, match="over"):
            use(kept[0])
    assert column(database) == []
