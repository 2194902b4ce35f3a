"""`python -m bench.waiting_rows`: its command line takes no file, its committer commits what it is told to."""

import json
import time
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from bench import waiting_rows
from bench.committer import FIND, create_file, start_committer
from bench.measure import Waits
from bench.waiting_rows import WaitingRow


def _row(wait: float, looks: float, idle: float, committer: str = "another") -> WaitingRow:
    return WaitingRow(1, committer, Waits(wait, wait * 2, wait * 3), looks, idle)


def test_another_process_commits_what_it_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "waiting.db"
    create_file(path)
    began = time.monotonic()
    with start_committer(path) as commit:
        first, second = commit(3), commit(5)
    assert began <= first <= second <= time.monotonic()
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
        assert connection.execute(FIND, ("[1, 3, 5]",)).fetchall() == [(3,), (5,)]


def test_rounds_combine_to_medians() -> None:
    samples = [_row(1.0, 1.5, 0.3), _row(3.0, 1.0, 0.1), _row(2.0, 1.1, 0.2)]
    assert waiting_rows.combine(samples) == _row(2.0, 1.1, 0.2)


def test_the_command_measures_every_row(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(waiting_rows, "WAITERS", (1, 3))
    monkeypatch.setattr(waiting_rows, "_QUICK", (2, 0.01))
    monkeypatch.setattr(waiting_rows, "_SETTLING_S", 0.02)
    written = tmp_path / "rows.json"
    assert waiting_rows.main(["--quick", "--repeat", "2", "--json", str(written)]) == 0
    rows = json.loads(written.read_text("utf-8"))["waiting"]
    assert [(row["waiters"], row["committer"]) for row in rows] == [
        (1, "this process"),
        (1, "another"),
        (3, "this process"),
        (3, "another"),
    ]
    assert all(row["waits"]["p50_ms"] <= row["waits"]["max_ms"] for row in rows)
    assert "target: woken by another, p99 <= 10 ms" in capsys.readouterr().out


@pytest.mark.parametrize(("argument", "code"), [("--help", 0), ("waiting.db", 2), ("--hlep", 2)])
def test_no_argument_is_the_name_of_a_file(
    argument: str, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        waiting_rows.main([argument])
    assert ended.value.code == code
    assert list(tmp_path.iterdir()) == []
