"""What a long history costs: `python -m bench.scaling`.

Commits and reads on histories of up to 100,000 nodes. The exit code is 0 if every file held and every read gave what it
should, 1 if not; a missed target is a matter of the machine and does not change it.
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import scaling_report
from bench.command_line import make_parser
from bench.progress import Progress, show_progress
from bench.rounds import scratch_folder
from bench.scaling_commits import measure_commits, measure_growth
from bench.scaling_files import make_history
from bench.scaling_memory import measure_memory
from bench.scaling_reads import measure_ledgers, measure_loads, measure_pickers
from bench.scaling_rows import QUICK, Memory, Round, Sizes

_STEPS = 6


def main(arguments: Sequence[str] | None = None, quick: Sizes = QUICK) -> int:
    """Run what the command line asks for; `quick` is what --quick means. Returns the exit code."""
    options = make_parser(
        "bench.scaling", "What a long history costs.", "smaller histories, under 15 seconds"
    ).parse_args(arguments)
    sizes = quick if options.quick else Sizes()
    for line in scaling_report.describe_machine(options.repeat):
        print(line)
    with scratch_folder() as folder, show_progress(options.repeat * _STEPS) as progress:
        rounds = [_run_round(sizes, folder / f"round-{number}", progress) for number in range(options.repeat)]
    measured = scaling_report.combine_rounds(rounds)
    targets = scaling_report.judge(measured)
    for line in scaling_report.describe(measured, targets):
        print(line)
    if options.json:
        options.json.write_text(scaling_report.as_json(measured, rounds, targets), encoding="utf-8")
    return int(any(row.error for row in measured.rows))


def _run_round(sizes: Sizes, folder: Path, progress: Progress) -> Round:
    folder.mkdir()
    return asyncio.run(run_round(sizes, folder, progress))


async def run_round(sizes: Sizes, folder: Path, progress: Progress) -> Round:
    """Make the files in `folder` and measure everything."""
    progress.begin("histories")
    wanted = sorted({*sizes.histories, *sizes.loads, *sizes.pickers})
    histories = {nodes: await make_history(folder / f"nodes-{nodes}.db", nodes) for nodes in wanted}
    longest = histories[wanted[-1]]
    progress.begin(f"memory of a load of {longest.nodes:,} nodes")
    memory = Memory(longest.text_bytes, measure_memory(longest.path))
    progress.begin("loads")
    rows = await measure_loads([histories[nodes] for nodes in sizes.loads], sizes.nodes_loaded)
    progress.begin("reads that should be flat")
    rows += await measure_pickers([histories[nodes] for nodes in sizes.pickers], sizes.reads)
    rows += await measure_ledgers(sizes.ledgers, sizes.reads, folder)
    progress.begin("commits")
    rows += await measure_commits([histories[nodes] for nodes in sizes.histories], sizes.commits)
    progress.begin("growth")
    return Round(rows, memory, await measure_growth(folder / "turns.db", sizes.turns))


if __name__ == "__main__":
    sys.exit(main())
