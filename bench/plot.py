"""Draws the rows: throughput, fairness and longest waits, for light and dark pages alike.

The picture has no ground of its own, and text and bars are of a middle brightness, so that it can be read on both.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.drivers.catalogue import CEILING
from bench.options import CONTENDERS
from bench.rounds import Row
from bench.workload import TASKS

try:
    import matplotlib as mpl
except ImportError:
    AVAILABLE = False
else:
    AVAILABLE = True

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TEXT = "#7a8594"
_GRID = "#7a859455"
_COLOURS = {
    "lash": "#e8590c",
    "lash-python": "#f2a365",
    "sqlite3": "#4c8dd6",
    "apsw": "#2aa198",
    "aiosqlite": "#9b7fd4",
    "apsw-aio": "#5fb36b",
    CEILING: "#9aa3ad",
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bench",
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 10,
    "text.color": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.edgecolor": _GRID,
    "axes.titlecolor": _TEXT,
    "axes.titleweight": "bold",
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "xtick.bottom": False,
    "ytick.left": False,
    "ytick.minor.left": False,
    "legend.frameon": False,
    "figure.constrained_layout.hspace": 0.05,
    "figure.constrained_layout.wspace": 0.07,
}
_COLUMNS = 3


@dataclass(frozen=True, slots=True)
class _Panel:
    """One chart: a figure of each row of a scenario, in groups by the number of writers."""

    title: str
    scenario: str
    value: Callable[[Row], float]
    logarithmic: bool = False

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        return [row for row in rows if row.cell.scenario == self.scenario and row.cell.label in CONTENDERS]


def _victim_p99_ms(row: Row) -> float:
    return row.figures.victim.p99_ms if row.figures.victim else 0.0


_PANELS = (
    _Panel("processes: commits/s", "processes", lambda row: row.figures.commits_per_s),
    _Panel("processes: fairness (1 is fair)", "processes", lambda row: row.figures.fairness),
    _Panel("processes: longest wait, ms", "processes", lambda row: row.figures.waits.max_ms, logarithmic=True),
    _Panel("threads: commits/s", "threads", lambda row: row.figures.commits_per_s),
    _Panel("threads: longest wait, ms", "threads", lambda row: row.figures.waits.max_ms, logarithmic=True),
    _Panel(f"{TASKS} tasks: commits/s", "tasks", lambda row: row.figures.commits_per_s),
    _Panel(f"{TASKS} tasks at FULL: commits/s", "durability", lambda row: row.figures.commits_per_s),
    _Panel("busy runtime: commits/s", "busy-runtime", lambda row: row.figures.commits_per_s, logarithmic=True),
    _Panel("busy runtime: victim's p99, ms", "busy-runtime", _victim_p99_ms, logarithmic=True),
)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw the scenarios that were run to `path`; its ending says the format."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, present once AVAILABLE was asked

    panels = [panel for panel in _PANELS if panel.rows(rows)]
    columns = max(1, min(_COLUMNS, len(panels)))
    height = max(1, -(-len(panels) // columns))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.8 * columns, 2.7 * height + 0.4), layout="constrained")
        for number, panel in enumerate(panels, start=1):
            _draw_panel(figure.add_subplot(height, columns, number), panel, panel.rows(rows))
        _draw_legend(figure, rows)
        figure.savefig(path, transparent=True, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def _draw_panel(axes: "Axes", panel: _Panel, rows: Sequence[Row]) -> None:
    groups = sorted({row.cell.writers for row in rows})
    drivers = list(_drivers_of(rows))
    if len(groups) == 1:
        _draw_single_group(axes, [(row.cell.driver, panel.value(row)) for row in rows])
    else:
        width = 0.84 / len(drivers)
        for place, driver in enumerate(drivers):
            offset = (place - (len(drivers) - 1) / 2) * width
            own = {row.cell.writers: panel.value(row) for row in rows if row.cell.driver == driver}
            heights = [own.get(writers, 0.0) for writers in groups]
            axes.bar([at + offset for at in range(len(groups))], heights, width * 0.9, color=_COLOURS[driver])
        axes.set_xticks(range(len(groups)), [str(writers) for writers in groups])
        axes.set_xlabel("threads" if panel.scenario == "threads" else "processes")
    axes.set_title(panel.title)
    if panel.logarithmic:
        axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _position: f"{value:,g}")


def _draw_single_group(axes: "Axes", bars: Sequence[tuple[str, float]]) -> None:
    """With one group there is room for names and figures."""
    names = [name for name, _ in bars]
    drawn = axes.bar(names, [value for _, value in bars], 0.7, color=[_COLOURS[name] for name in names])
    axes.bar_label(
        drawn, [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for _, value in bars], padding=2, fontsize=8
    )
    axes.set_xticks(range(len(names)), names, rotation=25, ha="right", rotation_mode="anchor", fontsize=9)
    axes.margins(y=0.12)


def _draw_legend(figure: "Figure", rows: Sequence[Row]) -> None:
    from matplotlib.patches import Patch  # noqa: PLC0415 - likewise

    handles = [Patch(color=_COLOURS[name], label=name) for name in _drivers_of(rows)]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles) or 1)


def _drivers_of(rows: Sequence[Row]) -> Iterator[str]:
    for name in CONTENDERS:
        if any(row.cell.driver == name for row in rows):
            yield name
