"""Scenarios 56 to 58, 60 and 61: module artifacts are kept byte for byte under the reference that they name."""

import hashlib
import json

import pytest

from lash_store import (
    ArtifactDecodeFailed,
    ArtifactEncodeFailed,
    DurabilityTier,
    InvalidRecord,
    PersistedArtifactKind,
    Store,
    StoreCorrupt,
)
from tests.conformance.session_store.artifacts import ARTIFACT, MODULE_REF, SURFACE_REF, artifact
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import descriptor
from tests.conformance.session_store.rows import change, everything, query, stored_envelope


async def test_scenario_56_an_artifact_comes_back_byte_for_byte(store: Store) -> None:
    assert await store.put_module_artifact(ARTIFACT) == MODULE_REF
    got = await store.get_module_artifact(MODULE_REF)
    assert got == ARTIFACT
    plain = json.loads(got)
    assert (plain["module_ref"], plain["required_surface_ref"]) == (MODULE_REF, SURFACE_REF)
    assert plain["exports"] == json.loads(ARTIFACT)["exports"]


async def test_scenario_57_an_unknown_reference_is_no_error(store: Store) -> None:
    assert await store.get_module_artifact(MODULE_REF) is None


async def test_scenario_58_the_tier_of_an_artifact_store(store: Store) -> None:
    """Artifacts are kept in the session's store, so its tier is theirs."""
    assert store.durability_tier is DurabilityTier.DURABLE


async def test_scenario_60_the_process_of_an_artifact(stores: Stores) -> None:
    store = await stores.memory()
    await store.put_module_artifact(ARTIFACT)
    got = await store.get_module_artifact(MODULE_REF)
    assert got is not None
    plain = json.loads(got)
    assert plain["module_ref"] == MODULE_REF
    assert plain["exports"]["processes"]["scan"]["component"] == f"{MODULE_REF}#scan"


@pytest.mark.parametrize("data", [b"not an artifact", b"", b"[]", b"{}", b'{"module_ref":1}', ARTIFACT[:-1]])
async def test_scenario_61_what_is_no_artifact_is_refused(store: Store, data: bytes) -> None:
    with pytest.raises(ArtifactEncodeFailed) as caught:
        await store.put_module_artifact(data)
    assert isinstance(caught.value, InvalidRecord)
    assert (await everything(store))["artifact_refs"] == []


@pytest.mark.parametrize("content", [b"not an artifact", artifact("lashlang:v1:sha256:other"), None])
async def test_a_stored_artifact_that_is_none_is_an_error(stores: Stores, content: bytes | None) -> None:
    """Section 4.24: a missing blob, undecodable bytes and bytes that do not match are errors, not "none"."""
    store = await stores.file()
    ref = hashlib.sha256(b"gone").hexdigest()
    if content is not None:
        ref = await store.put_artifact_blob(descriptor(PersistedArtifactKind.LASHLANG_MODULE), content)
    change(stores.path, "INSERT INTO artifact_refs VALUES (?, ?)", MODULE_REF, ref)
    with pytest.raises(ArtifactDecodeFailed) as caught:
        await store.get_module_artifact(MODULE_REF)
    assert isinstance(caught.value, StoreCorrupt)
    assert caught.value.key == MODULE_REF


async def test_the_rows_of_an_artifact(stores: Stores) -> None:
    async with await stores.file() as store:
        await store.put_module_artifact(ARTIFACT)
        changed = artifact(dependencies=["lashlang:v1:sha256:x"])
        await store.put_module_artifact(changed)
    ref = hashlib.sha256(changed).hexdigest()
    assert query(stores.path, "SELECT * FROM artifact_refs") == [(MODULE_REF, ref)]
    assert stored_envelope(stores.path, ref) == {
        "descriptor": {"kind": "LashlangModule", "hints": ["Compressible", "LargePayload"]},
        "compression": "None",
        "content": changed,
    }
