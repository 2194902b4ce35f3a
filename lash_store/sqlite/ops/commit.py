"""The commit of a turn: everything that it changes, in one transaction (specification 4.7).

All that can be made beforehand is made in `prepare`: texts, hashes, compressed blobs. What only the lock knows, the new
revision, the node count and the time, is filled in by SQL.
"""

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from lash_store.codecs.checkpoint import EncodedCheckpoint, encode_checkpoint
from lash_store.errors import (
    GuardFailed,
    HeadRevisionConflict,
    InvalidRecord,
    QueuedWorkClaimExpired,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    StoreError,
    UnknownLeafNode,
)
from lash_store.records.artifacts import BlobProfile
from lash_store.records.checkpoint import HydratedSessionCheckpoint
from lash_store.records.commit import (
    Append,
    GraphCommitDelta,
    ReplaceFull,
    RuntimeCommit,
    RuntimeTurnCommitStamp,
    Unchanged,
)
from lash_store.records.commit_result import RuntimeCommitResult
from lash_store.records.graph import SessionNodeRecord
from lash_store.records.head import SessionHeadMeta
from lash_store.records.queue import QueuedWorkCompletion
from lash_store.rules.reachability import refs_of
from lash_store.sqlite.ops import attachments, checkpoints, graph, head, queue_completion, turn_commits, usage
from lash_store.sqlite.ops.arguments import record_of, records_of
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.ops.texts import column_text
from lash_store.sqlite.plan import Expect, Plan, PlanResult, Step

if TYPE_CHECKING:
    import apsw

_MANY_NODES: Final = 128
_NEVER: Final = "SELECT 1"
_FOREIGN_STAMP: Final = "stamp of another session"
_FOREIGN_CLAIM: Final = "claim of another session "


class PreparedCommit(NamedTuple):
    """A commit ready to be run. `replay` is the index of the step that finds an earlier receipt, None without stamp."""

    commit: RuntimeCommit
    checkpoint: EncodedCheckpoint
    plan: Plan
    replay: int | None


class Known(NamedTuple):
    """What this handle has seen of the store, to be verified under the lock.

    `revision`: a head of this session's that could be read. `stored`: blobs that are there. `carried`: refs that the
    head named before, whose blobs may be missing, as in a session that lash has copied. `encoded`: the checkpoint as an
    earlier try has encoded it, with what that has found out.
    """

    revision: int | None = None
    stored: Container[str] = frozenset()
    carried: frozenset[str] = frozenset()
    encoded: EncodedCheckpoint | None = None


def is_large(commit: RuntimeCommit) -> bool:
    """Whether `prepare` takes so long that an event loop should not wait for it. A guess, which looks at little."""
    nodes = getattr(commit.graph, "nodes", None)
    many = isinstance(nodes, list) and len(nodes) >= _MANY_NODES
    return many or checkpoints.is_large(record_of(HydratedSessionCheckpoint, commit.checkpoint))


def prepare(commit: RuntimeCommit, profile: BlobProfile, known: Known) -> PreparedCommit:
    """Encodes everything. Raises InvalidRecord or InvalidJsonValue if something has no stored form."""
    checkpoint = known.encoded
    if checkpoint is None:
        checkpoint = encode_checkpoint(record_of(HydratedSessionCheckpoint, commit.checkpoint), profile, known.stored)
    # Who expects a revision looks at a head that is new to this handle, and loses nothing by it: he is refused anyway,
    # or has read it through another handle. Who expects none may meet new heads all the time.
    strictly = commit.expected_head_revision is not None
    steps = head.identity_steps(commit.session_id, known.revision, strictly=strictly)
    replay = None
    stamp = commit.turn_commit
    if stamp is not None:
        record_of(RuntimeTurnCommitStamp, stamp).to_json()  # checks every field
        if stamp.session_id != commit.session_id:
            steps.append(Step(_NEVER, expect=Expect.NO_ROW, name=_FOREIGN_STAMP))
        replay = len(steps)
        steps.append(turn_commits.find_step(stamp))
    if commit.expected_head_revision is not None:
        expected = column_integer("RuntimeCommit", "expected_head_revision", commit.expected_head_revision)
        steps.append(head.revision_step(expected))
    steps += _completion_steps(commit)
    steps += _leaf_steps(commit.graph)
    steps += checkpoints.write_steps(checkpoint, known.carried)
    steps += usage.insert_steps(commit.usage_deltas)
    steps += _graph_steps(commit.graph)
    steps.append(head.advance_step(_head_of(commit, checkpoint.checkpoint_ref)))
    steps += attachments.commit_refs_steps(commit.session_id, commit.committed_attachment_ids)
    if stamp is not None:
        steps.append(turn_commits.insert_step(stamp, checkpoint))
    steps += usage.merge_steps()
    return PreparedCommit(commit, checkpoint, Plan(steps), replay)


