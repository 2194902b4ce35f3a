"""The report as text: who took part and under what settings, the tables, the targets."""

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bench.drivers.catalogue import CEILING, CEILING_NOTE, DRIVERS
from bench.jobs import Probe
from bench.measure import Waits
from bench.options import Options
from bench.rounds import Field, Row, baseline_of
from bench.scenarios import BATCHES, VICTIM_PAUSE_S
from bench.targets import Target
from bench.workload import BUSY_TIMEOUT_MS, node_json

_EXPLAINED = {
    "processes": "one blocking writer in each process",
    "threads": "blocking writers in the threads of one process; lash shares one Database, the others a connection each",
    "tasks": "asyncio tasks on one handle of one process",
    BATCHES: (
        "one COMMIT for 64 commits, a savepoint each, no checkpoints; waits are those of a batch\n"
        "  c-loop: in C from end to end; lash: the executor's call for 64 queued plans, without their making in Python"
    ),
    "busy-runtime": (
        "processes on one file, each with 64 tasks and a CPU-bound Python thread\n"
        f"  victim: one more process without such a thread; it rests {VICTIM_PAUSE_S * 1000:g} ms between two commits"
    ),
    "durability": "64 tasks at synchronous=FULL, beside sqlite3 at NORMAL",
}


def describe_field(field: Field, options: Options, folder: str) -> Iterator[str]:
    """The lines above the tables."""
    seconds, rounds = f"{options.seconds:g} s a run", f"{options.repeat} round{'s' if options.repeat > 1 else ''}"
    yield f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}; files in {folder}"
    yield f"{seconds}, {rounds}; a node is {len(node_json('node-00-00000'))} bytes; busy timeout {BUSY_TIMEOUT_MS} ms"
    yield ""
    for name, probe in field.probes.items():
        yield f"  {name:<12} {probe.library}, SQLite {probe.sqlite}: {DRIVERS[name].note}"
    if field.extension:
        yield f"  {CEILING:<12} {CEILING_NOTE}"
    for name, reason in field.absent.items():
        yield f"  {name:<12} not run: {reason}"
    yield ""
    yield from describe_pragmas(field.probes)


def describe_pragmas(probes: Mapping[str, Probe]) -> Iterator[str]:
    """The pragmas read from live connections: the first driver's, then in what others differ from it."""
    asked = {name: probe.pragmas for name, probe in probes.items() if probe.pragmas}
    first = next(iter(asked.values()), {})
    yield "pragmas: " + ", ".join(f"{pragma}={value}" for pragma, value in first.items())
    for name, pragmas in asked.items():
        differing = [f"{pragma}={value}" for pragma, value in pragmas.items() if value != first[pragma]]
        if differing:
            yield f"  {name} differs: {', '.join(differing)}"


def describe_rows(rows: Sequence[Row]) -> Iterator[str]:
    """One table for each scenario that was run."""
    for scenario in dict.fromkeys(row.cell.scenario for row in rows):
        chosen = [row for row in rows if row.cell.scenario == scenario]
        yield ""
        yield f"{scenario}: {_EXPLAINED[scenario]}"
        yield from align([_heading(scenario), *(_cells(row) for row in chosen)], text_columns=1)
        for row in chosen:
            if row.figures.error:
                yield f"  FAILED {row.cell.label} x {row.cell.writers}: {row.figures.error}"


def describe_targets(targets: Sequence[Target]) -> Iterator[str]:
    """The table of what was to be reached."""
    yield ""
    yield "targets, each a ratio inside this run"
    verdicts = {True: "met", False: "MISSED", None: "not measured"}
    lines = [(target.name, target.wanted, target.figure, verdicts[target.met]) for target in targets]
    yield from align([("target", "wanted", "measured", ""), *lines], text_columns=2)


def align(lines: Sequence[Sequence[str]], text_columns: int) -> Iterator[str]:
    """Columns of equal width: the first `text_columns` to the left, the rest to the right; a rule under the heading."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for number, line in enumerate(lines):
        padded = (
            text.ljust(width) if column < text_columns else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        yield "  " + "  ".join(padded).rstrip()
        if number == 0:
            yield "  " + "  ".join("-" * width for width in widths)


def _heading(scenario: str) -> tuple[str, ...]:
    columns = ("driver", "writers", "commits/s", "p50 ms", "p99 ms", "max ms", "fairness", "failures")
    victim = ("victim p50 ms", "p99 ms", "max ms") if scenario == "busy-runtime" else ()
    return (*columns, f"x {baseline_of(scenario)}", *victim)


def _cells(row: Row) -> tuple[str, ...]:
    figures = row.figures
    victim = _waits(figures.victim) if figures.victim else ("-",) * 3 * (row.cell.scenario == "busy-runtime")
    return (
        row.cell.label,
        str(row.cell.writers),
        f"{figures.commits_per_s:,.0f}",
        *_waits(figures.waits),
        f"{figures.fairness:.2f}",
        str(figures.failures),
        "-" if row.ratio is None else f"{row.ratio:.2f}",
        *victim,
    )


def _waits(waits: Waits) -> Iterable[str]:
    return (f"{value:,.3f}" if value < 1 else f"{value:,.1f}" for value in (waits.p50_ms, waits.p99_ms, waits.max_ms))
