"""Many graph nodes from their texts, fast: what a load of a session spends its time on.

The reader of `SessionNodeRecord` looks at every key in Python. Here a text is decoded in one go into structs of the
same shape, and those are encoded again. If the very same bytes come out, nothing in the text was lost on the way: no
key repeated or unknown, no explicit null or default, no foreign spelling of a number or string. That is how upstream
and this package write nodes. Any other text, a damaged one too, goes to the exact reader, which accepts it or says what
is wrong and where; so it alone decides what is accepted.
"""

from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from lash_store.errors import InvalidRecord, StoreCorrupt
from lash_store.records.causal import CausalRef
from lash_store.records.conversation import (
    ConversationRecord,
    MessageOrigin,
    MessagePart,
    MessageRole,
    PartAttachment,
    PartKind,
    PruneState,
    PruneStateCleared,
    PruneStateDeleted,
    PruneStateIntact,
    PruneStateSummarized,
    ReasoningMeta,
    ResponseMeta,
    ToolReplay,
)
from lash_store.records.graph import (
    ProtocolEvent,
    SessionEvent,
    SessionNodePayload,
    SessionNodePayloadEvent,
    SessionNodePayloadPlugin,
    SessionNodeRecord,
)
from lash_store.records.layout import DEEPEST_JSON


class _Gone(Struct, omit_defaults=True, gc=False):
    """A prune state that is an object. It must have one of these keys, which the decoder does not see to."""

    Deleted: PruneStateDeleted | None = None
    Summarized: PruneStateSummarized | None = None


class _Part(Struct, omit_defaults=True, gc=False, kw_only=True):
    id: str
    kind: PartKind
    content: str
    attachment: PartAttachment | None = None
    tool_call_id: str | None = None
    tool_name: str | None = None
    tool_replay: ToolReplay | None = None
    prune_state: Literal["Intact", "Cleared"] | _Gone
    reasoning_meta: ReasoningMeta | None = None
    response_meta: ResponseMeta | None = None


class _Message(Struct, omit_defaults=True, gc=False):
    id: str
    role: MessageRole
    parts: list[_Part]
    origin: MessageOrigin | None = None


class _Event(Struct, omit_defaults=True, gc=False):
    """An event in its variant's object. As in `_Gone`, exactly one key must be there."""

    Conversation: _Message | UnsetType = UNSET
    Protocol: ProtocolEvent | UnsetType = UNSET


class _Node(Struct, omit_defaults=True, gc=False, kw_only=True):
    """A node of either kind; which of the last three keys must be there, and which must not, is for `_payload`."""

    node_id: str
    parent_node_id: str | None = None
    caused_by: CausalRef | None = None
    agent_frame_id: str | None = None
    timestamp: str
    kind: Literal["event", "plugin"]
    event: _Event | UnsetType = UNSET
    plugin_type: str | UnsetType = UNSET
    body: Any = UNSET


class _Unusual(Exception):
    """A text that the exact reader must see."""


_DECODE: Final = msgspec.json.Decoder(_Node).decode
_ENCODE_INTO: Final = msgspec.json.Encoder().encode_into
_OTHER_KEYS: Final = b'"other_keys"'
"""Unknown to the format, yet a field of every record here: the decoder would take it for the field."""
_INTACT: Final = PruneStateIntact()
_CLEARED: Final = PruneStateCleared()


def read_nodes(rows: Iterable[tuple[str, str | bytes]]) -> list[SessionNodeRecord]:
    """The nodes in rows of (node id, JSON text), in the order of the rows; as bytes, a text need not be UTF-8.

    Raises StoreCorrupt("graph node", node id) for a text that is no node, or another node than its row says.
    """
    nodes: list[SessionNodeRecord] = []
    buffer = bytearray()
    for node_id, text in rows:
        try:
            node = _read_usual(text, buffer)
        except _Unusual:
            node = _read_exactly(node_id, text)
        if node.node_id != node_id:
            raise StoreCorrupt("graph node", node_id)
        nodes.append(node)
    return nodes


def _read_exactly(node_id: str, text: str | bytes) -> SessionNodeRecord:
    try:
        return SessionNodeRecord.from_json(text)
    except InvalidRecord as damage:
        raise StoreCorrupt("graph node", node_id) from damage


def _read_usual(text: str | bytes, buffer: bytearray) -> SessionNodeRecord:
    """The node of a text in its usual form. `buffer` is scratch memory. Raises _Unusual."""
    try:
        data = text.encode() if isinstance(text, str) else text
        node = _DECODE(data)
        _ENCODE_INTO(node, buffer)
    except (AttributeError, UnicodeError, RecursionError, msgspec.DecodeError):
        raise _Unusual from None
    if buffer != data or _OTHER_KEYS in data:
        raise _Unusual
    return SessionNodeRecord(
        node_id=node.node_id,
        parent_node_id=node.parent_node_id,
        caused_by=node.caused_by,
        agent_frame_id=node.agent_frame_id,
        timestamp=node.timestamp,
        payload=_payload(node, data),
    )


def _payload(node: _Node, data: bytes) -> SessionNodePayload:
    if node.kind == "event":
        if node.event is UNSET or node.plugin_type is not UNSET or node.body is not UNSET:
            raise _Unusual
        return SessionNodePayloadEvent(_event(node.event, data))
    if node.event is not UNSET or node.plugin_type is UNSET or node.body is UNSET:
        raise _Unusual
    return SessionNodePayloadPlugin(node.plugin_type, _opaque(node.body, data))


def _event(event: _Event, data: bytes) -> SessionEvent:
    message, protocol = event.Conversation, event.Protocol
    if message is not UNSET and protocol is UNSET:
        return ConversationRecord(message.id, message.role, list(map(_part, message.parts)), message.origin)
    if protocol is UNSET or message is not UNSET:
        raise _Unusual
    _opaque(protocol.payload, data)
    return protocol


def _opaque(value: Any, data: bytes) -> Any:
    """`value`, if it holds no integer that readers take for a double, and nests no deeper than all readers go."""
    try:
        msgspec.msgpack.encode(value)
    except OverflowError:
        raise _Unusual from None
    if data.count(b"[") + data.count(b"{") > DEEPEST_JSON:
        raise _Unusual
    return value


def _part(part: _Part) -> MessagePart:
    return MessagePart(
        id=part.id,
        kind=part.kind,
        content=part.content,
        attachment=part.attachment,
        tool_call_id=part.tool_call_id,
        tool_name=part.tool_name,
        tool_replay=part.tool_replay,
        prune_state=_prune_state(part.prune_state),
        reasoning_meta=part.reasoning_meta,
        response_meta=part.response_meta,
    )


def _prune_state(state: str | _Gone) -> PruneState:
    if state == "Intact":
        return _INTACT
    if isinstance(state, str):
        return _CLEARED
    if (state.Deleted is None) == (state.Summarized is None):
        raise _Unusual
    return state.Deleted or state.Summarized  # type: ignore[return-value]
