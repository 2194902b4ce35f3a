"""What the bench tells a worker process to do, and what the worker answers: plain data, carried as one JSON line each.

The waits travel in a file of raw doubles beside the answer: there can be a million of them.
"""

import json
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from bench.loops import WriterLog
from bench.workload import Durability

Shape = Literal["blocking", "threads", "tasks", "c-single", "c-batch", "lash-batch", "probe"]


@dataclass(frozen=True, slots=True)
class Job:
    """The work of one process.

    `writers` is the number of threads or tasks in it, `seconds` the measured time, `pause_s` the rest between two
    commits, `burner` whether a CPU-bound Python thread runs beside it, `victim` whether its waits are told apart.
    """

    driver: str
    shape: Shape
    path: str
    waits_path: str
    prefix: str
    seconds: float
    durability: Durability = "normal"
    writers: int = 1
    pause_s: float = 0.0
    burner: bool = False
    victim: bool = False
    extension: str = ""

    def encode(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    @staticmethod
    def decode(line: str) -> "Job":
        """The job of a line."""
        return Job(**json.loads(line))


@dataclass(frozen=True, slots=True)
class WriterCount:
    """One writer's commits: acknowledged in all, of these after the measured time, and not acknowledged."""

    acknowledged: int
    late: int
    failures: int
    error: str


@dataclass(frozen=True, slots=True)
class JobResult:
    """A worker's answer; `timed_s` is what the commits in time are divided by, `warmups` were committed before."""

    writers: list[WriterCount]
    warmups: int
    timed_s: float
    waits: "array[float]" = field(default_factory=lambda: array("d"))

    def save(self, waits_path: str) -> str:
        """Write the waits to their file and return the rest as one line of JSON."""
        with Path(waits_path).open("wb") as file:
            self.waits.tofile(file)
        writers = [asdict(writer) for writer in self.writers]
        return json.dumps({"writers": writers, "warmups": self.warmups, "timed_s": self.timed_s}) + "\n"

    @staticmethod
    def load(line: str, waits_path: str) -> "JobResult":
        """The answer of a line and its file of waits."""
        fields = json.loads(line)
        waits = array("d")
        waits.frombytes(Path(waits_path).read_bytes())
        writers = [WriterCount(**writer) for writer in fields["writers"]]
        return JobResult(writers, fields["warmups"], fields["timed_s"], waits)


def result_of(logs: Sequence[WriterLog], warmups: int, timed_s: float) -> JobResult:
    """The answer that the logs of a process's writers make."""
    waits = array("d")
    for log in logs:
        waits.extend(log.waits)
    writers = [WriterCount(log.acknowledged, log.late, log.failures, log.error) for log in logs]
    return JobResult(writers, warmups, timed_s, waits)


@dataclass(frozen=True, slots=True)
class Probe:
    """What a driver's own process says about itself: versions, and the pragmas of its live writer connection."""

    library: str
    sqlite: str
    pragmas: dict[str, str]
