"""How much memory a load takes at its peak, in a process of its own: `python -m bench.scaling_memory FILE`.

The peak is of the resident set, SQLite's memory and the interpreter's included. The process opens the store and reads
the head before it notes where it stands, so that imports, connections and caches do not count.
"""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from lash_store import Store

_ROOT = Path(__file__).resolve().parent.parent
_STATUS = Path("/proc/self/status")
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """The bytes by which the peak rose over what was there before, from `source`; `nodes` were loaded."""

    nodes: int
    bytes: int
    source: str


def measure_memory(path: Path) -> MemoryReport | None:
    """Load the whole session of a file in a new process; None where the system does not tell a process's peak."""
    if sys.platform == "win32":
        return None
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))}
    ended = subprocess.run(
        [sys.executable, "-m", "bench.scaling_memory", str(path)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        timeout=_TIMEOUT_S,
        check=True,
    )
    return MemoryReport(**json.loads(ended.stdout))


async def _load(path: str) -> MemoryReport:
    async with await Store.open(path) as store:
        await store.load_session_head_meta()
        before, source = _peak()
        read = await store.load_session()
        after, _ = _peak()
    return MemoryReport(len(read.graph.nodes) if read else 0, after - before, source)


def _peak() -> tuple[int, str]:
    """The highest resident set of this process so far, in bytes."""
    if _STATUS.exists():
        # A process's rusage on Linux begins with the peak of the one that started it; this does not.
        fields = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024, "VmHWM"
    import resource  # noqa: PLC0415  not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "ru_maxrss"


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(_load(sys.argv[1])))))
