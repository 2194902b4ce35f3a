"""What the process registry costs: `python -m bench.processes`.

How many events a second are appended, by how many tasks and processes on one file, beside plain plans in the same run;
what a lease costs; and whether a list costs the same however many processes there are. The exit code is 1 if a run lost
an event; a missed target is a matter of the machine and does not change it.
"""

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import median
from typing import Final

import msgspec

from bench.command_line import make_parser
from bench.measure import Waits, median_waits
from bench.process_runs import OPERATIONS, PLAN, Listing, Load, measure_listings, measure_load
from bench.progress import show_progress
from bench.rounds import scratch_folder
from bench.waiting_rows import WAITERS, describe_waiting, waiting_rows
from lash_store.sqlite import native

TARGET_SHARE: Final = 0.3
"""Of the plans a second, so many appends at 64 tasks."""
TARGET_GROWTH: Final = 1.5
"""A list in the largest registry costs at most so much more than in the smallest."""
_TASKS: Final = 64
_CREWS: Final = ((1, 1), (1, 8), (1, _TASKS), (2, 8), (4, 8), (8, 8))
_QUICK_CREWS: Final = ((1, 1), (1, _TASKS), (2, 8))
_CONTENDED: Final = (PLAN, "append", "append to one", "lease cycle")
_TITLES: Final = f"{'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit code."""
    parser = make_parser("bench.processes", "What the process registry costs.", "a small round, under 15 seconds")
    options = parser.parse_args(arguments)
    runs = plan_runs(quick=options.quick)
    sizes = (100, 10_000) if options.quick else (100, 1_000, 10_000, 100_000)
    seconds = 0.2 if options.quick else 0.8
    loads: dict[tuple[str, int, int], list[Load]] = {run: [] for run in runs}
    with scratch_folder() as folder, show_progress(len(runs) * options.repeat + 2) as progress:
        for number in range(options.repeat):
            (folder / str(number)).mkdir()
            for operation, processes, tasks in runs:
                progress.begin(f"{operation}: {processes} x {tasks}")
                loads[operation, processes, tasks].append(
                    measure_load(folder / str(number), operation, processes, tasks, seconds)
                )
        progress.begin(f"lists in registries of {sizes[0]} to {sizes[-1]}")
        listings = asyncio.run(measure_listings(folder, sizes, 20 if options.quick else 100))
        progress.begin(f"{WAITERS[0]} to {WAITERS[-1]} waiters")
        waiting = list(waiting_rows(quick=options.quick))
    rows = [combine(each) for each in loads.values()]
    for line in (*describe(rows, listings), "", *describe_waiting(waiting)):
        print(line)
    if options.json:
        document = {"loads": [asdict(row) for row in rows], "listings": [asdict(row) for row in listings]}
        document["waiting"] = [msgspec.to_builtins(row) for row in waiting]
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return int(any(row.lost for row in rows))


def plan_runs(*, quick: bool) -> list[tuple[str, int, int]]:
    """The loads (operation, processes, tasks); those that are compared stand next to each other."""
    return [
        (operation, processes, tasks)
        for processes, tasks in (_QUICK_CREWS if quick else _CREWS)
        for operation in (OPERATIONS if processes == 1 else _CONTENDED)
    ]


def combine(samples: Sequence[Load]) -> Load:
    """Medians over the rounds; losses add up."""
    first = samples[0]
    return Load(
        first.operation,
        first.processes,
        first.tasks,
        median(sample.per_s for sample in samples),
        median_waits([sample.waits for sample in samples]),
        sum(sample.lost for sample in samples),
    )


def describe(loads: Sequence[Load], listings: Sequence[Listing]) -> Iterator[str]:
    """The report, line by line; waits in milliseconds."""
    yield f"{os.cpu_count()} CPUs, native implementation {native.IMPLEMENTATION}, synchronous=NORMAL"
    yield ""
    yield "a plan is the transaction of bench.contention; a lease cycle is three transactions"
    yield f"{'operation':>16} {'processes':>10} {'tasks':>6} {'per s':>8} {'of plans':>9} {_TITLES}"
    plans = {(load.processes, load.tasks): load.per_s for load in loads if load.operation == PLAN}
    for load in loads:
        share = load.per_s / plans[load.processes, load.tasks] if plans.get((load.processes, load.tasks)) else 0.0
        kept = f"  {load.lost} lost" if load.lost else ""
        yield (
            f"{load.operation:>16} {load.processes:>10} {load.tasks:>6} {load.per_s:>8.0f} {share:>9.2f} "
            f"{_waits(load.waits)}{kept}"
        )
        if load.operation.startswith("append") and (load.processes, load.tasks) == (1, _TASKS):
            yield _verdict(f"{load.operation}, {_TASKS} tasks: share of plans", share, at_least=TARGET_SHARE)
    yield ""
    yield f"{'list':>20} {'registry':>9} {'entries':>8} {_TITLES} {'ratio':>7}"
    smallest: dict[str, float] = {}
    growth = 0.0
    for listing in listings:
        ratio = listing.waits.p50_ms / smallest.setdefault(listing.name, listing.waits.p50_ms)
        growth = max(growth, ratio)
        yield (f"{listing.name:>20} {listing.processes:>9} {listing.found:>8} {_waits(listing.waits)} {ratio:>7.2f}")
    yield _verdict("lists: the largest registry's cost by the smallest's", growth, at_most=TARGET_GROWTH)


def _verdict(name: str, figure: float, *, at_least: float | None = None, at_most: float | None = None) -> str:
    if at_least is not None:
        return f"  target: {name} >= {at_least}: {'met' if figure >= at_least else 'missed'} ({figure:.2f})"
    return f"  target: {name} <= {at_most}: {'met' if at_most and figure <= at_most else 'missed'} ({figure:.2f})"


def _waits(waits: Waits) -> str:
    return f"{waits.p50_ms:>8.3f} {waits.p99_ms:>8.3f} {waits.max_ms:>8.3f}"


if __name__ == "__main__":
    sys.exit(main())
