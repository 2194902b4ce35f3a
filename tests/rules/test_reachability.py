"""What a session needs of its blobs, and which doubts stop a collection (specification 4.19; weaknesses 7 to 9, 11)."""

import hashlib
import zlib

import msgspec
import pytest

from lash_store.codecs import intarrays
from lash_store.codecs.checkpoint import encode_manifest
from lash_store.codecs.envelope import Blob, seal, seal_raw
from lash_store.records import artifacts
from lash_store.records.artifacts import BlobArtifactDescriptor, BlobProfile, GcOutcome
from lash_store.records.checkpoint import SessionCheckpoint
from lash_store.records.config import ModelLimits, ModelSpec, PersistedSessionConfig, SessionPolicy
from lash_store.records.frames import AgentFrameRecord, initial_frame
from lash_store.records.head import SessionHeadMeta
from lash_store.rules.reachability import Marking, archive_hashes, mark

CONFIG = PersistedSessionConfig("p", ModelSpec(id="m", limits=ModelLimits(context_window_tokens=8000)))
FRAME = initial_frame("root", SessionPolicy(), "2026-06-02T00:00:00+00:00")
MANIFEST = SessionCheckpoint(tool_state_ref="tool", plugin_snapshot_ref="plugin", execution_state_ref="state")


def manifest_blob(
    descriptor: BlobArtifactDescriptor = artifacts.CHECKPOINT_MANIFEST, profile: BlobProfile = BlobProfile.LOW_LATENCY
) -> Blob:
    return seal(descriptor, encode_manifest(MANIFEST), profile)


def head(checkpoint_ref: str | None = None, *frames: AgentFrameRecord) -> bytes:
    return SessionHeadMeta(config=CONFIG, agent_frames=list(frames), checkpoint_ref=checkpoint_ref).to_json()


def nothing(ref: str) -> None:
    """A store without blobs."""


def marked(ref: str, stored: bytes | None) -> Marking:
    """What a head needs whose manifest is stored as `stored`."""
    return mark(head(ref), [], [], {ref: stored}.get)


def broken_stream() -> bytes:
    """An envelope that says `Zlib`, around a stream that is cut short."""
    stream = zlib.compress(encode_manifest(MANIFEST))[:-6]
    parts = {
        "descriptor": {"kind": "CheckpointManifest", "hints": ["Compressible"]},
        "compression": "Zlib",
        "content": list(stream),
    }
    return msgspec.msgpack.encode(parts)


def test_without_a_head_the_artifacts_are_needed() -> None:
    assert mark(None, ["a", "b"], [], nothing) == Marking(2, frozenset({"a", "b"}))


def test_a_head_without_a_checkpoint_needs_nothing_of_its_own() -> None:
    assert mark(head(), ["a"], [], nothing) == Marking(1, frozenset({"a"}))


@pytest.mark.parametrize("profile", BlobProfile)
def test_a_manifest_and_its_parts_are_needed(profile: BlobProfile) -> None:
    blob = manifest_blob(profile=profile)
    assert marked(blob.ref, blob.stored) == Marking(1, frozenset({blob.ref, "tool", "plugin", "state"}))


def test_roots_are_counted_with_duplicates_and_kept_blobs_once() -> None:
    blob = manifest_blob()
    found = mark(head(blob.ref), ["a", "a", "tool"], [], {blob.ref: blob.stored}.get)
    assert (found.root_count, len(found.kept)) == (4, 5)


def test_a_manifest_that_is_an_artifact_too_is_descended_into() -> None:
    """Weakness 11."""
    blob = manifest_blob()
    found = mark(head(blob.ref), [blob.ref], [], {blob.ref: blob.stored}.get)
    assert found == Marking(2, frozenset({blob.ref, "tool", "plugin", "state"}))


def test_a_manifest_that_was_put_as_a_raw_blob_first_counts() -> None:
    blob = seal_raw(encode_manifest(MANIFEST))
    assert marked(blob.ref, blob.stored).kept == {blob.ref, "tool", "plugin", "state"}