def result(prepared: PreparedCommit, found: PlanResult) -> RuntimeCommitResult:
    """What the commit made, or what the same commit had made before.

    Raises RuntimeTurnCommitConflict and StoreCorrupt, in the second case.
    """
    stamp = prepared.commit.turn_commit
    if is_replay(prepared, found) and stamp is not None and found.row is not None:
        return turn_commits.replayed(stamp, found.row)
    ((revision,),) = found.rows[0]
    return RuntimeCommitResult(revision, prepared.checkpoint.checkpoint_ref, prepared.checkpoint.manifest)


def is_replay(prepared: PreparedCommit, found: PlanResult) -> bool:
    """Whether the plan met an earlier receipt and wrote nothing."""
    return found.stopped is not None and found.stopped == prepared.replay


def refusal(prepared: PreparedCommit, failed: GuardFailed) -> StoreError:
    """The error for a guard that failed; the failure itself if it is one that the caller can mend (`Known`)."""
    commit = prepared.commit
    row = failed.row or ()
    if failed.name == head.BINDING:
        return SessionBindingMismatch(row[0], commit.session_id)
    if failed.name == head.REVISION:
        return HeadRevisionConflict(commit.expected_head_revision, row[0])
    if failed.name == head.LEAF:
        return UnknownLeafNode(commit.session_id, str(commit.graph.leaf_node_id))
    if failed.name == _FOREIGN_STAMP and commit.turn_commit is not None:
        return RuntimeTurnCommitConflict(commit.turn_commit.session_id, commit.turn_commit.turn_id)
    if failed.name.startswith(_FOREIGN_CLAIM):
        claim = commit.completed_queue_claims[int(failed.name.removeprefix(_FOREIGN_CLAIM))]
        return QueuedWorkClaimExpired(claim.session_id, claim.claim_id)
    return (
        checkpoints.missing(failed)
        or queue_completion.completion_error(failed, commit.completed_queue_claims)
        or failed
    )


def read_head_refs(connection: "apsw.Connection") -> frozenset[str]:
    """The refs of the checkpoint that the head names; none without a head. Raises StoreCorrupt."""
    found = head.read_head(connection)
    ref = None if found is None else found.checkpoint_ref
    manifest = None if ref is None else checkpoints.read_manifest(connection, ref)
    return frozenset() if manifest is None else refs_of(manifest)


def _completion_steps(commit: RuntimeCommit) -> Sequence[Step]:
    claims = records_of(QueuedWorkCompletion, commit.completed_queue_claims)
    for index, claim in enumerate(claims):
        if claim.session_id != commit.session_id:
            earlier = queue_completion.completion_steps(claims[:index])
            return [*earlier, Step(_NEVER, expect=Expect.NO_ROW, name=f"{_FOREIGN_CLAIM}{index}")]
    return queue_completion.completion_steps(claims)


def _leaf_steps(delta: GraphCommitDelta) -> list[Step]:
    if not isinstance(delta, GraphCommitDelta):
        raise InvalidRecord("RuntimeCommit", "$.graph", f"expected a graph delta, got a {type(delta).__name__}")
    leaf, nodes = delta.leaf_node_id, () if isinstance(delta, Unchanged) else records_of(SessionNodeRecord, delta.nodes)
    if leaf is None or any(node.node_id == leaf for node in reversed(nodes)):
        return []
    key = column_text("RuntimeCommit", "leaf_node_id", leaf)
    return [head.leaf_step(key, among_stored=not isinstance(delta, ReplaceFull))]


def _graph_steps(delta: GraphCommitDelta) -> list[Step]:
    if isinstance(delta, ReplaceFull):
        return graph.replace_steps(delta.nodes)
    return graph.append_steps(delta.nodes if isinstance(delta, Append) else ())


def _head_of(commit: RuntimeCommit, checkpoint_ref: str) -> SessionHeadMeta:
    return SessionHeadMeta(
        session_id=commit.session_id,
        config=commit.config,
        agent_frames=commit.agent_frames,
        current_agent_frame_id=commit.current_agent_frame_id,
        checkpoint_ref=checkpoint_ref,
        leaf_node_id=commit.graph.leaf_node_id,
    )
