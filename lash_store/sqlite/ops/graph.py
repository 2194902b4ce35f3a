"""The graph's nodes in order of insertion, and a count of them that costs nothing to keep (specification 2.3).

`lash_graph_size` is an addition of this package. Its one row holds the number of visible nodes up to a `seq`. What
comes later is counted when it is asked for; for what is hidden or removed two triggers correct the number, whichever
program does that, and count how often that was. Whoever has looked at the graph can tell by `max(seq)` and `removals`
whether it still is that graph. (The highest `seq` is given out again after its row is gone: then `last_seq` goes back.)
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from lash_store.errors import StoreCorrupt
from lash_store.records import node_text
from lash_store.records.graph import SessionNodeRecord
from lash_store.sqlite.ops.arguments import records_of
from lash_store.sqlite.plan import Step

if TYPE_CHECKING:
    import apsw

_BEFORE_ALL: Final = "-9223372036854775808"
_NONE_COUNTED: Final = f"""
INSERT INTO lash_graph_size (singleton, last_seq, node_count, removals) VALUES (1, {_BEFORE_ALL}, 0, 1)
ON CONFLICT (singleton) DO UPDATE SET removals = removals + 1"""

TABLES: Final = {
    "graph_nodes": """
CREATE TABLE IF NOT EXISTS graph_nodes (
    seq INTEGER PRIMARY KEY,
    node_id TEXT NOT NULL UNIQUE,
    node_json TEXT NOT NULL,
    tombstoned INTEGER NOT NULL DEFAULT 0
)""",
    "lash_graph_size": """
CREATE TABLE IF NOT EXISTS lash_graph_size (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    last_seq INTEGER NOT NULL,
    node_count INTEGER NOT NULL,
    removals INTEGER NOT NULL DEFAULT 0
)""",
    "lash_graph_size_hidden": """
CREATE TRIGGER IF NOT EXISTS lash_graph_size_hidden AFTER UPDATE OF tombstoned ON graph_nodes
BEGIN {none_counted}, node_count = node_count
    + CASE WHEN old.seq <= last_seq THEN (new.tombstoned = 0) - (old.tombstoned = 0) ELSE 0 END; END
""".replace("{none_counted}", _NONE_COUNTED),
    "lash_graph_size_removed": """
CREATE TRIGGER IF NOT EXISTS lash_graph_size_removed AFTER DELETE ON graph_nodes
BEGIN {none_counted}, node_count = node_count - (old.seq <= last_seq AND old.tombstoned = 0),
    last_seq = min(last_seq, coalesce((SELECT max(seq) FROM graph_nodes), 0)); END
""".replace("{none_counted}", _NONE_COUNTED),
}

# As bytes: a text that is no UTF-8 is a node that cannot be read, and no failure of the query.
_ROW: Final = "SELECT node_id, CAST(node_json AS BLOB)"
_READ_ALL: Final = f"{_ROW} FROM graph_nodes WHERE tombstoned = 0 ORDER BY seq"
_READ_NODE: Final = f"{_ROW} FROM graph_nodes WHERE node_id = ?1 AND tombstoned = 0"
# UNION, not UNION ALL: a path that meets itself again must end.
_READ_PATH: Final = f"""
WITH RECURSIVE path (seq, parent) AS (
    SELECT seq, CASE WHEN json_valid(node_json) THEN node_json ->> '$.parent_node_id' END
    FROM graph_nodes WHERE node_id = ?1 AND tombstoned = 0
    UNION
    SELECT node.seq, CASE WHEN json_valid(node.node_json) THEN node.node_json ->> '$.parent_node_id' END
    FROM path JOIN graph_nodes AS node ON node.node_id = path.parent WHERE node.tombstoned = 0
)
{_ROW} FROM path JOIN graph_nodes USING (seq)
"""
_INSERT: Final = "INSERT INTO graph_nodes (node_id, node_json) VALUES (?1, ?2)"
_DELETE_ALL: Final = "DELETE FROM graph_nodes"
# What was added since has a higher seq: that remains to be counted.
_COUNT_IF_UNKNOWN: Final = f"""
INSERT INTO lash_graph_size (singleton, last_seq, node_count)
SELECT 1, coalesce((SELECT max(seq) FROM graph_nodes), 0),
    coalesce((SELECT node_count FROM lash_graph_size), 0) + (
        SELECT count(*) FROM graph_nodes
        WHERE seq > coalesce((SELECT last_seq FROM lash_graph_size), {_BEFORE_ALL}) AND tombstoned = 0)
WHERE NOT EXISTS (
    SELECT 1 FROM lash_graph_size WHERE last_seq = coalesce((SELECT max(seq) FROM graph_nodes), 0)
)
ON CONFLICT (singleton) DO UPDATE SET last_seq = excluded.last_seq, node_count = excluded.node_count
"""
_ADD_TO_COUNT: Final = """
UPDATE lash_graph_size SET last_seq = (SELECT max(seq) FROM graph_nodes), node_count = node_count + ?1
"""


def read_nodes(connection: "apsw.Connection") -> list[SessionNodeRecord]:
    """Every visible node, in order. Raises StoreCorrupt."""
    return node_text.read_nodes(connection.execute(_READ_ALL))


def read_node(connection: "apsw.Connection", node_id: str) -> SessionNodeRecord | None:
    """The visible node of that id. Raises StoreCorrupt."""
    found = node_text.read_nodes(connection.execute(_READ_NODE, (node_id,)))
    return found[0] if found else None


def read_path(connection: "apsw.Connection", leaf_node_id: str) -> list[SessionNodeRecord]:
    """The nodes from the root, or from below the first ancestor that is not visible, to the leaf.

    Raises StoreCorrupt for a node that cannot be read, and for one that is its own ancestor.
    """
    nodes = {node.node_id: node for node in node_text.read_nodes(connection.execute(_READ_PATH, (leaf_node_id,)))}
    path: list[SessionNodeRecord] = []
    node = nodes.pop(leaf_node_id, None)
    while node is not None:
        path.append(node)
        node = nodes.pop(node.parent_node_id, None) if node.parent_node_id is not None else None
    if path and path[-1].parent_node_id in {node.node_id for node in path}:
        raise StoreCorrupt("graph node", str(path[-1].parent_node_id))
    path.reverse()
    return path


def append_steps(nodes: Sequence[SessionNodeRecord]) -> list[Step]:
    """Inserts nodes and keeps the count. A node id that is taken, if only by a hidden node, is a ConstraintViolation.

    Raises InvalidRecord or InvalidJsonValue for a node without a stored form.
    """
    steps = [Step(_COUNT_IF_UNKNOWN)]
    if records_of(SessionNodeRecord, nodes):
        steps += [Step(_INSERT, _rows(nodes), many=True), Step(_ADD_TO_COUNT, (len(nodes),))]
    return steps


def replace_steps(nodes: Sequence[SessionNodeRecord]) -> list[Step]:
    """Removes all nodes, the hidden ones too, and inserts these. Raises as `append_steps` does."""
    return [Step(_DELETE_ALL), Step(_INSERT, _rows(nodes), many=True), Step(_COUNT_IF_UNKNOWN)]


def _rows(nodes: Sequence[SessionNodeRecord]) -> list[tuple[str, str]]:
    return [(node.node_id, node.to_json().decode()) for node in records_of(SessionNodeRecord, nodes)]
