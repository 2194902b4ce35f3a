"""Checkpoints as blobs: the manifest and the parts it refers to (specification 3.11, 4.23)."""

from collections.abc import Callable, Container, Mapping
from typing import Any, Final, NamedTuple

from lash_store.codecs import intarrays, messagepack
from lash_store.codecs.content_hash import content_hash
from lash_store.codecs.envelope import Blob, seal
from lash_store.errors import InvalidRecord
from lash_store.records import artifacts
from lash_store.records.artifacts import BlobArtifactDescriptor, BlobProfile
from lash_store.records.checkpoint import (
    PLUGIN_SNAPSHOT_LAYOUT,
    TOOL_STATE_LAYOUT,
    HydratedSessionCheckpoint,
    SessionCheckpoint,
)
from lash_store.records.json_text import RepeatedKeys
from lash_store.records.layout import DEEPEST_MESSAGEPACK, UINT_MAX, Layout, Plain, Unfit, stored_form
from lash_store.records.record import raise_public


class EncodedCheckpoint(NamedTuple):
    """A checkpoint ready to be written: its manifest, the manifest's key, and the blobs to write, the manifest last.

    `reused` are the keys of contents that are known to be stored already, `kept` the refs that came without a part.
    """

    checkpoint_ref: str
    manifest: SessionCheckpoint
    blobs: list[Blob]
    reused: list[str]
    kept: list[str]


def encode_checkpoint(
    hydrated: HydratedSessionCheckpoint, profile: BlobProfile, stored: Container[str] = frozenset()
) -> EncodedCheckpoint:
    """Encodes, hashes and compresses a checkpoint; what is `stored` already is neither compressed nor written again.

    A part that is given (an empty one too) becomes a blob, whatever ref was given for it; otherwise the ref is kept.
    Raises InvalidRecord or InvalidJsonValue if something in it has no stored form.
    """
    writer = _Writer(profile, stored)
    ref_of = writer.ref_of

    manifest = SessionCheckpoint(
        turn_state=hydrated.turn_state,
        tool_state_ref=ref_of(hydrated.tool_state, hydrated.tool_state_ref, encode_tool_state, artifacts.TOOL_STATE),
        plugin_snapshot_ref=ref_of(
            hydrated.plugin_snapshot,
            hydrated.plugin_snapshot_ref,
            encode_plugin_snapshot,
            artifacts.PLUGIN_SNAPSHOT,
        ),
        plugin_snapshot_revision=hydrated.plugin_snapshot_revision,
        execution_state_ref=ref_of(
            hydrated.execution_state,
            hydrated.execution_state_ref,
            encode_execution_state,
            artifacts.EXECUTION_STATE,
        ),
    )
    ref = writer.write(artifacts.CHECKPOINT_MANIFEST, encode_manifest(manifest))
    return EncodedCheckpoint(ref, manifest, writer.blobs, writer.reused, writer.kept)


class _Writer:
    """Gathers what a checkpoint consists of."""

    def __init__(self, profile: BlobProfile, stored: Container[str]) -> None:
        self._profile = profile
        self._stored = stored
        self.blobs: list[Blob] = []
        self.reused: list[str] = []
        self.kept: list[str] = []

    def write(self, descriptor: BlobArtifactDescriptor, content: bytes) -> str:
        ref = content_hash(content)
        if ref in self._stored:
            self.reused.append(ref)
        else:
            self.blobs.append(seal(descriptor, content, self._profile, ref))
        return ref

    def ref_of(
        self, part: Any, given: str | None, encode: Callable[[Any], bytes], descriptor: BlobArtifactDescriptor
    ) -> str | None:
        if part is not None:
            return self.write(descriptor, encode(part))
        if given is not None:
            self.kept.append(given)
        return given


def encode_manifest(manifest: SessionCheckpoint) -> bytes:
    """The logical content of a manifest's blob. Raises InvalidRecord or InvalidJsonValue."""
    return messagepack.pack_record(manifest)


