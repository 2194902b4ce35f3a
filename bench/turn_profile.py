"""Where the time of a turn's commit goes: `python -m bench.turn_profile`; `bench.commit` has the same table.

One turn at a time, and beside it what the same statements cost in plain apsw.

The same turns are committed to four files, turn by turn: by the store; part by part, the plan run by the calling thread
and by the writer thread; and in plain apsw. The parts are timed apart from the whole: what they do not explain shows.
"""

import argparse
import asyncio
import sys
import time
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final

import apsw

from bench.command_line import whole_number
from bench.plain_apsw import open_plain, run_plain
from bench.rounds import scratch_folder
from bench.turn_costs import HOP, PLAIN, WHOLE, Cost, Profile
from bench.turn_report import describe_profile
from bench.turn_runs import WARM_UPS
from bench.turn_writers import lash_commit, lash_put
from bench.turns import Turn, claim_plan, make_turns
from lash_store import BlobProfile, Database, RuntimeSessionState, SqliteConnection, Store
from lash_store.codecs import checkpoint, envelope
from lash_store.sqlite.ops import commit as commit_ops
from lash_store.sqlite.ops.commit import Known, PreparedCommit
from lash_store.sqlite.session_store.recent import RecentRefs

TURNS: Final = 512
"""bench.commit takes no more for this, either."""
_SESSION: Final = "session-0"
_WRITER: Final = "w0.0"
_FILES: Final = ("store", "direct", "handed", "plain")
_WATCHED: Final = (("zlib", envelope, "deflate"), ("content hashes", checkpoint, "content_hash"))
_STATE, _HASH, _PREPARE, _DIRECT, _HANDED = (
    "state to commit and back",
    "hash of the turn",
    "prepare",
    "direct",
    "handed",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.turn_profile", description="Where the time of a turn's commit goes, part by part."
    )
    parser.add_argument("--turns", type=whole_number, default=TURNS, help=f"how many are committed (default: {TURNS})")
    options = parser.parse_args(arguments)
    with scratch_folder() as folder:
        for line in describe_profile(profile(options.turns, folder / "profile")):
            print(line)
    return 0


def profile(turns: int, folder: Path) -> Profile:
    """Commit `turns` turns to each of the files."""
    folder.mkdir()
    return asyncio.run(_profile(turns, folder))


async def _profile(count: int, folder: Path) -> Profile:
    paths = {name: folder / f"{name}.db" for name in _FILES}
    turns = make_turns(_SESSION, _WRITER, count + WARM_UPS)
    for path in paths.values():
        async with await Store.open(path):
            pass
    async with AsyncExitStack() as closing:
        enter = closing.enter_context
        bench = _Bench(
            await closing.enter_async_context(await Store.open(paths["store"])),
            enter(Database.open(paths["direct"])),
            await closing.enter_async_context(await SqliteConnection.open(paths["handed"])),
            enter(open_plain(paths["plain"])),
            enter(ThreadPoolExecutor(1)),
        )
        await bench.commit(turns[:WARM_UPS])
        bench.forget()
        await bench.commit(turns[WARM_UPS:])
    return _as_profile(bench.times, bench.statements / count, bench.log_bytes / count)


