"""Keys that a record does not know: written back where its reader finds them, refused elsewhere (specification 3.1)."""

from typing import Any

import msgspec
import pytest

from lash_store.codecs import messagepack
from lash_store.errors import InvalidRecord
from lash_store.records.config import UNKNOWN_MODEL, ModelLimits, ModelSpec, PersistedSessionConfig, SessionPolicy
from lash_store.records.graph import SessionNodeRecord
from lash_store.records.head import SessionHeadMeta
from lash_store.records.process_output import ProcessAwaitOutputFailure
from lash_store.records.record import Record
from lash_store.records.usage import PromptUsage, TokenUsage

LIMITS = ModelLimits(1)
EVENT = SessionNodeRecord.from_json(
    '{"node_id":"n","timestamp":"t","kind":"event","event":{"Protocol":{"plugin_id":"p","payload":1}}}'
)
PLUGIN = SessionNodeRecord.from_json('{"node_id":"n","timestamp":"t","kind":"plugin","plugin_type":"x","body":1}')
USAGE = TokenUsage(1, 2, 3, 4)
FAILURE = ProcessAwaitOutputFailure("internal", "b", "c")


def changed(record: Any, keys: Any) -> Any:
    return msgspec.structs.replace(record, other_keys=keys)


@pytest.mark.parametrize(
    "record",
    [LIMITS, ModelSpec(id="m", limits=LIMITS), ModelSpec(id="m", limits=changed(LIMITS, {"x": 1})), SessionPolicy()],
)
def test_a_closed_record_has_none(record: Record) -> None:
    closed = record if getattr(record, "limits", LIMITS).other_keys else changed(record, {"x": 1})
    for write in (closed.to_json, lambda: messagepack.pack_record(closed)):
        with pytest.raises(InvalidRecord, match="other_keys"):
            write()


@pytest.mark.parametrize(
    ("record", "key"),
    [
        (EVENT, "parent_node_id"),  # known, and left out
        (EVENT, "node_id"),
        (EVENT, "kind"),
        (EVENT, "event"),
        (PLUGIN, "body"),
        (USAGE, "input_tokens"),
        (SessionHeadMeta(config=PersistedSessionConfig("p", UNKNOWN_MODEL)), "checkpoint_ref"),
        (FAILURE, "type"),
        (FAILURE, "class"),  # a key whose field has another name
    ],
)
def test_a_known_key_is_not_among_them(record: Record, key: str) -> None:
    with pytest.raises(InvalidRecord, match=rf"other_keys\.{key}"):
        changed(record, {key: 5}).to_json()


@pytest.mark.parametrize("key", ["node_id", "parent_node_id", "caused_by", "agent_frame_id", "timestamp"])
def test_a_payload_does_not_replace_a_key_of_its_node(key: str) -> None:
    inside = msgspec.structs.replace(EVENT, payload=changed(EVENT.payload, {key: "x"}))
    with pytest.raises(InvalidRecord, match=rf"payload\.other_keys\.{key}"):
        inside.to_json()


@pytest.mark.parametrize("keys", [5, "x", [], ["x"], [("x", 1)]])
def test_they_are_a_mapping(keys: object) -> None:
    for record in (USAGE, EVENT):
        with pytest.raises(InvalidRecord, match="other_keys"):
            changed(record, keys).to_json()


@pytest.mark.parametrize(
    ("record", "keys"),
    [
        (USAGE, {"z": 1, "a": None}),
        (PromptUsage(1, 2, 3), {"x": [1]}),
        (PLUGIN, {"event": {"Conversation": {}}}),  # a key of the other kind means nothing here
        (EVENT, {"body": 1, "payload": 2, "other_keys": 3}),
        (USAGE, {}),
    ],
)
def test_what_is_written_is_read_again(record: Record, keys: dict[str, Any]) -> None:
    written = changed(record, keys)
    assert type(record).from_json(written.to_json()) == changed(record, keys or None)


@pytest.mark.parametrize("source", [None, 1.5, -1, 10**13, True, ["a"], {"a"}, object()])
def test_what_is_no_text_is_no_record(source: Any) -> None:
    with pytest.raises(InvalidRecord, match="text"):
        TokenUsage.from_json(source)
