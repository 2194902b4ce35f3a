"""`python -m bench.queue`: a quick round ends well, and says what it measured."""

import asyncio
import json
from pathlib import Path

import pytest

from bench import queue
from bench.measure import NO_WAITS
from bench.progress import PlainProgress


@pytest.mark.parametrize("operation", ["enqueue", "cycle"])
def test_what_was_acknowledged_is_in_the_file(operation: str, tmp_path: Path) -> None:
    load = queue.measure_load(tmp_path, operation, processes=2, tasks=2, seconds=0.1)
    assert load.lost == 0
    assert load.per_s > 0
    assert 0 < load.waits.p50_ms <= load.waits.p99_ms


def test_claims_are_measured_at_every_length(tmp_path: Path) -> None:
    rows = asyncio.run(queue.measure_depths(tmp_path, (70, 200), 3, PlainProgress(4)))
    assert [(row.limit, row.length) for row in rows] == [(1, 70), (1, 200), (64, 70), (64, 200)]
    assert [row.ratio == 1 for row in rows[::2]] == [True, True]


def test_a_lost_batch_fails_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lossy = queue.Load("cycle", 1, 1, 5, 1.0, NO_WAITS, lost=1)
    monkeypatch.setattr(queue, "measure_load", lambda *_: lossy)
    document = tmp_path / "figures.json"
    assert queue.main(["--quick", "--json", str(document)]) == 1
    figures = json.loads(document.read_text("utf-8"))
    assert [len(figures["depths"]), len(figures["loads"])] == [4, 6]
    assert any("1 batches lost" in line for line in queue.describe([], [lossy]))
