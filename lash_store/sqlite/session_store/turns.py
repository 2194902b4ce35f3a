"""Turns: loading a session and committing what a turn made of it."""

from functools import partial
from typing import Final

from lash_store.codecs.checkpoint import encode_checkpoint
from lash_store.errors import BlobMissing, GuardFailed
from lash_store.records.artifacts import BlobProfile
from lash_store.records.checkpoint import HydratedSessionCheckpoint, SessionCheckpoint
from lash_store.records.commit import RuntimeCommit
from lash_store.records.commit_result import RuntimeCommitResult
from lash_store.records.graph import SessionNodeRecord
from lash_store.records.head import FullGraph, PersistedSessionRead, ReadScope
from lash_store.sqlite.ops import checkpoints, graph, load
from lash_store.sqlite.ops import commit as commit_ops
from lash_store.sqlite.ops.commit import Known, PreparedCommit
from lash_store.sqlite.ops.head import READABLE, UNSEEN
from lash_store.sqlite.plan import Plan
from lash_store.sqlite.session_store.maintenance import MaintenanceOperations
from lash_store.sqlite.session_store.recent import RecentRefs

_EVERYTHING: Final = FullGraph()


class TurnOperations(MaintenanceOperations):
    """Load and commit (specification 4.5 to 4.8, 4.23); after a commit, collection is maintenance's business."""

    _profile: BlobProfile
    _stored_refs: RecentRefs
    _seen: tuple[str, int] = ("", UNSEEN)  # the head of which session, at which revision, this handle wrote last

    async def load_session(self, scope: ReadScope = _EVERYTHING) -> PersistedSessionRead | None:
        """The session, read in one snapshot; None if it was never committed.

        `scope` is FullGraph(), or ActivePath(leaf_node_id) for the nodes from the root to that leaf (None: the head's).
        A checkpoint or a part of one whose blob is not stored is None beside its ref. Raises StoreCorrupt, naming what
        cannot be read.
        """
        return await self._read(partial(load.load_session, scope=scope))

    async def load_node(self, node_id: str) -> SessionNodeRecord | None:
        """The node of that id; None if there is none or it is tombstoned. Raises StoreCorrupt."""
        return await self._read(partial(graph.read_node, node_id=node_id))

    async def commit_runtime_state(self, commit: RuntimeCommit) -> RuntimeCommitResult:
        """Commit a turn: head, checkpoint, graph, usage, completed claims, attachments and receipt, all or nothing.

        A stamped commit that was made before gives the stored result again and writes nothing. Raises, in this order,
        SessionBindingMismatch, RuntimeTurnCommitConflict (another content under the same turn id, or a stamp of another
        session), HeadRevisionConflict (somebody else has committed), QueuedWorkClaimExpired (a completion is not
        exactly what its claim holds), BlobMissing (a ref without a value that neither is stored nor stood in the head),
        and ConstraintViolation for a node id that is taken. InvalidRecord and InvalidJsonValue come before all of them,
        StoreBusy, StoreFull and StoreCorrupt as from any write.
        """
        carried: frozenset[str] = frozenset()
        while True:
            session_id, revision = self._seen
            known = Known(revision if session_id == commit.session_id else UNSEEN, self._stored_refs, carried)
            prepared = commit_ops.prepare(commit, self._profile, known)
            try:
                found = await self._run(prepared.plan)
            except GuardFailed as failed:
                carried = await self._mend(prepared, failed, carried)
                continue
            result = commit_ops.result(prepared, found)
            if not commit_ops.is_replay(prepared, found):
                self._seen = (commit.session_id, result.head_revision)
                self._stored_refs.note(checkpoints.refs_of(result.manifest) | {result.checkpoint_ref})
            await self._after_commit()
            return result

    async def put_checkpoint(self, hydrated: HydratedSessionCheckpoint) -> tuple[str, SessionCheckpoint]:
        """Store a checkpoint by itself; returns its ref and its manifest. Equal content gives equal refs.

        No head refers to it yet, so a collection may take it away. Raises InvalidRecord, InvalidJsonValue, BlobMissing.
        """
        encoded = encode_checkpoint(hydrated, self._profile)
        try:
            await self._run(Plan(checkpoints.write_steps(encoded)))
        except GuardFailed as failed:
            raise checkpoints.missing(failed) or failed from None
        return encoded.checkpoint_ref, encoded.manifest

    async def get_checkpoint(self, checkpoint_ref: str) -> HydratedSessionCheckpoint | None:
        """The checkpoint with its parts; None if it is not stored. A part that is not stored is None beside its ref.

        Raises StoreCorrupt if one of them cannot be read.
        """
        return await self._read(partial(checkpoints.read_checkpoint, checkpoint_ref=checkpoint_ref))

    async def _mend(self, prepared: PreparedCommit, failed: GuardFailed, carried: frozenset[str]) -> frozenset[str]:
        """What a next try may carry over, if the guard failed on what this handle believed; else raises the refusal."""
        refusal = commit_ops.refusal(prepared, failed)
        if failed.name == checkpoints.REUSED:
            self._stored_refs.clear()  # a collection took them away
            return carried
        if failed.name == READABLE:
            await self._read(commit_ops.read_head_refs)  # raises StoreCorrupt, unless somebody has replaced it since
            return carried
        if isinstance(refusal, BlobMissing):
            in_head = await self._read(commit_ops.read_head_refs)
            if refusal.ref in in_head:
                return carried | in_head
        raise refusal from None
