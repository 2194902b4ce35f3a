"""What a list of sessions shows of a message (session store specification 4.26)."""

from typing import Final

from lash_store.records.conversation import ConversationRecord, MessagePart, PartKind
from lash_store.records.graph import SessionNodePayloadEvent, SessionNodeRecord
from lash_store.records.text import trimmed

_NOT_SHOWN: Final = frozenset({PartKind.TOOL_CALL, PartKind.TOOL_RESULT})
_IMAGE: Final = "[Image attached]"


def first_text(node: SessionNodeRecord) -> str:
    """The text of a message's parts, joined by blank lines and trimmed; empty for a node that is no message."""
    payload = node.payload
    if not isinstance(payload, SessionNodePayloadEvent) or not isinstance(payload.event, ConversationRecord):
        return ""
    shown = (_shown(part) for part in payload.event.parts if part.kind not in _NOT_SHOWN)
    return trimmed("\n\n".join(text for text in shown if trimmed(text)))


def _shown(part: MessagePart) -> str:
    return _IMAGE if part.kind is PartKind.IMAGE else part.content
