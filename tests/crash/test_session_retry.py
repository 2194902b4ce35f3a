"""A stamped commit that is sent again, wherever the process that sent it first has died: it is applied once."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import msgspec
import pytest

from lash_store import RuntimeCommit, RuntimeTurnCommitConflict, Store
from tests.crash.session_invariants import check_file, contents
from tests.programs import session_pauser as pauser
from tests.watchdog import Program

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the loop of this platform polls no descriptors")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.db"


@pytest.fixture(params=[0, 2], ids=["the first turn", "a later turn"])
def last(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(params=pauser.POINTS)
def point(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def commit(path: Path, last: int, point: str) -> RuntimeCommit:
    """The commit of a process that was killed at the point."""
    with Program("session_pauser", path, last, point) as program:
        sent = RuntimeCommit.from_json(program.hear())
        assert program.hear() == "there"
        program.kill()
    return sent


@pytest.fixture
async def store(path: Path, commit: RuntimeCommit) -> AsyncIterator[Store]:
    async with await Store.open(path) as opened:
        yield opened


def receipt_of(path: Path, commit: RuntimeCommit) -> dict[str, object] | None:
    assert commit.turn_commit is not None
    connection = apsw.Connection(str(path))
    try:
        found = connection.execute(
            "SELECT result_json FROM runtime_turn_commits WHERE turn_id = ?", (commit.turn_commit.turn_id,)
        ).get
    finally:
        connection.close()
    return None if found is None else dict(json.loads(found))


def test_a_kill_leaves_the_whole_turn_or_nothing_of_it(
    path: Path, commit: RuntimeCommit, last: int, point: str
) -> None:
    made = point == pauser.AFTER_COMMIT
    assert check_file(path, last + 1 if made else last) == last + made
    assert (receipt_of(path, commit) is not None) == made


async def test_the_commit_sent_again_is_applied_once(
    path: Path, commit: RuntimeCommit, last: int, store: Store
) -> None:
    before = receipt_of(path, commit)
    result = await store.commit_runtime_state(commit)
    assert result.head_revision == last + 1
    assert json.loads(result.to_json()) == receipt_of(path, commit)
    assert before in (None, json.loads(result.to_json()))
    check_file(path, last + 1)
    stored = contents(path)
    assert await store.commit_runtime_state(commit) == result
    async with await Store.open(path) as another:
        assert await another.commit_runtime_state(commit) == result
    assert contents(path) == stored


async def test_other_content_under_the_same_turn_is_refused(path: Path, commit: RuntimeCommit, store: Store) -> None:
    await store.commit_runtime_state(commit)
    stored = contents(path)
    assert commit.turn_commit is not None
    other = msgspec.structs.replace(commit, usage_deltas=[])
    with pytest.raises(RuntimeTurnCommitConflict) as conflict:
        await store.commit_runtime_state(other.with_turn_commit(commit.turn_commit.turn_id))
    assert (conflict.value.session_id, conflict.value.turn_id) == ("root", commit.turn_commit.turn_id)
    assert contents(path) == stored
