"""What is run: each cell is one row of the tables, and becomes a crew of worker processes on a file of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.drivers.catalogue import BASELINE, CEILING, DRIVERS
from bench.jobs import Job, Shape
from bench.options import Options
from bench.workload import BATCH, TASKS, Durability

BATCHES = f"batches of {BATCH}"
BUSY_PROCESSES = (1, 4)
# The victim rests between its commits: writing without a pause it would be a rival for the lock, not a bystander.
VICTIM_PAUSE_S = 0.001
_LASH = "lash"


@dataclass(frozen=True, slots=True)
class Cell:
    """One row: `writers` processes, threads or tasks of `driver`.

    `processes` workers of `shape` run with `writers_each` writers in each of them.
    """

    scenario: str
    driver: str
    writers: int
    shape: Shape
    processes: int = 1
    writers_each: int = 1
    durability: Durability = "normal"
    burner: bool = False

    @property
    def label(self) -> str:
        """The driver's name, with the durability where a row differs in it from its neighbours."""
        return f"{self.driver} NORMAL" if self.scenario == "durability" and self.durability == "normal" else self.driver

    def jobs(self, folder: Path, seconds: float, extension: str) -> list[Job]:
        """The work of each process of a run whose files are in `folder`."""
        jobs = [
            Job(
                driver=self.driver,
                shape=self.shape,
                waits_path=str(folder / f"waits-{number}.bin"),
                prefix=f"node-{number:02d}",
                writers=self.writers_each,
                burner=self.burner,
                extension=extension,
                path=str(folder / "bench.db"),
                seconds=seconds,
                durability=self.durability,
            )
            for number in range(self.processes)
        ]
        if self.scenario == "busy-runtime":
            jobs.append(self._victim(folder, seconds))
        return jobs

    def _victim(self, folder: Path, seconds: float) -> Job:
        return Job(
            driver=DRIVERS[self.driver].victim,
            shape="blocking",
            path=str(folder / "bench.db"),
            waits_path=str(folder / "waits-victim.bin"),
            prefix="victim",
            seconds=seconds,
            durability=self.durability,
            pause_s=VICTIM_PAUSE_S,
            victim=True,
        )


def plan_cells(options: Options, drivers: Sequence[str]) -> list[Cell]:
    """The rows that the options ask for, in the order of one round: rivals stand next to each other."""
    cells: list[Cell] = []
    for scenario in options.scenarios:
        cells += _MAKERS[scenario](options.writers, drivers)
    return cells


def _processes(writers: Sequence[int], drivers: Sequence[str]) -> Iterator[Cell]:
    for count in writers:
        for driver in drivers:
            shape: Shape = "c-single" if driver == CEILING else "blocking"
            yield Cell("processes", driver, count, shape, processes=count)


def _threads(writers: Sequence[int], drivers: Sequence[str]) -> Iterator[Cell]:
    for count in writers:
        for driver in drivers:
            if driver != CEILING and DRIVERS[driver].threads:
                yield Cell("threads", driver, count, "threads", writers_each=count)


def _tasks(_writers: Sequence[int], drivers: Sequence[str]) -> Iterator[Cell]:
    for driver in drivers:
        if driver != CEILING:
            yield Cell("tasks", driver, TASKS, "tasks", writers_each=TASKS)
    if CEILING in drivers:
        yield Cell(BATCHES, CEILING, 1, "c-batch")
    if _LASH in drivers:
        yield Cell(BATCHES, _LASH, 1, "lash-batch")


def _busy_runtime(_writers: Sequence[int], drivers: Sequence[str]) -> Iterator[Cell]:
    for count in BUSY_PROCESSES:
        for driver in drivers:
            if driver != CEILING:
                yield Cell("busy-runtime", driver, count, "tasks", processes=count, writers_each=TASKS, burner=True)


def _durability(_writers: Sequence[int], drivers: Sequence[str]) -> Iterator[Cell]:
    if BASELINE in drivers:
        yield Cell("durability", BASELINE, TASKS, "tasks", writers_each=TASKS, durability="normal")
    for driver in drivers:
        if driver != CEILING:
            yield Cell("durability", driver, TASKS, "tasks", writers_each=TASKS, durability="full")


_MAKERS = {
    "processes": _processes,
    "threads": _threads,
    "tasks": _tasks,
    "busy-runtime": _busy_runtime,
    "durability": _durability,
}
