"""Specification A.2 and the end of A.8: MessagePack bytes of blob contents, and the hashes that are their keys."""

from collections.abc import Callable
from typing import Any

import pytest

from lash_store.codecs import checkpoint, messagepack
from lash_store.codecs.content_hash import content_hash
from lash_store.records.checkpoint import SessionCheckpoint
from lash_store.records.layout import stored_form
from tests.golden import vectors

ONE_PLUGIN = {
    "plugins": {
        "p": {
            "meta": {"plugin_id": "p", "plugin_version": "1", "revision": 2, "state": {"k": [1, 2.5]}},
            "artifacts": [{"name": "n", "data": [1, 255]}],
        }
    }
}


def manifest_m2() -> SessionCheckpoint:
    return SessionCheckpoint.from_json(vectors.text("manifest_m2.json"))


VECTORS: list[tuple[str, Any, Callable[[Any], bytes], Callable[[bytes], Any]]] = [
    ("manifest_default", SessionCheckpoint(), checkpoint.encode_manifest, checkpoint.decode_manifest),
    ("manifest_m2", manifest_m2(), checkpoint.encode_manifest, checkpoint.decode_manifest),
    (
        "execution_state",
        b"\xde\xad\xbe\xef",
        checkpoint.encode_execution_state,
        checkpoint.decode_execution_state,
    ),
    ("tool_state", {"tools": {}, "generation": 3}, checkpoint.encode_tool_state, checkpoint.decode_tool_state),
    (
        "plugin_snapshot_empty",
        {"plugins": {}},
        checkpoint.encode_plugin_snapshot,
        checkpoint.decode_plugin_snapshot,
    ),
    ("plugin_snapshot_one", ONE_PLUGIN, checkpoint.encode_plugin_snapshot, checkpoint.decode_plugin_snapshot),
]


@pytest.mark.parametrize(("name", "value", "encode", "decode"), VECTORS, ids=[vector[0] for vector in VECTORS])
def test_a_value_has_these_bytes(
    name: str, value: Any, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]
) -> None:
    assert encode(value).hex() == vectors.text(f"{name}.hex")
    assert decode(vectors.binary(name)) == value


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("manifest_default", "7a0875fc9b90b0591775a60b872fc008c068a1e9050bddbc2bd7e20ff319117f"),
        ("manifest_m2", "f29b451d69fef60be4073815e3c5032e14efbe589552dc49fce50b77e07e71a5"),
        ("execution_state", "f7b348c3a567f46f5c72f8870284f901284fa2ca1a3a79688574bdfb88037d59"),
        ("tool_state", "ed2bdb993c6405a951dd57fb3d9240d5b2f793db7af595e6109c6bfef1dbcc84"),
        ("plugin_snapshot_empty", "b678dd4fc5f9071190cf33cdc965c934ff1b2518b98fc18b843964421d376843"),
    ],
)
def test_a_content_has_this_key(name: str, key: str) -> None:
    assert content_hash(vectors.binary(name)) == key


def test_the_manifest_m2_is_this_json() -> None:
    assert manifest_m2().to_json().decode() == vectors.text("manifest_m2.json")


def test_an_opaque_object_is_sorted_at_every_depth() -> None:
    value = stored_form({"b": 1, "a": {"z": 1, "y": 2}})
    assert messagepack.pack(value).hex() == "82a16182a17902a17a01a16201"


def test_integers_are_as_short_as_they_can_be() -> None:
    numbers = [-1, -32, -33, -128, -129, 127, 128, 255, 256, 65535, 65536]
    assert messagepack.pack(numbers).hex() == "9bffe0d0dfd080d1ff7f7fcc80ccffcd0100cdffffce00010000"
