"""The text by which a list of sessions shows a message (session store specification 4.26)."""

from lash_store.records.conversation import ConversationRecord, MessagePart, MessageRole, PartKind, PruneStateIntact
from lash_store.records.graph import ProtocolEvent, SessionEvent, SessionNodePayloadEvent, SessionNodeRecord
from lash_store.rules.picker import first_text


def node(event: SessionEvent) -> SessionNodeRecord:
    return SessionNodeRecord(node_id="n", timestamp="t", payload=SessionNodePayloadEvent(event))


def shown(*parts: tuple[PartKind, str]) -> str:
    made = [
        MessagePart(id=f"p{number}", kind=kind, content=content, prune_state=PruneStateIntact())
        for number, (kind, content) in enumerate(parts)
    ]
    return first_text(node(ConversationRecord("m", MessageRole.USER, made)))


def test_a_blank_part_leaves_no_gap() -> None:
    assert shown((PartKind.TEXT, "a"), (PartKind.TEXT, " \n\u3000"), (PartKind.TEXT, "b")) == "a\n\nb"


def test_images_are_named_and_tools_are_not_shown() -> None:
    parts = [(PartKind.TOOL_CALL, "x"), (PartKind.TEXT, " a"), (PartKind.TOOL_RESULT, "y"), (PartKind.IMAGE, "")]
    assert shown(*parts, (PartKind.TEXT, "b ")) == "a\n\n[Image attached]\n\nb"


def test_what_has_no_text_shows_nothing() -> None:
    assert shown() == shown((PartKind.TEXT, " ")) == first_text(node(ProtocolEvent("p", None))) == ""
