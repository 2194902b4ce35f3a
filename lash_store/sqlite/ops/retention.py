"""Hiding graph nodes, removing hidden ones and old receipts, and giving room back (specification 4.18).

What is to be removed is found in a read snapshot, and removed in slices: the lock is held for one slice at a time.
"""

from typing import TYPE_CHECKING, Any, Final

import msgspec

from lash_store.sqlite.ops.texts import column_texts, readable
from lash_store.sqlite.plan import Plan, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

SLICE_ROWS: Final = 256

_TOMBSTONE: Final = "UPDATE graph_nodes SET tombstoned = 1 WHERE node_id = ?1 AND tombstoned = 0"
# The path as the nodes tell it, whether they are hidden or not. UNION ends a path that meets itself again.
_HIDDEN_ON_ACTIVE_PATH: Final = """
WITH RECURSIVE path (seq, parent, tombstoned) AS (
    SELECT seq, CASE WHEN json_valid(node_json) THEN node_json ->> '$.parent_node_id' END, tombstoned
    FROM graph_nodes WHERE node_id =
        (SELECT CASE WHEN json_valid(head_json) THEN head_json ->> '$.leaf_node_id' END FROM session_head)
    UNION
    SELECT node.seq, CASE WHEN json_valid(node.node_json) THEN node.node_json ->> '$.parent_node_id' END,
        node.tombstoned
    FROM path JOIN graph_nodes AS node ON node.node_id = path.parent
)
SELECT count(*) FROM path WHERE tombstoned <> 0
"""
_TOMBSTONED: Final = "SELECT seq FROM graph_nodes WHERE tombstoned <> 0 AND seq > ?1 ORDER BY seq LIMIT ?2"
# A row number may be another node's by now, but not a hidden one's that should stay.
_REMOVE_TOMBSTONED: Final = """
DELETE FROM graph_nodes WHERE seq IN (SELECT value FROM json_each(?1)) AND tombstoned <> 0
"""
# In order of commit: a clock that was set back must not make the newest receipt an old one.
_OLD_RECEIPTS: Final = """
SELECT session_id, turn_id FROM runtime_turn_commits
WHERE committed_at_ms < ?1 AND rowid NOT IN (SELECT rowid FROM runtime_turn_commits ORDER BY rowid DESC LIMIT ?2)
ORDER BY rowid LIMIT ?3
"""
# By key, not by rowid: VACUUM may give rows other numbers.
_REMOVE_RECEIPT: Final = """
DELETE FROM runtime_turn_commits WHERE session_id = ?1 AND turn_id = ?2 AND committed_at_ms < ?3
"""
_COPY_BACK: Final = "PRAGMA wal_checkpoint(PASSIVE)"
_SIZE: Final = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"


def prepare_tombstone(node_ids: "Sequence[str]") -> Plan:
    """Hides nodes; those unknown, or hidden already, are no changes. Raises InvalidRecord for an id that is no text."""
    rows = [(node_id,) for node_id in column_texts("graph node", "node_id", node_ids)]
    return Plan([Step(_TOMBSTONE, rows, many=True)])


def read_hidden_on_active_path(connection: "apsw.Connection") -> int:
    """How many nodes between the head's leaf and its root are hidden."""
    return int(next(connection.execute(_HIDDEN_ON_ACTIVE_PATH))[0])


def read_tombstoned(connection: "apsw.Connection", after: int) -> list[int]:
    """A slice of the `seq` of hidden nodes, those greater than `after`."""
    return [seq for (seq,) in connection.execute(_TOMBSTONED, (after, SLICE_ROWS))]


def prepare_remove_tombstoned(found: "Sequence[int]") -> Plan:
    """Removes those nodes of a slice that are still hidden."""
    return Plan([Step(_REMOVE_TOMBSTONED, (msgspec.json.encode(found).decode(),))])


def read_old_receipts(connection: "apsw.Connection", older_than_epoch_ms: int, keep_latest: int) -> list[Any]:
    """A slice of the keys of receipts that are older and not among the latest."""
    with readable("turn commit", "runtime_turn_commits"):
        return connection.execute(_OLD_RECEIPTS, (older_than_epoch_ms, keep_latest, SLICE_ROWS)).fetchall()


def prepare_remove_receipts(found: "Sequence[Any]", older_than_epoch_ms: int) -> Plan:
    """Removes the receipts of a slice. A turn that was stamped anew meanwhile is not older any more."""
    return Plan([Step(_REMOVE_RECEIPT, [(*key, older_than_epoch_ms) for key in found], many=True)])


def shrink(connection: "apsw.Connection") -> int:
    """Rewrite the database without its free pages; by how many bytes it has shrunk. Not within a transaction.

    The file itself becomes smaller when the log is copied back.
    """
    before = _size(connection)
    connection.execute("VACUUM").fetchall()
    return before - _size(connection)


def copy_back(connection: "apsw.Connection") -> bool:
    """Copy the log back as far as readers let it; False if somebody else is doing that, for an older state."""
    return bool(next(connection.execute(_COPY_BACK))[0] == 0)


def _size(connection: "apsw.Connection") -> int:
    return int(next(connection.execute(_SIZE))[0])
