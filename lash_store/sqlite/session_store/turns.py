"""Turns: loading a session and committing what a turn made of it."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from lash_store.codecs.checkpoint import EncodedCheckpoint, encode_checkpoint
from lash_store.errors import BlobMissing, GuardFailed, SessionBindingMismatch, UnsupportedReadScope
from lash_store.records.artifacts import BlobProfile
from lash_store.records.checkpoint import HydratedSessionCheckpoint, SessionCheckpoint
from lash_store.records.commit import RuntimeCommit
from lash_store.records.commit_result import RuntimeCommitResult
from lash_store.records.graph import SessionNodeRecord
from lash_store.records.head import ActivePath, FullGraph, PersistedSessionRead, ReadScope
from lash_store.sqlite.ops import checkpoints, graph, head, load, session_meta, turn_commits
from lash_store.sqlite.ops import commit as commit_ops
from lash_store.sqlite.ops.arguments import record_of
from lash_store.sqlite.ops.commit import Known, PreparedCommit
from lash_store.sqlite.ops.texts import column_text
from lash_store.sqlite.plan import Plan
from lash_store.sqlite.session_store.maintenance import MaintenanceOperations
from lash_store.sqlite.session_store.recent import RecentRefs

T = TypeVar("T")

_EVERYTHING: Final = FullGraph()
_NO_HEAD: Final = ("", 0)


class TurnOperations(MaintenanceOperations):
    """Load and commit (specification 4.5 to 4.8, 4.23); after a commit, collection is maintenance's business."""

    _profile: BlobProfile
    _stored_refs: RecentRefs
    _looking: asyncio.Lock
    # The head of which session, at which revision, this handle has written or read last; to be verified by plans.
    _seen: tuple[str, int] | None = None
    # Without a head: the session that the row of names is of.
    _named: str | None = None

    async def load_session(self, scope: ReadScope = _EVERYTHING) -> PersistedSessionRead | None:
        """The session, read in one snapshot; None if it was never committed.

        `scope` is FullGraph(), or ActivePath(leaf_node_id) for the nodes from the root to that leaf (None: the head's).
        A checkpoint or a part of one whose blob is not stored is None beside its ref. Raises StoreCorrupt, naming what
        cannot be read.
        """
        if not isinstance(scope, ReadScope):
            raise UnsupportedReadScope(scope)
        if isinstance(scope, ActivePath) and scope.leaf_node_id is not None:
            column_text("ActivePath", "leaf_node_id", scope.leaf_node_id)
        read = await self._read(partial(load.load_session, scope=scope))
        if read is not None:
            self._saw(read.session_id, read.head_revision)
            if read.checkpoint is not None:
                self._stored_refs.note(checkpoints.sound_refs(read.checkpoint))
        return read

    async def load_node(self, node_id: str) -> SessionNodeRecord | None:
        """The node of that id; None if there is none or it is tombstoned. Raises StoreCorrupt."""
        key = column_text("SessionNodeRecord", "node_id", node_id)
        return await self._read(partial(graph.read_node, node_id=key))

    async def commit_runtime_state(self, commit: RuntimeCommit) -> RuntimeCommitResult:
        """Commit a turn: head, checkpoint, graph, usage, completed claims, attachments and receipt, all or nothing.

        With automatic collection, the commit whose turn it is waits for that, too.

        A stamped commit that was made before gives the stored result again and writes nothing. Raises, in this order,
        SessionBindingMismatch (the head, or where there is none the row of names, is another session's),
        RuntimeTurnCommitConflict (another content under the same turn id, or a stamp of another session),
        HeadRevisionConflict (somebody else has committed), QueuedWorkClaimExpired (a completion is not exactly what its
        claim holds; a claim that has expired still completes if nobody has taken its batches), UnknownLeafNode (the
        leaf is neither stored nor brought along), BlobMissing (a ref without a value that neither is stored nor stood
        in the head), and ConstraintViolation for a node id that is taken. InvalidRecord and InvalidJsonValue come
        before all of them, StoreBusy, StoreFull and StoreCorrupt as from any write.

        What is large is encoded in a thread. Nothing in `commit` may be changed until the call returns.
        """
        record_of(RuntimeCommit, commit)
        carried: frozenset[str] = frozenset()
        encoded: EncodedCheckpoint | None = None
        large = commit_ops.is_large(commit)
        if self._seen is None:
            await self._look()
        if self._seen == _NO_HEAD and self._named not in (None, commit.session_id):
            raise SessionBindingMismatch(str(self._named), commit.session_id)
        while True:
            seen = self._seen
            revision = seen[1] if seen is not None and seen[0] == commit.session_id else None
            known = Known(revision, self._stored_refs, carried, encoded)
            prepared = await _made(partial(commit_ops.prepare, commit, self._profile, known), large=large)
            try:
                found = await self._run(prepared.plan)
            except GuardFailed as failed:
                carried, encoded = await self._mend(prepared, failed, carried)
                continue
            result = commit_ops.result(prepared, found)
            if not commit_ops.is_replay(prepared, found):
                self._saw(commit.session_id, result.head_revision)
                self._stored_refs.note(checkpoints.written_refs(prepared.checkpoint))
            await self._after_commit()
            return result

    async def load_turn_commit(self, session_id: str, turn_id: str) -> RuntimeCommitResult | None:
        """What the stamped commit of a turn made; None if the turn was not committed, or its receipt was pruned.

        For whoever starts again and has no commit in hand that could be repeated. Raises StoreCorrupt.
        """
        session, turn = column_text("turn", "session_id", session_id), column_text("turn", "turn_id", turn_id)
        return await self._read(partial(turn_commits.read_result, session_id=session, turn_id=turn))

    async def put_checkpoint(self, hydrated: HydratedSessionCheckpoint) -> tuple[str, SessionCheckpoint]:
        """Store a checkpoint by itself; returns its ref and its manifest. Equal content gives equal refs.

        No head refers to it yet, so a collection may take it away. Raises InvalidRecord, InvalidJsonValue, BlobMissing.
        """
        record_of(HydratedSessionCheckpoint, hydrated)
        large = checkpoints.is_large(hydrated)
        encoded: EncodedCheckpoint | None = None
        while True:
            if encoded is None:
                encode = partial(encode_checkpoint, hydrated, self._profile, self._stored_refs)
                encoded = await _made(encode, large=large)
            try:
                await self._run(Plan(checkpoints.write_steps(encoded)))
            except GuardFailed as failed:
                if failed.name not in checkpoints.BELIEFS:
                    raise checkpoints.missing(failed) or failed from None
                encoded = await self._known_better(encoded, failed)
                continue
            self._stored_refs.note(checkpoints.written_refs(encoded))
            return encoded.checkpoint_ref, encoded.manifest

    async def get_checkpoint(self, checkpoint_ref: str) -> HydratedSessionCheckpoint | None:
        """The checkpoint with its parts; None if it is not stored. A part that is not stored is None beside its ref.

        Raises StoreCorrupt if one of them cannot be read.
        """
        ref = column_text("checkpoint", "checkpoint_ref", checkpoint_ref)
        return await self._read(partial(checkpoints.read_checkpoint, checkpoint_ref=ref))

    async def _mend(
        self, prepared: PreparedCommit, failed: GuardFailed, carried: frozenset[str]
    ) -> tuple[frozenset[str], EncodedCheckpoint | None]:
        """What a next try may carry over, and its checkpoint (None: it is to be encoded anew).

        For a guard that failed on what this handle believed; for any other raises the refusal.
        """
        encoded = prepared.checkpoint
        if failed.name in checkpoints.BELIEFS:
            return carried, await self._known_better(encoded, failed)
        if failed.name == head.READABLE:
            self._seen = await self._read(head.read_identity)  # raises StoreCorrupt if it cannot be read
            return carried, encoded
        refusal = commit_ops.refusal(prepared, failed)
        if isinstance(refusal, BlobMissing):
            in_head = await self._read(commit_ops.read_head_refs)
            if refusal.ref in in_head:
                return carried | in_head, encoded
        raise refusal from None

    async def _look(self) -> None:
        """Read the head for the first time, once for all who want to commit. Raises StoreCorrupt."""
        async with self._looking:
            if self._seen is None:
                seen = await self._read(head.read_identity)
                self._named = None if seen is not None else await self._read(session_meta.read_named_session)
                self._seen = seen or _NO_HEAD

    def _saw(self, session_id: str, head_revision: int) -> None:
        """Remember a head that was read or written; of one session's the latest."""
        if self._seen is None or self._seen[0] != session_id or self._seen[1] < head_revision:
            self._seen = (session_id, head_revision)

    async def _known_better(self, encoded: EncodedCheckpoint, failed: GuardFailed) -> EncodedCheckpoint | None:
        """The checkpoint as it may be tried again, after a guard failed on what was believed of its blobs.

        None if it has to be encoded anew.
        """
        if failed.name == checkpoints.REUSED:
            self._stored_refs.clear()  # a collection took them away
            return None
        met = await self._read(partial(checkpoints.read_met, encoded=encoded))
        if met.repair is not None:
            await self._run(met.repair)
        self._stored_refs.note(met.refs)
        return checkpoints.reusing(encoded, met.refs)


async def _made(make: Callable[[], T], *, large: bool) -> T:
    """What `make` makes; of what is large in a thread, while the event loop goes on."""
    return await asyncio.to_thread(make) if large else make()
