"""What is printed, written and drawn."""

import json
from pathlib import Path

import pytest

from bench import document, plot, report
from bench.jobs import Probe
from bench.measure import Sample, Waits
from bench.options import parse
from bench.rounds import Field, make_rows
from bench.scenarios import Cell
from bench.targets import Target
from bench.workload import PRAGMAS_SHOWN

PROBES = {
    "sqlite3": Probe("Python 3.11", "3.40.1", dict.fromkeys(PRAGMAS_SHOWN, "1")),
    "apsw": Probe("apsw 3.54", "3.54.1", dict.fromkeys(PRAGMAS_SHOWN, "1")),
    "lash": Probe("lash 1", "3.54.1", dict.fromkeys(PRAGMAS_SHOWN, "1") | {"wal_autocheckpoint": "0"}),
}
ROWS = make_rows(
    {
        Cell("processes", "sqlite3", 8, "blocking", processes=8): [Sample(20_000, Waits(0.05, 1.5, 1134), 0.256, 0)],
        Cell("processes", "lash", 8, "blocking", processes=8): [Sample(30_000, Waits(0.04, 9, 17), 0.9, 0)],
        Cell("busy-runtime", "lash", 1, "tasks", writers_each=64, burner=True): [
            Sample(4_000, Waits(1, 2, 3), 1, 2, "locked", Waits(0.5, 4, 5))
        ],
    }
)
FIELD = Field(PROBES, "", {"aiosqlite": "not here"})


def test_rows_are_printed_in_aligned_columns() -> None:
    lines = list(report.describe_rows(ROWS))
    assert lines[1] == "processes: one blocking writer in each process"
    assert lines[2:6] == [
        "  driver   writers  commits/s  p50 ms  p99 ms   max ms  fairness  failures  x sqlite3",
        "  -------  -------  ---------  ------  ------  -------  --------  --------  ---------",
        "  sqlite3        8     20,000   0.050     1.5  1,134.0      0.26         0       1.00",
        "  lash           8     30,000   0.040     9.0     17.0      0.90         0       1.50",
    ]


def test_the_victim_has_columns_and_a_failure_has_its_words() -> None:
    lines = list(report.describe_rows(ROWS))
    assert lines[-4].endswith("x sqlite3  victim p50 ms  p99 ms  max ms")
    assert lines[-2].split()[-4:] == ["-", "0.500", "4.0", "5.0"]
    assert lines[-1] == "  FAILED lash x 1: locked"


def test_pragmas_that_differ_are_named() -> None:
    lines = list(report.describe_pragmas(PROBES))
    assert "wal_autocheckpoint=1" in lines[0]
    assert lines[1:] == ["  lash differs: wal_autocheckpoint=0"]


def test_the_heading_names_versions_and_who_is_absent() -> None:
    text = "\n".join(report.describe_field(FIELD, parse(["--seconds", "2"]), "/somewhere"))
    assert "SQLite 3.40.1" in text
    assert "SQLite 3.54.1" in text
    assert "aiosqlite    not run: not here" in text
    assert "2 s a run, 1 round" in text


def test_targets_say_met_missed_and_not_measured() -> None:
    targets = [Target("a", ">= 2 x", "3.00 x", met=True), Target("b", "0", "1", met=False), Target("c", "0", "-", None)]
    lines = list(report.describe_targets(targets))
    assert [line.split()[-1] for line in lines[-3:]] == ["met", "MISSED", "measured"]


def test_the_document_holds_rows_rounds_and_targets() -> None:
    text = document.as_json(FIELD, parse([]), ROWS, [Target("a", "0", "0", met=True)])
    read = json.loads(text)
    assert read["rows"][1]["ratio"] == 1.5
    assert read["rows"][2]["victim"] == {"p50_ms": 0.5, "p99_ms": 4, "max_ms": 5}
    assert len(read["rows"][0]["rounds"]) == 1
    assert read["targets"] == [{"name": "a", "wanted": "0", "figure": "0", "met": True}]
    assert read["drivers"]["lash"]["sqlite"] == "3.54.1"


@pytest.mark.skipif(not plot.AVAILABLE, reason="matplotlib is an extra")
@pytest.mark.parametrize("name", ["rows.svg", "rows.png"])
def test_rows_are_drawn(tmp_path: Path, name: str) -> None:
    plot.draw(ROWS, tmp_path / name)
    head = (tmp_path / name).read_bytes()[:600]
    assert b"<svg" in head if name.endswith("svg") else head.startswith(b"\x89PNG")
