"""The session head: one row, whose JSON names the frames, the leaf and the checkpoint (specification 2.2, 3.2)."""

from typing import TYPE_CHECKING, Any, Final

import msgspec

from lash_store.errors import GuardFailed, InvalidRecord, StoreCorrupt
from lash_store.records.head import SessionHeadMeta
from lash_store.sqlite.ops.integers import COLUMN_MAX, column_integer
from lash_store.sqlite.ops.texts import readable
from lash_store.sqlite.plan import Expect, Step

if TYPE_CHECKING:
    import apsw

TABLES: Final = {
    "session_head": """
CREATE TABLE IF NOT EXISTS session_head (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    session_id TEXT NOT NULL DEFAULT 'root',
    head_json TEXT NOT NULL DEFAULT '{}',
    head_revision INTEGER NOT NULL DEFAULT 0
)"""
}

# As bytes: a text that is no UTF-8 is a head that cannot be read, and no failure of the query.
_READ: Final = "SELECT CAST(head_json AS BLOB), head_revision FROM session_head WHERE singleton = 1"
# What belongs to another session, or is not even a head, must not be replaced by one that knows nothing of it. The id
# in the text counts, not its copy beside it. A session keeps its head: at a revision that this handle has seen only who
# writes another id beside the text is looked at, while damage comes at any revision.
_BOUND_ELSEWHERE: Final = """
SELECT bound FROM (
    SELECT CASE WHEN json_valid(head_json) THEN coalesce(head_json ->> '$.session_id', 'root') END AS bound
    FROM session_head WHERE head_revision IS NOT ?2 OR session_id <> ?1
) WHERE bound <> ?1
"""
_NO_NEXT: Final = """
SELECT head_revision FROM session_head
WHERE (typeof(head_revision) <> 'integer' OR head_revision NOT BETWEEN 0 AND 9223372036854775805)
"""
_UNREADABLE: Final = f"""{_NO_NEXT}
    OR (?2 AND head_revision IS NOT ?1)
    OR CASE WHEN json_valid(head_json) THEN json_type(head_json, '$.config') IS NOT 'object' ELSE 1 END
"""
_OTHER_REVISION: Final = """
SELECT revision FROM (SELECT coalesce(max(head_revision), 0) AS revision FROM session_head) WHERE revision <> ?1
"""
# A leaf that is no node makes the active path empty: nobody means that. One that the head has already may stay.
_NO_NODE: Final = """
SELECT 1
WHERE NOT (?2 AND EXISTS (SELECT 1 FROM graph_nodes WHERE node_id = ?1 AND tombstoned = 0))
    AND NOT EXISTS (
        SELECT 1 FROM session_head WHERE CASE WHEN json_valid(head_json) THEN head_json ->> '$.leaf_node_id' = ?1 END
    )
"""
# The two numbers that only the lock knows are put between the three parts of a text that was made before it.
_WRITE: Final = """
INSERT INTO session_head (singleton, session_id, head_json, head_revision)
SELECT 1, ?1, ?2 || revision || ?3 || node_count || ?4, revision FROM ({revision}), lash_graph_size WHERE true
ON CONFLICT (singleton) DO UPDATE SET
    session_id = excluded.session_id, head_json = excluded.head_json, head_revision = excluded.head_revision
RETURNING head_revision
"""
_ADVANCE: Final = _WRITE.format(revision="SELECT coalesce(max(head_revision), 0) + 1 AS revision FROM session_head")
# A first head that is no commit has revision 0. Any other gets a new one, so that nobody takes it for what he has seen.
_PLACE: Final = _WRITE.format(revision="SELECT coalesce(max(head_revision) + 1, 0) AS revision FROM session_head")
_SAVE: Final = """
INSERT INTO session_head (singleton, session_id, head_json, head_revision) VALUES (1, ?1, ?2, ?3)
ON CONFLICT (singleton) DO UPDATE SET
    session_id = excluded.session_id, head_json = excluded.head_json, head_revision = excluded.head_revision
"""

BINDING: Final = "binding"
READABLE: Final = "readable head"
REVISION: Final = "revision"
LEAF: Final = "leaf"
_LAST: Final = COLUMN_MAX - 1


def read_head(connection: "apsw.Connection") -> SessionHeadMeta | None:
    """The head, with the revision of its column; None for a store that was never committed to. Raises StoreCorrupt."""
    rows: list[tuple[Any, ...]] = connection.execute(_READ).fetchall()
    return decode(*rows[0]) if rows else None


