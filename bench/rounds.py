"""Runs the cells round by round and makes the rows."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from bench import ceiling
from bench.crew import CrewFailedError, probe_driver, run_crew
from bench.drivers.catalogue import BASELINE, CEILING, DRIVERS
from bench.jobs import Probe
from bench.measure import Sample, combine, failed_run, summarise_run
from bench.options import Options
from bench.progress import Progress
from bench.scenarios import BATCHES, Cell
from bench.workload import count_commits, create_file


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the tables: medians over the rounds, and the commits/s as a ratio to the baseline's."""

    cell: Cell
    figures: Sample
    rounds: tuple[Sample, ...]
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Field:
    """Who takes part: what each driver says about itself, the ceiling's library, and who cannot run here and why."""

    probes: Mapping[str, Probe]
    extension: str
    absent: Mapping[str, str]

    @property
    def drivers(self) -> list[str]:
        """The names of all that take part, the ceiling last."""
        return [*self.probes, *([CEILING] if self.extension else [])]


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for the files of a run; where it lies, TMPDIR says."""
    folder = Path(mkdtemp(prefix="lash-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def gather_field(options: Options, folder: Path) -> Field:
    """Ask all drivers that the options name whether they can run here."""
    probes, absent, extension = {}, {}, ""
    for name in options.drivers or (*DRIVERS, CEILING):
        try:
            if name == CEILING:
                extension = str(ceiling.build(folder))
            else:
                probes[name] = probe_driver(name, folder)
        except (CrewFailedError, ceiling.CeilingUnavailableError) as reason:
            absent[name] = str(reason)
    return Field(probes, extension, absent)


def run_cell(cell: Cell, seconds: float, extension: str) -> Sample:
    """One run on a file of its own, and the check that the file holds what was acknowledged."""
    with scratch_folder() as folder:
        jobs = cell.jobs(folder, seconds, extension)
        create_file(jobs[0].path)
        try:
            results = run_crew(jobs)
        except CrewFailedError as reason:
            return failed_run(str(reason))
        return summarise_run(jobs, results, count_commits(jobs[0].path))


def run_rounds(cells: Sequence[Cell], *, seconds: float, repeat: int, extension: str, progress: Progress) -> list[Row]:
    """All cells once in each round, every second round backwards, so that a slow spell hits them all alike."""
    samples: dict[Cell, list[Sample]] = {cell: [] for cell in cells}
    for number in range(repeat):
        for cell in reversed(cells) if number % 2 else cells:
            progress.begin(f"round {number + 1}/{repeat}  {cell.scenario}  {cell.label} x {cell.writers}")
            samples[cell].append(run_cell(cell, seconds, extension))
    return make_rows(samples)


def make_rows(samples: Mapping[Cell, Sequence[Sample]]) -> list[Row]:
    """Medians and ratios."""
    figures = {cell: combine(runs) for cell, runs in samples.items()}
    return [Row(cell, figures[cell], tuple(samples[cell]), _ratio(cell, figures)) for cell in figures]


def baseline_of(scenario: str) -> str:
    """Whose commits/s the ratios of a scenario are held against."""
    return CEILING if scenario == BATCHES else BASELINE


def _ratio(cell: Cell, figures: Mapping[Cell, Sample]) -> float | None:
    for other, sample in figures.items():
        same_place = (other.scenario, other.writers) == (cell.scenario, cell.writers)
        # Where durability is what is compared, the baseline runs at FULL like everybody else.
        fair = other.durability == "full" or cell.scenario != "durability"
        if other.driver == baseline_of(cell.scenario) and same_place and fair and sample.commits_per_s:
            return figures[cell].commits_per_s / sample.commits_per_s
    return None
