"""What the command line of bench.contention says."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from bench.command_line import whole_number
from bench.drivers.catalogue import CEILING, DRIVERS

Scenario = Literal["processes", "threads", "tasks", "busy-runtime", "durability"]
SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)
CONTENDERS = (*DRIVERS, CEILING)

_WRITERS = (1, 2, 4, 8, 16)
_QUICK_WRITERS = (1, 8)
_SECONDS = 1.2
_QUICK_SECONDS = 0.25
_PLOT_SUFFIXES = (".svg", ".png")


@dataclass(frozen=True, slots=True)
class Options:
    """A parsed command line; `drivers` is None where all that are installed shall run."""

    scenarios: tuple[Scenario, ...]
    writers: tuple[int, ...]
    drivers: tuple[str, ...] | None
    seconds: float
    repeat: int
    quick: bool
    json: Path | None
    plot: Path | None


def parse(arguments: Sequence[str] | None = None) -> Options:
    """The options of a command line; argparse ends the program where it is wrong."""
    given = _parser().parse_args(arguments)
    quick = bool(given.quick)
    scenarios = {name for group in given.scenario or [SCENARIOS] for name in group}
    drivers = {name for group in given.drivers or [] for name in group}
    return Options(
        scenarios=tuple(name for name in SCENARIOS if name in scenarios),
        writers=tuple(sorted(set(given.writers or (_QUICK_WRITERS if quick else _WRITERS)))),
        drivers=tuple(name for name in CONTENDERS if name in drivers) if drivers else None,
        seconds=given.seconds or (_QUICK_SECONDS if quick else _SECONDS),
        repeat=given.repeat,
        quick=quick,
        json=given.json,
        plot=given.plot,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.contention",
        description="Who writes how fast when everybody writes: one read-then-write transaction, several drivers.",
    )
    parser.add_argument(
        "--scenario",
        nargs="+",
        type=_names(SCENARIOS),
        metavar="NAME",
        help=f"one or several of {', '.join(SCENARIOS)} (default: all)",
    )
    parser.add_argument(
        "--writers", type=_counts, metavar="N,N", help="writers of processes and threads (default: 1,2,4,8,16)"
    )
    parser.add_argument(
        "--drivers",
        nargs="+",
        type=_names(CONTENDERS),
        metavar="NAME",
        help=f"some of {', '.join(CONTENDERS)} (default: all that are installed)",
    )
    parser.add_argument("--seconds", type=_seconds, help=f"measured time of each run (default: {_SECONDS})")
    parser.add_argument(
        "--repeat", type=whole_number, default=1, help="rounds; the rows are medians over them (default: 1)"
    )
    parser.add_argument("--quick", action="store_true", help="one small round of everything, under 40 seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to FILE")
    parser.add_argument("--plot", type=_picture, metavar="FILE", help="draw the rows to FILE (.svg or .png)")
    return parser


def _names(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def split(text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(",") if name.strip())
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return names

    return split


def _counts(text: str) -> tuple[int, ...]:
    return tuple(whole_number(part) for part in text.split(","))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError("a run lasts more than 0 and at most 3600 seconds")
    return seconds


def _picture(text: str) -> Path:
    path = Path(text)
    if path.suffix not in _PLOT_SUFFIXES:
        raise argparse.ArgumentTypeError(f"{text!r} ends neither in .svg nor in .png")
    return path
