"""The report as JSON: everything that was measured, for other programs."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.options import Options
from bench.rounds import Field, Row
from bench.targets import Target


def as_json(field: Field, options: Options, rows: Sequence[Row], targets: Sequence[Target]) -> str:
    """The document: `drivers`, `rows` with their rounds, `targets`; waits are in milliseconds."""
    document = {
        "machine": {
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "python": platform.python_version(),
        },
        "seconds": options.seconds,
        "repeat": options.repeat,
        "drivers": {name: asdict(probe) for name, probe in field.probes.items()},
        "absent": dict(field.absent),
        "rows": [_row(row) for row in rows],
        "targets": [asdict(target) for target in targets],
    }
    return json.dumps(document, indent=2) + "\n"


def _row(row: Row) -> dict[str, Any]:
    return {
        "scenario": row.cell.scenario,
        "driver": row.cell.driver,
        "writers": row.cell.writers,
        "durability": row.cell.durability,
        "ratio": row.ratio,
        **asdict(row.figures),
        "rounds": [asdict(sample) for sample in row.rounds],
    }
