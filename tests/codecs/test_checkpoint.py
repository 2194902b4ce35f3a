"""Checkpoints as blobs."""

import hashlib
import json
from typing import Any

import msgspec
import pytest

from lash_store.codecs import checkpoint
from lash_store.codecs.envelope import open_blob
from lash_store.errors import InvalidJsonValue, InvalidRecord
from lash_store.records.artifacts import BlobProfile
from lash_store.records.checkpoint import HydratedSessionCheckpoint, SessionCheckpoint
from lash_store.records.usage import PersistedTurnState


def sha256(content: bytes) -> str:
    """The ref of a blob."""
    return hashlib.sha256(content).hexdigest()


def encode(hydrated: HydratedSessionCheckpoint) -> checkpoint.EncodedCheckpoint:
    return checkpoint.encode_checkpoint(hydrated, BlobProfile.BALANCED)


def test_given_parts_become_blobs_whatever_ref_was_given() -> None:
    encoded = encode(
        HydratedSessionCheckpoint(
            PersistedTurnState(turn_index=4),
            tool_state={"generation": 7, "tools": {}},
            plugin_snapshot={"plugins": {}},
            plugin_snapshot_revision=5,
            execution_state=b"\xde\xad\xbe\xef",
            execution_state_ref="stale",
        )
    )
    contents = [open_blob(blob.ref, blob.stored) for blob in encoded.blobs]
    tool_state, plugins, execution, manifest = contents
    assert checkpoint.decode_tool_state(tool_state) == {"generation": 7, "tools": {}}
    assert checkpoint.decode_plugin_snapshot(plugins) == {"plugins": {}}
    assert checkpoint.decode_execution_state(execution) == b"\xde\xad\xbe\xef"
    assert checkpoint.decode_manifest(manifest) == encoded.manifest
    assert encoded.checkpoint_ref == sha256(manifest)
    assert encoded.manifest == SessionCheckpoint(
        PersistedTurnState(turn_index=4), sha256(tool_state), sha256(plugins), 5, sha256(execution)
    )


def test_refs_without_parts_are_kept() -> None:
    encoded = encode(HydratedSessionCheckpoint(tool_state_ref="a", plugin_snapshot_ref="b", execution_state_ref="c"))
    manifest = encoded.manifest
    assert len(encoded.blobs) == 1
    assert (manifest.tool_state_ref, manifest.plugin_snapshot_ref, manifest.execution_state_ref) == ("a", "b", "c")


def test_an_empty_execution_state_is_not_none() -> None:
    encoded = encode(HydratedSessionCheckpoint(execution_state=b""))
    assert open_blob(encoded.blobs[0].ref, encoded.blobs[0].stored) == b"\x90"
    assert encoded.manifest.execution_state_ref == sha256(b"\x90")


def test_equal_content_gives_equal_refs() -> None:
    one = encode(HydratedSessionCheckpoint(tool_state={"generation": 1, "tools": {"b": {}, "a": {}}}))
    two = encode(HydratedSessionCheckpoint(tool_state={"tools": {"a": {}, "b": {}}, "generation": 1}))
    assert one == two


@pytest.mark.parametrize("content", [b"\x80", bytes.fromhex("81a3666f6f01")])
def test_every_key_of_a_manifest_has_a_default(content: bytes) -> None:
    """An empty map is a manifest, and so is one of only foreign keys."""
    manifest = checkpoint.decode_manifest(content)
    assert manifest.turn_state == PersistedTurnState(turn_index=0)
    assert manifest.tool_state_ref is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc0",
        b"\x90",
        b"not a manifest",
        msgspec.msgpack.encode({"turn_state": None}),
        msgspec.msgpack.encode({"turn_state": {}}),
        msgspec.msgpack.encode({"turn_state": 3}),
        msgspec.msgpack.encode({"tool_state_ref": 3}),
        msgspec.msgpack.encode({"plugin_snapshot_revision": -1}),
        msgspec.msgpack.encode({"plugin_snapshot_revision": 1.0}),
        b"\x80\x00",
        bytes.fromhex("82ae746f6f6c5f73746174655f726566a161ae746f6f6c5f73746174655f726566a161"),
    ],
)
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidRecord):
        checkpoint.decode_manifest(content)


@pytest.mark.parametrize(
    "state",
    [
        None,
        [],
        {},
        {"generation": 1},
        {"tools": {}},
        {"generation": -1, "tools": {}},
        {"generation": True, "tools": {}},
        {"generation": 1.0, "tools": {}},
        {"generation": 1, "tools": []},
    ],
)
def test_a_tool_state_needs_its_keys(state: Any) -> None:
    with pytest.raises(InvalidRecord):
        checkpoint.encode_tool_state(state)
    with pytest.raises(InvalidRecord):
        checkpoint.decode_tool_state(msgspec.msgpack.encode(state))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**64, -(2**63) - 1, "\ud800", b"x", object(), {1: 2}])
def test_values_without_a_stored_form_are_refused(value: Any) -> None:
    snapshot = {"plugins": {"p": {"meta": {"state": [value]}}}}
    with pytest.raises(InvalidJsonValue) as caught:
        checkpoint.encode_plugin_snapshot(snapshot)
    assert caught.value.path.startswith("$.plugins.p.meta.state[0]")


def test_a_stored_nan_is_refused_when_read() -> None:
    with pytest.raises(InvalidRecord, match="NaN"):
        checkpoint.decode_tool_state(msgspec.msgpack.encode({"generation": 1, "tools": {}, "x": float("nan")}))


def test_deep_values_are_refused() -> None:
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(InvalidJsonValue, match="nested too deeply"):
        checkpoint.encode_tool_state({"generation": 1, "tools": {}, "x": deep})


def test_structs_keep_their_order_and_free_json_is_sorted() -> None:
    manifest = {"id": "i", "name": "n", "availability": {"base": 2, "z": 1}, "scheduling": "serial", "novelty": 1}
    shuffled = {**dict(reversed(manifest.items())), "availability": {"z": 1, "base": 2}}
    content = checkpoint.encode_tool_state({"tools": {"n": {"manifest": shuffled}}, "generation": 1})
    stored = msgspec.msgpack.decode(content)
    assert json.dumps(stored) == json.dumps({"generation": 1, "tools": {"n": {"manifest": manifest}}})
    assert checkpoint.encode_tool_state(checkpoint.decode_tool_state(content)) == content


def test_artifact_bytes_may_be_bytes() -> None:
    def snapshot(data: Any) -> dict[str, Any]:
        return {"plugins": {"p": {"meta": {}, "artifacts": [{"name": "n", "data": data}]}}}

    as_list = checkpoint.encode_plugin_snapshot(snapshot([1, 255]))
    assert checkpoint.encode_plugin_snapshot(snapshot(b"\x01\xff")) == as_list
    assert checkpoint.decode_plugin_snapshot(msgspec.msgpack.encode(snapshot(b"\x01\xff"))) == snapshot([1, 255])
    with pytest.raises(InvalidJsonValue, match="0 \\.\\.\\. 255"):
        checkpoint.encode_plugin_snapshot(snapshot([1, 256]))


def test_an_execution_state_may_be_bin_but_no_text() -> None:
    assert checkpoint.decode_execution_state(b"\xc4\x02ab") == b"ab"
    for content in (b"\xa2ab", b"\x92\x01", b"\x91\x01\x01", b"\x91\xcd\x01\x00", b"raw bytes", b""):
        with pytest.raises(InvalidRecord):
            checkpoint.decode_execution_state(content)
    with pytest.raises(InvalidRecord):
        checkpoint.encode_execution_state("ab")  # type: ignore[arg-type]
