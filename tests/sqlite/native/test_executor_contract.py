"""The executor does what its stub says, in C and in Python alike; expected values are the contract's."""

import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import apsw
import pytest

from lash_store.errors import InvalidPlan, StoreClosed, StoreReentered
from lash_store.sqlite import native
from lash_store.sqlite.native import Executor, Mailbox, pure_mailbox

DONE, GUARD, FAILED, BUSY, INVALID, CLOSED = range(6)
ANYTHING, ROW, NO_ROW = -1, -2, -3
FAIL, STOP = 0, 1
# How long anything may take before a test calls it a hang, in seconds.
PATIENCE_S = 20.0


@dataclass
class Step:
    """A step as the executor reads it."""

    sql: Any
    values: Any = ()
    expect: Any = ANYTHING
    otherwise: Any = FAIL
    rows: bool = False
    many: bool = False


def insert(*values: object, into: str = "t(a)") -> Step:
    return Step(f"INSERT INTO {into} VALUES ({', '.join('?' * len(values))})", values)


def open_connection(path: Path, vfs: str | None = native.VFS) -> apsw.Connection:
    connection = apsw.Connection(str(path), vfs=vfs)
    connection.wal_autocheckpoint(0)
    return connection


def await_true(condition: Callable[[], bool]) -> None:
    """Wait for what no event announces."""
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends, "what was waited for did not happen"
        time.sleep(0.001)


class Rig:
    """One executor on a file, a worker and a checkpointer that start when they are asked for, and one mailbox."""

    def __init__(self, path: Path, *, busy_timeout_ms: int = 10_000) -> None:
        self.path = path
        with closing(open_connection(path)) as setup:
            setup.pragma("journal_mode", "wal")
            setup.execute("CREATE TABLE t(a UNIQUE, b)")
        self.connection = open_connection(path)
        self.mailbox = Mailbox()
        self.threads: list[threading.Thread] = []
        self.may_checkpoint = threading.Event()
        self.may_checkpoint.set()
        self.checkpoint_vfs = native.VFS
        self.checkpointer_has_read = True
        self.workers_wanted = self.checkpointers_wanted = 0
        self.executor = Executor(
            self.connection,
            busy_timeout_ms=busy_timeout_ms,
            start_worker=self.start_worker,
            start_checkpointer=self.start_checkpointer,
        )
        self.function("thread_id", threading.get_ident)

    def function(self, name: str, body: Callable[..., Any]) -> None:
        """Make `body` callable from the writer's SQL."""
        self.connection.create_scalar_function(name, body)

    def start_worker(self) -> None:
        self.workers_wanted += 1
        self.spawn(self.work)

    def start_checkpointer(self) -> None:
        self.checkpointers_wanted += 1
        self.spawn(self.checkpoint)

    def spawn(self, body: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=body, daemon=True)
        self.threads.append(thread)
        thread.start()
        return thread

    def work(self) -> None:
        while (tickets := self.executor.serve(60_000)) is not None:
            for ticket in tickets:
                self.executor.finish(ticket, ticket.call())
            self.executor.release()

    def checkpoint(self) -> None:
        self.may_checkpoint.wait(PATIENCE_S)
        locker, checkpointer = open_connection(self.path), open_connection(self.path, vfs=self.checkpoint_vfs)
        if self.checkpointer_has_read:
            checkpointer.pragma("user_version")
        self.executor.serve_checkpoints(locker, checkpointer)
        locker.close()
        checkpointer.close()

    def run(self, *steps: Step) -> Any:
        return self.executor.run(steps)

    def submit(self, *steps: Step, tag: object = None) -> Any:
        return self.executor.submit(steps, self.mailbox, tag)

    def group(self, *plans: Step | tuple[Step, ...]) -> list[Any]:
        """The outcomes of plans that stood in the queue together, in their order."""
        self.executor.acquire()
        for number, plan in enumerate(plans):
            self.executor.submit(plan if isinstance(plan, tuple) else (plan,), self.mailbox, number)
        self.executor.release()
        outcomes = dict(self.receive(len(plans)))
        return [outcomes[number] for number in range(len(plans))]

    def receive(self, count: int) -> list[tuple[Any, Any]]:
        """Wait for exactly `count` outcomes."""
        pairs: list[tuple[Any, Any]] = []
        while len(pairs) < count:
            assert self.mailbox.wait(int(PATIENCE_S * 1000)), f"{len(pairs)} of {count} outcomes came"
            pairs += self.mailbox.drain()
        assert len(pairs) == count
        return pairs

    def column(self, table: str = "t") -> list[Any]:
        """What is committed in the first column of `table`, as another connection sees it."""
        with closing(open_connection(self.path)) as other:
            return [row[0] for row in other.execute(f"SELECT * FROM {table} ORDER BY rowid")]

    def queued(self, count: int) -> None:
        """Wait until `count` jobs are queued."""
        await_true(lambda: self.executor.counters()["queued"] == count)

    def close(self) -> None:
        if self.executor.owned():
            self.executor.release()
        self.executor.abort()
        for thread in self.threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a thread did not come back"
        self.executor.close()
        self.connection.close()
        self.mailbox.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "x.db")
    yield made
    made.close()


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "x.db", busy_timeout_ms=50)
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[apsw.Connection]:
    """A connection of somebody else's to the same file; it exists once the rig does."""
    request.getfixturevalue("rig" if "rig" in request.fixturenames else "impatient")
    connection = open_connection(tmp_path / "x.db")
    yield connection
    connection.close()


# -- compiling a plan: before anything is queued ---------------------------------------------------------------------


class Level(IntEnum):
    """An int that is more than an int."""

    HIGH = 7


class Colour(StrEnum):
    """A str that is more than a str."""

    RED = "red"


