"""A session file that lash_store and alpha.40 have open, each with the same operations."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from lash_store import (
    ActivePath,
    AttachmentIntent,
    AttachmentManifestEntry,
    BlobArtifactDescriptor,
    FullGraph,
    HeadRevisionConflict,
    PersistedSessionRead,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkClaimExpired,
    ReadScope,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    SessionHead,
    SessionMeta,
    SessionNodeRecord,
    SessionPickerInfo,
)
from tests.interop.driver import Alpha40, Alpha40Refused

_WHOLE: Final = FullGraph()


class Session(Protocol):
    """The operations of `lash_store.Store` that alpha.40 has, too."""

    async def load_session(self, scope: ReadScope = _WHOLE) -> PersistedSessionRead | None: ...
    async def load_node(self, node_id: str) -> SessionNodeRecord | None: ...
    async def commit_runtime_state(self, commit: RuntimeCommit) -> RuntimeCommitResult: ...
    async def save_session_head(self, saved: SessionHead) -> None: ...
    async def load_session_head(self) -> SessionHead | None: ...
    async def save_session_meta(self, meta: SessionMeta) -> None: ...
    async def load_session_meta(self) -> SessionMeta | None: ...
    async def load_picker_info(self) -> SessionPickerInfo | None: ...
    async def tombstone_nodes(self, ids: Sequence[str]) -> Any: ...
    async def put_blob(self, data: bytes) -> str: ...
    async def put_artifact_blob(self, descriptor: BlobArtifactDescriptor, data: bytes) -> str: ...
    async def get_blob(self, ref: str) -> bytes | None: ...
    async def enqueue_queued_work(self, draft: QueuedWorkBatchDraft) -> QueuedWorkBatch: ...
    async def claim_ready_queued_work(
        self, session_id: str, owner_id: str, boundary: QueuedWorkClaimBoundary, lease_ttl_ms: int, max_batches: int
    ) -> QueuedWorkClaim | None: ...
    async def claim_ready_queued_work_by_batch_ids(
        self,
        session_id: str,
        owner_id: str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        batch_ids: Sequence[str],
    ) -> QueuedWorkClaim | None: ...
    async def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: int) -> QueuedWorkClaim: ...
    async def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None: ...
    async def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None: ...
    async def list_queued_work(self, session_id: str) -> list[QueuedWorkBatch]: ...
    async def list_pending_queued_work(self, session_id: str) -> list[QueuedWorkBatch]: ...
    async def record_intent(self, intent: AttachmentIntent) -> None: ...
    async def commit_refs(self, session_id: str, attachment_ids: Sequence[str]) -> None: ...
    async def list_uncommitted(self, older_than_epoch_ms: int) -> list[AttachmentManifestEntry]: ...
    async def forget(self, attachment_id: str) -> None: ...


_ERRORS: Final[list[tuple[str, Callable[..., Exception]]]] = [
    (
        r"store head revision conflict: expected (?:None|Some\((\d+)\)), actual (\d+)",
        lambda expected, actual: HeadRevisionConflict(expected and int(expected), int(actual)),
    ),
    (
        r"runtime turn `(.*)` for session `(.*)` was already committed with a different commit hash",
        lambda turn, session: RuntimeTurnCommitConflict(session, turn),
    ),
    (
        r"queued work claim `(.*)` for session `(.*)` is missing or expired",
        lambda claim, session: QueuedWorkClaimExpired(session, claim),
    ),
    (
        r"store is already bound to session `(.*)` and cannot be reused for `(.*)`",
        SessionBindingMismatch,
    ),
]


class TheirStore:
    """alpha.40 on a session file: its operations under the names that `lash_store.Store` gives them.

    What it refuses with one of its typed errors is raised as ours of the same meaning, anything else as Alpha40Refused.
    """

    def __init__(self, alpha: Alpha40) -> None:
        self.alpha = alpha

    async def load_session(self, scope: ReadScope = _WHOLE) -> PersistedSessionRead | None:
        leaf = (scope.leaf_node_id or "") if isinstance(scope, ActivePath) else None
        return await self.alpha.maybe(PersistedSessionRead, "load", leaf_node_id=leaf)

    async def load_node(self, node_id: str) -> SessionNodeRecord | None:
        return await self.alpha.maybe(SessionNodeRecord, "load_node", node_id=node_id)

    async def commit_runtime_state(self, commit: RuntimeCommit) -> RuntimeCommitResult:
        return RuntimeCommitResult.from_json(await self._ask("commit", commit=commit))

    async def save_session_head(self, saved: SessionHead) -> None:
        await self.alpha("save_head", head=saved)

    async def load_session_head(self) -> SessionHead | None:
        return await self.alpha.maybe(SessionHead, "load_head")

    async def save_session_meta(self, meta: SessionMeta) -> None:
        await self.alpha("save_meta", meta=meta)

    async def load_session_meta(self) -> SessionMeta | None:
        return await self.alpha.maybe(SessionMeta, "load_meta")

    async def load_picker_info(self) -> SessionPickerInfo | None:
        return await self.alpha.maybe(SessionPickerInfo, "picker")

    async def tombstone_nodes(self, ids: Sequence[str]) -> None:
        await self.alpha("tombstone", ids=ids)

    async def put_blob(self, data: bytes) -> str:
        return str(await self.alpha("put_blob", data=data))

    async def put_artifact_blob(self, descriptor: BlobArtifactDescriptor, data: bytes) -> str:
        return str(await self.alpha("put_artifact_blob", descriptor=descriptor, data=data))

    async def get_blob(self, ref: str) -> bytes | None:
        found = await self.alpha("get_blob", ref=ref)
        return None if found is None else bytes(found)

    async def enqueue_queued_work(self, draft: QueuedWorkBatchDraft) -> QueuedWorkBatch:
        return await self.alpha.record(QueuedWorkBatch, "enqueue", draft=draft)

    async def claim_ready_queued_work(
        self, session_id: str, owner_id: str, boundary: QueuedWorkClaimBoundary, lease_ttl_ms: int, max_batches: int
    ) -> QueuedWorkClaim | None:
        how = {"session_id": session_id, "owner_id": owner_id, "boundary": boundary, "lease_ttl_ms": lease_ttl_ms}
        return await self.alpha.maybe(QueuedWorkClaim, "claim", max_batches=max_batches, **how)

    async def claim_ready_queued_work_by_batch_ids(
        self,
        session_id: str,
        owner_id: str,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        batch_ids: Sequence[str],
    ) -> QueuedWorkClaim | None:
        how = {"session_id": session_id, "owner_id": owner_id, "boundary": boundary, "lease_ttl_ms": lease_ttl_ms}
        return await self.alpha.maybe(QueuedWorkClaim, "claim_ids", batch_ids=batch_ids, **how)

    async def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: int) -> QueuedWorkClaim:
        return QueuedWorkClaim.from_json(await self._ask("renew", claim=claim, lease_ttl_ms=lease_ttl_ms))

    async def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        await self.alpha("abandon", claim=claim)

    async def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
        return await self.alpha.maybe(QueuedWorkBatch, "cancel", session_id=session_id, batch_id=batch_id)

    async def list_queued_work(self, session_id: str) -> list[QueuedWorkBatch]:
        return await self.alpha.records(QueuedWorkBatch, "list", session_id=session_id)

    async def list_pending_queued_work(self, session_id: str) -> list[QueuedWorkBatch]:
        return await self.alpha.records(QueuedWorkBatch, "list_pending", session_id=session_id)

    async def record_intent(self, intent: AttachmentIntent) -> None:
        fields = {name: getattr(intent, name) for name in intent.__struct_fields__ if name != "other_keys"}
        await self.alpha("record_intent", **fields)

    async def commit_refs(self, session_id: str, attachment_ids: Sequence[str]) -> None:
        await self.alpha("commit_refs", session_id=session_id, attachment_ids=attachment_ids)

    async def list_uncommitted(self, older_than_epoch_ms: int) -> list[AttachmentManifestEntry]:
        return await self.alpha.records(
            AttachmentManifestEntry, "list_uncommitted", older_than_epoch_ms=older_than_epoch_ms
        )

    async def forget(self, attachment_id: str) -> None:
        await self.alpha("forget", attachment_id=attachment_id)

    async def _ask(self, op: str, **arguments: Any) -> Any:
        try:
            return await self.alpha(op, **arguments)
        except Alpha40Refused as refused:
            for pattern, error in _ERRORS:
                if found := re.fullmatch(pattern, str(refused)):
                    raise error(*found.groups()) from refused
            raise


@dataclass(frozen=True)
class Both:
    """A session file that `one` has made and `other` has opened then; one of them is ours, one alpha.40."""

    one: Session
    other: Session


async def same_loads(*sessions: Session) -> PersistedSessionRead:
    """What every one of the sessions loads, as a whole and along the active path; the whole."""
    whole = [await session.load_session() for session in sessions]
    paths = [await session.load_session(ActivePath()) for session in sessions]
    assert whole[0] is not None
    assert all(read == whole[0] for read in whole)
    assert all(read == paths[0] for read in paths)
    return whole[0]
