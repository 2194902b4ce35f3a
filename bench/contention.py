"""Who writes how fast when everybody writes: `python -m bench.contention`.

The exit code is 0 if every commit of every run was kept, 1 if a run failed; a missed target is a matter of the machine
and does not change it.
"""

import sys
from collections.abc import Iterable, Sequence

from bench import document, plot, report
from bench.options import Options, parse
from bench.progress import show_progress
from bench.rounds import Field, Row, gather_field, run_rounds, scratch_folder
from bench.scenarios import plan_cells
from bench.targets import judge


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit code."""
    options = parse(arguments)
    if options.plot and not plot.AVAILABLE:
        print("--plot needs matplotlib: pip install 'lash-store[bench]'", file=sys.stderr)
        return 2
    with scratch_folder() as folder:
        field = gather_field(options, folder)
        _print(report.describe_field(field, options, str(folder.parent)))
        cells = plan_cells(options, field.drivers)
        with show_progress(len(cells) * options.repeat) as progress:
            rows = run_rounds(
                cells,
                seconds=options.seconds,
                repeat=options.repeat,
                extension=field.extension,
                progress=progress,
            )
    _publish(field, options, rows)
    return int(any(row.figures.failures for row in rows))


def _publish(field: Field, options: Options, rows: Sequence[Row]) -> None:
    targets = judge(rows)
    _print(report.describe_rows(rows))
    _print(report.describe_targets(targets))
    if options.json:
        options.json.write_text(document.as_json(field, options, rows, targets), encoding="utf-8")
    if options.plot:
        plot.draw(rows, options.plot)


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