class _Bench:
    """The four handles, and the seconds that each part of each turn took."""

    def __init__(
        self,
        store: Store,
        direct: Database,
        handed: SqliteConnection,
        plain: apsw.Connection,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._store = store
        self._put = lash_put(store, _SESSION, shared=False)
        self._direct = direct
        self._handed = handed
        self._plain = plain
        self._log = Path(plain.filename_wal)
        self._threads = threads
        self._state = RuntimeSessionState.new(_SESSION)
        self._stored = RecentRefs()
        self.times: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self.statements = self.log_bytes = 0

    def forget(self) -> None:
        """Begin to count anew."""
        self.times.clear()
        self.statements = self.log_bytes = 0

    async def commit(self, turns: Sequence[Turn]) -> None:
        """Every turn in both ways; what comes second finds it in the processor's caches, so they take turns in that."""
        for turn in turns:
            await self._claim(turn)
            for way in (self._whole, self._apart) if turn.number % 2 else (self._apart, self._whole):
                await way(turn)

    async def _claim(self, turn: Turn) -> None:
        """What the turn completes, put into all files while no clock runs."""
        plan = claim_plan([turn.claim])
        await self._store._run(plan)  # noqa: SLF001  another handle would cost the store its cached pages
        self._direct.run(plan)
        await self._handed.run(plan)
        run_plain(self._plain, plan)

    async def _whole(self, turn: Turn) -> None:
        with self._timed(WHOLE):
            await self._put(turn)

    async def _apart(self, turn: Turn) -> None:
        prepared = self._prepare(turn)
        with self._timed(_DIRECT):
            found = self._direct.run(prepared.plan)
        with self._timed(_HANDED):
            await self._handed.run(prepared.plan)
        log_before = self._log.stat().st_size
        with self._timed(PLAIN):
            statements = run_plain(self._plain, prepared.plan)
        self.statements += statements
        self.log_bytes += self._log.stat().st_size - log_before
        with self._timed(HOP):
            await asyncio.get_running_loop().run_in_executor(self._threads, _nothing)
        made = commit_ops.result(prepared, found)
        self._stored.note([blob.ref for blob in prepared.checkpoint.blobs])
        began = time.perf_counter()
        self._state.apply_commit(made)
        self.times[_STATE][-1] += time.perf_counter() - began

    def _prepare(self, turn: Turn) -> PreparedCommit:
        with self._timed(_STATE):
            commit = lash_commit(self._state, turn, shared=False)
        with self._timed(_HASH):
            commit = commit.with_turn_commit(turn.turn_id)
        known = Known(self._state.head_revision, self._stored)
        inner = dict.fromkeys((name for name, _, _ in _WATCHED), 0.0)
        with _watched(inner), self._timed(_PREPARE):
            prepared = commit_ops.prepare(commit, BlobProfile.BALANCED, known)
        for name, seconds in inner.items():
            self.times[name].append(seconds)
        return prepared

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.times[name].append(time.perf_counter() - began)


def _as_profile(times: "dict[str, array[float]]", statements: float, log_bytes: float) -> Profile:
    cost = {name: Cost(median(seconds) * 1e6, fmean(seconds) * 1e6) for name, seconds in times.items()}
    inner = {name: cost[name] for name, _, _ in _WATCHED}
    parts = {
        _STATE: cost[_STATE],
        _HASH: cost[_HASH],
        "encoding": _less(cost[_PREPARE], *inner.values()),
        **inner,
        "SQLite": cost[_DIRECT],
        "hand-over": _less(cost[_HANDED], cost[_DIRECT]),
    }
    return Profile(parts, {name: cost[name] for name in (WHOLE, PLAIN, HOP)}, statements, log_bytes)


def _less(whole: Cost, *parts: Cost) -> Cost:
    return Cost(whole.p50_us - sum(part.p50_us for part in parts), whole.mean_us - sum(part.mean_us for part in parts))


@contextmanager
def _watched(inner: dict[str, float]) -> Iterator[None]:
    """Time the functions in _WATCHED while the block runs."""
    originals = [(name, module, attribute, getattr(module, attribute)) for name, module, attribute in _WATCHED]
    for name, module, attribute, original in originals:
        setattr(module, attribute, partial(_counted, original, inner, name))
    try:
        yield
    finally:
        for _, module, attribute, original in originals:
            setattr(module, attribute, original)


def _counted(function: Callable[..., Any], inner: dict[str, float], name: str, *arguments: Any) -> Any:
    began = time.perf_counter()
    try:
        return function(*arguments)
    finally:
        inner[name] += time.perf_counter() - began


def _nothing() -> None:
    pass


if __name__ == "__main__":
    sys.exit(main())
