"""bench.commit: its turns, its check of the files, its worker processes, its arithmetic, and that it runs."""

import asyncio
import itertools
import json
import os
from array import array
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from bench import commit, plain_apsw, turn_crew, turn_profile, turn_report, turn_writers
from bench.measure import NO_WAITS, Waits
from bench.turn_costs import HOP, PLAIN, WHOLE, Cost, Profile
from bench.turn_crew import Crew, TurnSample
from bench.turn_profile import profile
from bench.turn_report import TurnRow
from bench.turn_runs import WARM_UPS, Run, WorkerLog, commit_turns, lost_turns, prepare
from bench.turn_writers import WRITERS, Put, Sit
from bench.turns import Turn, make_turns
from lash_store import Database, Expect, Otherwise, Plan, Step

PEERS = [name for name in WRITERS if name != "lash"]
LIAR = "liar"


def _run_here(run: Run, folder: Path) -> str:
    """Do a run in this process, and return what its file lacks."""
    prepare(run, folder)
    logs = [asyncio.run(commit_turns(run, process, folder, lambda: None)) for process in range(run.processes)]
    assert sum(len(log.waits) for log in logs) == run.turns * run.tasks * run.processes
    return lost_turns(run, folder)


@pytest.fixture
def crew() -> Iterator[Crew]:
    with Crew() as crew:
        yield crew


def test_a_turn_is_what_it_is_said_to_be() -> None:
    turns = make_turns("s", "w", 30)
    first, *changes = (turn.number for turn in turns if turn.tool_state)
    assert first == 0
    assert {later - earlier for earlier, later in itertools.pairwise(changes)} == {10}
    for turn in turns:
        assert [len(text) for _, text in turn.messages] == [1024, 1024]
        assert len(turn.execution_state) == 4096
        assert turn.tool_state is None or abs(len(msgspec.json.encode(turn.tool_state)) - 16384) < 1024
        assert len(turn.claim.batch_ids) == 1
    assert len({turn.execution_state for turn in turns}) == 30
    nodes = [node for turn in turns for node in turn.nodes]
    assert [node.parent_node_id for node in nodes] == [None, *(node.node_id for node in nodes[:-1])]


@pytest.mark.parametrize(
    "run",
    [Run("lash", 1, 1, 1, 12), Run("lash", 1, 4, 1, 3), Run("lash", 2, 4, 1, 3), Run("lash", 1, 1, 2, 2)],
    ids=turn_report.title,
)
def test_an_honest_writer_passes(run: Run, tmp_path: Path) -> None:
    assert not _run_here(run, tmp_path / "run")


def _lie(monkeypatch: pytest.MonkeyPatch, lie: str) -> None:
    async def open_liar(path: Path, closing: AsyncExitStack) -> Sit:
        honest = await turn_writers.open_lash(path, closing)
        return lambda session_id, shared: _lying(honest(session_id, shared), lie)

    monkeypatch.setitem(WRITERS, LIAR, replace(WRITERS["lash"], name=LIAR, open=open_liar))


def _lying(put: Put, lie: str) -> Put:
    async def lying(turn: Turn) -> None:
        if turn.number % 3:
            await put(turn)
        elif lie == "a node left out":
            await put(turn._replace(nodes=turn.nodes[:1]))

    return lying


