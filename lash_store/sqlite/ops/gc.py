"""Collection of blobs that nothing needs any more (specification 4.19), in slices.

What is needed is found in a read snapshot, so that nobody waits for it. A slice of the rest is then deleted in a plan
that verifies, under the lock, that head and graph still are those which were looked at: only they can come to need a
blob that was not needed. Artifact references are looked at under the lock themselves.

What remains: a blob that is put alone, to be referred to later, looks like any other that nothing needs, and a
collection in between removes it. A checkpoint that names it is refused then (BlobMissing); frames and nodes are free to
name what is not stored. But what a stored frame or node names is never removed, whether it was there first or not.
"""

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from lash_store.rules.reachability import Marking, archive_hashes, mark
from lash_store.sqlite.ops import blobs
from lash_store.sqlite.ops.texts import readable
from lash_store.sqlite.plan import Expect, Otherwise, Plan, PlanResult, Step

if TYPE_CHECKING:
    import apsw

SLICE_ROWS: Final = 128
SLICE_BYTES: Final = 4 * 1024 * 1024
"""A slice ends with the blob that reaches one of these, so that the lock is held for milliseconds."""

# As bytes: a head that is no UTF-8 is a head that cannot be read, and no failure of the query.
_STATE: Final = """
SELECT (SELECT head_revision FROM session_head), (SELECT CAST(head_json AS BLOB) FROM session_head),
    (SELECT max(seq) FROM graph_nodes), (SELECT removals FROM lash_graph_size)
"""
_STATE_OF_LASH: Final = _STATE.replace("(SELECT removals FROM lash_graph_size)", "NULL")
_HAS_SIZE: Final = "SELECT 1 FROM sqlite_schema WHERE name = 'lash_graph_size'"
_ARTIFACT_BLOBS: Final = "SELECT blob_ref FROM artifact_refs"
_BEFORE_ALL: Final = -(2**63)
_PRUNED_NODES: Final = """
SELECT CAST(node_json AS BLOB) FROM graph_nodes
WHERE seq > ?1 AND tombstoned = 0 AND instr(node_json, '"archive_hash"')
"""
_COUNT_MISSING: Final = """
SELECT count(*) FROM json_each(?1) WHERE NOT EXISTS (SELECT 1 FROM blobs WHERE hash = value)
"""
_BLOBS_AFTER: Final = "SELECT hash, length(content) FROM blobs WHERE hash > ?1 ORDER BY hash"

_SAME_STATE: Final = f"SELECT 1 WHERE ({_STATE.strip()}) IS (?1, ?2, ?3, ?4)"
_DELETE: Final = """
DELETE FROM blobs
WHERE hash IN (SELECT value FROM json_each(?1)) AND hash NOT IN (SELECT blob_ref FROM artifact_refs)
RETURNING length(content)
"""


class State(NamedTuple):
    """What decides on what is needed: the head's row (None without one), how far the graph goes, what went from it."""

    head_revision: int | None
    head_json: bytes | None
    last_seq: int | None
    removals: int | None


class Archives(NamedTuple):
    """The archive hashes in the visible nodes of a graph, which went as far and had lost as much as its state says."""

    last_seq: int | None
    removals: int | None
    hashes: frozenset[str]


class Survey(NamedTuple):
    """What was found in one snapshot: the state, the archives, all that is needed, a slice of the rest.

    `elsewhere` is how many of the archives are kept only in name: they are not stored here (yet). The slice holds
    hashes greater than `after`, up to `last`; it is empty if there are none, or if there is a doubt.
    """

    state: State
    archives: Archives
    marking: Marking
    elsewhere: int
    after: str
    garbage: list[str]

    @property
    def retained(self) -> int:
        """How many blobs are kept."""
        return len(self.marking.kept) - self.elsewhere

    @property
    def last(self) -> str:
        """Where the next slice begins."""
        return self.garbage[-1] if self.garbage else self.after


class Swept(NamedTuple):
    """What deleting a slice has removed: blobs, and the bytes of their rows."""

    blobs: int
    bytes: int


def survey(
    connection: "apsw.Connection", known: Archives | None = None, after: str = "", earlier: Survey | None = None
) -> Survey:
    """Find what is needed, and the first slice of the rest whose hashes are greater than `after`.

    As long as the state is that of an `earlier` survey, so is what it needs. Of a graph that has only grown since that
    one, or since archives were `known`, the new nodes are looked at alone. Raises StoreCorrupt.
    """
    counted = connection.execute(_HAS_SIZE).fetchall()  # not in a file that only lash has written, opened read-only
    state = State(*next(connection.execute(_STATE if counted else _STATE_OF_LASH)))
    if earlier is not None and earlier.state == state:
        archives, marking, elsewhere = earlier.archives, earlier.marking, earlier.elsewhere
    else:
        archives = _archives(connection, state, known if earlier is None else earlier.archives)
        marking = _mark(connection, state, archives.hashes)
        elsewhere = 0 if marking.doubt else _count_elsewhere(connection, archives.hashes)
    garbage: list[str] = []
    size = 0
    rows = connection.execute(_BLOBS_AFTER, (after,)) if marking.doubt is None else ()
    for ref, length in rows:
        if ref not in marking.kept:
            garbage.append(ref)
            size += length
        if len(garbage) == SLICE_ROWS or size >= SLICE_BYTES:
            break
    return Survey(state, archives, marking, elsewhere, after, garbage)


def read_archived(connection: "apsw.Connection", after: int = _BEFORE_ALL) -> frozenset[str]:
    """The archive hashes in visible nodes whose `seq` is greater than `after`."""
    found = connection.execute(_PRUNED_NODES, (after,))
    return frozenset(ref for (text,) in found for ref in archive_hashes(text))


def prepare_sweep(found: Survey) -> Plan:
    """Deletes the survey's slice, unless the state is another by now."""
    garbage = msgspec.json.encode(found.garbage).decode()
    return Plan(
        [
            Step(_SAME_STATE, found.state, expect=Expect.ROW, otherwise=Otherwise.STOP),
            Step(_DELETE, (garbage,), rows=True),
        ]
    )


def swept(result: PlanResult) -> Swept | None:
    """What the plan of `prepare_sweep` has removed; None if the state was another."""
    if result.stopped is not None:
        return None
    (lengths,) = result.rows
    return Swept(len(lengths), sum(length for (length,) in lengths))


def _mark(connection: "apsw.Connection", state: State, archived: frozenset[str]) -> Marking:
    with readable("artifact reference", "artifact_refs"):
        artifact_blobs = [blob_ref for (blob_ref,) in connection.execute(_ARTIFACT_BLOBS)]
    return mark(state.head_json, artifact_blobs, archived, partial(blobs.read_stored, connection))


def _archives(connection: "apsw.Connection", state: State, known: Archives | None) -> Archives:
    """Those in a graph of this `state`, stored or not: whoever has their content may put it at any time."""
    if known is None or known.removals != state.removals:
        hashes = read_archived(connection)
    elif known.last_seq == state.last_seq:
        hashes = known.hashes
    else:
        after = _BEFORE_ALL if known.last_seq is None else known.last_seq
        hashes = known.hashes | read_archived(connection, after)
    return Archives(state.last_seq, state.removals, hashes)


def _count_elsewhere(connection: "apsw.Connection", archives: frozenset[str]) -> int:
    return int(next(connection.execute(_COUNT_MISSING, (msgspec.json.encode(archives).decode(),)))[0])