RELEASED = memoryview(b"x")
RELEASED.release()


@pytest.mark.parametrize(
    ("steps", "step", "words"),
    [
        ((), None, []),
        (None, None, ()),
        ([Step("SELECT ?", "x")], 0, []),
        ([Step("SELECT ?", {1: 2})], 0, []),
        ([Step("SELECT 1"), Step("SELECT ?, ?", (1, {2}))], 1, ["value 2", "set"]),
        ([Step("SELECT ?", (2**63,))], 0, ["value 1", "integer"]),
        ([Step("SELECT ?", (-(2**63) - 1,))], 0, ["value 1", "integer"]),
        ([Step("SELECT ?", (1 + 2j,))], 0, ["value 1", "complex"]),
        ([Step("SELECT ?, ?, ?", (1, 2, "a\ud800"))], 0, ["value 3", "surrogate"]),
        ([Step("SELECT ?", (RELEASED,))], 0, ["value 1", "memoryview"]),
        ([Step("SELECT ?", 5, many=True)], 0, []),
        ([Step("SELECT ?", [(1,), 5], many=True)], 0, []),
        ([Step("SELECT ?", [(1,), ("x",), (object(),)], many=True)], 0, ["value 1", "object"]),
        ([Step("SELECT ?", [(1,), (2,), (3, 4)], many=True)], 0, ["row 2", "2 values"]),
        ([Step("SELECT 1", expect=-4)], 0, ["expect", "-4"]),
        ([Step("SELECT 1", expect=2**63)], 0, ["expect"]),
        ([Step("SELECT 1", expect="1")], 0, ["expect"]),
        ([Step("SELECT 1", otherwise=2)], 0, ["otherwise", "2"]),
        ([Step("SELECT 1", otherwise=-1)], 0, ["otherwise", "-1"]),
        ([Step(b"SELECT 1")], 0, ["SQL"]),
        ([Step("SELECT '\ud800'")], 0, ["SQL"]),
        ([Step("SELECT 1\0")], 0, ["SQL", "NUL"]),
    ],
)
def test_what_cannot_be_compiled_is_refused_before_it_is_queued(rig: Rig, steps: Any, step: Any, words: Any) -> None:
    for call in (lambda: rig.executor.run(steps), lambda: rig.executor.submit(steps, rig.mailbox, 0)):
        with pytest.raises(InvalidPlan) as caught:
            call()
        assert caught.value.step == step
        assert [word for word in words if word not in caught.value.reason] == []
    assert rig.workers_wanted == 0
    assert rig.executor.counters()["queued"] == 0


def test_every_kind_of_value_arrives(rig: Rig) -> None:
    given = (None, True, -(2**63), 2**63 - 1, 1.5, "a\0ü🙂", b"", b"\0x", bytearray(b"y"), memoryview(b"abc")[::2])
    select = Step(f"SELECT {', '.join('?' * 10)}, typeof(?), ?, ?", (*given, b"", Level.HIGH, Colour.RED), rows=True)
    seen = (None, 1, -(2**63), 2**63 - 1, 1.5, "a\0ü🙂", b"", b"\0x", b"y", b"ac", "blob", 7, "red")
    assert rig.run(select) == (DONE, None, None, ([seen],), 0)


@pytest.mark.parametrize("steps", [[insert(1)], (insert(1),), [Step("INSERT INTO t(a) VALUES (?1)", [1])]])
def test_steps_and_values_may_be_lists_or_tuples(rig: Rig, steps: Any) -> None:
    assert rig.executor.run(steps) == (DONE, None, None, (), 1)


def test_mutable_values_are_copied_when_they_are_submitted(rig: Rig) -> None:
    array, values = bytearray(b"as submitted"), [[1], [2]]
    rig.executor.acquire()
    rig.submit(insert(array), insert(memoryview(array)[:2]), Step("INSERT INTO t(a) VALUES (?)", values, many=True))
    array[:] = b"changed later"[:12]
    values[0][0] = 99
    values.pop()
    rig.executor.release()
    assert rig.receive(1)[0][1][0] == DONE
    assert rig.column() == [b"as submitted", b"as", 1, 2]


# -- one step --------------------------------------------------------------------------------------------------------


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


# -- groups ----------------------------------------------------------------------------------------------------------


def test_plans_that_wait_together_share_a_transaction_and_fall_alone(rig: Rig) -> None:
    outcomes = rig.group(
        insert(1),
        (insert(2), insert(1)),
        (insert(3), Step("SELECT 1", expect=NO_ROW)),
        (insert(4), Step("SELECT ?")),
        Step("SELECT count(*) FROM t", rows=True),
    )
    assert [outcome[0] for outcome in outcomes] == [DONE, FAILED, GUARD, INVALID, DONE]
    assert outcomes[4][3] == ([(1,)],)
    assert rig.column() == [1]
    counters = rig.executor.counters()
    assert (counters["commits"], counters["batches"], counters["largest_batch"], counters["conflicts"]) == (2, 1, 2, 1)


def test_a_group_has_at_most_128_members(rig: Rig) -> None:
    assert {outcome[0] for outcome in rig.group(*(insert(number) for number in range(300)))} == {DONE}
    counters = rig.executor.counters()
    assert counters["commits"] == 300
    assert counters["batches"] >= 3
    assert 1 < counters["largest_batch"] <= 128
    assert rig.column() == list(range(300))


