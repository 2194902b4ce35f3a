"""What the scenarios commit, enqueue and claim."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from lash_store import (
    AttachmentIntent,
    BlobArtifactDescriptor,
    BlobStorageHint,
    ConversationRecord,
    DeliveryPolicy,
    MergeKeyGroup,
    MergeKeyNever,
    MessagePart,
    MessageRole,
    ModelLimits,
    ModelSpec,
    PartKind,
    PersistedArtifactKind,
    PruneStateIntact,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkPayloadTurnInput,
    ReplaceFull,
    RuntimeCommit,
    RuntimeSessionState,
    SessionNodePayloadEvent,
    SessionNodePayloadPlugin,
    SessionNodeRecord,
    SlotPolicy,
    Store,
    TokenLedgerEntry,
    TokenUsage,
)
from tests.clocks import ManualClock

EARLIEST: Final = DeliveryPolicy.EARLIEST_SAFE_BOUNDARY
AFTER_COMMIT: Final = DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT
JOIN: Final = SlotPolicy.JOIN
EXCLUSIVE: Final = SlotPolicy.EXCLUSIVE
IDLE: Final = QueuedWorkClaimBoundary.IDLE
CHECKPOINT: Final = QueuedWorkClaimBoundary.ACTIVE_TURN_CHECKPOINT
TTL_MS: Final = 60_000
CREATED: Final = "2026-06-02T00:00:00+00:00"
MODEL: Final = ModelSpec(id="gpt-5.4-mini", limits=ModelLimits(200_000))
NO_PLUGINS: Final[dict[str, Any]] = {"plugins": {}}


def tools(generation: int) -> dict[str, Any]:
    """A tool state without tools."""
    return {"generation": generation, "tools": {}}


def session_state(session_id: str = "root") -> RuntimeSessionState:
    """State(x) of the catalogue, always made at the same time, so that hashes can be compared."""
    return RuntimeSessionState.new(session_id, clock=ManualClock())


def commit_of(
    state: RuntimeSessionState, usage: Sequence[TokenLedgerEntry] = (), expected: int | None = None
) -> RuntimeCommit:
    """commit(S) of the catalogue: no expectation unless said."""
    commit = RuntimeCommit.persisted_state(state, usage)
    return msgspec.structs.replace(commit, expected_head_revision=expected)


def root_commit(**changes: Any) -> RuntimeCommit:
    """commit(State(root)) with fields changed."""
    return msgspec.structs.replace(commit_of(session_state()), **changes)


def used(source: str, model: str, *counts: int) -> TokenLedgerEntry:
    """A ledger entry: input, output, cached, reasoning."""
    return TokenLedgerEntry(source, model, TokenUsage(*counts))


def message(
    node_id: str, parent: str | None = None, *, text: str = "text", role: MessageRole = MessageRole.USER, **node: Any
) -> SessionNodeRecord:
    """A node that holds a message of one text part."""
    part = MessagePart(id=f"{node_id}.p0", kind=PartKind.TEXT, content=text, prune_state=PruneStateIntact())
    payload = SessionNodePayloadEvent(ConversationRecord(node_id, role, [part]))
    return SessionNodeRecord(node_id=node_id, parent_node_id=parent, timestamp=CREATED, payload=payload, **node)


def plugin(node_id: str, parent: str | None = None, body: Any = None) -> SessionNodeRecord:
    """A plugin's own node."""
    return SessionNodeRecord(
        node_id=node_id, parent_node_id=parent, timestamp=CREATED, payload=SessionNodePayloadPlugin("example", body)
    )


def branched() -> ReplaceFull:
    """The graph of scenarios 5 to 7."""
    nodes = [
        message("root-node"),
        message("left-node", "root-node"),
        message("left-leaf", "left-node"),
        message("right-leaf", "root-node"),
    ]
    return ReplaceFull(nodes, "left-leaf")


def node_ids(nodes: Sequence[SessionNodeRecord]) -> list[str]:
    return [node.node_id for node in nodes]


def turn_input(text: str) -> QueuedWorkPayloadTurnInput:
    return QueuedWorkPayloadTurnInput({"items": [{"type": "text", "text": text}], "image_blobs": {}})


def draft(
    *texts: str,
    session: str = "root",
    policy: DeliveryPolicy = EARLIEST,
    slot: SlotPolicy = EXCLUSIVE,
    group: str | None = None,
    key: str | None = None,
    available: int = 0,
) -> QueuedWorkBatchDraft:
    """A batch of one turn input for each text."""
    return QueuedWorkBatchDraft(
        session_id=session,
        source_key=key,
        delivery_policy=policy,
        slot_policy=slot,
        merge_key=MergeKeyNever() if group is None else MergeKeyGroup(group),
        available_at_ms=available,
        payloads=[turn_input(text) for text in texts],
    )


async def enqueued(store: Store, *texts: str, **how: Any) -> list[QueuedWorkBatch]:
    """One batch for each text, in order."""
    return [await store.enqueue_queued_work(draft(text, **how)) for text in texts]


async def claimed(
    store: Store,
    owner: str = "owner-a",
    limit: int = 10,
    *,
    session: str = "root",
    boundary: QueuedWorkClaimBoundary = IDLE,
    ttl: int = TTL_MS,
) -> QueuedWorkClaim:
    """A claim that must succeed."""
    claim = await store.claim_ready_queued_work(session, owner, boundary, ttl, limit)
    assert claim is not None
    return claim


def texts_of(batches: Sequence[QueuedWorkBatch]) -> list[str]:
    """The texts of all items, batch by batch."""
    return [item.payload.input["items"][0]["text"] for batch in batches for item in batch.items]  # type: ignore[union-attr]


async def listed(store: Store, session: str = "root") -> list[str]:
    return texts_of(await store.list_queued_work(session))


async def pending(store: Store, session: str = "root") -> list[str]:
    return texts_of(await store.list_pending_queued_work(session))


def intent(attachment_id: str, at_ms: int = 100, session: str = "root") -> AttachmentIntent:
    return AttachmentIntent(attachment_id, session, f"sha256:{attachment_id}", at_ms)


async def uncommitted(store: Store, older_than_ms: int = 200) -> list[str]:
    return [entry.attachment_id for entry in await store.list_uncommitted(older_than_ms)]


def descriptor(kind: PersistedArtifactKind) -> BlobArtifactDescriptor:
    """The descriptor in use for this kind (specification 3.10)."""
    large = [] if kind is PersistedArtifactKind.CHECKPOINT_MANIFEST else [BlobStorageHint.LARGE_PAYLOAD]
    return BlobArtifactDescriptor(kind, [BlobStorageHint.COMPRESSIBLE, *large])
