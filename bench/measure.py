"""From waits and counts to the figures of a row."""

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.jobs import Job, JobResult
from bench.workload import Counted


@dataclass(frozen=True, slots=True)
class Waits:
    """Waits for a commit in milliseconds: the median, the 99th percentile and the longest."""

    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of one run. A run that counts as failed has its reason in `error` and at least one failure."""

    commits_per_s: float
    waits: Waits
    fairness: float
    failures: int
    error: str = ""
    victim: Waits | None = None


NO_WAITS = Waits(0.0, 0.0, 0.0)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: the smallest value that at least `percent` % of all do not exceed."""
    if not ordered:
        return 0.0
    rank = math.ceil(len(ordered) * percent / 100)
    return ordered[max(rank, 1) - 1]


def fairness(counts: Sequence[int]) -> float:
    """The slowest writer's commits over the fastest's: 1 is fair, 0 means that one wrote nothing."""
    fastest = max(counts, default=0)
    return min(counts) / fastest if fastest else 0.0


def summarise_waits(parts: Iterable["array[float]"]) -> Waits:
    """The waits of several writers, in seconds, as one summary in milliseconds."""
    ordered = sorted(wait for part in parts for wait in part)
    if not ordered:
        return NO_WAITS
    return Waits(percentile(ordered, 50) * 1000, percentile(ordered, 99) * 1000, ordered[-1] * 1000)


def lost_commits(acknowledged: int, counted: Counted) -> str:
    """What is wrong between the acknowledged commits and the file, or nothing."""
    if counted.rows == acknowledged and counted.revision == acknowledged:
        return ""
    return f"{acknowledged} commits acknowledged, but the file has {counted.rows} rows at revision {counted.revision}"


def acknowledged_in(results: Iterable[JobResult]) -> int:
    """All commits that were answered with success: in time, late, and while warming up."""
    return sum(result.warmups + sum(writer.acknowledged for writer in result.writers) for result in results)


def summarise_run(jobs: Sequence[Job], results: Sequence[JobResult], counted: Counted) -> Sample:
    """The figures of a finished run.

    Fairness is between the writers of the row: processes if there are several, else the threads or tasks of the one.
    The victim's commits are only counted in the check of the file.
    """
    paired = list(zip(jobs, results, strict=True))
    measured = [result for job, result in paired if not job.victim]
    counts = [[writer.acknowledged - writer.late for writer in result.writers] for result in measured]
    shares = [sum(each) for each in counts] if len(counts) > 1 else counts[0]
    victims = [result.waits for job, result in paired if job.victim]
    writers = [writer for result in results for writer in result.writers]
    lost = lost_commits(acknowledged_in(results), counted)
    errors = [lost, *(writer.error for writer in writers)]
    return Sample(
        commits_per_s=sum(sum(each) / result.timed_s for each, result in zip(counts, measured, strict=True)),
        waits=summarise_waits(result.waits for result in measured),
        fairness=fairness(shares),
        failures=sum(writer.failures for writer in writers) + bool(lost),
        error=next((error for error in errors if error), ""),
        victim=summarise_waits(victims) if victims else None,
    )


def failed_run(reason: str) -> Sample:
    """A run that gave no figures: a worker hung or died."""
    return Sample(0.0, NO_WAITS, 0.0, 1, reason)


def median_waits(waits: Sequence[Waits]) -> Waits:
    """The median of each figure."""
    return Waits(
        median(each.p50_ms for each in waits),
        median(each.p99_ms for each in waits),
        median(each.max_ms for each in waits),
    )


def combine(samples: Sequence[Sample]) -> Sample:
    """Medians over the rounds of one row; the failures add up, and the first error stands for all."""
    victims = [sample.victim for sample in samples if sample.victim is not None]
    return Sample(
        commits_per_s=median(sample.commits_per_s for sample in samples),
        waits=median_waits([sample.waits for sample in samples]),
        fairness=median(sample.fairness for sample in samples),
        failures=sum(sample.failures for sample in samples),
        error=next((sample.error for sample in samples if sample.error), ""),
        victim=median_waits(victims) if victims else None,
    )
