"""When a blob is compressed, and how (specification 3.10, 4.25)."""

import zlib
from collections.abc import Callable
from typing import Final

from lash_store.records.artifacts import BlobArtifactDescriptor, BlobProfile, BlobStorageHint
from lash_store.records.layout import Unfit

_isal: Callable[[bytes, int], bytes] | None
try:
    from isal.isal_zlib import compress as _isal
except ImportError:
    _isal = None

_ISAL_LEVEL: Final = 2
_ZLIB_LEVEL: Final = 3
_SMALLEST_WINDOW: Final = 9
_WINDOW_OVER_MEMORY: Final = zlib.MAX_WBITS - zlib.DEF_MEM_LEVEL
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
    """A zlib stream (RFC 1950); any valid one will do. It is kept even where it is the longer form.

    With the extra `fast`, ISA-L makes it, in a fifth of the default level's time; else zlib at level 3, in half of it,
    with a window and tables no larger than the content: to clear large ones takes longer than to compress 4 KiB.
    """
    if _isal is not None:
        return _isal(content, _ISAL_LEVEL)
    window = min(zlib.MAX_WBITS, max(_SMALLEST_WINDOW, len(content).bit_length()))
    deflater = zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, window, window - _WINDOW_OVER_MEMORY)
    return deflater.compress(content) + deflater.flush()


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
