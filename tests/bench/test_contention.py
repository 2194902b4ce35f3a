"""The command as a whole."""

import json
from pathlib import Path

import pytest

from bench import contention, plot
from bench.measure import failed_run
from bench.rounds import Row, make_rows
from bench.scenarios import Cell


def test_a_small_run_of_sqlite3_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "rows.json"
    arguments = ["--scenario", "processes", "--drivers", "sqlite3", "--writers", "1,2", "--seconds", "0.1"]
    assert contention.main([*arguments, "--json", str(written)]) == 0
    rows = json.loads(written.read_text())["rows"]
    assert [(row["driver"], row["writers"], row["failures"], row["ratio"]) for row in rows] == [
        ("sqlite3", 1, 0, 1.0),
        ("sqlite3", 2, 0, 1.0),
    ]
    out, err = capsys.readouterr()
    assert "processes: one blocking writer in each process" in out
    assert "not measured" in out
    assert "[2/2] round 1/1  processes  sqlite3 x 2" in err


def test_a_failed_run_fails_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def run_rounds(cells: list[Cell], **_settings: object) -> list[Row]:
        return make_rows({cell: [failed_run("it hung")] for cell in cells})

    monkeypatch.setattr(contention, "run_rounds", run_rounds)
    arguments = ["--scenario", "processes", "--drivers", "sqlite3", "--writers", "1"]
    assert contention.main(arguments) == 1
    assert "FAILED sqlite3 x 1: it hung" in capsys.readouterr().out


def test_a_plot_without_matplotlib_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plot, "AVAILABLE", False)
    assert contention.main(["--plot", "rows.svg"]) == 2
    assert "lash-store[bench]" in capsys.readouterr().err
