"""Two processes that commit on the same revision at the same moment: one wins, the other is told, every time."""

import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lash_store import Store
from tests.crash.session_invariants import check, contents
from tests.sqlite.session_store.samples import query
from tests.watchdog import Program

ROUNDS = 40
MEETINGS = 10
PATIENCE_S = 90.0
NAMES = ("left", "right")
START_IN_NS = 20_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.db"


@pytest.fixture
def racers(path: Path) -> Iterator[list[Program]]:
    with ExitStack() as stack:
        programs = [stack.enter_context(Program("session_racer", path, name)) for name in NAMES]
        assert [program.hear() for program in programs] == ["ready", "ready"]
        yield programs


@pytest.fixture
async def store(path: Path, racers: list[Program]) -> AsyncIterator[Store]:
    async with await Store.open(path) as opened:
        yield opened


def race(racers: list[Program], revision: int) -> list[list[str]]:
    at_ns = time.monotonic_ns() + START_IN_NS
    for racer in racers:
        racer.say(f"race {revision} {at_ns}")
    return [racer.hear().split() for racer in racers]


def overlap(answers: list[list[str]]) -> bool:
    """Whether each commit began before the other had its answer."""
    (began, ended), (other_began, other_ended) = ((int(answer[-2]), int(answer[-1])) for answer in answers)
    return began < other_ended and other_began < ended


async def test_of_two_commits_on_one_revision_exactly_one_wins(racers: list[Program], path: Path, store: Store) -> None:
    winners: list[str] = []
    met = 0
    gives_up = time.monotonic() + PATIENCE_S
    for revision in itertools.count():
        if revision >= ROUNDS and met >= MEETINGS:
            break
        assert time.monotonic() < gives_up, "the processes do not meet"
        answers = race(racers, revision)
        outcomes = [answer[:-2] for answer in answers]
        lost = ["lost", str(revision), str(revision + 1)]
        assert outcomes in ([["won"], lost], [lost, ["won"]])
        winners.append(f"{NAMES[outcomes.index(['won'])]}-{revision}")
        met += overlap(answers)
        head = await store.load_session_head_meta()
        assert head is not None
        assert (head.head_revision, head.leaf_node_id) == (revision + 1, winners[-1])
    assert await query(store, "SELECT node_id FROM graph_nodes ORDER BY seq") == [(node_id,) for node_id in winners]
    await store._read(check)


async def test_a_commit_that_lost_has_written_nothing(racers: list[Program], path: Path, store: Store) -> None:
    race(racers, 0)
    before = contents(path)
    assert [answer[:3] for answer in race(racers, 0)] == [["lost", "0", "1"]] * 2
    assert contents(path) == before
