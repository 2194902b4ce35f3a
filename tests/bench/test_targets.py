"""Which targets are met: each from rows with round figures."""

from bench.measure import Sample, Waits
from bench.rounds import make_rows
from bench.scenarios import Cell
from bench.targets import Target, judge


def _sample(rate: float, longest: float = 1.0, fair: float = 1.0, failures: int = 0, victim: float = 0.0) -> Sample:
    beside = Waits(victim, victim, victim) if victim else None
    return Sample(rate, Waits(1.0, 1.0, longest), fair, failures, "", beside)


def _judge(samples: dict[Cell, Sample]) -> dict[tuple[str, str], Target]:
    rows = make_rows({cell: [sample] for cell, sample in samples.items()})
    return {(target.name, target.wanted): target for target in judge(rows)}


def _processes(driver: str, writers: int) -> Cell:
    return Cell("processes", driver, writers, "blocking", processes=writers)


def test_nothing_run_is_nothing_measured() -> None:
    assert {target.met for target in _judge({}).values()} == {None}


def test_every_target_of_the_contract_is_listed() -> None:
    assert len(_judge({})) == 18


def test_eight_writers() -> None:
    targets = _judge(
        {
            _processes("sqlite3", 8): _sample(1000, longest=500, fair=0.1),
            _processes("lash", 8): _sample(1500, longest=101, fair=0.79),
        }
    )
    rate = targets["processes, 8 writers: commits/s", ">= 1.5 x sqlite3"]
    assert (rate.figure, rate.met) == ("1.50 x", True)
    wait = targets["processes, 8 writers: longest wait", "<= 1/5 of sqlite3's"]
    assert (wait.figure, wait.met) == ("1/5.0", False)
    fair = targets["processes, 8 writers: fairness", ">= 0.80"]
    assert (fair.figure, fair.met) == ("0.79", False)
    assert targets["processes, 8 writers: failures", "0"].met is True
    assert targets["processes, 16 writers: failures", "0"].met is None


def test_a_failed_run_of_lash_meets_no_target() -> None:
    targets = _judge({_processes("sqlite3", 1): _sample(10), _processes("lash", 1): _sample(1000, failures=1)})
    assert targets["processes, 1 writer: commits/s", ">= 1.2 x sqlite3"].met is False


def test_a_failed_run_of_a_rival_is_no_measure() -> None:
    targets = _judge({_processes("sqlite3", 1): _sample(10, failures=1), _processes("lash", 1): _sample(1000)})
    assert targets["processes, 1 writer: commits/s", ">= 1.2 x sqlite3"].met is None


def test_a_rival_that_wrote_nothing_is_beaten() -> None:
    busy = {name: Cell("busy-runtime", name, 1, "tasks", writers_each=64, burner=True) for name in ("sqlite3", "lash")}
    targets = _judge({busy["sqlite3"]: _sample(0, victim=40), busy["lash"]: _sample(5, victim=2)})
    assert targets["busy-runtime, 1 process: commits/s", ">= 100 x sqlite3"].met is True
    wait = targets["busy-runtime, 1 process: victim's p99 wait", "<= 1/20 of that beside sqlite3"]
    assert (wait.figure, wait.met) == ("1/20.0", True)


def test_full_durability_is_held_against_sqlite3_at_normal() -> None:
    targets = _judge(
        {
            Cell("durability", "sqlite3", 64, "tasks", durability="normal"): _sample(100),
            Cell("durability", "sqlite3", 64, "tasks", durability="full"): _sample(20),
            Cell("durability", "lash", 64, "tasks", durability="full"): _sample(399),
        }
    )
    target = targets["durability FULL, 64 tasks: commits/s", ">= 4 x sqlite3 in an executor at NORMAL"]
    assert (target.figure, target.met) == ("3.99 x", False)
