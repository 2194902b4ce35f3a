"""The plain C loop: built where it can be, left out with a reason where not."""

import sys
from pathlib import Path

import pytest

from bench import ceiling, rounds
from bench.scenarios import BATCHES, Cell


@pytest.fixture
def library(tmp_path: Path) -> str:
    try:
        return str(ceiling.build(tmp_path))
    except ceiling.CeilingUnavailableError as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize(
    "cell", [Cell("processes", "c-loop", 2, "c-single", processes=2), Cell(BATCHES, "c-loop", 1, "c-batch")]
)
def test_its_commits_are_in_the_file(cell: Cell, library: str) -> None:
    sample = rounds.run_cell(cell, 0.1, library)
    assert (sample.failures, sample.error) == (0, "")
    assert sample.commits_per_s > 0


def test_without_a_compiler_the_reason_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(ceiling.CeilingUnavailableError, match="no C compiler"):
        ceiling.build(tmp_path)


def test_a_compiler_that_refuses_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr(ceiling, "_find_compiler", lambda: sys.executable)
    with pytest.raises(ceiling.CeilingUnavailableError, match="failed: "):
        ceiling.build(tmp_path)
