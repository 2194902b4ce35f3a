"""Which rows are planned, and which processes a row becomes."""

from pathlib import Path

from bench.options import parse
from bench.scenarios import Cell, plan_cells

DRIVERS = ["sqlite3", "aiosqlite", "lash", "c-loop"]


def _cells(*arguments: str) -> list[Cell]:
    return plan_cells(parse(arguments), DRIVERS)


def test_processes_run_every_driver_with_every_number_of_writers() -> None:
    cells = _cells("--scenario", "processes", "--writers", "1,8")
    assert [(cell.driver, cell.writers) for cell in cells] == [
        ("sqlite3", 1),
        ("aiosqlite", 1),
        ("lash", 1),
        ("c-loop", 1),
        ("sqlite3", 8),
        ("aiosqlite", 8),
        ("lash", 8),
        ("c-loop", 8),
    ]


def test_threads_are_for_blocking_drivers() -> None:
    assert [cell.driver for cell in _cells("--scenario", "threads", "--writers", "4")] == ["sqlite3", "lash"]


def test_tasks_bring_the_native_batches_along() -> None:
    cells = _cells("--scenario", "tasks")
    assert [(cell.scenario, cell.driver, cell.writers) for cell in cells] == [
        ("tasks", "sqlite3", 64),
        ("tasks", "aiosqlite", 64),
        ("tasks", "lash", 64),
        ("batches of 64", "c-loop", 1),
        ("batches of 64", "lash", 1),
    ]


def test_durability_compares_full_with_the_baseline_at_normal_too() -> None:
    cells = _cells("--scenario", "durability")
    assert [(cell.label, cell.durability) for cell in cells] == [
        ("sqlite3 NORMAL", "normal"),
        ("sqlite3", "full"),
        ("aiosqlite", "full"),
        ("lash", "full"),
    ]


def test_each_process_has_its_own_name_on_one_file(tmp_path: Path) -> None:
    cell = Cell("processes", "sqlite3", 3, "blocking", processes=3)
    jobs = cell.jobs(tmp_path, 0.5, "")
    assert {job.path for job in jobs} == {str(tmp_path / "bench.db")}
    assert len({job.prefix for job in jobs}) == len({job.waits_path for job in jobs}) == 3


def test_busy_runtimes_have_a_victim_without_a_burner(tmp_path: Path) -> None:
    cell = next(cell for cell in _cells("--scenario", "busy-runtime") if cell.driver == "aiosqlite")
    *busy, victim = cell.jobs(tmp_path, 0.5, "")
    assert [(job.burner, job.writers, job.victim) for job in busy] == [(True, 64, False)]
    assert (victim.driver, victim.shape, victim.burner, victim.victim) == ("sqlite3", "blocking", False, True)
    assert victim.pause_s > 0
