"""A turn commit and a load beside lash v0.1.0-alpha.40 itself: `python -m bench.alpha40`.

The Rust crate commits the very same turns to a copy of the same file, at the same durability (WAL, synchronous=NORMAL).
Its driver must have been built (`cargo build --release --locked --manifest-path tests/interop/alpha40/Cargo.toml`) and
is named by LASH_STORE_ALPHA40 or `--driver`. Its times are taken inside it, without the pipe and the JSON between; ours
around the awaited call, in one task. The exit code is 0 if both ended at the same revision, 1 if not, 2 without the
driver.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from bench.command_line import make_parser
from bench.progress import show_progress
from bench.rounds import scratch_folder
from bench.turn_writers import lash_commit
from bench.turns import ROLES, TEXT_BYTES, Turn, make_turns, message_node
from lash_store import RuntimeCommit, RuntimeSessionState, Store

VARIABLE: Final = "LASH_STORE_ALPHA40"
SESSION: Final = "session-0"
_HISTORIES: Final = (10, 10_000, 100_000)
_WARM_UPS: Final = 12
_LOADS: Final = 5


@dataclass(frozen=True, slots=True)
class Row:
    """Medians in microseconds of one operation on a history of so many nodes; `error` is why it failed."""

    operation: str
    nodes: int
    ours_us: float
    theirs_us: float
    error: str = ""

    @property
    def ratio(self) -> float:
        """How many times as long alpha.40 takes."""
        return self.theirs_us / self.ours_us


class Alpha40:
    """alpha.40 with a session file open."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def __call__(self, op: str, **arguments: Any) -> Any:
        """What an operation returns. Raises RuntimeError with what it refused."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode({"op": op, "args": arguments}) + b"\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> Any:
        """Its next answer."""
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(f"alpha.40: {answer['error']}")
        return answer["ok"]


@contextmanager
def alpha40(driver: str, path: Path) -> Iterator[Alpha40]:
    """Run the driver on a session file."""
    with subprocess.Popen([driver, "session", str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        opened = Alpha40(process)
        opened.answer()
        yield opened
        assert process.stdin is not None
        process.stdin.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit code."""
    options = _parse(arguments)
    if not options.driver or not Path(options.driver).is_file():
        print(f"name the driver of alpha.40 with --driver or {VARIABLE}; see {__name__}'s docstring", file=sys.stderr)
        return 2
    histories = _HISTORIES[:2] if options.quick else _HISTORIES
    rounds: list[list[Row]] = []
    with scratch_folder() as folder, show_progress(len(histories) * options.repeat) as progress:
        for number in range(options.repeat):
            for nodes in histories:
                progress.begin(f"round {number + 1}/{options.repeat}, {nodes:,} nodes")
                count = 40 if options.quick or nodes > 10_000 else 200
                rounds.append(asyncio.run(measure(options.driver, _made(folder / f"{number}-{nodes}"), nodes, count)))
    rows = combine(rounds)
    for line in describe(rows):
        print(line)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    return int(any(row.error for row in rows))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def measure(driver: str, folder: Path, nodes: int, count: int) -> list[Row]:
    """One round on one history: the same turns, then loads of what is there."""
    ours_path, theirs_path = folder / "ours.db", folder / "theirs.db"
    await _write_history(ours_path, nodes)
    shutil.copy(ours_path, theirs_path)
    commits = await _make_commits(make_turns(SESSION, "w", count + _WARM_UPS))
    async with await Store.open(ours_path) as store:
        ours = [await _timed(store.commit_runtime_state(commit)) for commit in commits]
        our_loads = [await _timed(store.load_session()) for _ in range(_LOADS)]
        read = await store.load_session()
    with alpha40(driver, theirs_path) as alpha:
        theirs = alpha("commit_all", commits=[msgspec.Raw(commit.to_json()) for commit in commits])
        their_loads = alpha("load_all", times=_LOADS)
        revision = alpha("load")["head_revision"]
    error = "" if read is not None and read.head_revision == revision else "the two ended at different revisions"
    return [
        Row("commit", nodes, median(ours[_WARM_UPS:]), median(theirs[_WARM_UPS:]), error),
        Row("load", nodes, median(our_loads), median(their_loads)),
    ]


async def _write_history(path: Path, nodes: int) -> None:
    """A file with so many messages, which nobody has open any more."""
    text = "." * TEXT_BYTES
    talk = [message_node(f"f{n}", f"f{n - 1}" if n else None, ROLES[n % 2], text) for n in range(nodes)]
    async with await Store.open(path) as store:
        await store.append_session_graph_nodes(talk)


async def _make_commits(turns: Sequence[Turn]) -> list[RuntimeCommit]:
    """The turns as stamped commits of any revision, without claims: made by committing them to a store in memory."""
    state = RuntimeSessionState.new(SESSION)
    commits = []
    async with await Store.memory() as store:
        for turn in turns:
            commit = lash_commit(state, turn, shared=True).completing_queue_claims([]).with_turn_commit(turn.turn_id)
            state.apply_commit(await store.commit_runtime_state(commit))
            commits.append(commit)
    return commits


async def _timed(awaited: Any) -> float:
    began = time.perf_counter()
    await awaited
    return (time.perf_counter() - began) * 1e6


def combine(rounds: Sequence[Sequence[Row]]) -> list[Row]:
    """Medians over the rounds; the first error of a row stands for all."""
    found: dict[tuple[str, int], list[Row]] = {}
    for row in (row for each in rounds for row in each):
        found.setdefault((row.operation, row.nodes), []).append(row)
    return [
        Row(
            operation,
            nodes,
            median(row.ours_us for row in rows),
            median(row.theirs_us for row in rows),
            next((row.error for row in rows if row.error), ""),
        )
        for (operation, nodes), rows in sorted(found.items())
    ]


def describe(rows: Sequence[Row]) -> Iterator[str]:
    """The report."""
    yield f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    yield "one task, WAL, synchronous=NORMAL, the same turns; medians"
    yield ""
    yield "operation      nodes   lash_store us   alpha.40 us   alpha.40 / lash_store"
    for row in rows:
        yield (
            f"{row.operation:<10} {row.nodes:>9,} {row.ours_us:>15,.0f} {row.theirs_us:>13,.0f} {row.ratio:>23.1f}"
            f"  {row.error}"
        ).rstrip()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = make_parser("bench.alpha40", "A turn commit beside lash v0.1.0-alpha.40.", "short histories, few turns")
    parser.add_argument("--driver", default=os.environ.get(VARIABLE, ""), help=f"the driver (default: ${VARIABLE})")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
