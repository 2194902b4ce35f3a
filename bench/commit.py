"""How fast turns are committed: `python -m bench.commit`.

Tasks of one process and processes of one task each, on one session file and on a file for each session, beside the
peers that do comparable work; then where the time goes. The exit code is 0 if every turn of every run was kept, 1 if a
run failed; a missed target is a matter of the machine and does not change it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import turn_report
from bench.command_line import make_parser, whole_number
from bench.progress import Progress, show_progress
from bench.rounds import scratch_folder
from bench.turn_crew import Crew, TurnSample
from bench.turn_profile import TURNS, profile
from bench.turn_report import TurnRow, combine_turns
from bench.turn_runs import Run
from bench.turn_writers import WRITERS

_TASKS = (1, 8, 64)
_PROCESSES = (2, 4, 8)
_SESSIONS = 8
"""Files that many tasks share, where neither all share one nor each has its own."""
_QUICK_RIVALRY = {(1, 1), (64, _SESSIONS), (64, 64)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit code."""
    options = _parse(arguments)
    for line in turn_report.describe_field(options.repeat):
        print(line)
    runs = plan_runs(
        [name for name, writer in WRITERS.items() if writer.version is not None], options.turns, quick=options.quick
    )
    with scratch_folder() as folder, show_progress(len(runs) * options.repeat + 1) as progress:
        rows = _run_rounds(runs, options.repeat, folder, progress)
        progress.begin("one turn at a time, part by part")
        profiled = profile(min(options.turns, TURNS), folder / "profile")
    targets = turn_report.judge(rows, profiled)
    for line in turn_report.describe(rows, profiled, targets):
        print(line)
    if options.json:
        options.json.write_text(turn_report.as_json(rows, profiled, targets), encoding="utf-8")
    return int(any(row.figures.error for row in rows))


def plan_runs(writers: Sequence[str], turns: int, *, quick: bool) -> list[Run]:
    """The rows, each of about `turns` turns; rivals stand next to each other."""
    runs = []
    for tasks in _TASKS:
        for files in sorted({1, min(tasks, _SESSIONS), tasks}):
            met = writers if not quick or (tasks, files) in _QUICK_RIVALRY else ["lash"]
            runs += [Run(writer, files, tasks, 1, max(4, turns // max(tasks, 4))) for writer in met]
    for processes in _PROCESSES[:1] if quick else _PROCESSES:
        runs += [Run("lash", files, 1, processes, max(4, turns // 4 // processes)) for files in (1, processes)]
    return runs


def _run_rounds(runs: Sequence[Run], repeat: int, folder: Path, progress: Progress) -> list[TurnRow]:
    """All runs once in each round, every second round backwards, so that a slow spell hits them all alike."""
    samples: dict[Run, list[TurnSample]] = {run: [] for run in runs}
    with Crew() as crew:
        for number in range(repeat):
            for place, run in enumerate(reversed(runs) if number % 2 else runs):
                progress.begin(f"round {number + 1}/{repeat}  {turn_report.title(run)}")
                samples[run].append(crew.measure(run, folder / f"run-{number}-{place}"))
    return [TurnRow(run, combine_turns(samples[run]), tuple(samples[run])) for run in runs]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("bench.commit", "How fast turns are committed.", "fewer turns and rows, under 15 seconds")
    parser.add_argument("--turns", type=whole_number, help="turns of each row (default: 2048, with --quick 512)")
    options = parser.parse_args(arguments)
    options.turns = options.turns or (512 if options.quick else 2048)
    return options


if __name__ == "__main__":
    sys.exit(main())
