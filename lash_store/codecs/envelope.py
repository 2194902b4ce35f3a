"""The envelope around the content of an artifact blob (specification 3.10)."""

from typing import Final, NamedTuple

from lash_store.codecs import intarrays, messagepack
from lash_store.codecs.compression import deflate, inflate, is_compressed
from lash_store.codecs.content_hash import content_hash
from lash_store.errors import InvalidRecord, StoreCorrupt
from lash_store.records.artifacts import BlobArtifactDescriptor, BlobProfile
from lash_store.records.layout import Unfit
from lash_store.records.record import raise_public

_NONE: Final = "None"
_ZLIB: Final = "Zlib"
_KIND: Final = "blob envelope"
_BEFORE_DESCRIPTOR: Final = b"\x83" + messagepack.pack("descriptor")
_BETWEEN: Final = messagepack.pack("compression")
_PACKED_NONE, _PACKED_ZLIB = messagepack.pack(_NONE), messagepack.pack(_ZLIB)
_BEFORE_CONTENT: Final = messagepack.pack("content")


class Blob(NamedTuple):
    """A blob ready to be written: its key, and the bytes of its row."""

    ref: str
    stored: bytes


class Envelope(NamedTuple):
    """What an envelope says and holds; `content` is the logical content, inflated if it was compressed."""

    descriptor: BlobArtifactDescriptor
    compressed: bool
    content: bytes


def seal(descriptor: BlobArtifactDescriptor, content: bytes, profile: BlobProfile, ref: str | None = None) -> Blob:
    """The artifact blob of `content`: encoded, hashed and compressed, so that nothing of it is left for the lock.

    `ref` is the content's hash where it is known already. Raises InvalidRecord if the descriptor is none.
    """
    described = messagepack.pack_record(descriptor)
    compressed = is_compressed(descriptor, len(content), profile)
    head = b"".join(
        (
            _BEFORE_DESCRIPTOR,
            described,
            _BETWEEN,
            _PACKED_ZLIB if compressed else _PACKED_NONE,
            _BEFORE_CONTENT,
        )
    )
    stored = intarrays.encode(deflate(content) if compressed else content, head)
    return Blob(content_hash(content) if ref is None else ref, stored)


def seal_raw(content: bytes) -> Blob:
    """The raw blob of `content`: stored as it is."""
    return Blob(content_hash(content), content)


def open_envelope(stored: bytes) -> Envelope | None:
    """The envelope in `stored`, or None if these bytes are no envelope at all.

    Raises InvalidRecord if they have an envelope's shape, but name a kind, a hint or a compression that this version
    does not know, or hold a damaged zlib stream. Upstream would hand out the envelope's own bytes as content.
    """
    try:
        parts = _parts(messagepack.Reader(stored))
    except Unfit:
        return None
    if parts is None:
        return None
    descriptor, compression, content = parts
    try:
        if compression not in (_NONE, _ZLIB):
            raise Unfit(f"expected {_NONE} or {_ZLIB}, got {compression!r}").at("compression")
        known = BlobArtifactDescriptor.read_plain(descriptor)
        compressed = compression == _ZLIB
        return Envelope(known, compressed, inflate(content) if compressed else content)
    except Unfit as unfit:
        raise_public(_KIND, unfit)


def open_blob(ref: str, stored: bytes) -> bytes:
    """The logical content of the row `stored` under the key `ref`, checked against that key.

    Raises StoreCorrupt("blob", ref) if neither the content of the envelope nor the row itself has this hash.
    """
    cause: InvalidRecord | None = None
    try:
        envelope = open_envelope(stored)
        if envelope is not None and content_hash(envelope.content) == ref:
            return envelope.content
    except InvalidRecord as damage:
        cause = damage
    if content_hash(stored) == ref:
        return stored
    raise StoreCorrupt("blob", ref) from cause


def _parts(reader: messagepack.Reader) -> tuple[object, str, bytes] | None:
    """Descriptor (a plain value), compression and content as stored; None if a map lacks one of them."""
    found: dict[str, object] = {}
    for _ in range(reader.map_size()):
        key = reader.text()
        if key in found and key in _KEYS:
            raise Unfit("the key stands more than once").at(key)
        if key == "content":
            found[key] = reader.byte_string()
        else:
            found[key] = reader.text() if key == "compression" else reader.value()
    reader.end()
    descriptor, compression, content = (found.get(key) for key in _KEYS)
    if isinstance(descriptor, dict) and isinstance(compression, str) and isinstance(content, bytes):
        return descriptor, compression, content
    return None


_KEYS: Final = ("descriptor", "compression", "content")
