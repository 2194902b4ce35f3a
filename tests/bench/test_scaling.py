"""bench.scaling: the files it makes, its check of what was read and kept, its arithmetic, and that it runs."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import scaling, scaling_commits, scaling_reads, scaling_report
from bench.measure import Waits
from bench.scaling_files import History, add_foreign_node, count_nodes, make_history, make_ledger
from bench.scaling_memory import MemoryReport, measure_memory
from bench.scaling_rows import (
    COMMIT,
    FETCH,
    FETCH_TYPED,
    FIRST_COMMIT,
    LEDGER,
    LOAD,
    PICKER,
    Growth,
    Memory,
    Round,
    ScalingRow,
    Sizes,
)
from lash_store import ActivePath, RuntimeCommit, RuntimeCommitResult, Store
from lash_store.sqlite.ops import graph

TINY = Sizes((10, 40), (20, 40), (20, 40), (100, 300), commits=4, reads=3, nodes_loaded=100, turns=5)


@pytest.fixture
async def history(tmp_path: Path) -> History:
    return await make_history(tmp_path / "history.db", 20)


async def test_a_history_is_what_the_store_would_have_written(history: History) -> None:
    async with await Store.open(history.path) as store:
        read = await store.load_session()
        path = await store.load_session(ActivePath())
        info = await store.load_picker_info()
    assert read is not None
    assert path is not None
    texts = [node.to_json() for node in read.graph.nodes]
    assert len(texts) == 20
    assert sum(map(len, texts)) == history.text_bytes
    assert 1024 < history.text_bytes / 20 < 1536
    assert path.graph.nodes == read.graph.nodes
    assert read.graph.leaf_node_id == history.leaf == read.graph.nodes[-1].node_id
    assert info is not None
    assert info.user_message_count == 10


@pytest.mark.parametrize(("merged", "since"), [(True, 100), (False, 300)])
async def test_a_ledger_is_merged_or_not(merged: bool, since: int, tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    await make_ledger(path, 300, merged=merged)
    async with await Store.open(path) as store:
        read = await store.load_session()
        after = await store._read(_rows_since_merge)
    assert read is not None
    assert sum(entry.usage.input_tokens for entry in read.token_ledger) == 300 * 1200
    assert after == since


def _rows_since_merge(connection: Any) -> int:
    rows = connection.execute(
        "SELECT count(*) FROM usage_deltas WHERE seq > coalesce((SELECT max(last_seq) FROM lash_usage_totals), 0)"
    )
    ((count,),) = rows
    return int(count)


def test_a_small_run_from_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "rows.json"
    assert scaling.main(["--quick", "--repeat", "2", "--json", str(written)], TINY) == 0
    document = json.loads(written.read_text())
    assert [(row["operation"], row["size"]) for row in document["rows"] if row["operation"] in (COMMIT, LOAD)] == [
        (LOAD, 20),
        (LOAD, 40),
        (COMMIT, 10),
        (COMMIT, 40),
    ]
    assert not any(row["error"] for row in document["rows"])
    assert len(document["rounds"]) == 2
    commits = [row for row in document["rows"] if row["operation"] == COMMIT]
    assert all(row["statements"] > 10 and row["log_bytes"] > 4096 for row in commits)
    out = capsys.readouterr().out
    assert "KiB a turn of bench.commit, over 5 turns" in out
    assert "targets, each a ratio inside this run" in out


def test_a_store_that_acknowledges_what_it_did_not_write_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    honest = Store.commit_runtime_state
    results: dict[int, RuntimeCommitResult] = {}

    async def lying(store: Store, commit: RuntimeCommit) -> RuntimeCommitResult:
        if commit.turn_commit and commit.turn_commit.turn_id == "turn-5" and id(store) in results:
            return results[id(store)]
        results[id(store)] = await honest(store, commit)
        return results[id(store)]

    monkeypatch.setattr(Store, "commit_runtime_state", lying)
    assert scaling.main(["--quick"], TINY) == 1
    assert (
        "FAILED commit of 2 nodes, 40: 9 commits acknowledged, but the file has 57 nodes, not 59"
        in capsys.readouterr().out
    )


async def test_a_load_that_gives_too_little_fails_its_row(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = graph.read_nodes
    monkeypatch.setattr(graph, "read_nodes", lambda connection: whole(connection)[1:])
    rows = await scaling_reads.measure_loads([history], 60)
    assert {row.operation: row.error for row in rows if row.error} == {LOAD: "it gave 19, not 20"}


async def test_foreign_nodes_are_counted_in(history: History) -> None:
    add_foreign_node(history)
    assert count_nodes(history.path) == 21
    assert not scaling_commits.lost_nodes(history, 0)
    assert scaling_commits.lost_nodes(history, 1) == "1 commits acknowledged, but the file has 21 nodes, not 23"


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell a process's peak")
async def test_memory_is_measured_in_a_process_that_loads_everything(history: History) -> None:
    report = measure_memory(history.path)
    assert report is not None
    assert report.nodes == 20
    assert 0 <= report.bytes < 64 * 2**20


def _row(operation: str, size: int, p50: float, error: str = "") -> ScalingRow:
    return ScalingRow(operation, size, Waits(p50, p50 * 2, p50 * 3), error=error)


def _round(loads: float, error: str = "") -> Round:
    rows = [
        _row(COMMIT, 10, 0.2),
        _row(COMMIT, 1000, 0.3),
        _row(FIRST_COMMIT, 10, 1.0),
        _row(PICKER, 100, 0.1),
        _row(PICKER, 1000, 0.4),
        _row(LEDGER, 100, 0.5, error),
        _row(LEDGER, 1000, 0.5),
        _row(LOAD, 1000, loads),
        _row(FETCH, 1000, 4.0),
        _row(FETCH_TYPED, 1000, 2.0),
    ]
    return Round(rows, Memory(1000, MemoryReport(10, int(loads * 500), "VmHWM")), Growth(5, loads, loads / 2))


def test_rounds_combine_to_medians_and_a_failed_one_fails_the_row() -> None:
    combined = scaling_report.combine_rounds([_round(6.0), _round(9.0, "lost"), _round(5.0)])
    found = {(row.operation, row.size): row for row in combined.rows}
    assert found[LOAD, 1000].waits == Waits(6.0, 12.0, 18.0)
    assert found[LEDGER, 100].error == "lost"
    assert combined.memory.report == MemoryReport(10, 3000, "VmHWM")
    assert combined.growth == Growth(5, 6.0, 3.0)


def test_targets_are_ratios_and_a_failed_row_is_a_miss() -> None:
    targets = scaling_report.judge(_round(6.0, "lost"))
    assert [(target.figure, target.met) for target in targets] == [
        ("1.50 x", True),
        ("4.00 x", False),
        ("1.00 x", False),
        ("1.50 x", True),
        ("3.00 x", False),
        ("3.00 x", True),
    ]


def test_without_a_peak_memory_is_not_measured() -> None:
    measured = _round(6.0)
    silent = Round(measured.rows, Memory(1000, None), measured.growth)
    assert scaling_report.judge(silent)[-1].met is None
    assert "memory of a load: not measured" in "\n".join(scaling_report.describe(silent, []))
