"""The worker process: `python -m bench.worker`, with one job as a line of JSON on its standard input.

It opens its handle, warms up, says "ready", waits for a line with the common start (seconds of time.monotonic), works,
closes, and answers with one line of JSON.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from bench import ceiling, native_batches, shapes, workload
from bench.drivers.catalogue import DRIVERS
from bench.jobs import Job, JobResult, Probe, Shape
from bench.shapes import WaitForStart

READY = "ready"

_SHAPES: dict[Shape, Callable[[Job, WaitForStart], JobResult]] = {
    "blocking": shapes.run_blocking,
    "threads": shapes.run_threads,
    "tasks": shapes.run_tasks,
    "c-single": ceiling.run_single,
    "c-batch": ceiling.run_batch,
    "lash-batch": native_batches.run,
}


def probe(name: str) -> Probe:
    """Open a driver on a file of its own, and read its versions and the pragmas of its writing connection."""
    adapter = DRIVERS[name].adapter()
    library, sqlite = adapter.versions()
    if adapter.open_blocking is None:
        return Probe(library, sqlite, {})
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "probe.db"))
        workload.create_file(path)
        with adapter.open_blocking(path, "normal") as writer:
            pragmas = {pragma: writer.pragma(pragma) for pragma in workload.PRAGMAS_SHOWN}
    return Probe(library, sqlite, pragmas)


def work(job: Job) -> JobResult:
    """Do the job, starting together with the other workers."""

    def wait_for_start() -> float:
        _say(READY + "\n")
        start = float(sys.stdin.readline())
        time.sleep(max(0.0, start - time.monotonic()))
        # All processes end together, also those that the scheduler let begin late.
        return time.perf_counter() + start + job.seconds - time.monotonic()

    return _SHAPES[job.shape](job, wait_for_start)


def _say(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def main() -> None:
    """Read the job, do it, answer."""
    job = Job.decode(sys.stdin.readline())
    if job.shape == "probe":
        _say(json.dumps(asdict(probe(job.driver))) + "\n")
    else:
        _say(work(job).save(job.waits_path))


if __name__ == "__main__":
    main()