def test_a_group_ends_when_its_time_under_the_lock_is_over(rig: Rig) -> None:
    rig.function("slow", lambda: time.sleep(0.005))
    rig.executor.acquire()
    for number in range(3):
        rig.submit(insert(number), Step("SELECT slow()"), tag=number)
    rig.executor.submit_call(int, rig.mailbox, "a call")
    rig.submit(insert(3), tag=3)
    rig.executor.release()
    # The rest goes back to the head, in its order, before what was queued later.
    assert [tag for tag, _ in rig.receive(5)] == [0, 1, 2, "a call", 3]
    counters = rig.executor.counters()
    assert (counters["commits"], counters["batches"], counters["largest_batch"]) == (4, 4, 1)


def test_nobody_is_answered_before_the_commit(rig: Rig) -> None:
    rig.function("answered", lambda: rig.mailbox.wait(0))
    rig.function("committed", lambda: len(rig.column()))
    look = Step("SELECT answered(), committed()", rows=True)
    assert rig.group(insert(1), look)[1] == (DONE, None, None, ([(0, 0)],), 0)
    assert rig.executor.counters()["largest_batch"] == 2


def full(rig: Rig) -> tuple[Step, int, int]:
    rig.connection.pragma("max_page_count", 20)
    return insert(b"x" * 1_000_000), 13, 13


def or_rollback(rig: Rig) -> tuple[Step, int, int]:
    return Step("INSERT OR ROLLBACK INTO t(a) VALUES ('there')"), 19, 2067


def raise_rollback(rig: Rig) -> tuple[Step, int, int]:
    trigger = "CREATE TRIGGER r BEFORE INSERT ON t WHEN new.a = 'bad' BEGIN SELECT RAISE(ROLLBACK, 'no'); END"
    assert rig.run(Step(trigger))[0] == DONE
    return insert("bad"), 19, 1811


def interrupted(rig: Rig) -> tuple[Step, int, int]:
    rig.function("stop", rig.connection.interrupt)
    endless = "WITH RECURSIVE n(x) AS (SELECT stop() IS NULL UNION ALL SELECT x + 1 FROM n WHERE x < 1000000)"
    return Step(f"{endless} INSERT INTO t(a) SELECT -x FROM n"), 9, 9


@pytest.mark.parametrize("cause", [full, or_rollback, raise_rollback, interrupted])
@pytest.mark.parametrize("grouped", [False, True])
def test_when_the_whole_transaction_dies_the_others_run_again(
    rig: Rig, cause: Callable[[Rig], tuple[Step, int, int]], grouped: bool
) -> None:
    assert rig.run(insert("there"))[0] == DONE
    step, code, extended = cause(rig)
    before = rig.executor.counters()
    culprit = (insert("gone"), step)
    others = [insert(1), insert(2), insert(3)] if grouped else []
    outcomes = rig.group(*others[:2], culprit, *others[2:])
    assert outcomes.pop(2 if grouped else 0)[:4] == (FAILED, 1, code, extended)
    assert outcomes == [(DONE, None, None, (), 1)] * len(others)
    assert rig.column() == ["there", *range(1, len(others) + 1)]
    assert not rig.connection.in_transaction
    after = rig.executor.counters()
    assert after["commits"] - before["commits"] == len(others)
    assert after["batches"] - before["batches"] == (1 if grouped else 0)


def test_a_member_that_runs_again_meets_the_state_without_the_culprit(rig: Rig) -> None:
    assert rig.run(insert("there"))[0] == DONE
    seen = Step("SELECT count(*) FROM t", rows=True)
    outcomes = rig.group(insert(1), seen, (insert(2), or_rollback(rig)[0]), seen)
    assert [outcome[0] for outcome in outcomes] == [DONE, DONE, FAILED, DONE]
    assert (outcomes[1][3], outcomes[3][3]) == (([(2,)],), ([(2,)],))


def foreign_keys(rig: Rig) -> Step:
    rig.connection.pragma("foreign_keys", True)
    child = "CREATE TABLE child(p REFERENCES t(a) DEFERRABLE INITIALLY DEFERRED)"
    assert rig.run(Step(child))[0] == DONE
    return insert("nobody", into="child")


def test_a_commit_that_fails_is_the_fault_of_its_only_member(rig: Rig) -> None:
    orphan = foreign_keys(rig)
    assert rig.run(insert(1), orphan) == (FAILED, -1, 19, 787, "FOREIGN KEY constraint failed")
    assert rig.column() == []
    assert not rig.connection.in_transaction


def test_when_the_commit_of_a_group_fails_each_member_runs_alone(rig: Rig) -> None:
    orphan = foreign_keys(rig)
    before = rig.executor.counters()
    guarded = (insert(5), Step("SELECT 1", expect=NO_ROW))
    outcomes = rig.group(insert(1), (insert(2), orphan), insert(3), guarded)
    assert outcomes[1] == (FAILED, -1, 19, 787, "FOREIGN KEY constraint failed")
    assert [outcome[0] for outcome in outcomes] == [DONE, FAILED, DONE, GUARD]
    assert rig.column() == [1, 3]
    after = rig.executor.counters()
    assert [after[name] - before[name] for name in ("commits", "batches", "conflicts")] == [2, 2, 1]


@pytest.mark.parametrize("culprit", [or_rollback, lambda rig: (foreign_keys(rig), 19, 787)])
def test_a_caller_gets_its_own_outcome_when_its_batch_has_to_run_again(
    rig: Rig, culprit: Callable[[Rig], tuple[Step, int, int]]
) -> None:
    assert rig.run(insert("there"))[0] == DONE
    step, code, extended = culprit(rig)
    rig.executor.acquire()
    outcomes: list[Any] = []
    caller = rig.spawn(lambda: outcomes.append(rig.run(insert(1))))
    rig.queued(1)
    rig.submit(insert(2), step)
    rig.executor.release()
    [(_, failed)] = rig.receive(1)
    caller.join(PATIENCE_S)
    assert (failed[0], *failed[2:4]) == (FAILED, code, extended)
    assert outcomes == [(DONE, None, None, (), 1)]
    assert rig.column() == ["there", 1]


