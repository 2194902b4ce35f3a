"""The report of bench.scaling: the tables, the targets; as text and as JSON."""

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from statistics import median
from typing import Final

import apsw

from bench.measure import median_waits
from bench.report import align, describe_targets
from bench.scaling_files import UNMERGED
from bench.scaling_rows import (
    COMMIT,
    FETCH,
    FETCH_TYPED,
    FIRST_COMMIT,
    FOREIGN_LEDGER,
    LEDGER,
    LOAD,
    LOAD_PATH,
    PICKER,
    Growth,
    Memory,
    Round,
    ScalingRow,
)
from bench.targets import Target
from lash_store.sqlite import native

_FLAT: Final = 1.5
_OF_DECODING: Final = 1.5
_OF_TEXT: Final = 3.0
_OPERATIONS: Final = (COMMIT, FIRST_COMMIT, LOAD, LOAD_PATH, FETCH, FETCH_TYPED, PICKER, LEDGER, FOREIGN_LEDGER)
_HEADING: Final = ("operation", "size", "p50 ms", "p99 ms", "max ms", "x smallest", "statements", "KiB of log")


def describe_machine(repeat: int) -> Iterator[str]:
    """The line above the tables."""
    yield (
        f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, "
        f"SQLite {apsw.sqlite_lib_version()}, {native.IMPLEMENTATION}; {repeat} round{'s' if repeat > 1 else ''}"
    )


def combine_rounds(rounds: Sequence[Round]) -> Round:
    """Medians over the rounds; a failed row of one fails it."""
    rows = []
    for place, first in enumerate(rounds[0].rows):
        same = [each.rows[place] for each in rounds]
        waits = median_waits([row.waits for row in same])
        rows.append(replace(first, waits=waits, error=next((row.error for row in same if row.error), "")))
    memory = sorted((each.memory for each in rounds), key=lambda each: each.report.bytes if each.report else 0)
    grown = [each.growth for each in rounds]
    return Round(
        rows,
        memory[len(memory) // 2],
        Growth(
            grown[0].turns,
            median(each.per_turn for each in grown),
            median(each.per_turn_swept for each in grown),
        ),
    )


def describe(measured: Round, targets: Sequence[Target]) -> Iterator[str]:
    """The tables."""
    yield ""
    yield "one call at a time; nodes of 1 KiB of text, with the ids of a runtime"
    yield f"  of a merged ledger the last {UNMERGED} rows came after the merge; statements with BEGIN and COMMIT"
    smallest: dict[str, float] = {}
    rows = sorted(measured.rows, key=lambda row: (_OPERATIONS.index(row.operation), row.size))
    lines = [_cells(row, smallest.setdefault(row.operation, row.waits.p50_ms)) for row in rows]
    yield from align([_HEADING, *lines], 1)
    for row in measured.rows:
        if row.error:
            yield f"  FAILED {row.operation}, {row.size:,}: {row.error}"
    yield ""
    yield from _describe_memory(measured.memory)
    growth = measured.growth
    yield (
        f"database: {growth.per_turn / 1024:.1f} KiB a turn of bench.commit, over {growth.turns} turns; "
        f"{growth.per_turn_swept / 1024:.1f} KiB after gc_unreachable and vacuum"
    )
    yield from describe_targets(targets)


def _cells(row: ScalingRow, smallest_ms: float) -> tuple[str, ...]:
    waits = row.waits
    return (
        row.operation,
        f"{row.size:,}",
        *(f"{wait:,.3f}" for wait in (waits.p50_ms, waits.p99_ms, waits.max_ms)),
        f"{waits.p50_ms / smallest_ms:,.2f}",
        "-" if row.statements is None else f"{row.statements:.0f}",
        "-" if row.log_bytes is None else f"{row.log_bytes / 1024:.1f}",
    )


def _describe_memory(memory: Memory) -> Iterator[str]:
    if memory.report is None:
        yield "memory of a load: not measured, this system does not tell the peak of a process"
        return
    mebibytes = memory.report.bytes / 2**20, memory.text_bytes / 2**20
    yield (
        f"memory of a load of {memory.report.nodes:,} nodes: the peak of the process ({memory.report.source}) rises by "
        f"{mebibytes[0]:,.0f} MiB; the texts have {mebibytes[1]:,.0f} MiB"
    )


def judge(measured: Round) -> list[Target]:
    """What was to be reached, each a ratio inside this run."""
    found = {(row.operation, row.size): row for row in measured.rows}
    sizes = {name: sorted(size for operation, size in found if operation == name) for name in _OPERATIONS}
    targets = []
    for name in (COMMIT, PICKER, LEDGER):
        first, last = found[name, sizes[name][0]], found[name, sizes[name][-1]]
        title = f"{name}, {last.size:,}: p50"
        targets.append(_at_most(title, _FLAT, f"that with {first.size:,}", [first, last], _p50(last) / _p50(first)))
    for size in sizes[LOAD]:
        for base in (FETCH, FETCH_TYPED):
            ours, other = found[LOAD, size], found[base, size]
            title = f"{LOAD}, {size:,} nodes: p50"
            targets.append(_at_most(title, _OF_DECODING, base, [ours, other], _p50(ours) / _p50(other)))
    memory, title = measured.memory, "memory of the largest load"
    wanted = f"<= {_OF_TEXT:g} x the bytes of its JSON texts"
    if memory.report is None:
        return [*targets, Target(title, wanted, "-", None)]
    ratio = memory.report.bytes / memory.text_bytes
    return [*targets, Target(title, wanted, f"{ratio:.2f} x", ratio <= _OF_TEXT)]


def _p50(row: ScalingRow) -> float:
    return row.waits.p50_ms


def _at_most(name: str, times: float, base: str, rows: Sequence[ScalingRow], ratio: float) -> Target:
    failed = any(row.error for row in rows)
    return Target(name, f"<= {times:g} x {base}", f"{ratio:.2f} x", not failed and ratio <= times)


def as_json(measured: Round, rounds: Sequence[Round], targets: Sequence[Target]) -> str:
    """Everything that was measured, for other programs."""
    document = {
        "machine": {
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
        },
        **asdict(measured),
        "rounds": [asdict(each) for each in rounds],
        "targets": [asdict(target) for target in targets],
    }
    return json.dumps(document, indent=2) + "\n"
