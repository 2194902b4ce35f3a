"""What it costs to run an effect once and to replay it: `python -m bench.effects`.

The exit code is 0 if every effect was run once, 1 if one was run twice or a run failed; a missed target is a matter of
the machine and does not change it.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench.command_line import make_parser
from bench.effect_runs import EFFECT_S, SLICE_S, Alone, Contention, ProcessLog, block_the_loop, contend, measure_alone
from bench.measure import Waits, median_waits, summarise_waits
from bench.progress import show_progress
from bench.rounds import scratch_folder

TARGET_RATIO: Final = 2.0
"""A replay costs at most so many point reads."""
_PROCESSES: Final = (1, 2, 4, 8)
_QUICK_PROCESSES: Final = (1, 8)
_PATIENCE_S: Final = 60.0
_TTL_MS: Final = 250
_BLOCKED_S: Final = 1.0

Work = Callable[[Callable[[], None]], Coroutine[Any, Any, ProcessLog]]


@dataclass(frozen=True, slots=True)
class ContendedRow:
    """Figures of a contended run: effects/s, and waits for those that another process ran. `error` is why it failed."""

    run: Contention
    effects_per_s: float
    waits: Waits
    error: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit code."""
    options = _parse(arguments)
    runs = plan_runs(quick=options.quick)
    alone: list[Alone] = []
    contended: dict[Contention, list[ContendedRow]] = {run: [] for run in runs}
    errors = []
    with scratch_folder() as folder, show_progress((len(runs) + 2) * options.repeat) as progress:
        for number in range(options.repeat):
            progress.begin("one process")
            effects = 500 if options.quick else 2000
            alone.append(asyncio.run(measure_alone(str(folder / f"alone-{number}.db"), effects, tasks=64)))
            for place, run in enumerate(runs):
                progress.begin(f"{run.processes} processes, {'busy' if run.busy else 'idle'} event loops")
                contended[run].append(measure_contended(run, folder / f"contended-{number}-{place}.db"))
            progress.begin("a blocked event loop")
            errors.append(keep_a_lease(folder / f"blocked-{number}.db"))
    figures = combine_alone(alone)
    rows = [combine_rows(each) for each in contended.values()]
    for line in describe(figures, rows, next(filter(None, errors), "")):
        print(line)
    if options.json:
        options.json.write_text(as_json(figures, rows, errors), encoding="utf-8")
    return int(any(row.error for row in rows) or any(errors))


def plan_runs(*, quick: bool) -> list[Contention]:
    """The contended rows."""
    effects = {False: 60, True: 8} if quick else {False: 400, True: 40}
    counts = _QUICK_PROCESSES if quick else _PROCESSES
    return [Contention(processes, effects[busy], busy) for busy in (False, True) for processes in counts]


def measure_contended(run: Contention, path: Path) -> ContendedRow:
    """Have the processes of `run` ask for the same effects."""
    began, logs = _together([partial(contend, str(path), run)] * run.processes)
    ran = sum(log.runs for log in logs)
    error = "" if ran == run.effects else f"{run.effects} effects were run {ran} times"
    elapsed = max(log.ended for log in logs) - began
    return ContendedRow(run, run.effects / elapsed, summarise_waits([log.waits for log in logs]), error)


def keep_a_lease(path: Path) -> str:
    """Two processes want an effect that blocks the loop of the one that runs it; what went wrong, or nothing."""
    _, logs = _together([partial(block_the_loop, str(path), _TTL_MS, _BLOCKED_S)] * 2)
    ran = sum(log.runs for log in logs)
    return "" if ran == 1 else f"an effect that blocks its event loop was run {ran} times"


def combine_alone(samples: Sequence[Alone]) -> Alone:
    """Medians over the rounds."""
    return Alone(
        median_waits([sample.first_run for sample in samples]),
        median_waits([sample.replay for sample in samples]),
        median_waits([sample.point_read for sample in samples]),
        median(sample.ratio for sample in samples),
        samples[0].tasks,
        median(sample.first_runs_per_s for sample in samples),
        median(sample.replays_per_s for sample in samples),
    )