def test_a_begin_that_fails_fails_every_member(rig: Rig) -> None:
    def authorizer(action: int, what: str | None, *_: str | None) -> int:
        return apsw.SQLITE_DENY if (action, what) == (apsw.SQLITE_TRANSACTION, "BEGIN") else apsw.SQLITE_OK

    rig.connection.authorizer = authorizer
    outcomes = rig.group(insert(1), insert(2))
    assert outcomes == [(FAILED, -1, 23, 23, "not authorized")] * 2
    assert rig.run(insert(3)) == outcomes[0]
    rig.connection.authorizer = None
    assert rig.run(insert(4))[0] == DONE
    assert rig.column() == [4]


# -- the write lock is somebody else's -------------------------------------------------------------------------------


def test_a_busy_plan_says_how_long_it_waited_and_changes_nothing(impatient: Rig, other: apsw.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    kind, waited_ms = impatient.run(insert(1))
    assert kind == BUSY
    assert 50 <= waited_ms < 5000
    counters = impatient.executor.counters()
    assert counters["busy_waits"] == 1
    assert 40 <= counters["busy_wait_ms"] <= waited_ms
    assert 40 <= impatient.executor.last_wait_ms() <= waited_ms
    other.execute("ROLLBACK")
    assert impatient.run(insert(2))[0] == DONE
    assert impatient.column() == [2]
    assert impatient.executor.last_wait_ms() == 0
    assert impatient.executor.counters()["busy_waits"] == 1


def test_every_member_of_a_group_waits_out_its_own_time(impatient: Rig, other: apsw.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    outcomes = impatient.group(insert(1), insert(2))
    assert [outcome[0] for outcome in outcomes] == [BUSY, BUSY]
    assert all(50 <= outcome[1] < 5000 for outcome in outcomes)


def test_who_still_has_time_goes_back_to_the_head_of_the_queue(tmp_path: Path) -> None:
    patient = Rig(tmp_path / "y.db", busy_timeout_ms=1000)
    blocker = open_connection(patient.path)
    blocker.execute("BEGIN IMMEDIATE")
    patient.executor.acquire()
    patient.submit(insert("early"), tag="early")
    time.sleep(0.7)  # what differs between the two is their age
    patient.submit(insert("late"), tag="late")
    patient.executor.release()
    assert [(token, outcome[0]) for token, outcome in patient.receive(1)] == [("early", BUSY)]
    blocker.execute("ROLLBACK")
    assert [(token, outcome[0]) for token, outcome in patient.receive(1)] == [("late", DONE)]
    assert patient.column() == ["late"]
    blocker.close()
    patient.close()


def test_a_plan_that_waited_too_long_in_the_queue_is_tried_once(tmp_path: Path) -> None:
    hasty = Rig(tmp_path / "y.db", busy_timeout_ms=1)
    hasty.executor.acquire()
    hasty.submit(insert(1))
    time.sleep(0.01)  # what is tested is an age beyond the budget
    hasty.executor.release()
    assert hasty.receive(1)[0][1][0] == DONE
    hasty.close()


def test_a_plan_goes_on_as_soon_as_the_lock_is_free(rig: Rig, other: apsw.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    rig.submit(insert(1))
    assert not rig.mailbox.wait(30)
    other.execute("ROLLBACK")
    assert rig.receive(1)[0][1][0] == DONE


def test_a_holder_has_the_whole_budget_for_each_begin(impatient: Rig, other: apsw.Connection) -> None:
    other.execute("BEGIN IMMEDIATE")
    impatient.executor.acquire()
    for number in (1, 2):
        began = time.monotonic()
        with pytest.raises(apsw.BusyError):
            impatient.connection.execute("BEGIN IMMEDIATE")
        assert time.monotonic() - began >= 0.045
        assert impatient.executor.last_wait_ms() >= 40
        assert impatient.executor.counters()["busy_waits"] == number
    other.execute("ROLLBACK")


def test_a_cursor_left_open_on_the_writer_still_lets_a_plan_wait(rig: Rig, other: apsw.Connection) -> None:
    # SQLite asks no busy handler while a read is open on the same connection.
    assert rig.run(insert(1), insert(2))[0] == DONE
    rig.executor.acquire()
    cursor = rig.connection.execute("SELECT a FROM t")
    next(cursor)
    other.execute("BEGIN IMMEDIATE")
    rig.submit(insert(3))
    rig.executor.release()
    assert not rig.mailbox.wait(30)
    other.execute("ROLLBACK")
    assert rig.receive(1)[0][1][0] == DONE
    cursor.close()


# -- the writer role -------------------------------------------------------------------------------------------------

WHO = Step("SELECT thread_id()", rows=True)


def test_an_uncontended_run_stays_on_its_thread(rig: Rig) -> None:
    assert rig.run(WHO)[3] == ([(threading.get_ident(),)],)
    assert rig.workers_wanted == 0
    assert rig.executor.counters()["handoffs"] == 0


def test_the_role_goes_to_the_waiting_thread_which_carries_what_follows(rig: Rig) -> None:
    rig.executor.acquire()
    outcomes: list[Any] = []
    caller = rig.spawn(lambda: outcomes.append(rig.run(WHO)))
    rig.queued(1)
    rig.submit(WHO)
    rig.executor.release()
    [(_, carried)] = rig.receive(1)
    caller.join(PATIENCE_S)
    assert carried[3] == outcomes[0][3] == ([(caller.ident,)],)
    counters = rig.executor.counters()
    assert (counters["handoffs"], counters["largest_batch"], counters["queued"]) == (1, 2, 0)


def test_a_ticket_at_the_head_is_the_workers_which_carries_a_caller_along(rig: Rig) -> None:
    rig.executor.acquire()
    rig.submit(WHO)
    outcomes: list[Any] = []
    caller = rig.spawn(lambda: outcomes.append(rig.run(WHO)))
    rig.queued(2)
    rig.executor.release()
    [(_, own)] = rig.receive(1)
    caller.join(PATIENCE_S)
    assert own[3] == outcomes[0][3]
    assert own[3] not in (([(caller.ident,)],), ([(threading.get_ident(),)],))
    assert (rig.executor.counters()["handoffs"], rig.workers_wanted) == (0, 1)


def test_acquire_stands_in_the_same_queue(rig: Rig) -> None:
    rig.executor.acquire()
    assert rig.executor.owned()
    got, go, owned = threading.Event(), threading.Event(), []

    def hold() -> None:
        rig.executor.acquire()
        owned.append(rig.executor.owned())
        got.set()
        go.wait(PATIENCE_S)
        rig.executor.release()
        owned.append(rig.executor.owned())

    rig.submit(insert(1), tag="before")
    rig.queued(1)
    holder = rig.spawn(hold)
    rig.queued(2)
    rig.submit(insert(2), tag="after")
    rig.executor.release()
    assert not rig.executor.owned()
    assert got.wait(PATIENCE_S)
    assert [token for token, _ in rig.receive(1)] == ["before"]
    assert rig.executor.counters()["queued"] == 1
    go.set()
    assert [token for token, _ in rig.receive(1)] == ["after"]
    holder.join(PATIENCE_S)
    assert owned == [True, False]


def test_the_holder_may_not_ask_for_the_role_again(rig: Rig) -> None:
    def reenter() -> list[str]:
        raised = []
        for call in (lambda: rig.run(WHO), rig.executor.acquire):
            with pytest.raises(StoreReentered) as caught:
                call()
            raised.append(caught.value.args[0])
        return raised

    rig.executor.acquire()
    assert all(str(rig.path) in message for message in reenter())
    rig.executor.release()
    rig.executor.submit_call(reenter, rig.mailbox, 0)
    assert len(rig.receive(1)[0][1]) == 2
    assert rig.run(WHO)[0] == DONE


def test_release_leaves_no_transaction_open(rig: Rig) -> None:
    rig.executor.acquire()
    rig.connection.execute("BEGIN IMMEDIATE; INSERT INTO t(a) VALUES (1)")
    rig.executor.release()
    assert not rig.connection.in_transaction
    assert rig.run(insert(2))[0] == DONE
    assert rig.column() == [2]


def test_only_the_holder_releases(rig: Rig) -> None:
    with pytest.raises(RuntimeError):
        rig.executor.release()
    rig.executor.acquire()
    failures: list[BaseException] = []

    def release() -> None:
        try:
            rig.executor.release()
        except RuntimeError as error:
            failures.append(error)

    rig.spawn(release).join(PATIENCE_S)
    assert len(failures) == 1
    assert rig.executor.owned()


# -- the worker ------------------------------------------------------------------------------------------------------


def test_calls_are_handed_out_together_with_the_role_held(rig: Rig) -> None:
    own = Executor(rig.connection, busy_timeout_ms=1000, start_worker=int, start_checkpointer=int)
    own.acquire()
    tickets = [own.submit_call(number, rig.mailbox, number) for number in range(20)]
    own.submit([insert("between")], rig.mailbox, "plan")
    tickets.append(own.submit_call("last", rig.mailbox, "last"))
    own.release()
    assert not own.owned()
    taken = []
    for size in (16, 4, 1):
        calls = own.serve(1000)
        assert calls is not None
        assert len(calls) == size
        assert own.owned()
        for ticket in calls:
            assert not ticket.withdraw()
            own.finish(ticket, ("answer", ticket.call))
        own.note_commit(size)
        own.release()
        taken += calls
    assert taken == tickets
    calls_sent = [(number, ("answer", number)) for number in range(20)]
    assert rig.receive(22) == [*calls_sent, ("plan", (DONE, None, None, (), 1)), ("last", ("answer", "last"))]
    counters = own.counters()
    assert [counters[name] for name in ("commits", "batches", "largest_batch")] == [22, 4, 16]
    own.stop()
    assert own.serve(0) is None
    own.close()


def test_a_call_is_answered_once(rig: Rig) -> None:
    ticket = rig.executor.submit_call(lambda: "first", rig.mailbox, 0)
    assert rig.receive(1) == [(0, "first")]
    with pytest.raises(ValueError, match="ticket"):
        rig.executor.finish(ticket, "second")
    assert rig.mailbox.drain() == []


def test_a_tickets_call_is_what_was_submitted(rig: Rig) -> None:
    rig.executor.acquire()
    call = rig.executor.submit_call(list, rig.mailbox, 0)
    assert call.call is list
    assert rig.submit(insert(1)).call is None


def test_one_worker_is_asked_for_until_it_goes_and_none_of_the_jobs_is_lost(rig: Rig) -> None:
    wanted = []
    queued_then = []

    def start_worker() -> None:
        wanted.append(threading.get_ident())
        queued_then.append(own.counters()["queued"])  # would hang if it were called under the internal lock

    own = Executor(rig.connection, busy_timeout_ms=1000, start_worker=start_worker, start_checkpointer=int)
    assert own.serve(0) is None
    own.submit([insert(1)], rig.mailbox, 1)
    own.submit([insert(2)], rig.mailbox, 2)
    assert (len(wanted), queued_then) == (1, [1])
    assert own.serve(0) is None
    assert [token for token, _ in rig.receive(2)] == [1, 2]
    own.submit([insert(3)], rig.mailbox, 3)
    assert len(wanted) == 2
    assert own.serve(0) is None
    assert [token for token, _ in rig.receive(1)] == [3]
    own.close()


def test_jobs_submitted_while_the_worker_turns_idle_are_not_lost(rig: Rig) -> None:
    def work() -> None:
        while own.serve(1) is not None:
            raise AssertionError("there are no calls")

    own = Executor(rig.connection, busy_timeout_ms=1000, start_worker=lambda: rig.spawn(work), start_checkpointer=int)
    for number in range(300):
        own.submit([insert(number)], rig.mailbox, number)
        assert [token for token, _ in rig.receive(1)] == [number]
        time.sleep(0.001 * (number % 3) / 2 + 0.0002)  # to meet the worker's own millisecond now and then
    own.stop()
    for thread in rig.threads:
        thread.join(PATIENCE_S)
    own.close()


def test_tickets_without_any_worker_are_answered(rig: Rig) -> None:
    def start_worker() -> None:
        raise RuntimeError("can't start new thread")

    own = Executor(rig.connection, busy_timeout_ms=1000, start_worker=start_worker, start_checkpointer=int)
    own.submit([insert(1)], rig.mailbox, "plan")
    [(token, outcome)] = rig.receive(1)
    assert (token, outcome[:2]) == ("plan", (FAILED, -1))
    assert "can't start new thread" in outcome[4]
    assert own.run([insert(2)])[0] == DONE
    assert rig.column() == [2]
    own.close()


# -- withdrawing and closing -----------------------------------------------------------------------------------------


def test_a_ticket_can_be_withdrawn_while_it_is_queued(rig: Rig) -> None:
    rig.executor.acquire()
    first, second = rig.submit(insert(1), tag=1), rig.submit(insert(2), tag=2)
    call = rig.executor.submit_call(lambda: None, rig.mailbox, 3)
    assert first.withdraw()
    assert not first.withdraw()
    assert call.withdraw()
    assert rig.executor.counters()["queued"] == 1
    rig.executor.release()
    assert [token for token, _ in rig.receive(1)] == [2]
    assert not second.withdraw()
    assert rig.column() == [2]
    assert rig.mailbox.drain() == []


def test_withdrawing_the_head_lets_the_next_one_in(rig: Rig) -> None:
    own = Executor(rig.connection, busy_timeout_ms=1000, start_worker=int, start_checkpointer=int)
    ticket = own.submit_call(lambda: 1, rig.mailbox, 1)
    caller = rig.spawn(lambda: own.run([insert(2)]))
    await_true(lambda: own.counters()["queued"] == 2)
    assert ticket.withdraw()
    caller.join(PATIENCE_S)
    assert rig.column() == [2]
    own.close()


def test_a_caller_does_not_wait_for_the_worker_of_plans_before_it(rig: Rig) -> None:
    own = Executor(rig.connection, busy_timeout_ms=1000, start_worker=int, start_checkpointer=int)
    own.submit([insert(1)], rig.mailbox, "before")
    assert own.run([insert(2)])[0] == DONE
    assert [token for token, _ in rig.receive(1)] == ["before"]
    assert rig.column() == [1, 2]
    own.close()


def test_after_stop_the_queue_runs_empty_and_nothing_new_comes_in(rig: Rig) -> None:
    rig.executor.acquire()
    rig.submit(insert(1), tag=1)
    rig.executor.submit_call(lambda: "called", rig.mailbox, 2)
    outcomes: list[Any] = []
    caller = rig.spawn(lambda: outcomes.append(rig.run(insert(3))))
    rig.queued(3)
    rig.executor.stop()
    for call in (
        lambda: rig.run(insert(4)),
        lambda: rig.submit(insert(4)),
        lambda: rig.executor.submit_call(int, rig.mailbox, 4),
        rig.executor.acquire,
    ):
        with pytest.raises(StoreClosed) as caught:
            call()
        assert caught.value.path == str(rig.path)
    rig.executor.release()
    assert dict(rig.receive(2)) == {1: (DONE, None, None, (), 1), 2: "called"}
    for thread in rig.threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert outcomes == [(DONE, None, None, (), 1)]
    assert not caller.is_alive()
    assert rig.column() == [1, 3]


def test_a_waiting_worker_sees_that_the_last_caller_is_done(rig: Rig) -> None:
    rig.submit(WHO)
    rig.receive(1)
    rig.executor.acquire()
    rig.spawn(lambda: rig.run(insert(1)))
    rig.queued(1)
    rig.executor.stop()
    rig.executor.release()
    for thread in rig.threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert rig.column() == [1]


def test_abort_answers_what_is_queued(rig: Rig) -> None:
    rig.executor.acquire()
    rig.submit(insert(1), tag=1)
    rig.executor.submit_call(lambda: "called", rig.mailbox, 2)
    answers: list[Any] = []

    def acquire() -> None:
        try:
            rig.executor.acquire()
        except StoreClosed as error:
            answers.append(error.path)

    rig.spawn(lambda: answers.append(rig.run(insert(3))))
    rig.spawn(acquire)
    rig.queued(4)
    rig.executor.abort()
    assert rig.receive(2) == [(1, (CLOSED,)), (2, (CLOSED,))]
    for thread in rig.threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert sorted(map(str, answers)) == sorted([str((CLOSED,)), str(rig.path)])
    rig.executor.release()
    assert rig.column() == []


def test_close_gives_the_connection_back_without_handler_and_hook(rig: Rig, other: apsw.Connection) -> None:
    assert rig.run(insert(1))[0] == DONE
    pages = rig.executor.counters()["wal_pages"]
    rig.executor.stop()
    rig.executor.close()
    rig.connection.execute("INSERT INTO t(a) VALUES (2)")
    assert rig.executor.counters()["wal_pages"] == pages
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(apsw.BusyError):
        rig.connection.execute("BEGIN IMMEDIATE")
    assert time.monotonic() - began < 5


def test_many_threads_at_once_lose_nothing(rig: Rig) -> None:
    rig.run(insert(0))
    add = Step("UPDATE t SET a = a + 1", expect=1)
    wrong: list[Any] = []

    def call() -> None:
        wrong.extend(outcome for _ in range(100) if (outcome := rig.run(add))[0] != DONE)

    def hold() -> None:
        for _ in range(30):
            rig.executor.acquire()
            rig.connection.execute("UPDATE t SET a = a + 1")
            rig.executor.release()

    callers = [rig.spawn(body) for body in (call, call, call, hold, hold)]
    for number in range(300):
        rig.submit(add, tag=number)
    outcomes = rig.receive(300)
    for thread in callers:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert wrong == []
    assert {outcome[0] for _, outcome in outcomes} == {DONE}
    assert rig.column() == [300 + 3 * 100 + 2 * 30]


# -- the mailbox -----------------------------------------------------------------------------------------------------


def readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def test_the_mailbox_signals_while_outcomes_wait(rig: Rig) -> None:
    descriptor = rig.mailbox.fileno()
    assert not rig.mailbox.wait(0)
    assert rig.mailbox.drain() == []
    for _ in range(2):
        rig.executor.acquire()
        tokens = [object(), object()]
        for token in tokens:
            rig.submit(WHO, tag=token)
        assert not rig.mailbox.wait(5)
        rig.executor.release()
        await_true(lambda: rig.executor.counters()["commits"] % 2 == 0)
        assert rig.mailbox.wait(int(PATIENCE_S * 1000))
        assert descriptor < 0 or readable(descriptor)
        assert [token for token, _ in rig.receive(2)] == tokens
        assert descriptor < 0 or not readable(descriptor)


def test_a_closed_mailbox_keeps_what_arrives(rig: Rig) -> None:
    rig.executor.acquire()
    rig.submit(WHO, tag="late")
    rig.mailbox.close()
    rig.mailbox.close()
    assert rig.mailbox.fileno() == -1
    rig.executor.release()
    assert [token for token, _ in rig.receive(1)] == ["late"]


# -- the write-ahead log ---------------------------------------------------------------------------------------------

PAGE = 4096


def grow(rig: Rig, pages: int) -> None:
    assert rig.run(Step("INSERT INTO t(b) VALUES (zeroblob(?))", (pages * PAGE,)))[0] == DONE


@pytest.mark.parametrize("has_read", [True, False])
def test_the_log_is_copied_back_by_the_checkpointer(rig: Rig, has_read: bool) -> None:
    # A connection that has not read yet does not know that there is a log.
    rig.checkpointer_has_read = has_read
    grow(rig, 500)
    counters = rig.executor.counters()
    assert 500 <= counters["wal_pages"] == counters["wal_pages_pending"] < 600
    assert rig.checkpointers_wanted == 0
    grow(rig, 600)
    await_true(lambda: rig.executor.counters()["wal_pages_pending"] == 0)
    grow(rig, 1100)
    await_true(lambda: rig.executor.counters()["wal_pages_pending"] == 0)
    assert rig.checkpointers_wanted == 1
    counters = rig.executor.counters()
    assert counters["checkpoints"] >= 2
    assert counters["restarts"] == counters["checkpoint_errors"] == 0


def test_a_commit_of_the_roles_holder_counts_as_well(rig: Rig) -> None:
    rig.executor.acquire()
    rig.connection.execute("INSERT INTO t(b) VALUES (zeroblob(?))", (1100 * PAGE,))
    assert rig.checkpointers_wanted == 0
    rig.executor.release()
    await_true(lambda: rig.executor.counters()["checkpoints"] == 1)


def test_a_long_log_is_started_over(rig: Rig) -> None:
    grow(rig, 4200)
    await_true(lambda: rig.executor.counters()["restarts"] == 1)
    assert rig.executor.counters()["wal_pages_pending"] == 0
    assert rig.run(insert(1))[0] == DONE
    assert rig.executor.counters()["wal_pages"] < 100


def test_a_reader_delays_the_checkpoint_and_harms_no_writer(rig: Rig, other: apsw.Connection) -> None:
    assert rig.run(insert(1))[0] == DONE
    other.execute("BEGIN; SELECT * FROM t")
    grow(rig, 1100)
    began = time.monotonic()
    await_true(lambda: rig.executor.counters()["checkpoints"] >= 4)
    assert time.monotonic() - began > 0.02, "it tries again and again without a pause"
    assert rig.executor.counters()["wal_pages_pending"] >= 1000
    assert rig.run(insert(2))[0] == DONE
    other.execute("ROLLBACK")
    await_true(lambda: rig.executor.counters()["wal_pages_pending"] == 0)
    assert rig.executor.counters()["checkpoint_errors"] == 0


def test_a_checkpointer_that_cannot_get_the_write_lock_goes_on_without(rig: Rig, other: apsw.Connection) -> None:
    rig.may_checkpoint.clear()
    grow(rig, 4200)
    other.execute("BEGIN IMMEDIATE")
    rig.may_checkpoint.set()
    await_true(lambda: rig.executor.counters()["wal_pages_pending"] == 0)
    time.sleep(1.2)  # longer than it waits for the lock
    assert rig.executor.counters()["restarts"] == 0
    other.execute("ROLLBACK")
    grow(rig, 1100)
    await_true(lambda: rig.executor.counters()["wal_pages_pending"] == 0)
    assert rig.executor.counters()["checkpoint_errors"] == 0


class BrokenDisk(apsw.VFS):
    """A file system on which the database file itself cannot be written."""

    def __init__(self) -> None:
        super().__init__("broken_disk", base="")

    def xOpen(self, name: Any, flags: Any) -> Any:  # noqa: N802 - SQLite's name
        return BrokenFile(name, flags)


class BrokenFile(apsw.VFSFile):
    """A file of that file system."""

    def __init__(self, name: Any, flags: list[int]) -> None:
        self.broken = bool(flags[0] & apsw.SQLITE_OPEN_MAIN_DB)
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802 - SQLite's name
        if self.broken:
            raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE)
        super().xWrite(data, offset)


def test_a_failing_checkpoint_is_counted_and_harms_no_writer(rig: Rig) -> None:
    disk = BrokenDisk()
    rig.checkpoint_vfs = "broken_disk"
    grow(rig, 1100)
    await_true(lambda: rig.executor.counters()["checkpoint_errors"] >= 2)
    assert rig.run(insert(1))[0] == DONE
    counters = rig.executor.counters()
    assert counters["checkpoints"] == 0
    assert counters["wal_pages_pending"] >= 1000
    rig.executor.stop()
    for thread in rig.threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    disk.unregister()


def test_a_checkpointer_that_cannot_be_started_is_asked_for_again(rig: Rig) -> None:
    wanted: list[int] = []

    def start_checkpointer() -> None:
        wanted.append(1)
        raise RuntimeError("can't start new thread")

    own = Executor(rig.connection, busy_timeout_ms=1000, start_worker=int, start_checkpointer=start_checkpointer)
    for number in (1, 2):
        assert own.run([Step("INSERT INTO t(b) VALUES (zeroblob(?))", (1100 * PAGE,))])[0] == DONE
        assert len(wanted) == own.counters()["checkpoint_errors"] == number
    own.close()


# -- the Python implementation alone ----------------------------------------------------------------------------------

python_only = pytest.mark.skipif(native.IMPLEMENTATION != "python", reason="C is not interrupted")


@python_only
def test_an_interrupted_caller_takes_only_its_own_plan_with_it(rig: Rig) -> None:
    def interrupt() -> None:
        if threading.current_thread() is threading.main_thread():
            rig.submit(insert(2), tag="queued meanwhile")
            raise KeyboardInterrupt

    rig.function("interrupt", interrupt)
    with pytest.raises(KeyboardInterrupt):
        rig.run(insert(1), Step("SELECT interrupt()"))
    assert not rig.connection.in_transaction
    assert [(tag, outcome[0]) for tag, outcome in rig.receive(1)] == [("queued meanwhile", DONE)]
    assert rig.run(insert(3))[0] == DONE
    assert rig.column() == [2, 3]


@python_only
def test_the_worker_survives_a_function_that_exits(rig: Rig) -> None:
    rig.function("leave", sys.exit)
    outcomes = rig.group(insert(1), (insert(2), Step("SELECT leave()")), insert(3))
    assert [outcome[0] for outcome in outcomes] == [DONE, FAILED, DONE]
    assert rig.column() == [1, 3]


@python_only
def test_a_defect_of_the_executor_answers_every_member(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr("lash_store.sqlite.native.pure_batch.Batches._attempt", fail)
        assert rig.group(insert(1), insert(2)) == [(FAILED, -1, 1, 1, "a defect")] * 2
        assert rig.run(insert(3)) == (FAILED, -1, 1, 1, "a defect")
    assert rig.run(insert(4))[0] == DONE
    assert rig.column() == [4]


@pytest.mark.skipif(os.name == "nt", reason="nothing can be polled there")
def test_without_an_eventfd_the_mailbox_signals_through_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "eventfd", raising=False)
    mailbox = pure_mailbox.Mailbox()
    for _ in range(2):
        assert not readable(mailbox.fileno())
        mailbox.post(1, "one")
        mailbox.post(2, "two")
        assert readable(mailbox.fileno())
        assert mailbox.drain() == [(1, "one"), (2, "two")]
    mailbox.close()


# -- the rest --------------------------------------------------------------------------------------------------------


def test_the_outcomes_have_their_numbers() -> None:
    names = (native.DONE, native.GUARD, native.FAILED, native.BUSY, native.INVALID, native.CLOSED)
    assert names == (0, 1, 2, 3, 4, 5)


def test_wait_idle_waits_for_the_queue_and_for_the_holder(rig: Rig) -> None:
    assert rig.executor.wait_idle(0)
    rig.executor.acquire()
    assert not rig.executor.wait_idle(1)
    ticket = rig.submit(WHO)
    idle: list[bool] = []
    waiter = rig.spawn(lambda: idle.append(rig.executor.wait_idle(2**40)))
    assert ticket.withdraw()
    rig.submit(insert(2))
    assert not rig.executor.wait_idle(1)
    rig.executor.release()
    waiter.join(PATIENCE_S)
    assert idle == [True]
    assert rig.column() == [2]


def test_the_clock_tells_epoch_milliseconds(rig: Rig) -> None:
    native.register_clock(rig.connection)
    before = time.time_ns() // 1_000_000
    told = rig.run(Step("SELECT lash_now_ms()", rows=True))[3][0][0][0]
    assert before <= told <= time.time_ns() // 1_000_000


def test_the_counters_have_their_names(rig: Rig) -> None:
    assert set(rig.executor.counters()) == {
        "commits",
        "batches",
        "largest_batch",
        "conflicts",
        "busy_waits",
        "busy_wait_ms",
        "handoffs",
        "checkpoints",
        "restarts",
        "checkpoint_errors",
        "queued",
        "wal_pages",
        "wal_pages_pending",
    }
