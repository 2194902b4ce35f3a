"""The texts of enumerations and tags, as the tables of specification 2 and 3 print them."""

import enum
import typing
from typing import Any

import msgspec
import pytest

from lash_store.errors import InvalidRecord
from lash_store.records import artifacts, causal, commit, conversation, frames, graph, queue, session_meta
from lash_store.records.head import ActivePath, FullGraph
from lash_store.records.record import read_json
from lash_store.records.shape import tag_of

PARTS = "Text Image Code Output Error Prose ToolCall ToolResult Reasoning"
KINDS = "GenericBlob CheckpointManifest ToolState PluginSessionSnapshot ExecutionStateSnapshot LashlangModule"


@pytest.mark.parametrize(
    ("cls", "texts"),
    [
        (artifacts.BlobProfile, "low_latency balanced compact"),
        (artifacts.BlobStorageHint, "Compressible InlinePreferred LargePayload"),
        (artifacts.DurabilityTier, "inline durable"),
        (artifacts.PersistedArtifactKind, KINDS),
        (conversation.ImageMediaType, "png jpeg gif webp bmp"),
        (conversation.MessageRole, "User Assistant System Event"),
        (conversation.PartKind, PARTS),
        (frames.AgentFrameStatus, "active superseded"),
        (frames.PluginSource, "current_host_fresh current_session_fork"),
        (queue.DeliveryPolicy, "earliest_safe_boundary after_current_turn_commit"),
        (queue.QueuedWorkClaimBoundary, "active_turn_checkpoint idle"),
        (queue.SlotPolicy, "join exclusive"),
    ],
)
def test_an_enumeration_has_these_texts(cls: type[enum.Enum], texts: str) -> None:
    assert [member.value for member in cls] == texts.split()
    assert all(isinstance(member, str) for member in cls)


@pytest.mark.parametrize(
    ("family", "tag_key", "tags"),
    [
        (causal.CausalRef, "type", "turn effect tool_call process process_event host_event session_node"),
        (commit.GraphCommitDelta, None, "Unchanged Append ReplaceFull"),
        (conversation.MessageOrigin, "kind", "plugin process"),
        (conversation.PruneState, None, "Intact Cleared Deleted Summarized"),
        (graph.SessionNodePayload, "kind", "event plugin"),
        (queue.MergeKey, None, "never payload_default group"),
        (queue.QueuedWorkPayload, "type", "turn_input process_wake session_command"),
        (session_meta.SessionRelation, "kind", "root child"),
    ],
)
def test_a_family_has_these_tags(family: Any, tag_key: str | None, tags: str) -> None:
    members = typing.get_args(family)
    assert [tag_of(member) for member in members] == tags.split()
    assert {member.__struct_config__.tag_field for member in members} == {tag_key}
    for member, tag in zip(members, tags.split(), strict=True):
        assert member.__name__.lower().endswith(tag.replace("_", "").lower())


@pytest.mark.parametrize(
    "text",
    [
        *("[]", '"turn"', '{"type":1}', '{"type":"turn"}', '{"session_id":"s"}', '{"type":"host_event"}'),
        '{"type":"Turn","session_id":"s","turn_id":"t"}',
        '{"type":"host_event","occurrence_id":null}',
        '{"type":"host_event","type":"host_event","occurrence_id":"o"}',
    ],
)
def test_what_is_of_no_family_is_refused(text: str) -> None:
    with pytest.raises(InvalidRecord):
        read_json(causal.CausalRef, text)


def test_the_tag_may_stand_anywhere() -> None:
    read = read_json(causal.CausalRef, '{"session_id":"s","turn_id":null,"type":"effect","effect_id":"e"}')
    assert read == causal.CausalRefEffect(session_id="s", effect_id="e")


def test_a_member_reads_only_its_own_tag() -> None:
    with pytest.raises(InvalidRecord):
        causal.CausalRefHostEvent.from_json('{"type":"process","occurrence_id":"o"}')


def test_the_tag_is_no_argument() -> None:
    with pytest.raises(TypeError):
        causal.CausalRefProcess(type="process", process_id="p")  # type: ignore[call-arg]


@pytest.mark.parametrize("key", ["never", "payload_default"])
def test_a_merge_key_without_data_is_a_text(key: str) -> None:
    assert read_json(queue.MergeKey, f'"{key}"').to_json() == f'"{key}"'.encode()
    for wrong in ('"group"', '{"group":1}', '{"group":"g","other":1}', '{"Group":"g"}', "null"):
        with pytest.raises(InvalidRecord):
            read_json(queue.MergeKey, wrong)


def test_scopes_are_frozen() -> None:
    assert ActivePath().leaf_node_id is None
    assert ActivePath("x") == ActivePath("x")
    for scope in (FullGraph(), ActivePath()):
        assert hash(scope) == hash(msgspec.structs.replace(scope))
