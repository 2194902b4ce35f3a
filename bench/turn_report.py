"""The report of bench.commit: rows, the profile, the targets; as text and as JSON."""

import importlib.util
import json
import os
import platform
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Final

import apsw

from bench.measure import median_waits
from bench.report import align, describe_targets
from bench.targets import Target
from bench.turn_costs import HOP, PLAIN, WHOLE, Cost, Profile
from bench.turn_crew import TurnSample
from bench.turn_runs import WARM_UPS, Run
from bench.turn_writers import TALK, WRITERS
from lash_store.sqlite import native

_TIMES: Final = 5
_COMPRESSOR: Final = "ISA-L" if importlib.util.find_spec("isal") else "zlib"
_RIVAL: Final = "langgraph"
_HEADING: Final = (
    "writer",
    "sessions",
    "tasks",
    "processes",
    "turns/s",
    "p50 ms",
    "p99 ms",
    "max ms",
    "CPU us/turn",
    "KiB/turn",
)


@dataclass(frozen=True, slots=True)
class TurnRow:
    """A row of the table: medians over the rounds."""

    run: Run
    figures: TurnSample
    rounds: tuple[TurnSample, ...]


def combine_turns(samples: Sequence[TurnSample]) -> TurnSample:
    """Medians over the rounds of one row; a failed round fails it."""
    written = [sample.written for sample in samples if sample.written is not None]
    return TurnSample(
        turns_per_s=median(sample.turns_per_s for sample in samples),
        waits=median_waits([sample.waits for sample in samples]),
        cpu_us=median(sample.cpu_us for sample in samples),
        written=median(written) if written else None,
        error=next((sample.error for sample in samples if sample.error), ""),
    )


def title(run: Run) -> str:
    """What a run is, in short."""
    who = f"{run.processes} processes" if run.processes > 1 else f"{run.tasks} tasks"
    return f"{run.writer}  {who}, {run.files} sessions"


def describe_field(repeat: int) -> Iterator[str]:
    """The lines above the tables."""
    yield (
        f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}; "
        f"{repeat} round{'s' if repeat > 1 else ''}"
    )
    yield (
        f"SQLite {apsw.sqlite_lib_version()} for lash ({native.IMPLEMENTATION}), "
        f"{sqlite3.sqlite_version} for the others; WAL, synchronous=NORMAL for all; "
        f"lash compresses with {_COMPRESSOR}"
    )
    yield ""
    for name, writer in WRITERS.items():
        version = writer.version
        end = f": not run, {writer.distribution} is not installed" if version is None else version and f" ({version})"
        yield f"  {name:<14} {writer.note}{end}"


def describe(rows: Sequence[TurnRow], profiled: Profile, targets: Sequence[Target]) -> Iterator[str]:
    """The tables."""
    yield ""
    yield "turns committed: a session is a file; waits are from the state before a turn to the answer"
    yield f"  after {WARM_UPS} turns of each task; CPU of all threads; KiB handed to write calls, checkpoints too"
    yield from align([_HEADING, *(_cells(row) for row in rows)], 1)
    for row in rows:
        if row.figures.error:
            yield f"  FAILED {title(row.run)}: {row.figures.error}"
    yield from describe_profile(profiled)
    yield from describe_targets(targets)


def _cells(row: TurnRow) -> tuple[str, ...]:
    run, figures = row.run, row.figures
    waits = figures.waits
    return (
        run.writer,
        *(str(count) for count in (run.files, run.tasks, run.processes)),
        f"{figures.turns_per_s:,.0f}",
        *(f"{wait:,.2f}" for wait in (waits.p50_ms, waits.p99_ms, waits.max_ms)),
        f"{figures.cpu_us:,.0f}",
        "-" if figures.written is None else f"{figures.written / 1024:,.1f}",
    )


def describe_profile(profiled: Profile) -> Iterator[str]:
    """The table of the parts."""
    yield ""
    yield "one task: where the time of a commit goes, in microseconds; each part timed by itself"
    lines = [_costs(name, cost) for name, cost in profiled.parts.items()]
    rest = Cost(
        profiled.whole.p50_us - sum(cost.p50_us for cost in profiled.parts.values()),
        profiled.whole.mean_us - sum(cost.mean_us for cost in profiled.parts.values()),
    )
    lines += [_costs("the rest", rest), _costs(WHOLE, profiled.whole)]
    lines += [_costs(f"beside it: {name}", profiled.others[name]) for name in (PLAIN, HOP)]
    yield from align([("part", "p50 us", "mean us"), *lines], 1)
    yield f"  {profiled.statements:.1f} statements and {profiled.log_bytes / 1024:,.1f} KiB of log a turn, alone"


def _costs(name: str, cost: Cost) -> tuple[str, str, str]:
    return name, f"{cost.p50_us:,.0f}", f"{cost.mean_us:,.0f}"


def judge(rows: Sequence[TurnRow], profiled: Profile) -> list[Target]:
    """What was to be reached, each a ratio inside this run."""
    return [
        *(_against(rows, rival, files) for rival in (_RIVAL, f"{_RIVAL}-talk") for files in (64, 8)),
        _at_most("one task, p50: the statements in plain apsw", profiled.whole.p50_us, profiled.plain.p50_us),
        _at_most(
            "one task, p50: encoding and the statements in plain apsw",
            profiled.whole.p50_us,
            profiled.encoding_us + profiled.plain.p50_us,
        ),
    ]


def _against(rows: Sequence[TurnRow], rival: str, files: int) -> Target:
    talk = f" with {TALK} messages" if rival != _RIVAL else ""
    name, wanted = f"64 tasks, {files} sessions: turns/s", f">= {_TIMES} x AsyncSqliteSaver.aput{talk}"
    found = {row.run.writer: row.figures for row in rows if (row.run.tasks, row.run.files) == (64, files)}
    lash, other = found.get("lash"), found.get(rival)
    # A rival's failed run is no measure, one of lash's is a miss.
    if lash is None or other is None or other.error:
        return Target(name, wanted, "-", None)
    ratio = lash.turns_per_s / other.turns_per_s
    return Target(name, wanted, f"{ratio:.2f} x", not lash.error and ratio >= _TIMES)


def _at_most(name: str, ours: float, base: float) -> Target:
    return Target(name, "<= 1.5 x", f"{ours / base:.2f} x", ours / base <= 1.5)


def as_json(rows: Sequence[TurnRow], profiled: Profile, targets: Sequence[Target]) -> str:
    """Everything that was measured, for other programs."""
    document = {
        "machine": {
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
            "compressor": _COMPRESSOR,
        },
        "rows": [
            {**asdict(row.run), **asdict(row.figures), "rounds": [asdict(sample) for sample in row.rounds]}
            for row in rows
        ],
        "profile": asdict(profiled),
        "targets": [asdict(target) for target in targets],
    }
    return json.dumps(document, indent=2) + "\n"