@pytest.mark.parametrize("lie", ["a turn not written", "a node left out"])
def test_a_writer_that_acknowledges_what_it_did_not_write_fails_the_run(
    lie: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lie(monkeypatch, lie)
    assert _run_here(Run(LIAR, 1, 2, 1, 4), tmp_path / "run").startswith("32 turns acknowledged, but session-0.db has ")


def test_a_claim_that_is_left_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = turn_writers.lash_commit

    def without_claims(*arguments: object, **options: object) -> object:
        return whole(*arguments, **options).completing_queue_claims([])  # type: ignore[arg-type]

    monkeypatch.setattr(turn_writers, "lash_commit", without_claims)
    turns = 3 + WARM_UPS
    lost = _run_here(Run("lash", 1, 1, 1, 3), tmp_path / "run")
    assert lost == (
        f"{turns} turns acknowledged, but session-0.db has {2 * turns} nodes, {turns} receipts, {turns} usage rows, "
        f"{turns} revisions, {turns} claimed batches, {turns} queued items"
    )


@pytest.mark.parametrize("files", [1, 2])
def test_processes_work_together_and_their_files_are_checked(files: int, crew: Crew, tmp_path: Path) -> None:
    sample = crew.measure(Run("lash", files, 2, 2, 3), tmp_path / "run")
    assert not sample.error
    assert sample.turns_per_s > 0
    assert sample.waits.p50_ms > 0
    assert sample.cpu_us > 0
    assert sample.written is None or sample.written > 4096


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_runs_and_its_rows_are_counted(name: str, crew: Crew, tmp_path: Path) -> None:
    writer = WRITERS[name]
    if writer.version is None:
        assert os.environ.get("LASH_STORE_EXPECT_PEERS") != "1"
        pytest.skip(f"{writer.distribution} is not installed")
    run = Run(name, 2, 4, 1, 3)
    assert not crew.measure(run, tmp_path / "run").error
    path = tmp_path / "run" / "session-0.db"
    assert not writer.lost(path, run.turns_on(0))
    assert writer.lost(path, run.turns_on(0) + 1).startswith("31 turns acknowledged, but session-0.db has ")


def test_a_turn_that_fails_fails_the_run_with_its_words(
    crew: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run("lash", 1, 1, 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(turn_crew, "prepare", lambda _run, folder: folder.mkdir())  # no claims to complete
        sample = crew.measure(run, tmp_path / "bad")
    assert sample.error.startswith("worker 0: QueuedWorkClaimExpired: ")
    assert sample.turns_per_s == 0
    assert not crew.measure(run, tmp_path / "good").error


def test_a_worker_that_dies_fails_the_run_and_is_replaced(crew: Crew, tmp_path: Path) -> None:
    run = Run("lash", 1, 1, 1, 2)
    assert not crew.measure(run, tmp_path / "first").error
    (worker,) = crew._workers.values()
    worker._process.kill()
    worker._process.join()
    assert crew.measure(run, tmp_path / "second").error in ("worker 0 died", "worker 0 is gone")
    assert not crew.measure(run, tmp_path / "third").error


def test_a_worker_that_dies_in_a_run_fails_it(crew: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = turn_crew._Worker.begin

    def begin_and_die(worker: turn_crew._Worker, run: Run, folder: Path) -> None:
        begin(worker, run, folder)
        worker._process.kill()

    monkeypatch.setattr(turn_crew._Worker, "begin", begin_and_die)
    assert crew.measure(Run("lash", 1, 1, 1, 2), tmp_path / "run").error == "worker 0 died"


def test_a_worker_that_hangs_is_given_up(crew: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_crew, "PATIENCE_S", 0.0)
    sample = crew.measure(Run("lash", 1, 1, 1, 2), tmp_path / "run")
    assert sample == TurnSample(0.0, NO_WAITS, 0.0, None, "worker 0 gave no answer in 0 s")


def test_the_figures_of_a_run() -> None:
    logs = [
        WorkerLog(array("d", [0.001, 0.003]), ended=12.0, cpu_s=0.004, written=3000),
        WorkerLog(array("d", [0.002, 0.004]), ended=14.0, cpu_s=0.008, written=1000),
    ]
    assert turn_crew.summarise(10.0, logs, "") == TurnSample(1.0, Waits(2.0, 4.0, 4.0), 3000.0, 1000.0)
    silent = [logs[0], replace(logs[1], written=None)]
    assert turn_crew.summarise(10.0, silent, "gone") == TurnSample(1.0, Waits(2.0, 4.0, 4.0), 3000.0, None, "gone")


def _sample(rate: float, error: str = "") -> TurnSample:
    return TurnSample(rate, Waits(rate, rate, rate), rate, rate, error)


def test_rounds_combine_to_medians_and_a_failed_one_fails_the_row() -> None:
    combined = turn_report.combine_turns([_sample(100), _sample(300, "lost"), _sample(200)])
    assert combined == replace(_sample(200), error="lost")


def _row(writer: str, files: int, sample: TurnSample) -> TurnRow:
    return TurnRow(Run(writer, files, 64, 1, 4), sample, (sample,))


def _profile(whole_us: float, plain_us: float) -> Profile:
    parts = {"encoding": Cost(50.0, 60.0), "zlib": Cost(50.0, 60.0), "SQLite": Cost(100.0, 100.0)}
    others = {WHOLE: Cost(whole_us, whole_us), PLAIN: Cost(plain_us, plain_us), HOP: Cost(10.0, 10.0)}
    return Profile({**parts, "hand-over": Cost(20.0, 20.0)}, others, 20.0, 4096.0)


def test_targets_are_ratios_and_a_failed_run_of_ours_is_a_miss() -> None:
    rows = [
        _row("lash", 64, _sample(1000)),
        _row("lash", 8, _sample(1000, "lost")),
        _row("langgraph", 64, _sample(200)),
        _row("langgraph", 8, _sample(100)),
        _row("langgraph-talk", 64, _sample(250)),
        _row("langgraph-talk", 8, _sample(100, "died")),
    ]
    targets = turn_report.judge(rows, _profile(300.0, 100.0))
    assert [(target.figure, target.met) for target in targets] == [
        ("5.00 x", True),
        ("10.00 x", False),
        ("4.00 x", False),
        ("-", None),
        ("3.00 x", False),
        ("1.50 x", True),
    ]


def test_the_profile_names_all_parts(tmp_path: Path) -> None:
    found = profile(6, tmp_path / "profile")
    assert list(found.parts) == [
        "state to commit and back",
        "hash of the turn",
        "encoding",
        "zlib",
        "content hashes",
        "SQLite",
        "hand-over",
    ]
    assert found.plain.p50_us > 0
    assert found.whole.p50_us > found.parts["SQLite"].p50_us
    assert found.statements > 15
    assert found.log_bytes > 4096
    lines = "\n".join(turn_report.describe([], found, []))
    assert "the statements in plain apsw" in lines


def test_the_profile_can_be_had_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert turn_profile.main(["--turns", "6"]) == 0
    out = capsys.readouterr().out
    assert "hash of the turn" in out
    assert "the statements in plain apsw" in out


def test_plain_apsw_runs_a_plan_as_the_store_does_and_no_other_way(tmp_path: Path) -> None:
    path = tmp_path / "plain.db"
    with Database.open(path) as database:
        database.run(Plan([Step("CREATE TABLE t (a INTEGER)")]))
    with plain_apsw.open_plain(path) as connection:
        stop = Step("SELECT 1 FROM t WHERE a = 9", expect=Expect.ROW, otherwise=Otherwise.STOP)
        plan = Plan([Step("INSERT INTO t VALUES (?1)", [(1,), (2,)], many=True), stop, Step("DELETE FROM t")])
        assert plain_apsw.run_plain(connection, plan) == 5
        assert connection.execute("SELECT a FROM t").fetchall() == [(1,), (2,)]
        with pytest.raises(AssertionError, match="the step 'two'"):
            plain_apsw.run_plain(connection, Plan([Step("DELETE FROM t WHERE a = 1", expect=2, name="two")]))


def test_a_small_run_from_end_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(commit, "_TASKS", (1, 2))
    monkeypatch.setattr(commit, "_QUICK_RIVALRY", set())
    written = tmp_path / "rows.json"
    assert commit.main(["--quick", "--turns", "8", "--repeat", "2", "--json", str(written)]) == 0
    rows = json.loads(written.read_text())["rows"]
    assert [(row["files"], row["tasks"], row["processes"], row["error"]) for row in rows] == [
        (1, 1, 1, ""),
        (1, 2, 1, ""),
        (2, 2, 1, ""),
        (1, 1, 2, ""),
        (2, 1, 2, ""),
    ]
    assert all(len(row["rounds"]) == 2 for row in rows)
    out = capsys.readouterr().out
    assert "hash of the turn" in out
    assert "not measured" in out


def test_a_failed_run_fails_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(commit, "_TASKS", (1,))
    monkeypatch.setattr(Crew, "measure", lambda *_: _sample(100, "it hung"))
    assert commit.main(["--quick", "--turns", "4"]) == 1
    assert "FAILED lash  1 tasks, 1 sessions: it hung" in capsys.readouterr().out


def test_everybody_is_in_the_full_run_and_peers_in_what_the_targets_need_of_the_quick_one() -> None:
    full = commit.plan_runs(["lash", "langgraph"], 2048, quick=False)
    assert {(run.tasks, run.files) for run in full if run.writer == "langgraph"} == {
        (1, 1),
        (8, 1),
        (8, 8),
        (64, 1),
        (64, 8),
        (64, 64),
    }
    assert {(run.processes, run.files) for run in full if run.processes > 1} == {
        (2, 1),
        (2, 2),
        (4, 1),
        (4, 4),
        (8, 1),
        (8, 8),
    }
    quick = commit.plan_runs(["lash", "langgraph"], 512, quick=True)
    assert {(run.tasks, run.files) for run in quick if run.writer == "langgraph"} == {(1, 1), (64, 8), (64, 64)}
