"""Which blobs a session still needs (specification 4.19), and when that cannot be told.

Needed are the head's manifest and the parts that it names, the artifacts, the execution states of the head's frames,
and what the pruned parts of visible nodes were archived as. Stored commit results need nothing of their own: whoever
replays one can go on from it only while the head is at its revision, and then its refs are the head's.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from lash_store.codecs.checkpoint import decode_manifest
from lash_store.codecs.content_hash import content_hash
from lash_store.codecs.envelope import open_envelope
from lash_store.errors import InvalidRecord
from lash_store.records.artifacts import GcOutcome, PersistedArtifactKind
from lash_store.records.checkpoint import SessionCheckpoint
from lash_store.records.head import SessionHeadMeta

# The key may stand in text that is no node at all: what looks like an archive hash is kept, whatever holds it.
_ARCHIVE_HASH: Final = re.compile(rb'"archive_hash"\s*:\s*"([0-9a-f]{64})"')


class Marking(NamedTuple):
    """What must stay: `kept` hashes, found from `root_count` roots. With a `doubt`, `kept` may lack some.

    `blocked_by` is the ref, or the table, that the doubt is about.
    """

    root_count: int
    kept: frozenset[str]
    doubt: GcOutcome | None = None
    blocked_by: str | None = None


def mark(
    head_json: bytes | None,
    artifact_blobs: Sequence[str],
    archived: Iterable[str],
    load: Callable[[str], bytes | None],
) -> Marking:
    """What a session needs whose head is `head_json` (None: it has none).

    `artifact_blobs` are the blobs of its artifact references, `archived` the hashes in its pruned parts (not looked at
    when there is a doubt), `load` gives the stored form of a blob.
    """
    kept = set(artifact_blobs)
    roots = len(artifact_blobs)
    if head_json is None:
        return Marking(roots, frozenset(kept.union(archived)))
    try:
        head = SessionHeadMeta.from_json(head_json)
    except InvalidRecord:
        return Marking(roots, frozenset(kept), GcOutcome.ABORTED_UNREADABLE_HEAD, "session_head")
    kept.update(frame.execution_state_ref for frame in head.agent_frames if frame.execution_state_ref is not None)
    if head.checkpoint_ref is not None:
        roots += 1
        kept.add(head.checkpoint_ref)
        stored = load(head.checkpoint_ref)
        if stored is None:
            return Marking(roots, frozenset(kept), GcOutcome.ABORTED_MISSING_MANIFEST, head.checkpoint_ref)
        manifest = read_manifest(head.checkpoint_ref, stored)
        if manifest is None:
            return Marking(roots, frozenset(kept), GcOutcome.ABORTED_UNREADABLE_MANIFEST, head.checkpoint_ref)
        # Also if the same blob is an artifact's: its children are needed for its being the manifest.
        kept.update(refs_of(manifest))
    return Marking(roots, frozenset(kept.union(archived)))


def read_manifest(ref: str, stored: bytes) -> SessionCheckpoint | None:
    """The manifest in a stored blob; None unless its envelope says that it is one, and its hash that it is whole.

    The hash is what tells a damaged zlib stream: an empty map, which that was taken for once, is a manifest.
    """
    try:
        envelope = open_envelope(stored)
        if envelope is not None and envelope.descriptor.kind is not PersistedArtifactKind.CHECKPOINT_MANIFEST:
            return None
        content = stored if envelope is None else envelope.content
        return decode_manifest(content) if content_hash(content) == ref else None
    except InvalidRecord:
        return None


def refs_of(manifest: SessionCheckpoint) -> frozenset[str]:
    """The hashes of the parts that a manifest names."""
    refs = (manifest.tool_state_ref, manifest.plugin_snapshot_ref, manifest.execution_state_ref)
    return frozenset(ref for ref in refs if ref is not None)


def archive_hashes(node_json: bytes) -> list[str]:
    """The archive hashes in a node's text."""
    return [found.decode() for found in _ARCHIVE_HASH.findall(node_json)]
