"""A session store as plain lists and dictionaries: what the specification says, in the fewest words of Python."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from lash_store import (
    Append,
    AttachmentIntent,
    BlobMissing,
    ConstraintViolation,
    ConversationRecord,
    HeadRevisionConflict,
    HydratedSessionCheckpoint,
    MessageRole,
    PruneStateDeleted,
    PruneStateSummarized,
    ReplaceFull,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    SessionCheckpoint,
    SessionHead,
    SessionHeadMeta,
    SessionMeta,
    SessionNodePayloadEvent,
    SessionNodeRecord,
    TokenLedgerEntry,
    TokenUsage,
    UnknownLeafNode,
)
from tests.property.session_queue_model import QueueModel, Refused

_REF: Final = re.compile(rb"[0-9a-f]{64}")


@dataclass
class Node:
    """A row of graph_nodes."""

    record: SessionNodeRecord
    hidden: bool = False


@dataclass
class Turn:
    """A row of runtime_turn_commits."""

    hash: str
    result: RuntimeCommitResult
    at: int


@dataclass
class Model(QueueModel):
    """Everything that one database holds; times are given to each operation."""

    head: SessionHeadMeta | None = None
    nodes: list[Node] = field(default_factory=list)
    usage: list[TokenLedgerEntry] = field(default_factory=list)
    meta: SessionMeta | None = None
    turns: dict[tuple[str, str], Turn] = field(default_factory=dict)
    attachments: dict[str, tuple[AttachmentIntent, int | None]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    artifacts: dict[str, str] = field(default_factory=dict)

    def commit(self, commit: RuntimeCommit, now: int) -> RuntimeCommitResult:
        """Section 4.7, the checks in its order; completions are exact, and refs without values must be stored."""
        if self.head is not None and self.head.session_id != commit.session_id:
            raise Refused(SessionBindingMismatch)
        if (stored := self._replayed(commit)) is not None:
            return stored
        revision = 0 if self.head is None else self.head.head_revision
        if commit.expected_head_revision not in (None, revision):
            raise Refused(HeadRevisionConflict)
        done = [
            queued
            for completion in commit.completed_queue_claims
            for queued in self.completed(commit.session_id, completion)
        ]
        self._require_leaf(commit)
        blobs, ref, manifest = self._checkpoint(commit.checkpoint)
        nodes = self._changed(commit)
        self.blobs |= blobs
        self.nodes = nodes
        self.usage += commit.usage_deltas
        self.head = SessionHeadMeta(
            session_id=commit.session_id,
            head_revision=revision + 1,
            config=commit.config,
            agent_frames=commit.agent_frames,
            current_agent_frame_id=commit.current_agent_frame_id,
            checkpoint_ref=ref,
            leaf_node_id=commit.graph.leaf_node_id,
            graph_node_count=len(self.visible()),
        )
        self.queue = [queued for queued in self.queue if queued not in done]
        self.commit_refs(commit.session_id, commit.committed_attachment_ids, now)
        result = RuntimeCommitResult(revision + 1, ref, manifest)
        if commit.turn_commit is not None:
            stamp = commit.turn_commit
            self.turns[stamp.session_id, stamp.turn_id] = Turn(stamp.turn_commit_hash, result, now)
        return result

    def _replayed(self, commit: RuntimeCommit) -> RuntimeCommitResult | None:
        stamp = commit.turn_commit
        if stamp is None:
            return None
        if stamp.session_id != commit.session_id:
            raise Refused(RuntimeTurnCommitConflict)
        turn = self.turns.get((stamp.session_id, stamp.turn_id))
        if turn is not None and turn.hash != stamp.turn_commit_hash:
            raise Refused(RuntimeTurnCommitConflict)
        return None if turn is None else turn.result

    def _require_leaf(self, commit: RuntimeCommit) -> None:
        """A leaf is a node of the commit's, or one that stays visible, or the head's already."""
        delta, leaf = commit.graph, commit.graph.leaf_node_id
        nodes = [*delta.nodes] if isinstance(delta, Append | ReplaceFull) else []
        nodes += [] if isinstance(delta, ReplaceFull) else self.visible()
        there = {node.node_id for node in nodes} | {None if self.head is None else self.head.leaf_node_id, None}
        if leaf not in there:
            raise Refused(UnknownLeafNode)

    def _changed(self, commit: RuntimeCommit) -> list[Node]:
        delta = commit.graph
        kept = [] if isinstance(delta, ReplaceFull) else self.nodes
        added = [Node(node) for node in delta.nodes] if isinstance(delta, Append | ReplaceFull) else []
        return _distinct([*kept, *added])

    def _checkpoint(self, hydrated: HydratedSessionCheckpoint) -> tuple[dict[str, bytes], str, SessionCheckpoint]:
        blobs: dict[str, bytes] = {}

        def ref_of(value: Any, given: str | None) -> str | None:
            if value is None:
                if given is not None and given not in self.blobs:
                    raise Refused(BlobMissing)
                return given
            content = msgspec.msgpack.encode(list(value) if isinstance(value, bytes) else value)
            return _add(blobs, content)

        manifest = SessionCheckpoint(
            hydrated.turn_state,
            ref_of(hydrated.tool_state, hydrated.tool_state_ref),
            ref_of(hydrated.plugin_snapshot, hydrated.plugin_snapshot_ref),
            hydrated.plugin_snapshot_revision,
            ref_of(hydrated.execution_state, hydrated.execution_state_ref),
        )
        ref = _add(blobs, msgspec.msgpack.encode(msgspec.json.decode(manifest.to_json())))
        return blobs, ref, manifest

    def put_checkpoint(self, hydrated: HydratedSessionCheckpoint) -> tuple[str, SessionCheckpoint]:
        blobs, ref, manifest = self._checkpoint(hydrated)
        self.blobs |= blobs
        return ref, manifest

    def put(self, content: bytes) -> str:
        return _add(self.blobs, content)

    def put_artifact(self, module_ref: str, content: bytes) -> str:
        self.artifacts[module_ref] = self.put(content)
        return module_ref

    def save_head(self, saved: SessionHead) -> None:
        """Section 4.27, but the revision goes on instead of starting over (weakness 29)."""
        self.nodes = _distinct([Node(node) for node in saved.graph.nodes])
        self.head = SessionHeadMeta(
            session_id=saved.session_id,
            head_revision=0 if self.head is None else self.head.head_revision + 1,
            config=saved.config,
            agent_frames=saved.agent_frames,
            current_agent_frame_id=saved.current_agent_frame_id,
            checkpoint_ref=saved.checkpoint_ref,
            leaf_node_id=saved.graph.leaf_node_id,
            graph_node_count=len(saved.graph.nodes),
        )

    def replace_nodes(self, records: Sequence[SessionNodeRecord]) -> None:
        self.nodes = _distinct([Node(record) for record in records])

    def append_nodes(self, records: Sequence[SessionNodeRecord]) -> None:
        self.nodes = _distinct([*self.nodes, *(Node(record) for record in records)])

    def tombstone(self, ids: Sequence[str]) -> None:
        for node in self.nodes:
            node.hidden = node.hidden or node.record.node_id in ids

    def vacuum(self) -> int:
        before = len(self.nodes)
        self.nodes = [node for node in self.nodes if not node.hidden]
        return before - len(self.nodes)

    def needed(self) -> set[str]:
        """Section 4.19, and what weakness 9 adds: execution states of frames, archives of visible nodes."""
        needed = set(self.artifacts.values())
        if self.head is not None and self.head.checkpoint_ref is not None:
            needed.add(self.head.checkpoint_ref)
            needed |= {found.decode() for found in _REF.findall(self.blobs[self.head.checkpoint_ref])}
        if self.head is not None:
            needed |= {frame.execution_state_ref for frame in self.head.agent_frames if frame.execution_state_ref}
        return needed | set(_archives(self.visible()))

    def collect(self) -> int:
        """Removes what is not needed; how many blobs that were."""
        needed = self.needed()
        before = len(self.blobs)
        self.blobs = {ref: content for ref, content in self.blobs.items() if ref in needed}
        return before - len(self.blobs)

    def record_intent(self, intent: AttachmentIntent) -> None:
        self.attachments.setdefault(intent.attachment_id, (intent, None))

    def commit_refs(self, session_id: str, ids: Sequence[str], now: int) -> None:
        for name in ids:
            if name in self.attachments:
                intent, committed = self.attachments[name]
                if intent.session_id == session_id and committed is None:
                    self.attachments[name] = (intent, now)

    def visible(self) -> list[SessionNodeRecord]:
        return [node.record for node in self.nodes if not node.hidden]

    def path(self, leaf: str | None) -> list[SessionNodeRecord]:
        """The active path, root first (4.5 step 4)."""
        nodes = {node.node_id: node for node in self.visible()}
        path: list[SessionNodeRecord] = []
        while leaf is not None and leaf in nodes:
            path.insert(0, nodes[leaf])
            leaf = nodes[leaf].parent_node_id
        return path

    def ledger(self) -> list[TokenLedgerEntry]:
        """Section 4.21."""
        merged: dict[tuple[str, str], TokenUsage] = {}
        for entry in self.usage:
            key = (entry.source, entry.model)
            merged[key] = _sum(merged[key], entry.usage) if key in merged else entry.usage
        return [TokenLedgerEntry(source, model, usage) for (source, model), usage in merged.items()]

    def user_messages(self) -> list[str]:
        """The texts of messages with role User; here every message has one part."""
        events = [node.payload.event for node in self.visible() if isinstance(node.payload, SessionNodePayloadEvent)]
        return [
            event.parts[0].content
            for event in events
            if isinstance(event, ConversationRecord) and event.role is MessageRole.USER
        ]


def _add(blobs: dict[str, bytes], content: bytes) -> str:
    ref = hashlib.sha256(content).hexdigest()
    blobs[ref] = content
    return ref


def _distinct(nodes: list[Node]) -> list[Node]:
    ids = [node.record.node_id for node in nodes]
    if len(set(ids)) != len(ids):
        raise Refused(ConstraintViolation)
    return nodes


def _sum(one: TokenUsage, other: TokenUsage) -> TokenUsage:
    return TokenUsage(
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.cached_input_tokens + other.cached_input_tokens,
        one.reasoning_tokens + other.reasoning_tokens,
    )


def _archives(nodes: Sequence[SessionNodeRecord]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node.payload, SessionNodePayloadEvent) and isinstance(node.payload.event, ConversationRecord):
            for part in node.payload.event.parts:
                if isinstance(part.prune_state, PruneStateDeleted | PruneStateSummarized):
                    yield part.prune_state.archive_hash
