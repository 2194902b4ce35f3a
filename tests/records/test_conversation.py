"""Messages of text, made and read."""

from lash_store import ConversationRecord, MessagePart, MessageRole, PartKind, PruneStateIntact, SessionGraph
from lash_store.rules.graph import append_to_graph


def part(kind: PartKind, content: str) -> MessagePart:
    return MessagePart(id="p", kind=kind, content=content, prune_state=PruneStateIntact())


def test_a_message_of_text_has_the_usual_form() -> None:
    message = ConversationRecord.text(MessageRole.USER, "hello")
    assert message.to_json() == (
        b'{"id":"","role":"User","parts":[{"id":"","kind":"Text","content":"hello","prune_state":"Intact"}]}'
    )
    assert message == ConversationRecord("", MessageRole.USER, [MessagePart.text("hello")])


def test_it_gets_its_ids_from_the_graph() -> None:
    texts = [ConversationRecord.text(MessageRole.USER, "hello"), ConversationRecord.text(MessageRole.ASSISTANT, "hi")]
    _, added = append_to_graph(SessionGraph(), texts)
    first, second = added
    assert first.node_id
    assert first.node_id != second.node_id
    assert texts[0].id == ""


def test_its_text_is_what_it_says() -> None:
    every = [part(kind, kind.value) for kind in PartKind]
    message = ConversationRecord("m", MessageRole.ASSISTANT, every)
    assert message.text_content == "Text\n\nProse"
    assert ConversationRecord("m", MessageRole.ASSISTANT, []).text_content == ""
    assert ConversationRecord.text(MessageRole.USER, "hello").text_content == "hello"
