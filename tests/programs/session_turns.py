"""Turns of which every part carries the turn's number, so that a lost, doubled or torn one is seen.

Turn n is made on revision n. Before its commit, work is queued and claimed and an attachment is announced; the commit
completes the one and keeps the other.
"""

from typing import Final

import msgspec

from lash_store import (
    Append,
    AttachmentIntent,
    DeliveryPolicy,
    MessageRole,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    QueuedWorkPayloadTurnInput,
    ReplaceFull,
    RuntimeCommit,
    RuntimeSessionState,
    SessionNodeRecord,
    SlotPolicy,
    Store,
    TokenLedgerEntry,
    TokenUsage,
)
from tests.sqlite.session_store.samples import message_node

SESSION: Final = "root"
ITEMS: Final = 3
"""So many items has the batch of a turn."""
BACKLOG: Final = 3
"""So many batches wait behind the one that a published turn completes."""


class Epoch:
    """A clock that stands at 0, for the times of frames: they are part of a turn's hash."""

    def now_ms(self) -> int:
        return 0


def state_of(number: int) -> RuntimeSessionState:
    state = RuntimeSessionState.new(SESSION, clock=Epoch())
    meta = {"plugin_id": "example", "plugin_version": "1", "revision": number}
    state.turn_index = number
    state.tool_state = {"generation": number, "tools": {}}
    state.plugin_snapshot = {"plugins": {"example": {"meta": meta, "artifacts": []}}}
    state.plugin_snapshot_revision = number
    state.execution_state = str(number).encode()
    state.head_revision = number
    return state


def usage_of(number: int) -> TokenLedgerEntry:
    """One input token for each turn; the turn's number in the model's name, so that no two turns are merged."""
    return TokenLedgerEntry("turn", f"model-{number % 7}", TokenUsage(1, 0, 0, 0))


def messages_of(number: int) -> int:
    """How many messages a published turn leaves in the session."""
    return number % 5 + 1


async def prepare(store: Store, number: int) -> RuntimeCommit:
    """Do what comes before turn `number`, and return its stamped commit, which appends a message."""
    await store.record_intent(AttachmentIntent(f"attachment-{number}", SESSION, f"sha256:{number}", 100))
    await store.enqueue_queued_work(batch_of(number))
    node = _message(f"turn-{number}", number, f"turn-{number - 1}" if number else None)
    commit = msgspec.structs.replace(_commit(number), graph=Append([node], node.node_id))
    return (
        (await _completing(store, commit))
        .with_committed_attachments([f"attachment-{number}"])
        .with_turn_commit(f"turn-{number}")
    )


async def publish(store: Store, number: int) -> None:
    """Make turn `number`, which replaces all messages by others."""
    for ahead in range(number + BACKLOG if number else 0, number + BACKLOG + 1):
        await store.enqueue_queued_work(batch_of(ahead))
    ids = [f"turn-{number}-{index}" for index in range(messages_of(number))]
    nodes = [_message(node_id, number, parent) for node_id, parent in zip(ids, [None, *ids], strict=False)]
    commit = msgspec.structs.replace(_commit(number), graph=ReplaceFull(nodes, ids[-1]))
    await store.commit_runtime_state(await _completing(store, commit))


def batch_of(number: int) -> QueuedWorkBatchDraft:
    payload = QueuedWorkPayloadTurnInput({"items": [{"type": "text", "text": str(number)}], "image_blobs": {}})
    return QueuedWorkBatchDraft(
        session_id=SESSION,
        source_key=f"turn:{number}",
        delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot_policy=SlotPolicy.EXCLUSIVE,
        payloads=[payload] * ITEMS,
    )


def _commit(number: int) -> RuntimeCommit:
    return RuntimeCommit.persisted_state(state_of(number), [usage_of(number)])


async def _completing(store: Store, commit: RuntimeCommit) -> RuntimeCommit:
    # A lease of no length: when this process is killed, the next one need not wait for its end.
    claim = await store.claim_ready_queued_work(SESSION, "owner", QueuedWorkClaimBoundary.IDLE, 0, 1)
    assert claim is not None
    return commit.completing_queue_claims([claim.completion()])


def _message(node_id: str, number: int, parent: str | None) -> SessionNodeRecord:
    return message_node(node_id, str(number), MessageRole.USER, parent)
