"""Receipts of stamped turns, by which a commit that is sent again is known (specification 2.6, 4.7, 4.8)."""

from typing import TYPE_CHECKING, Any, Final

from lash_store.codecs.checkpoint import EncodedCheckpoint
from lash_store.errors import RuntimeTurnCommitConflict
from lash_store.records.commit import RuntimeTurnCommitStamp
from lash_store.records.commit_result import RuntimeCommitResult
from lash_store.sqlite.ops.texts import readable
from lash_store.sqlite.plan import Expect, Otherwise, Step

if TYPE_CHECKING:
    import apsw

TABLES: Final = {
    "runtime_turn_commits": """
CREATE TABLE IF NOT EXISTS runtime_turn_commits (
    session_id TEXT NOT NULL,
    turn_id TEXT NOT NULL,
    turn_commit_hash TEXT NOT NULL,
    result_json TEXT NOT NULL,
    committed_at_ms INTEGER NOT NULL,
    PRIMARY KEY (session_id, turn_id)
)"""
}

_FIND: Final = """
SELECT turn_commit_hash, CAST(result_json AS BLOB) FROM runtime_turn_commits WHERE session_id = ?1 AND turn_id = ?2
"""
_INSERT: Final = """
INSERT INTO runtime_turn_commits (session_id, turn_id, turn_commit_hash, result_json, committed_at_ms)
SELECT ?1, ?2, ?3, ?4 || head_revision || ?5, lash_now_ms() FROM session_head
"""


def find_step(stamp: RuntimeTurnCommitStamp) -> Step:
    """Ends the plan with success if the turn was committed before; the step's row goes to `replayed`."""
    return Step(_FIND, (stamp.session_id, stamp.turn_id), expect=Expect.NO_ROW, otherwise=Otherwise.STOP)


def replayed(stamp: RuntimeTurnCommitStamp, row: tuple[Any, ...]) -> RuntimeCommitResult:
    """The stored result. Raises RuntimeTurnCommitConflict if it is of another content, StoreCorrupt if unreadable."""
    stored_hash, result_json = row
    if stored_hash != stamp.turn_commit_hash:
        raise RuntimeTurnCommitConflict(stamp.session_id, stamp.turn_id)
    return _result(stamp.session_id, stamp.turn_id, result_json)


def read_result(connection: "apsw.Connection", session_id: str, turn_id: str) -> RuntimeCommitResult | None:
    """The stored result of a turn; None without a receipt. Raises StoreCorrupt."""
    rows: list[tuple[Any, ...]] = connection.execute(_FIND, (session_id, turn_id)).fetchall()
    return _result(session_id, turn_id, rows[0][1]) if rows else None


def insert_step(stamp: RuntimeTurnCommitStamp, checkpoint: EncodedCheckpoint) -> Step:
    """Writes the receipt, with the revision that the head has by then."""
    text = RuntimeCommitResult(0, checkpoint.checkpoint_ref, checkpoint.manifest).to_json().decode()
    before, after = '{"head_revision":', text.removeprefix('{"head_revision":0')
    return Step(_INSERT, (stamp.session_id, stamp.turn_id, stamp.turn_commit_hash, before, after))


def _result(session_id: str, turn_id: str, result_json: bytes) -> RuntimeCommitResult:
    with readable("turn commit result", f"{session_id}/{turn_id}"):
        return RuntimeCommitResult.from_json(result_json)
