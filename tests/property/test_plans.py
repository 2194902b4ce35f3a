"""Random plans do to a database what they do to a dictionary: alone, one after another, and in groups."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from lash_store import (
    ConstraintViolation,
    Database,
    Expect,
    GuardFailed,
    Otherwise,
    Plan,
    PlanResult,
    SqliteConnection,
    Step,
    StoreError,
)
from lash_store.sqlite.plan import SqlValue

Model: TypeAlias = dict[int, Any]
Seen: TypeAlias = tuple[Any, ...] | None
# How long anything may take before a test calls it a hang, in seconds.
PATIENCE_S = 60.0
TABLE = "CREATE TABLE t(k INTEGER PRIMARY KEY, v)"


STATEMENTS = {
    "insert": "INSERT INTO t VALUES (?, ?)",
    "put": "REPLACE INTO t VALUES (?, ?) RETURNING k, v",
    "update": "UPDATE t SET v = ?2 WHERE k >= ?1",
    "delete": "DELETE FROM t WHERE k = ? RETURNING v",
    "select": "SELECT k, v FROM t WHERE k >= ? ORDER BY k",
}


@dataclass(frozen=True)
class Action:
    """One step: what it does (`kind`) to which keys, and what it must find."""

    kind: str
    keys: tuple[int, ...]
    value: SqlValue
    expect: int
    otherwise: Otherwise
    rows: bool

    def step(self) -> Step:
        sql = STATEMENTS[self.kind]
        runs = [(key, self.value) if "v = ?2" in sql or "(?, ?)" in sql else (key,) for key in self.keys]
        many = len(runs) != 1
        return Step(sql, runs if many else runs[0], self.expect, self.otherwise, self.rows, many, self.kind)

    def apply(self, model: Model) -> tuple[list[tuple[Any, ...]], int]:
        """Do it to the model; the rows that come out, and the number of changes. KeyError: the key exists."""
        rows: list[tuple[Any, ...]] = []
        changes = 0
        for key in self.keys:
            if self.kind == "insert":
                if key in model:
                    raise KeyError(key)
                model[key] = self.value
                changes += 1
            elif self.kind == "put":
                model[key] = self.value
                rows.append((key, self.value))
                changes += 1
            elif self.kind == "update":
                hit = [other for other in model if other >= key]
                model |= dict.fromkeys(hit, self.value)
                changes += len(hit)
            elif self.kind == "delete":
                changes += key in model
                rows += [(model.pop(key),)] if key in model else []
            else:
                rows += [(other, model[other]) for other in sorted(model) if other >= key]
        return rows, changes


Outcome: TypeAlias = PlanResult | tuple[str, int] | tuple[str, int, str, Seen, int]


def expected(actions: Sequence[Action], model: Model) -> Outcome:
    """What the plan must come to; `model` becomes what must be stored."""
    work = dict(model)
    found: list[list[tuple[Any, ...]]] = []
    total = 0
    for number, action in enumerate(actions):
        try:
            rows, changes = action.apply(work)
        except KeyError:
            return "constraint", number
        total += changes
        found += [rows] if action.rows else []
        misses = {Expect.ANYTHING: False, Expect.ROW: not rows, Expect.NO_ROW: bool(rows)}
        if misses.get(Expect(action.expect), True) if action.expect < 0 else changes != action.expect:
            seen = rows[0] if action.expect == Expect.NO_ROW else None
            if action.otherwise == Otherwise.FAIL:
                return "guard", number, action.kind, seen, changes
            found += [[] for later in actions[number + 1 :] if later.rows]
            replace(model, work)
            return PlanResult(number, seen, tuple(found), total)
    replace(model, work)
    return PlanResult(None, None, tuple(found), total)


def replace(model: Model, work: Model) -> None:
    model.clear()
    model.update(work)


def outcome(error: StoreError) -> Outcome:
    if isinstance(error, ConstraintViolation):
        assert error.step is not None
        return "constraint", error.step
    assert isinstance(error, GuardFailed)
    return "guard", error.step, error.name, error.row, error.changes


VALUES: st.SearchStrategy[SqlValue] = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    st.binary(max_size=5),
)
ACTIONS = st.builds(
    Action,
    kind=st.sampled_from(["insert", "put", "put", "update", "delete", "select"]),
    keys=st.lists(st.integers(0, 6), max_size=3).map(tuple),
    value=VALUES,
    expect=st.sampled_from([*[Expect.ANYTHING] * 6, Expect.ROW, Expect.NO_ROW, 0, 1, 2]).map(int),
    otherwise=st.sampled_from(Otherwise),
    rows=st.booleans(),
)
PLANS = st.lists(st.lists(ACTIONS, min_size=1, max_size=5), min_size=1, max_size=12)


def stored(database: Database) -> list[Any]:
    return database.read(lambda reader: reader.execute("SELECT k, v FROM t ORDER BY k").fetchall())


@settings(max_examples=150, derandomize=True)
@given(PLANS)
def test_one_after_another(plans: list[list[Action]]) -> None:
    model: Model = {}
    with Database.open_in_memory() as database:
        database.run(Plan([Step(TABLE)]))
        for actions in plans:
            before = database.stats()
            came: Outcome
            try:
                came = database.run(Plan([action.step() for action in actions]))
            except StoreError as error:
                came = outcome(error)
            assert came == expected(actions, model)
            assert stored(database) == sorted(model.items(), key=lambda item: item[0])
            after = database.stats()
            assert after.commits - before.commits == isinstance(came, PlanResult)
            assert after.conflicts - before.conflicts == (not isinstance(came, PlanResult) and came[0] == "guard")


@settings(max_examples=100, derandomize=True)
@given(PLANS)
def test_in_groups(plans: list[list[Action]]) -> None:
    """Submitted together they share transactions, and each comes to what it would come to alone, in that order."""
    model: Model = {}
    wanted = [expected(actions, model) for actions in plans]

    async def run_all() -> tuple[list[Outcome], list[Any]]:
        async with await SqliteConnection.open_in_memory() as connection:
            await connection.run(Plan([Step(TABLE)]))
            jobs = [connection.run(Plan([action.step() for action in actions])) for actions in plans]
            answers = await asyncio.wait_for(asyncio.gather(*jobs, return_exceptions=True), PATIENCE_S)
            rows = await connection.read(lambda reader: reader.execute("SELECT k, v FROM t ORDER BY k").fetchall())
        came: list[Outcome] = []
        for answer in answers:
            assert isinstance(answer, StoreError | PlanResult)
            came.append(outcome(answer) if isinstance(answer, StoreError) else answer)
        return came, list(rows)

    came, rows = asyncio.run(run_all())
    assert came == wanted
    assert rows == sorted(model.items(), key=lambda item: item[0])
