"""Processes killed anywhere in a turn: what was answered is there, nothing is half done, retries do no harm."""

import asyncio
import itertools
import multiprocessing
import random
from collections.abc import AsyncIterator, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from lash_store import RuntimeCommit, RuntimeCommitResult, Store
from tests.crash.session_invariants import check_file
from tests.programs import session_worker as program
from tests.watchdog import LIMIT_S

KILLS = 30
LONGEST_LIFE_S = 0.03


class Worker:
    """A process that makes turns, and what it has said: the commit announced last, and the answers."""

    def __init__(self, context: Any, path: Path) -> None:
        self.announced: RuntimeCommit | None = None
        self.answers: list[RuntimeCommitResult] = []
        self._receiving: Connection
        self._receiving, sending = context.Pipe(duplex=False)
        self._process: BaseProcess = context.Process(target=program.work, args=(str(path), sending), daemon=True)
        self._process.start()
        sending.close()

    def hear(self) -> bool:
        """Take its next message; False when it is gone and all is heard."""
        try:
            message = self._receiving.recv_bytes()
        except (EOFError, OSError):
            return False  # it was killed, perhaps in the middle of a message
        if message[:1] == program.ANNOUNCED:
            self.announced = RuntimeCommit.from_json(message[1:])
        else:
            self.answers.append(RuntimeCommitResult.from_json(message[1:]))
        return True

    def kill(self) -> None:
        """End it on the spot, and hear its last words."""
        self._process.kill()
        while self.hear():
            pass
        self._process.join(LIMIT_S)
        assert self._process.exitcode is not None
        assert self._process.exitcode < 0, "it has ended by itself"
        self._receiving.close()
        self._process.close()


@pytest.fixture
def context() -> Any:
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["tests.programs.session_worker", "tests.programs.writer"])
    return context


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.db"


@pytest.fixture(params=["alone", "beside an open handle"])
async def beside(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Store | None]:
    """Nobody, so that the next to open the file recovers it; or a handle that keeps the log's index alive."""
    if request.param == "alone":
        yield None
        return
    async with await Store.open(path) as opened:
        yield opened


@pytest.fixture
def lives() -> Iterator[float]:
    """How long each of the workers lives after its first announcement; every fourth dies before it, in its opening."""
    return (random.uniform(0, LONGEST_LIFE_S) if kill % 4 else -1 for kill in itertools.count())


async def resend(path: Path, commit: RuntimeCommit) -> RuntimeCommitResult:
    async with await Store.open(path) as store:
        result = await store.commit_runtime_state(commit)
        assert await store.commit_runtime_state(commit) == result
    return result


@pytest.mark.timeout(600)
async def test_killed_turns_are_whole_or_absent_and_come_once(
    context: Any, path: Path, beside: Store | None, lives: Iterator[float]
) -> None:
    turns = unanswered = 0
    for kill, life in enumerate(lives):
        if kill >= KILLS and turns > KILLS and unanswered:
            break
        worker = Worker(context, path)
        if life < 0:
            await asyncio.sleep(random.uniform(0, LONGEST_LIFE_S))
        else:
            assert worker.hear()
            await asyncio.sleep(life)
        worker.kill()
        answered = turns + len(worker.answers)
        assert [answer.head_revision for answer in worker.answers] == list(range(turns + 1, answered + 1))
        found = check_file(path)
        if beside is not None:
            read = await beside.load_session()
            assert found == (0 if read is None else read.head_revision)
        if worker.announced is None:
            assert found == turns
            continue
        announced = worker.announced.turn_commit
        assert announced is not None
        assert found in (answered, answered + 1)
        assert announced.turn_id in (f"turn-{answered - 1}", f"turn-{answered}")
        unanswered += announced.turn_id == f"turn-{answered}"
        result = await resend(path, worker.announced)
        turns = check_file(path)
        assert turns == result.head_revision
        assert announced.turn_id == f"turn-{turns - 1}"
