"""`python -m bench.effects`: a quick round ends well, and an effect that ran twice is seen."""

import json
from pathlib import Path

import pytest

from bench import effects
from bench.effect_runs import Alone, Contention, ProcessLog
from bench.measure import NO_WAITS, Waits

WAITS = Waits(1.0, 2.0, 3.0)
ALONE = Alone(WAITS, WAITS, WAITS, 1.5, 64, 100.0, 200.0)


def test_processes_that_ask_for_the_same_effects(tmp_path: Path) -> None:
    row = effects.measure_contended(Contention(2, 5, busy=False), tmp_path / "effects.db")
    assert row.error == ""
    assert row.effects_per_s > 0


def test_an_effect_that_ran_twice_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(effects, "_together", lambda works: (0.0, [ProcessLog(runs=2, ended=1.0) for _ in works]))
    run = Contention(2, 3, busy=True)
    row = effects.measure_contended(run, tmp_path / "x.db")
    assert row.error == "3 effects were run 4 times"
    assert "run 4 times" in effects.keep_a_lease(tmp_path / "x.db")
    assert any("3 effects were run 4 times" in line for line in effects.describe(ALONE, [row], ""))


def test_the_exit_code_says_whether_all_went_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def alone(*_: object, **__: object) -> Alone:
        return ALONE

    monkeypatch.setattr(effects, "measure_alone", alone)
    monkeypatch.setattr(effects, "measure_contended", lambda run, path: effects.ContendedRow(run, 1.0, NO_WAITS))
    monkeypatch.setattr(effects, "keep_a_lease", lambda path: "")
    document = tmp_path / "figures.json"
    assert effects.main(["--quick", "--json", str(document)]) == 0
    assert json.loads(document.read_text("utf-8"))["alone"]["ratio"] == 1.5
    monkeypatch.setattr(effects, "keep_a_lease", lambda path: "it was run twice")
    assert effects.main(["--quick"]) == 1
