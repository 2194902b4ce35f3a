"""Graph nodes and what they carry (specification 3.5, 3.7, 3.8)."""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self, TypeAlias

import msgspec

from lash_store.records.causal import CausalRef
from lash_store.records.conversation import ConversationRecord
from lash_store.records.encoder import Form
from lash_store.records.json_text import RepeatedKeys
from lash_store.records.layout import Unfit
from lash_store.records.record import Record
from lash_store.records.scalars import Codec
from lash_store.records.shape import ALWAYS, Field, Opaque, codec_of, fields_of, tag_of


class ProtocolEvent(Record, frozen=True):
    """An event of a plugin's protocol; the payload is opaque (`{"step": 1}`) and may be None."""

    LAST_KEY_WINS: ClassVar[bool] = True

    plugin_id: str
    payload: Opaque


SessionEvent: TypeAlias = ConversationRecord | ProtocolEvent
"""What an event node holds."""
_VARIANTS: Final[dict[str, type[Record]]] = {"Conversation": ConversationRecord, "Protocol": ProtocolEvent}


class SessionNodePayloadEvent(Record, frozen=True, tag_field="kind", tag="event"):
    """A conversation record or a protocol event. In the stored form its variant's name stands around it."""

    event: SessionEvent

    @classmethod
    def read_plain(cls, value: Any) -> Self:
        """The payload of a node's object, whose other keys are not looked at. Raises Unfit."""
        if "event" not in value:
            raise Unfit("the key is missing").at("event")
        wrapped = value["event"]
        if not isinstance(wrapped, Mapping) or len(wrapped) != 1 or isinstance(wrapped, RepeatedKeys):
            raise Unfit("expected an object with exactly one variant").at("event")
        ((name, content),) = wrapped.items()
        if name not in _VARIANTS:
            raise Unfit(f"expected one of {', '.join(_VARIANTS)}, got {name!r}").at("event")
        try:
            return cls(_VARIANTS[name].read_plain(content))  # type: ignore[arg-type]
        except Unfit as unfit:
            raise unfit.at(name).at("event") from None

    def write_fields(self, plain: dict[str, Any], hashed: bool) -> None:
        """As `Record.write_fields`."""
        for name, variant in _VARIANTS.items():
            if isinstance(self.event, variant):
                try:
                    plain["event"] = {name: self.event.write_plain(hashed)}
                except Unfit as unfit:
                    raise unfit.at(name).at("event") from None
                return
        raise Unfit(f"expected a ConversationRecord or ProtocolEvent, got a {type(self.event).__name__}").at("event")

    @classmethod
    def encoder_keys(cls) -> tuple[Form, ...]:
        """As `Record.encoder_keys`, the variant's name around the event."""
        variants = tuple((variant, name) for name, variant in _VARIANTS.items())
        return (
            ("kind", False, ("constant", "event"), ALWAYS.form),
            ("event", False, ("wrapped", variants), ALWAYS.form),
        )


class SessionNodePayloadPlugin(Record, frozen=True, tag_field="kind", tag="plugin"):
    """A plugin's own node; the body is opaque (`{"text": "remember"}`) and may be None."""

    plugin_type: str
    body: Opaque

    @classmethod
    def read_plain(cls, value: Any) -> Self:
        """The payload of a node's object, whose other keys are not looked at. Raises Unfit."""
        return cls(**{key: _required(value, key, codec) for key, codec in _plugin_codecs().items()})


SessionNodePayload: TypeAlias = SessionNodePayloadEvent | SessionNodePayloadPlugin
"""What a node carries, tagged by `kind`."""


class SessionNodeRecord(Record, frozen=True, kw_only=True):
    """A node of the session's graph. In the stored form the payload's keys lie beside the node's own.

    `timestamp` is an RFC 3339 time, free text to the store. Without a parent the node is a root, without a frame it
    belongs to none.
    """

    node_id: str
    parent_node_id: str | None = None
    caused_by: CausalRef | None = None
    agent_frame_id: str | None = None
    timestamp: str
    payload: SessionNodePayload

    @classmethod
    def read_plain(cls, value: Any) -> Self:
        """As `Record.read_plain`: splits the one flat object into node and payload."""
        if not isinstance(value, Mapping):
            raise Unfit(f"expected an object, got {type(value).__name__}")
        kind = value.get("kind")
        if not isinstance(kind, str) or kind not in _KEYS_OF_KIND:
            raise Unfit(f"expected one of {', '.join(_KEYS_OF_KIND)}, got {kind!r}").at("kind")
        keys = _KEYS_OF_KIND[kind]
        if isinstance(value, RepeatedKeys) and value.repeated & keys:
            raise Unfit("the key stands more than once").at(min(value.repeated & keys))
        found = cls.read_fields(value, _node_fields())
        found["payload"] = _CLASS_OF_KIND[kind].read_plain(value)
        others = {key: item for key, item in value.items() if key not in keys}
        return cls(**found, other_keys=others or None)

    def known_keys(self) -> frozenset[str]:
        """As `Record.known_keys`, those of its payload among them."""
        return _KEYS_OF_KIND[tag_of(type(self.payload))]

    def write_fields(self, plain: dict[str, Any], hashed: bool) -> None:
        """As `Record.write_fields`, the payload flattened."""
        super().write_fields(plain, hashed)
        for key, item in plain.pop("payload").items():
            if key in _NODE_KEYS and key != "kind":
                raise Unfit("the node knows the key; set its field").at(key).at("other_keys").at("payload")
            plain[key] = item

    @classmethod
    def encoder_form(cls) -> Form | None:
        """As `Record.encoder_form`, the keys of either payload beside the node's own."""
        keys = cls.encoder_keys()
        if cls is not SessionNodeRecord or keys is None:
            return None
        own = tuple(key for key in keys if key[0] != "payload")
        cases = []
        for payload in _CLASS_OF_KIND.values():
            inner = payload.encoder_keys() or ()
            cases.append((payload, own + tuple((name, True, form, omit) for name, _, form, omit in inner)))
        return ("fields", "", "payload", tuple(cases))


_CLASS_OF_KIND: Final[dict[str, type[Record]]] = {"event": SessionNodePayloadEvent, "plugin": SessionNodePayloadPlugin}
_NODE_KEYS: Final = frozenset(SessionNodeRecord.__struct_fields__) - {"payload", "other_keys"} | {"kind"}
_KEYS_OF_KIND: Final = {"event": _NODE_KEYS | {"event"}, "plugin": _NODE_KEYS | {"plugin_type", "body"}}
"""The keys that mean something in a node of each kind. Others, those of the other kind among them, are only kept."""


class SessionGraph(Record, frozen=True):
    """Nodes in the order of their insertion, and the leaf, which need not be among them."""

    nodes: list[SessionNodeRecord] = msgspec.field(default_factory=list)
    leaf_node_id: str | None = None


@functools.cache
def _node_fields() -> tuple[Field, ...]:
    return fields_of(SessionNodeRecord, frozenset({"payload", "other_keys"}))


@functools.cache
def _plugin_codecs() -> dict[str, Codec]:
    return {"plugin_type": codec_of(str), "body": codec_of(Opaque)}


def _required(value: Mapping[str, Any], key: str, codec: Codec) -> Any:
    if key not in value:
        raise Unfit("the key is missing").at(key)
    try:
        return codec.read(value[key])
    except Unfit as unfit:
        raise unfit.at(key) from None
