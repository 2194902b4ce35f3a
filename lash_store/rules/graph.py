"""What a session's graph means, and how it grows: pure functions of nodes and a leaf (session store spec 4.29).

No function changes its arguments. Each takes time linear in the number of nodes, none calls itself.
"""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from lash_store.clock import SYSTEM_CLOCK, Clock
from lash_store.errors import StoreCorrupt
from lash_store.records.causal import CausalRef, CausalRefProcessEvent
from lash_store.records.conversation import ConversationRecord, MessageOriginPlugin, MessageOriginProcess
from lash_store.records.frames import initial_frame_id
from lash_store.records.graph import (
    ProtocolEvent,
    SessionEvent,
    SessionGraph,
    SessionNodePayloadEvent,
    SessionNodePayloadPlugin,
    SessionNodeRecord,
)
from lash_store.records.state import rfc3339

NodeContent: TypeAlias = ConversationRecord | ProtocolEvent | SessionNodePayloadPlugin
"""What a new node is made of."""


class ReadModel(NamedTuple):
    """What a runtime sees of a path: all its events, and the messages to show a model, each in order."""

    events: list[SessionEvent]
    messages: list[ConversationRecord]


class GraphChange(NamedTuple):
    """A graph with its new leaf, and the nodes that are new in it, in order: what an `Append` of it must write."""

    graph: SessionGraph
    added: list[SessionNodeRecord]


def active_path(graph: SessionGraph) -> list[SessionNodeRecord]:
    """The nodes from the root to the leaf; from below the first ancestor that is missing, if one is.

    Empty if the graph has no leaf, or the leaf is not among its nodes.
    Raises StoreCorrupt("graph node", id) for a node that is its own ancestor.
    """
    by_id = {node.node_id: node for node in graph.nodes}
    path: dict[str, SessionNodeRecord] = {}
    at = graph.leaf_node_id
    while at is not None and at in by_id:
        if at in path:
            raise StoreCorrupt("graph node", at)
        path[at] = by_id[at]
        at = by_id[at].parent_node_id
    return list(reversed(path.values()))


def active_read_model(graph: SessionGraph, frame_id: str = "", *, initial: bool | None = None) -> ReadModel:
    """The events of the active path, and its messages without the transient ones, of equal ids the first only.

    With a frame only the nodes of that frame count; those of no frame count if it is the session's `initial` one, the
    frame without a previous frame. None: that is told by its id. Raises StoreCorrupt as `active_path` does.
    """
    if initial is None:
        initial = frame_id.endswith(initial_frame_id(""))
    events: list[SessionEvent] = []
    messages: dict[str, ConversationRecord] = {}
    for node in active_path(graph):
        counts = not frame_id or (initial if node.agent_frame_id is None else node.agent_frame_id == frame_id)
        if counts and isinstance(node.payload, SessionNodePayloadEvent):
            event = node.payload.event
            events.append(event)
            if isinstance(event, ConversationRecord) and not _is_transient(event):
                messages.setdefault(event.id, event)
    return ReadModel(events, list(messages.values()))


