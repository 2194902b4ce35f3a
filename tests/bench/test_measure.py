"""The arithmetic of the rows, against values worked out by hand."""

from array import array

import pytest

from bench import measure
from bench.jobs import Job, JobResult, WriterCount
from bench.measure import Sample, Waits
from bench.workload import Counted


def test_nearest_rank_percentiles() -> None:
    ordered = [float(number) for number in range(1, 11)]
    assert measure.percentile(ordered, 50) == 5.0
    assert measure.percentile(ordered, 99) == 10.0
    assert measure.percentile(ordered, 90) == 9.0
    assert measure.percentile(ordered, 91) == 10.0


def test_a_single_value_is_every_percentile() -> None:
    assert measure.percentile([7.0], 1) == 7.0
    assert measure.percentile([7.0], 99) == 7.0


def test_no_values_have_no_percentile() -> None:
    assert measure.percentile([], 50) == 0.0


def test_p99_of_two_hundred_is_the_198th() -> None:
    assert measure.percentile([float(number) for number in range(1, 201)], 99) == 198.0


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([30, 40, 120], 0.25), ([5], 1.0), ([0, 10], 0.0), ([0, 0], 0.0), ([], 0.0), ([8, 8, 8], 1.0)],
)
def test_fairness_is_the_slowest_over_the_fastest(counts: list[int], expected: float) -> None:
    assert measure.fairness(counts) == expected


def test_waits_of_all_writers_are_summarised_in_milliseconds() -> None:
    summary = measure.summarise_waits([array("d", [0.004, 0.001]), array("d", [0.003, 0.002])])
    assert summary == Waits(p50_ms=2.0, p99_ms=4.0, max_ms=4.0)


def test_a_file_that_agrees_has_lost_nothing() -> None:
    assert not measure.lost_commits(12, Counted(rows=12, revision=12))


@pytest.mark.parametrize("counted", [Counted(11, 12), Counted(12, 11), Counted(13, 13), Counted(0, 0)])
def test_a_file_that_disagrees_is_told(counted: Counted) -> None:
    assert "12 commits acknowledged" in measure.lost_commits(12, counted)


def _job(prefix: str, *, victim: bool = False) -> Job:
    return Job("sqlite3", "blocking", "bench.db", "waits", prefix, 2.0, victim=victim)


def _result(waits: list[float], *counts: tuple[int, int, int]) -> JobResult:
    writers = [WriterCount(acknowledged, late, failures, "") for acknowledged, late, failures in counts]
    return JobResult(writers, 1, 2.0, array("d", waits))


def test_late_commits_count_in_the_file_but_not_in_the_rate() -> None:
    jobs = [_job("a"), _job("b")]
    results = [_result([0.001] * 10, (10, 1, 0)), _result([0.002] * 6, (6, 0, 0))]
    sample = measure.summarise_run(jobs, results, Counted(18, 18))
    assert sample.commits_per_s == 7.5
    assert sample.fairness == pytest.approx(6 / 9)
    assert sample.failures == 0
    assert sample.waits == Waits(1.0, 2.0, 2.0)


def test_one_process_is_fair_between_its_own_writers() -> None:
    sample = measure.summarise_run([_job("a")], [_result([0.001] * 6, (4, 0, 0), (2, 0, 0))], Counted(7, 7))
    assert sample.fairness == 0.5


def test_the_victim_is_told_apart_and_checked_along() -> None:
    jobs = [_job("a"), _job("victim", victim=True)]
    results = [_result([0.001] * 8, (8, 0, 0)), _result([0.005] * 3, (3, 0, 0))]
    sample = measure.summarise_run(jobs, results, Counted(13, 13))
    assert sample.commits_per_s == 4.0
    assert sample.victim == Waits(5.0, 5.0, 5.0)
    assert sample.failures == 0


def test_failed_commits_and_a_lost_one_add_up() -> None:
    sample = measure.summarise_run([_job("a")], [_result([0.001] * 5, (5, 0, 2))], Counted(5, 5))
    assert sample.failures == 3
    assert sample.error.startswith("6 commits acknowledged")


def _sample(rate: float, wait: float, failures: int = 0, error: str = "") -> Sample:
    return Sample(rate, Waits(wait, wait * 2, wait * 3), 1.0, failures, error, Waits(wait, wait, wait))


def test_rounds_combine_to_medians_and_summed_failures() -> None:
    combined = measure.combine([_sample(100, 4), _sample(300, 2, 1, "locked"), _sample(200, 9)])
    assert combined.commits_per_s == 200
    assert combined.waits == Waits(4, 8, 12)
    assert combined.victim == Waits(4, 4, 4)
    assert (combined.failures, combined.error) == (1, "locked")
