"""When a blob is compressed, and how (specification 3.10, 4.25)."""

import zlib
from typing import Final

from lash_store.records.artifacts import BlobArtifactDescriptor, BlobProfile, BlobStorageHint
from lash_store.records.layout import Unfit

COMPRESSED_FROM: Final[dict[BlobProfile, int | None]] = {
    BlobProfile.LOW_LATENCY: None,
    BlobProfile.BALANCED: 4096,
    BlobProfile.COMPACT: 1024,
}
"""Length of the logical content in bytes from which a compressible blob is compressed; None is never."""


def is_compressed(descriptor: BlobArtifactDescriptor, length: int, profile: BlobProfile) -> bool:
    """Whether `length` bytes of content are compressed."""
    least = COMPRESSED_FROM[profile]
    return BlobStorageHint.COMPRESSIBLE in descriptor.hints and least is not None and length >= least


def deflate(content: bytes) -> bytes:
    """A zlib stream (RFC 1950) at the default level. It is kept even where it is the longer form."""
    return zlib.compress(content)


def inflate(stream: bytes) -> bytes:
    """The content of a zlib stream; bytes behind its end are ignored. Raises Unfit if it is damaged or cut short."""
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(stream)
    except zlib.error as cause:
        raise Unfit(f"the zlib stream is damaged: {cause}") from None
    if not inflater.eof:
        raise Unfit("the zlib stream is cut short")
    return content