def append_to_graph(
    graph: SessionGraph,
    contents: Iterable[NodeContent],
    *,
    frame_id: str | None = None,
    caused_by: CausalRef | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> GraphChange:
    """Adds a node for each content, the first below the leaf and each other below the one before; the last is the leaf.

    All get the frame and the cause given; without a cause, a message that a process event brought is caused by that
    event. A message without id gets one, and so do parts without ids. Where a leaf is not among the nodes
    (`heal_orphaned_leaf`) the new nodes have no path to a root.
    """
    leaf = graph.leaf_node_id
    names = _Names(node.node_id for node in graph.nodes)
    timestamp = rfc3339(clock.now_ms())
    added: list[SessionNodeRecord] = []
    for given in contents:
        content = _with_ids(given) if isinstance(given, ConversationRecord) else given
        node = SessionNodeRecord(
            node_id=names.new(content),
            parent_node_id=leaf,
            caused_by=_cause_of(content) if caused_by is None else caused_by,
            agent_frame_id=frame_id,
            timestamp=timestamp,
            payload=content if isinstance(content, SessionNodePayloadPlugin) else SessionNodePayloadEvent(content),
        )
        added.append(node)
        leaf = node.node_id
    return GraphChange(msgspec.structs.replace(graph, nodes=[*graph.nodes, *added], leaf_node_id=leaf), added)


def heal_orphaned_leaf(graph: SessionGraph) -> SessionGraph | None:
    """The graph with the last of its messages as the leaf (none if it has no message); None if it needs no healing.

    It needs it if its leaf is not among its nodes. The next commit of a healed graph must be a `ReplaceFull`.
    """
    if graph.leaf_node_id is None or any(node.node_id == graph.leaf_node_id for node in graph.nodes):
        return None
    last = next((node.node_id for node in reversed(graph.nodes) if _message_of(node) is not None), None)
    return msgspec.structs.replace(graph, leaf_node_id=last)


def fork_active_path(graph: SessionGraph) -> SessionGraph:
    """A graph of the active path alone, with the same leaf. Raises StoreCorrupt as `active_path` does."""
    return msgspec.structs.replace(graph, nodes=active_path(graph))


def replace_active_messages(
    graph: SessionGraph,
    messages: Sequence[ConversationRecord],
    *,
    frame_id: str | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> GraphChange:
    """Makes `messages` those of the active path; what else there was stays in the graph as another branch.

    The path is kept as far as its messages have the wanted ids, in order, with the other nodes in between; the rest of
    the messages are appended to it as by `append_to_graph`. Transient messages are neither compared nor appended, and
    of equal ids on the path only the first is compared. A wanted message whose id is met is not written again, whatever
    else in it differs. Raises StoreCorrupt as `active_path` does.
    """
    wanted = [message for message in messages if not _is_transient(message)]
    kept: str | None = None
    met: set[str] = set()
    for node in active_path(graph):
        message = _message_of(node)
        if message is not None:
            if _is_transient(message) or message.id in met:
                continue
            if len(met) == len(wanted) or message.id != wanted[len(met)].id:
                break
            met.add(message.id)
        kept = node.node_id
    branched = msgspec.structs.replace(graph, leaf_node_id=kept)
    return append_to_graph(branched, wanted[len(met) :], frame_id=frame_id, clock=clock)


class _Names:
    """The node ids in use, and new ones (3.5)."""

    def __init__(self, taken: Iterator[str]) -> None:
        self._taken = set(taken)
        self._tried: dict[str, int] = {}

    def new(self, content: NodeContent) -> str:
        """A node id for this content; from now on it is in use."""
        if isinstance(content, ConversationRecord):
            name = self._of_message(content.id)
        else:
            prefix = "protocol" if isinstance(content, ProtocolEvent) else "plugin"
            name = f"{prefix}:{secrets.token_hex(16)}"
        self._taken.add(name)
        return name

    def _of_message(self, message_id: str) -> str:
        name, stem = message_id, f"message:{message_id}"
        while name in self._taken:
            # Remembered, so that many messages of one id do not each try all the numbers again.
            number = self._tried[stem] = self._tried.get(stem, 0) + 1
            name = stem if number == 1 else f"{stem}:{number}"
        return name


def _with_ids(message: ConversationRecord) -> ConversationRecord:
    message_id = message.id or f"m{secrets.token_hex(16)}"
    parts = [
        part if part.id else msgspec.structs.replace(part, id=f"{message_id}.p{index}")
        for index, part in enumerate(message.parts)
    ]
    return msgspec.structs.replace(message, id=message_id, parts=parts)


def _cause_of(content: NodeContent) -> CausalRef | None:
    if isinstance(content, ConversationRecord) and isinstance(content.origin, MessageOriginProcess):
        return CausalRefProcessEvent(content.origin.process_id, content.origin.sequence)
    return None


def _message_of(node: SessionNodeRecord) -> ConversationRecord | None:
    event = node.payload.event if isinstance(node.payload, SessionNodePayloadEvent) else None
    return event if isinstance(event, ConversationRecord) else None


def _is_transient(message: ConversationRecord) -> bool:
    return isinstance(message.origin, MessageOriginPlugin) and message.origin.transient
