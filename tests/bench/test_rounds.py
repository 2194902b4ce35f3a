"""A run on its file: commits that were lost are found, workers that die or hang end the run and not the bench."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import crew, rounds, shapes
from bench.drivers.catalogue import DRIVERS, Driver
from bench.jobs import Job, JobResult
from bench.measure import NO_WAITS, Sample
from bench.scenarios import Cell


class SilentProgress:
    """Keeps the titles it was given."""

    def __init__(self) -> None:
        self.titles: list[str] = []

    def begin(self, title: str) -> None:
        self.titles.append(title)


def _run_here(jobs: Sequence[Job]) -> list[JobResult]:
    return [shapes.run_blocking(job, lambda: time.perf_counter() + 0.05) for job in jobs]


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the jobs here, where a driver of the tests can be known by name."""
    monkeypatch.setattr(rounds, "run_crew", _run_here)
    monkeypatch.setitem(DRIVERS, "liar", Driver("liar", "tests.bench.lying_driver", "liar", "acknowledges for nothing"))


@pytest.mark.usefixtures("in_this_process")
def test_an_honest_driver_passes_the_count() -> None:
    sample = rounds.run_cell(Cell("processes", "sqlite3", 1, "blocking"), 0.05, "")
    assert sample.failures == 0
    assert not sample.error
    assert sample.commits_per_s > 0


@pytest.mark.usefixtures("in_this_process")
def test_a_driver_that_acknowledges_what_it_did_not_write_fails_the_run() -> None:
    sample = rounds.run_cell(Cell("processes", "liar", 1, "blocking"), 0.05, "")
    assert sample.failures == 1
    assert "commits acknowledged, but the file has" in sample.error


@pytest.mark.parametrize(
    "cell",
    [
        Cell("processes", "sqlite3", 2, "blocking", processes=2),
        Cell("threads", "sqlite3", 2, "threads", writers_each=2),
        Cell("tasks", "sqlite3", 8, "tasks", writers_each=8),
        Cell("busy-runtime", "sqlite3", 1, "tasks", writers_each=8, burner=True),
    ],
    ids=lambda cell: str(cell.scenario),
)
def test_every_shape_runs_in_real_processes(cell: Cell) -> None:
    sample = rounds.run_cell(cell, 0.1, "")
    assert (sample.failures, sample.error) == (0, "")
    assert sample.commits_per_s > 0
    assert (sample.victim is not None) == cell.burner


def test_a_worker_that_dies_fails_the_run_with_its_last_words() -> None:
    sample = rounds.run_cell(Cell("processes", "nobody", 1, "blocking"), 0.05, "")
    assert sample == Sample(0.0, NO_WAITS, 0.0, 1, "worker node-00 died: KeyError: 'nobody'")


@pytest.mark.parametrize(("limit", "seconds"), [("_START_TIMEOUT_S", 0.0), ("_FINISH_TIMEOUT_S", -1.0)])
def test_a_worker_that_hangs_is_given_up(limit: str, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, limit, seconds)
    sample = rounds.run_cell(Cell("processes", "sqlite3", 1, "blocking"), 0.05, "")
    assert sample.error == "worker node-00 gave no answer in time"


def test_a_driver_that_cannot_run_is_absent_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(crew.CrewFailedError, match="KeyError: 'nobody'"):
        crew.probe_driver("nobody", tmp_path)


def test_rounds_turn_round_and_rows_are_ratios_to_sqlite3(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    rates = {"sqlite3": 200.0, "apsw": 300.0}

    def run_cell(cell: Cell, _seconds: float, _extension: str) -> Sample:
        order.append(cell.driver)
        return Sample(rates[cell.driver], NO_WAITS, 1.0, 0)

    monkeypatch.setattr(rounds, "run_cell", run_cell)
    cells = [Cell("processes", name, 1, "blocking") for name in rates]
    progress = SilentProgress()
    rows = rounds.run_rounds(cells, seconds=0.1, repeat=2, extension="", progress=progress)
    assert order == ["sqlite3", "apsw", "apsw", "sqlite3"]
    assert [row.ratio for row in rows] == [1.0, 1.5]
    assert progress.titles[0].startswith("round 1/2  processes  sqlite3")


def test_at_full_durability_the_baseline_is_sqlite3_at_full() -> None:
    rates = {
        Cell("durability", "sqlite3", 64, "tasks", durability="normal"): 100.0,
        Cell("durability", "sqlite3", 64, "tasks", durability="full"): 20.0,
        Cell("durability", "lash", 64, "tasks", durability="full"): 400.0,
    }
    rows = rounds.make_rows({cell: [Sample(rate, NO_WAITS, 1.0, 0)] for cell, rate in rates.items()})
    assert [row.ratio for row in rows] == [5.0, 1.0, 20.0]
