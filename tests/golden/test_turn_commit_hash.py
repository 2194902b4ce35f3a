"""Specification A.5, A.6: the text and the hash that make a turn's commit idempotent."""

import msgspec

from lash_store.records.commit import RuntimeCommit, RuntimeTurnCommitStamp
from lash_store.records.state import RuntimeSessionState
from tests.golden import vectors

FRAME_TIME_MS = 1_780_358_400_000
SMALL = "1d72fee6ea8c52ee2bcea683e92d8bb35bd46aec57ea74783cacfb604b9e92db"
LARGE = "ed4ac37a693223d8ba199fea0f697cc6d171da2f837c0cade37e57b234eff8b5"


class At:
    """A clock that stands at the time of the vector's frame, 2026-06-02T00:00:00Z."""

    def now_ms(self) -> int:
        return FRAME_TIME_MS


def test_a_default_state() -> None:
    commit = RuntimeCommit.persisted_state(RuntimeSessionState.new("root", clock=At()))
    assert commit.hashed_text().decode() == vectors.text("turn_commit_small.txt")
    assert commit.turn_commit_hash() == SMALL


def test_the_expected_revision_and_the_stamp_do_not_count() -> None:
    commit = RuntimeCommit.persisted_state(RuntimeSessionState.new("root", clock=At()))
    stamped = msgspec.structs.replace(
        commit, expected_head_revision=9, turn_commit=RuntimeTurnCommitStamp("root", "t", "h")
    )
    assert stamped.turn_commit_hash() == SMALL


def test_a_commit_with_everything_in_it() -> None:
    commit = RuntimeCommit.from_json(vectors.text("turn_commit_large.json"))
    assert commit.to_json().decode() == vectors.text("turn_commit_large.json")
    assert commit.turn_commit_hash() == LARGE
