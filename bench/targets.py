"""What lash_store wants to reach, each target as a ratio inside one run."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.drivers.catalogue import BASELINE, CEILING
from bench.measure import Sample
from bench.rounds import Row
from bench.scenarios import BATCHES, BUSY_PROCESSES
from bench.workload import TASKS, Durability

_LASH = "lash"


@dataclass(frozen=True, slots=True)
class Target:
    """One target and what was measured; `met` is None where a row that it needs was not run or failed."""

    name: str
    wanted: str
    figure: str
    met: bool | None


class _Rows:
    """Finds rows; a rival's that counts as failed is no measure, one of lash's is a miss."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def find(self, scenario: str, driver: str, writers: int, durability: Durability = "normal") -> Sample | None:
        wanted = (scenario, driver, writers, durability)
        for row in self._rows:
            if (row.cell.scenario, row.cell.driver, row.cell.writers, row.cell.durability) == wanted:
                return row.figures if driver == _LASH or not row.figures.failures else None
        return None


def judge(rows: Sequence[Row]) -> list[Target]:
    """All targets, in the order of the contract."""
    found = _Rows(rows)
    return [
        *_processes(found),
        *_tasks(found),
        *_busy_runtime(found),
        _at_least(
            f"durability FULL, {TASKS} tasks: commits/s",
            4,
            "sqlite3 in an executor at NORMAL",
            found.find("durability", _LASH, TASKS, "full"),
            found.find("durability", BASELINE, TASKS, "normal"),
        ),
        _at_least(
            "native batch of 64: commits/s",
            0.7,
            "a plain C loop doing the same",
            found.find(BATCHES, _LASH, 1),
            found.find(BATCHES, CEILING, 1),
        ),
    ]


def _processes(found: _Rows) -> Iterator[Target]:
    for writers in (8, 16):
        lash, baseline = (found.find("processes", name, writers) for name in (_LASH, BASELINE))
        place = f"processes, {writers} writers"
        yield _at_least(f"{place}: commits/s", 1.5, "sqlite3", lash, baseline)
        yield _figure(f"{place}: fairness", ">= 0.80", lash, lambda row: row.fairness, lambda value: value >= 0.8)
        yield _at_most(f"{place}: longest wait", 5, "sqlite3's", lash, baseline, wait=_longest)
        yield _figure(f"{place}: failures", "0", lash, lambda row: row.failures, lambda value: value == 0)
    pair = (found.find("processes", name, 1) for name in (_LASH, BASELINE))
    yield _at_least("processes, 1 writer: commits/s", 1.2, "sqlite3", *pair)


def _tasks(found: _Rows) -> Iterator[Target]:
    lash = found.find("tasks", _LASH, TASKS)
    for name, title, times in (
        (BASELINE, "sqlite3 in an executor", 10),
        ("aiosqlite", "aiosqlite", 20),
        ("apsw-aio", "apsw-aio", 7),
    ):
        rival = found.find("tasks", name, TASKS)
        yield _at_least(f"tasks, {TASKS} in one process: commits/s", times, title, lash, rival)


def _busy_runtime(found: _Rows) -> Iterator[Target]:
    for processes in BUSY_PROCESSES:
        lash, baseline = (found.find("busy-runtime", name, processes) for name in (_LASH, BASELINE))
        place = f"busy-runtime, {processes} process{'es' if processes > 1 else ''}"
        yield _at_least(f"{place}: commits/s", 100, "sqlite3", lash, baseline)
        yield _at_most(f"{place}: victim's p99 wait", 20, "that beside sqlite3", lash, baseline, wait=_victim_p99)


def _longest(row: Sample) -> float:
    return row.waits.max_ms


def _victim_p99(row: Sample) -> float:
    return row.victim.p99_ms if row.victim else math.inf


def _at_least(name: str, times: float, rival: str, lash: Sample | None, other: Sample | None) -> Target:
    """Commits/s at least `times` those of the other."""
    wanted = f">= {times:g} x {rival}"
    if lash is None or other is None:
        return Target(name, wanted, "-", None)
    # A rival that got nothing done in the measured time is beaten by any factor.
    ratio = lash.commits_per_s / other.commits_per_s if other.commits_per_s else math.inf
    return Target(name, wanted, f"{ratio:.2f} x", not lash.failures and ratio >= times)


def _at_most(
    name: str, part: int, rival: str, lash: Sample | None, other: Sample | None, *, wait: Callable[[Sample], float]
) -> Target:
    """A wait at most one `part`-th of the other's."""
    wanted = f"<= 1/{part} of {rival}"
    if lash is None or other is None or not wait(lash) or not wait(other):
        return Target(name, wanted, "-", None)
    share = wait(other) / wait(lash)
    return Target(name, wanted, f"1/{share:.1f}", not lash.failures and share >= part)


def _figure(
    name: str, wanted: str, lash: Sample | None, value: Callable[[Sample], float], good: Callable[[float], bool]
) -> Target:
    """A figure of lash's own row."""
    if lash is None:
        return Target(name, wanted, "-", None)
    return Target(name, wanted, f"{value(lash):.2f}".removesuffix(".00"), good(value(lash)))
