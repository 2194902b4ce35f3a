"""`python -m bench.processes`: a quick round ends well, and says what it measured."""

import asyncio
import json
from pathlib import Path

import pytest

from bench import process_runs, processes
from bench.measure import NO_WAITS


@pytest.mark.parametrize("operation", process_runs.OPERATIONS)
def test_what_was_acknowledged_is_in_the_file(operation: str, tmp_path: Path) -> None:
    load = process_runs.measure_load(tmp_path, operation, processes=1, tasks=3, seconds=0.05)
    assert load.lost == 0
    assert load.per_s > 0
    assert 0 < load.waits.p50_ms <= load.waits.p99_ms


def test_several_processes_append_to_one(tmp_path: Path) -> None:
    load = process_runs.measure_load(tmp_path, "append to one", processes=2, tasks=2, seconds=0.1)
    assert (load.lost, load.processes) == (0, 2)
    assert load.per_s > 0


def test_lists_are_measured_in_every_registry(tmp_path: Path) -> None:
    rows = asyncio.run(process_runs.measure_listings(tmp_path, (100, 300), 2))
    assert [(row.name, row.processes, row.found) for row in rows] == [
        ("running", 100, 50),
        ("running", 300, 50),
        ("of a scope", 100, 20),
        ("of a scope", 300, 20),
        ("of a scope, running", 100, 10),
        ("of a scope, running", 300, 10),
        ("of all, running", 100, 50),
        ("of all, running", 300, 50),
    ]


def test_a_lost_event_fails_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def no_lists(*_: object) -> list[process_runs.Listing]:
        return []

    lossy = process_runs.Load("append", 1, 64, 1.0, NO_WAITS, lost=1)
    monkeypatch.setattr(processes, "measure_load", lambda *_: lossy)
    monkeypatch.setattr(processes, "measure_listings", no_lists)
    document = tmp_path / "figures.json"
    assert processes.main(["--quick", "--json", str(document)]) == 1
    assert json.loads(document.read_text("utf-8"))["loads"][0]["lost"] == 1
    assert any("1 lost" in line for line in processes.describe([lossy], []))
