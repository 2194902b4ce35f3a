"""Says what is running, on the error output: rich's bar on a terminal if it is installed, else a line for each run.

It is drawn between the runs only: redrawing it meanwhile would take a share of the processor that is being measured.
"""

import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol, Self

try:
    from rich import progress as rich_progress
    from rich.console import Console
except ImportError:
    HAS_RICH = False
else:
    HAS_RICH = True


class Progress(Protocol):
    """Told before each run what it is."""

    def begin(self, title: str) -> None:
        """The next run begins."""


class PlainProgress:
    """One line for each run."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._begun = 0

    def begin(self, title: str) -> None:
        """Write the line."""
        self._begun += 1
        print(f"[{self._begun}/{self._total}] {title}", file=sys.stderr, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""


class RichProgress:
    """A bar with the time gone and the time left."""

    def __init__(self, total: int) -> None:
        self._bar = rich_progress.Progress(
            rich_progress.BarColumn(),
            rich_progress.MofNCompleteColumn(),
            rich_progress.TimeElapsedColumn(),
            rich_progress.TimeRemainingColumn(),
            rich_progress.TextColumn("{task.description}"),
            console=Console(stderr=True),
            auto_refresh=False,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total)
        self._begun = 0

    def begin(self, title: str) -> None:
        """Redraw the bar."""
        self._bar.update(self._task, completed=self._begun, description=title, refresh=True)
        self._begun += 1

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bar."""
        self._bar.stop()


def show_progress(total: int) -> AbstractContextManager[Progress]:
    """The progress of `total` runs, in the form that suits where it goes."""
    return RichProgress(total) if HAS_RICH and sys.stderr.isatty() else PlainProgress(total)
