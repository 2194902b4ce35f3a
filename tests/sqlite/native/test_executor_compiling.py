"""The executor does what its stub says, in C and in Python alike: compiling a plan: before anything is queued."""

from enum import IntEnum, StrEnum
from typing import Any

import pytest

from lash_store.errors import InvalidPlan
from tests.sqlite.native.rig import DONE, Rig, Step, insert


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