def combine_rows(samples: Sequence[ContendedRow]) -> ContendedRow:
    """Medians over the rounds of one row; the first error stands for all."""
    return ContendedRow(
        samples[0].run,
        median(sample.effects_per_s for sample in samples),
        median_waits([sample.waits for sample in samples]),
        next((sample.error for sample in samples if sample.error), ""),
    )


def describe(alone: Alone, rows: Sequence[ContendedRow], blocked: str) -> Iterator[str]:
    """The report."""
    yield f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    yield ""
    yield "one process, one effect at a time          p50 ms    p99 ms    max ms"
    for name, waits in (("first run", alone.first_run), ("replay", alone.replay), ("point read", alone.point_read)):
        yield f"  {name:<36} {waits.p50_ms:>9.3f} {waits.p99_ms:>9.3f} {waits.max_ms:>9.3f}"
    verdict = "met" if alone.ratio <= TARGET_RATIO else "missed"
    yield f"  a replay is {alone.ratio:.2f} point reads (at most {TARGET_RATIO:g}: {verdict})"
    rates = f"{alone.first_runs_per_s:,.0f} first runs/s, {alone.replays_per_s:,.0f} replays/s"
    yield f"  {alone.tasks} tasks at once: {rates}"
    yield ""
    yield f"processes that ask for the same effects, {EFFECT_S * 1000:g} ms each; waits are for effects of others"
    yield f"  busy: the event loop is held for {SLICE_S * 1000:g} ms at a time, without end"
    yield "  processes  loop    effects/s    p50 ms    p99 ms    max ms"
    for row in rows:
        loop = "busy" if row.run.busy else "idle"
        figures = f"{row.waits.p50_ms:>9.2f} {row.waits.p99_ms:>9.2f} {row.waits.max_ms:>9.2f}"
        yield f"  {row.run.processes:>9}  {loop} {row.effects_per_s:>12,.0f} {figures}  {row.error}"
    yield ""
    yield f"an event loop blocked for {_BLOCKED_S:g} s keeps a lease of {_TTL_MS} ms: {blocked or 'yes'}"


def as_json(alone: Alone, rows: Sequence[ContendedRow], errors: Sequence[str]) -> str:
    """Everything measured; waits are in milliseconds."""
    machine = {"platform": platform.platform(), "cpus": os.cpu_count(), "python": platform.python_version()}
    document = {"machine": machine, "alone": asdict(alone), "contended": [asdict(row) for row in rows]}
    return json.dumps({**document, "errors": [error for error in errors if error]}, indent=2) + "\n"


def _together(works: Sequence[Work]) -> tuple[float, list[ProcessLog]]:
    """Run each work in a process of its own, all starting together; returns when that was, and their logs."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(works) + 1)
    pipes = []
    for work in works:
        ours, theirs = context.Pipe(duplex=False)
        context.Process(target=_serve, args=(work, barrier, theirs), daemon=True).start()
        theirs.close()
        pipes.append(ours)
    barrier.wait(_PATIENCE_S)
    began = time.monotonic()
    with ThreadPoolExecutor(len(pipes)) as listeners:
        answers = list(listeners.map(lambda pipe: pipe.recv() if pipe.poll(_PATIENCE_S) else None, pipes))
    logs = [answer for answer in answers if isinstance(answer, ProcessLog)]
    if len(logs) != len(works):
        raise RuntimeError("a process hung or failed")
    return began, logs


def _serve(work: Work, barrier: Barrier, answers: Any) -> None:
    answers.send(asyncio.run(work(lambda: _start(barrier))))


def _start(barrier: Barrier) -> None:
    barrier.wait(_PATIENCE_S)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    return make_parser(
        "bench.effects", "What it costs to run an effect once and to replay it.", "fewer effects, under 15 seconds"
    ).parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