def decode_manifest(content: bytes) -> SessionCheckpoint:
    """The manifest in a blob's content. Every key has a default: the empty map is a manifest. Raises InvalidRecord."""
    try:
        value = messagepack.unpack(content)
        _json_only(value, Plain.AS_GIVEN)
        return SessionCheckpoint.read_plain(value)
    except Unfit as unfit:
        raise _unreadable("SessionCheckpoint", unfit) from None


def encode_tool_state(tool_state: Any) -> bytes:
    """The logical content of a tool state's blob. Raises InvalidRecord if its required keys are not there."""
    return _encode("tool state", tool_state, _pack_tool_state, _require_tool_state)


def decode_tool_state(content: bytes) -> dict[str, Any]:
    """The tool state in a blob's content, nothing added or dropped. Raises InvalidRecord."""
    return _decode("tool state", content, TOOL_STATE_LAYOUT, _require_tool_state)


def encode_plugin_snapshot(snapshot: Any) -> bytes:
    """The logical content of a plugin snapshot's blob. Raises InvalidRecord if its required keys are not there."""
    return _encode("plugin snapshot", snapshot, _pack_plugin_snapshot, _require_plugin_snapshot)


def decode_plugin_snapshot(content: bytes) -> dict[str, Any]:
    """The plugin snapshot in a blob's content, nothing added or dropped. Raises InvalidRecord."""
    return _decode("plugin snapshot", content, PLUGIN_SNAPSHOT_LAYOUT, _require_plugin_snapshot)


def encode_execution_state(state: bytes) -> bytes:
    """The logical content of an execution state's blob: its bytes as an array of integers."""
    if not isinstance(state, (bytes, bytearray, memoryview)):
        raise InvalidRecord("execution state", "$", f"expected bytes, got a {type(state).__name__}")
    return intarrays.encode(state)


def decode_execution_state(content: bytes) -> bytes:
    """The execution state in a blob's content. Raises InvalidRecord."""
    reader = messagepack.Reader(content)
    try:
        state = reader.byte_string()
        reader.end()
    except Unfit as unfit:
        raise _unreadable("execution state", unfit) from None
    return state


_pack_tool_state: Final = messagepack.packer(TOOL_STATE_LAYOUT)
_pack_plugin_snapshot: Final = messagepack.packer(PLUGIN_SNAPSHOT_LAYOUT)


def _encode(kind: str, value: Any, pack: Callable[[Any], bytes], require: Callable[[Any], None]) -> bytes:
    try:
        require(value)
        return pack(value)
    except Unfit as unfit:
        raise_public(kind, unfit)


def _decode(kind: str, content: bytes, layout: Layout, require: Callable[[Any], None]) -> dict[str, Any]:
    try:
        value = messagepack.unpack(content)
        require(value)
        return _json_only(value, layout)  # type: ignore[no-any-return]
    except Unfit as unfit:
        raise _unreadable(kind, unfit) from None


def _json_only(value: Any, layout: Layout) -> Any:
    """The value made of plain dicts and lists; raises Unfit for what MessagePack can say and JSON cannot."""
    return stored_form(value, layout, levels=DEEPEST_MESSAGEPACK)


def _unreadable(kind: str, unfit: Unfit) -> InvalidRecord:
    return InvalidRecord(kind, unfit.path, unfit.reason)


def _object(value: Any, *required: str) -> Mapping[str, Any]:
    """`value`, an object in which the `required` keys stand, once. Raises Unfit."""
    if not isinstance(value, Mapping):
        raise Unfit(f"expected an object, got a {type(value).__name__}")
    for key in required:
        if key not in value or (isinstance(value, RepeatedKeys) and key in value.repeated):
            raise Unfit("the key is missing, or stands more than once").at(key)
    return value


def _require_tool_state(value: Any) -> None:
    state = _object(value, "generation", "tools")
    generation = state["generation"]
    if type(generation) is not int or not 0 <= generation <= UINT_MAX:
        raise Unfit("expected an integer 0 ... 2^64-1").at("generation")
    if not isinstance(state["tools"], Mapping):
        raise Unfit("expected an object").at("tools")


def _require_plugin_snapshot(value: Any) -> None:
    plugins = _object(value).get("plugins", {})
    if not isinstance(plugins, Mapping):
        raise Unfit("expected an object").at("plugins")
