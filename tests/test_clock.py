"""The system's clock tells whole milliseconds since 1970, and any object that tells them can stand in for it."""

import time
from dataclasses import dataclass, field

import pytest

from lash_store import SYSTEM_CLOCK, Clock, Database, Plan, Step, SystemClock

MS_OF_2020 = 1_577_836_800_000
MS_OF_2200 = 7_258_118_400_000


@dataclass
class Steps:
    """A clock that goes on by one at every look."""

    now: int = 1_000
    looks: list[int] = field(default_factory=list)

    def now_ms(self) -> int:
        self.looks.append(self.now)
        self.now += 1
        return self.looks[-1]


def test_the_system_clock_tells_milliseconds() -> None:
    before = time.time_ns() // 1_000_000
    now = SYSTEM_CLOCK.now_ms()
    assert before <= now <= time.time_ns() // 1_000_000
    assert MS_OF_2020 < now < MS_OF_2200


def test_the_system_clock_rounds_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_999_999)
    assert SystemClock().now_ms() == 1


def test_the_system_clock_is_a_clock() -> None:
    clock: Clock = SYSTEM_CLOCK
    assert isinstance(clock, SystemClock)
    assert type(clock.now_ms()) is int


def test_a_handle_reads_the_clock_it_was_given() -> None:
    clock = Steps()
    with Database.open_in_memory(clock=clock) as database:
        assert clock.looks == []
        assert database.write(lambda tx: (tx.now_ms(), tx.now_ms())) == (1_000, 1_001)
        result = database.run(Plan([Step("SELECT lash_now_ms()", rows=True)]))
        assert result.rows == ([(1_002,)],)
    assert clock.looks == [1_000, 1_001, 1_002]


def test_the_system_clock_in_plans_and_closures() -> None:
    before = SYSTEM_CLOCK.now_ms()
    with Database.open_in_memory() as database:
        in_plan = database.run(Plan([Step("SELECT lash_now_ms(), typeof(lash_now_ms())", rows=True)])).rows[0][0]
        in_closure = database.write(lambda tx: tx.now_ms())
    assert in_plan[1] == "integer"
    assert before <= in_plan[0] <= in_closure <= SYSTEM_CLOCK.now_ms()
