"""Conversation records: messages and their parts (specification 3.6)."""

import enum
from typing import Annotated, ClassVar, Final, Self, TypeAlias

import msgspec

from lash_store.records.causal import CausalRef
from lash_store.records.record import Record
from lash_store.records.shape import OMIT_EMPTY, U32, Uint


class MessageRole(str, enum.Enum):
    """Who speaks. The case of the text matters.

    A tool's result comes from USER, as a part TOOL_RESULT: so lash has it, and so models take it. It counts among the
    `user_message_count` of the list of sessions.
    """

    USER = "User"
    ASSISTANT = "Assistant"
    SYSTEM = "System"
    EVENT = "Event"


class PartKind(str, enum.Enum):
    """What a part is."""

    TEXT = "Text"
    IMAGE = "Image"
    CODE = "Code"
    OUTPUT = "Output"
    ERROR = "Error"
    PROSE = "Prose"
    TOOL_CALL = "ToolCall"
    TOOL_RESULT = "ToolResult"
    REASONING = "Reasoning"


class ImageMediaType(str, enum.Enum):
    """Formats of an image."""

    PNG = "png"
    JPEG = "jpeg"
    GIF = "gif"
    WEBP = "webp"
    BMP = "bmp"


class MediaTypeImage(Record, frozen=True, tag_field="kind", tag="image"):
    """An image of the given format."""

    type: ImageMediaType


MediaType: TypeAlias = MediaTypeImage
"""What kind of file an attachment is, tagged by `kind`."""


class AttachmentRef(Record, frozen=True):
    """An attachment whose bytes (`byte_len` of them) lie elsewhere; width and height in pixels."""

    id: str
    media_type: MediaType
    byte_len: Uint
    width: U32 | None = None
    height: U32 | None = None
    label: str | None = None


class PartAttachment(Record, frozen=True):
    """The attachment of a part."""

    reference: AttachmentRef


class ToolReplay(Record, frozen=True):
    """What a provider wants to see again beside a tool call."""

    item_id: str | None = None
    opaque: str | None = None


class ReasoningMeta(Record, frozen=True):
    """What a provider wants to see again beside a reasoning part."""

    item_id: str | None = None
    encrypted_content: str | None = None
    signature: str | None = None
    redacted: Annotated[bool, OMIT_EMPTY] = False
    summary: Annotated[list[str], OMIT_EMPTY] = msgspec.field(default_factory=list)


class ResponseMeta(Record, frozen=True):
    """What a provider said about its response."""

    id: str | None = None
    status: str | None = None
    phase: str | None = None


class PruneStateIntact(Record, frozen=True):
    """The part is as it was."""

    VARIANT: ClassVar[str] = "Intact"


class PruneStateCleared(Record, frozen=True):
    """The part's content was dropped."""

    VARIANT: ClassVar[str] = "Cleared"


class PruneStateDeleted(Record, frozen=True):
    """The part was archived under `archive_hash`; a breadcrumb stands for it."""

    VARIANT: ClassVar[str] = "Deleted"

    breadcrumb: str
    archive_hash: str


class PruneStateSummarized(Record, frozen=True):
    """The part was archived under `archive_hash`; a summary stands for it."""

    VARIANT: ClassVar[str] = "Summarized"

    summary: str
    archive_hash: str


PruneState: TypeAlias = PruneStateIntact | PruneStateCleared | PruneStateDeleted | PruneStateSummarized
"""What became of a part's content: a text, or an object with the variant's name as its one key."""


class MessagePart(Record, frozen=True, kw_only=True):
    """A part of a message.

    A call and its result share `tool_call_id`; `content` holds the arguments of the one and the text of the other.
    """

    id: str
    kind: PartKind
    content: str
    attachment: PartAttachment | None = None
    tool_call_id: str | None = None
    tool_name: str | None = None
    tool_replay: ToolReplay | None = None
    prune_state: PruneState
    reasoning_meta: ReasoningMeta | None = None
    response_meta: ResponseMeta | None = None

    @classmethod
    def text(cls, content: str) -> Self:
        """A part of text; `append_to_graph` gives it its id."""
        return cls(id="", kind=PartKind.TEXT, content=content, prune_state=PruneStateIntact())


class MessageOriginPlugin(Record, frozen=True, tag_field="kind", tag="plugin"):
    """A message that a plugin put in; transient ones are not shown to a model."""

    plugin_id: str
    transient: Annotated[bool, OMIT_EMPTY] = False


class MessageOriginProcess(Record, frozen=True, tag_field="kind", tag="process"):
    """A message that a process event brought."""

    process_id: str
    event_type: str
    sequence: Uint
    wake_id: str | None = None
    caused_by: CausalRef | None = None


MessageOrigin: TypeAlias = MessageOriginPlugin | MessageOriginProcess
"""Where a message comes from if not from the conversation itself, tagged by `kind`."""


_TEXTS: Final = frozenset({PartKind.TEXT, PartKind.PROSE})


class ConversationRecord(Record, frozen=True):
    """A message of the conversation.

    The ids of messages and parts are texts that mean nothing to the store; where they are empty `append_to_graph` makes
    some. Node ids are made of message ids, and are unique in a session.
    """

    id: str
    role: MessageRole
    parts: list[MessagePart]
    origin: MessageOrigin | None = None

    @classmethod
    def text(cls, role: MessageRole, content: str) -> Self:
        """A message of one text; `append_to_graph` gives it its ids."""
        return cls("", role, [MessagePart.text(content)])

    @property
    def text_content(self) -> str:
        """What its parts of kind TEXT and PROSE say, blank lines between; without tool calls, results, reasoning."""
        return "\n\n".join(part.content for part in self.parts if part.kind in _TEXTS)