def test_execution_states_of_frames_are_needed() -> None:
    """Weakness 9."""
    frames = [msgspec.structs.replace(FRAME, execution_state_ref=ref) for ref in ("e1", None, "e2")]
    assert mark(head(None, *frames), [], [], nothing) == Marking(0, frozenset({"e1", "e2"}))


def test_archives_are_needed() -> None:
    """Weakness 9."""
    assert mark(head(), ["a"], ["x"], nothing) == Marking(1, frozenset({"a", "x"}))
    assert mark(None, [], iter(["x"]), nothing) == Marking(0, frozenset({"x"}))


@pytest.mark.parametrize("text", [b"{}", b"", b"not json", b"\xff\xfe", head()[:-1], head() + b"x"])
def test_a_head_that_cannot_be_read_is_a_doubt(text: bytes) -> None:
    """Weakness 7: it is no missing head. `{}` is the column's default."""
    found = mark(text, ["a"], [], nothing)
    assert found == Marking(1, frozenset({"a"}), GcOutcome.ABORTED_UNREADABLE_HEAD, "session_head")


def test_a_manifest_that_is_missing_is_a_doubt() -> None:
    assert marked("gone", None) == Marking(1, frozenset({"gone"}), GcOutcome.ABORTED_MISSING_MANIFEST, "gone")


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(b"garbage", id="garbage"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x80", id="an empty map"),
        pytest.param(broken_stream(), id="a broken stream"),
        pytest.param(manifest_blob(artifacts.TOOL_STATE).stored, id="another kind"),
        pytest.param(seal(artifacts.CHECKPOINT_MANIFEST, b"\x80", BlobProfile.BALANCED).stored, id="another manifest"),
        pytest.param(
            manifest_blob().stored.replace(b"CheckpointManifest", b"CheckpointXanifest"), id="an unknown kind"
        ),
    ],
)
def test_a_manifest_that_cannot_be_read_is_a_doubt(stored: bytes) -> None:
    """Scenario 47, weakness 8."""
    ref = manifest_blob().ref
    assert marked(ref, stored) == Marking(1, frozenset({ref}), GcOutcome.ABORTED_UNREADABLE_MANIFEST, ref)


@pytest.mark.parametrize(
    "content", [b"no messagepack", msgspec.msgpack.encode({"turn_state": None}), intarrays.encode(b"x")]
)
def test_content_that_is_no_manifest_is_a_doubt(content: bytes) -> None:
    """An intact blob under the head's ref, its kind and hash as they should be."""
    blob = seal(artifacts.CHECKPOINT_MANIFEST, content, BlobProfile.BALANCED)
    assert blob.ref == hashlib.sha256(content).hexdigest()
    assert marked(blob.ref, blob.stored).doubt is GcOutcome.ABORTED_UNREADABLE_MANIFEST


def test_archives_are_not_looked_for_when_there_is_a_doubt() -> None:
    archives = iter(["x"])
    assert mark(b"{}", [], archives, nothing).doubt is GcOutcome.ABORTED_UNREADABLE_HEAD
    assert list(archives) == ["x"]


def test_archive_hashes_are_found_wherever_they_stand() -> None:
    one, other = "ab" * 32, "cd" * 32
    text = (
        f'{{"parts":[{{"prune_state":{{"Deleted":{{"breadcrumb":"b","archive_hash":"{one}"}}}}}},'
        f'{{"prune_state":{{"Summarized":{{"summary":"s","archive_hash" : "{other}"}}}}}}],"hash":"{"ef" * 32}"}}'
    )
    assert archive_hashes(text.encode()) == [one, other]
    assert archive_hashes(b'\xff "archive_hash":"' + one.encode() + b'"') == [one]
    assert archive_hashes(b'{"archive_hash":"no hash"}') == []
