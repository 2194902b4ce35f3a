"""The records that the plain parts of process inputs stand for (process specification 2.2)."""

from typing import Annotated, Any, ClassVar, Final

import msgspec

from lash_store.records.causal import CausalRef
from lash_store.records.config import SessionPolicy
from lash_store.records.conversation import MessageOrigin, MessagePart, MessageRole, ToolReplay
from lash_store.records.frames import PluginOptions, PluginSource, SubagentContext, ToolAccess
from lash_store.records.layout import Fields, Key, Plain, Unfit
from lash_store.records.process_shaped import ShapedRecord, plain_form_of
from lash_store.records.record import Record
from lash_store.records.scalars import Codec, free
from lash_store.records.session_meta import SessionRelation, SessionRelationRoot
from lash_store.records.shape import ALWAYS, OMIT_EMPTY, Opaque
from lash_store.records.usage import ProtocolTurnOptions


class _ToolCall(Record, frozen=True):
    call_id: str
    tool_name: str
    args: Opaque
    replay: ToolReplay | None = None
    prepared_payload: Opaque = None


_OWN: Final = Key(Plain.AS_GIVEN)
_SNAPSHOT: Final = free(
    Fields(
        session_id=Key(),
        policy=_OWN,
        agent_frames=_OWN,
        current_agent_frame_id=Key(absent=""),
        session_graph=_OWN,
        turn_index=_OWN,
        token_usage=_OWN,
        last_prompt_usage=_OWN,
        protocol_turn_options=_OWN,
        tool_state_ref=_OWN,
        tool_state_generation=_OWN,
        plugin_snapshot_ref=_OWN,
        plugin_snapshot_revision=_OWN,
        execution_state_ref=_OWN,
        token_ledger=Key(Plain.AS_GIVEN, absent=[]),
        checkpoint_ref=_OWN,
    )
)


def _read_snapshot(value: Any) -> Any:
    snapshot = _SNAPSHOT.read(value)
    if not isinstance(snapshot.get("session_id"), str):
        raise Unfit("expected a string").at("session_id")
    return snapshot


class _StartEmpty(Record, frozen=True, tag_field="kind", tag="empty"):
    pass


class _StartCurrentSession(Record, frozen=True, tag_field="kind", tag="current_session"):
    pass


class _StartExistingSession(Record, frozen=True, tag_field="kind", tag="existing_session"):
    session_id: str


class _StartSnapshot(ShapedRecord, frozen=True, tag_field="kind", tag="snapshot"):
    SHAPES: ClassVar = {
        "snapshot": Codec(_read_snapshot, lambda value, hashed: _SNAPSHOT.write(_read_snapshot(value), hashed))
    }

    snapshot: Annotated[Any, Plain.AS_GIVEN]


class _PluginMessage(Record, frozen=True):
    role: MessageRole
    content: str
    origin: MessageOrigin | None = None
    parts: Annotated[list[MessagePart], OMIT_EMPTY] = msgspec.field(default_factory=list)
    images: Annotated[list[bytes], OMIT_EMPTY] = msgspec.field(default_factory=list)


class _PluginEvent(Record, frozen=True):
    plugin_id: str
    payload: Opaque


class _NodeMessage(Record, frozen=True, tag_field="kind", tag="message"):
    message: _PluginMessage
    caused_by: CausalRef | None = None


class _NodeProtocolEvent(Record, frozen=True, tag_field="kind", tag="protocol_event"):
    event: _PluginEvent
    caused_by: CausalRef | None = None


class _NodePlugin(Record, frozen=True, tag_field="kind", tag="plugin"):
    plugin_type: str
    body: Annotated[Any, Plain.SORTED, ALWAYS] = None
    caused_by: CausalRef | None = None


class _CreateRequest(Record, frozen=True, kw_only=True):
    session_id: str | None = None
    relation: SessionRelation = msgspec.field(default_factory=SessionRelationRoot)
    start: _StartEmpty | _StartCurrentSession | _StartExistingSession | _StartSnapshot
    policy: Annotated[SessionPolicy | None, ALWAYS] = None
    plugin_source: PluginSource = PluginSource.CURRENT_SESSION_FORK
    initial_nodes: list[_NodeMessage | _NodeProtocolEvent | _NodePlugin] = msgspec.field(default_factory=list)
    tool_access: ToolAccess = msgspec.field(default_factory=ToolAccess)
    subagent: SubagentContext | None = None
    plugin_options: PluginOptions = msgspec.field(default_factory=PluginOptions)
    usage_source: str | None = None


class _ItemText(Record, frozen=True, tag_field="type", tag="text"):
    text: str


class _ItemImageRef(Record, frozen=True, tag_field="type", tag="image_ref"):
    id: str


class _TurnInput(Record, frozen=True):
    items: list[_ItemText | _ItemImageRef]
    image_blobs: dict[str, bytes] = msgspec.field(default_factory=dict)
    protocol_turn_options: ProtocolTurnOptions | None = None
    trace_turn_id: str | None = None


class _ContractStatic(Record, frozen=True, tag_field="kind", tag="static"):
    pass


class _ContractFromInputSchema(Record, frozen=True, tag_field="kind", tag="from_input_schema"):
    input_field: str
    default_schema: Opaque = None


TOOL_CALL: Final = plain_form_of(_ToolCall)
CREATE_REQUEST: Final = plain_form_of(_CreateRequest)
TURN_INPUT: Final = plain_form_of(_TurnInput)
OUTPUT_CONTRACT: Final = plain_form_of(_ContractStatic | _ContractFromInputSchema)
