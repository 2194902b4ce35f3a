"""The comparison with alpha.40 itself: what it does without the driver, how it combines, and once the real thing."""

import os
from pathlib import Path

import pytest

from bench import alpha40
from bench.alpha40 import VARIABLE, Row


def test_without_the_driver_it_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert alpha40.main(["--driver", str(tmp_path / "nothing")]) == 2
    assert "--driver" in capsys.readouterr().err


def test_rows_are_medians_over_the_rounds() -> None:
    rounds = [[Row("commit", 10, ours, theirs)] for ours, theirs in ((100.0, 300.0), (110.0, 900.0), (900.0, 310.0))]
    (row,) = alpha40.combine(rounds)
    assert (row.ours_us, row.theirs_us, row.error) == (110.0, 310.0, "")
    assert f"{row.ratio:.2f}" == "2.82"


def test_an_error_of_one_round_stands(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = alpha40.combine([[Row("commit", 10, 1.0, 2.0)], [Row("commit", 10, 1.0, 2.0, "lost")]])
    assert row.error == "lost"
    assert list(alpha40.describe([row]))[-1].endswith("lost")


@pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} does not name the driver of alpha.40")
def test_both_commit_the_same_turns(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alpha40, "_HISTORIES", (10, 50))
    written = tmp_path / "figures.json"
    assert alpha40.main(["--quick", "--json", str(written)]) == 0
    lines = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert ["commit", "50"] in lines
    assert ["load", "10"] in lines
    assert written.exists()