def decode(head_json: bytes, head_revision: int) -> SessionHeadMeta:
    """The head in a row. Raises StoreCorrupt."""
    with readable("session head", "session_head"):
        column_integer("session head", "head_revision", head_revision)
        head = SessionHeadMeta.from_json(head_json)
    if head_revision > _LAST:
        raise StoreCorrupt("session head", "session_head")
    return msgspec.structs.replace(head, head_revision=head_revision)


def read_identity(connection: "apsw.Connection") -> tuple[str, int] | None:
    """Session and revision of a head that a commit may follow; None without a head. Raises StoreCorrupt."""
    found = read_head(connection)
    if found is None:
        return None
    if found.head_revision == _LAST:  # no commit has come so far: there would be no next one
        raise StoreCorrupt("session head", "session_head")
    return found.session_id, found.head_revision


def identity_steps(session_id: str, seen_revision: int | None, *, strictly: bool) -> list[Step]:
    """The guards BINDING and READABLE: the head is this session's and can be read, as is known of `seen_revision`.

    READABLE asks no more than SQL can tell; `strictly`, it fails for every other revision, too.
    """
    return [
        Step(_BOUND_ELSEWHERE, (session_id, seen_revision), expect=Expect.NO_ROW, name=BINDING),
        Step(_UNREADABLE, (seen_revision, int(strictly)), expect=Expect.NO_ROW, name=READABLE),
    ]


def revision_step(expected: int) -> Step:
    """The guard REVISION: the head is at `expected`; a head that is not there is at 0."""
    return Step(_OTHER_REVISION, (expected,), expect=Expect.NO_ROW, name=REVISION)


def leaf_step(leaf_node_id: str, *, among_stored: bool) -> Step:
    """The guard LEAF: the leaf is the head's already, or, `among_stored`, a visible node."""
    return Step(_NO_NODE, (leaf_node_id, int(among_stored)), expect=Expect.NO_ROW, name=LEAF)


def advance_step(head: SessionHeadMeta) -> Step:
    """Writes `head` at the next revision, with the node count of `lash_graph_size`; its row is that revision.

    Raises InvalidRecord or InvalidJsonValue if `head` has no stored form.
    """
    return Step(_ADVANCE, (head.session_id, *_around_the_numbers(head)), rows=True)


def place_steps(head: SessionHeadMeta) -> list[Step]:
    """As `advance_step`, for a head that no commit makes: the first one is at revision 0.

    The guard READABLE holds the revision of the head that is replaced, of which nothing else counts.
    """
    return [
        Step(_NO_NEXT, expect=Expect.NO_ROW, name=READABLE),
        Step(_PLACE, (head.session_id, *_around_the_numbers(head)), rows=True),
    ]


def save_step(head: SessionHeadMeta) -> Step:
    """Writes `head` as it is, but for its ledger, whatever was there. Raises InvalidRecord or InvalidJsonValue."""
    revision = column_integer("SessionHeadMeta", "head_revision", head.head_revision)
    if revision >= _LAST:
        raise InvalidRecord("SessionHeadMeta", "$.head_revision", f"no commit could follow {revision}")
    head.to_json()  # checks the ledger, too
    stored = msgspec.structs.replace(head, token_ledger=[])
    return Step(_SAVE, (stored.session_id, stored.to_json().decode(), revision))


def no_next(failed: GuardFailed) -> StoreCorrupt | None:
    """The error of the guard READABLE of `place_steps`; None for any other guard."""
    return StoreCorrupt("session head", "session_head") if failed.name == READABLE else None


def _around_the_numbers(head: SessionHeadMeta) -> tuple[str, str, str]:
    """The text of `head` without its revision and node count. Both stand at places that are known."""
    text = SessionHeadMeta(
        session_id=head.session_id,
        head_revision=0,
        config=head.config,
        agent_frames=head.agent_frames,
        current_agent_frame_id=head.current_agent_frame_id,
        checkpoint_ref=head.checkpoint_ref,
        leaf_node_id=head.leaf_node_id,
        graph_node_count=0,
    ).to_json()
    start = text.index(b',"head_revision":0,"config":') + len(b',"head_revision":')
    end = len(text) - len(b"0}")
    return text[:start].decode(), text[start + 1 : end].decode(), text[end + 1 :].decode()
