"""Blobs and module artifacts, as a store offers them (specification 4.22, 4.24)."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias, TypeVar

from lash_store.codecs.envelope import Blob, seal, seal_raw
from lash_store.errors import InvalidRecord
from lash_store.records.artifacts import BlobArtifactDescriptor, BlobProfile
from lash_store.sqlite.ops import artifacts, blobs
from lash_store.sqlite.ops.arguments import record_of
from lash_store.sqlite.ops.texts import column_text
from lash_store.sqlite.plan import Plan
from lash_store.sqlite.store_handle import StoreHandle

T = TypeVar("T")
Bytes: TypeAlias = bytes | bytearray | memoryview

_LARGE_BYTES: Final = 64 * 1024  # from here on, hashing and compressing take longer than the way to a thread and back


class BlobOperations(StoreHandle):
    """Contents kept under their hash. Nothing is cached: what one handle puts, every other gets."""

    _profile: BlobProfile

    async def put_blob(self, data: Bytes) -> str:
        """Store `data` as it is under its hex sha256, and return that.

        Content that is stored already stays in the form it has, unless that form is damaged: then it is replaced. Until
        something refers to the blob, a collection removes it. Atomic; the replacement is a second transaction. Raises
        InvalidRecord if `data` is no bytes.
        """
        content = _content("blob", data)
        blob = await _sealed(content, partial(seal_raw, content))
        await self._put(blob, blobs.prepare_put(blob))
        return blob.ref

    async def put_artifact_blob(self, descriptor: BlobArtifactDescriptor, data: Bytes) -> str:
        """Store `data` under its hash in an envelope, compressed by the store's profile; otherwise as `put_blob`.

        Raises InvalidRecord also for a descriptor that is none.
        """
        content = _content("blob", data)
        record_of(BlobArtifactDescriptor, descriptor)
        blob = await _sealed(content, partial(seal, descriptor, content, self._profile))
        await self._put(blob, blobs.prepare_put(blob))
        return blob.ref

    async def get_blob(self, ref: str) -> bytes | None:
        """The content whose hash is `ref`, out of whatever envelope; None if it is not stored.

        The hash is verified. Raises StoreCorrupt("blob", ref) for a blob that no longer holds its content.
        """
        key = column_text("blob", "ref", ref)
        return await self._read(partial(blobs.read_content, ref=key))

    async def put_module_artifact(self, data: Bytes) -> str:
        """Store a module artifact under the `module_ref` that it names, and return that; it replaces an earlier one.

        `data` is a JSON object, kept byte for byte; whether the reference fits the program in it is not checked. Blob
        and reference are written in one transaction. Raises ArtifactEncodeFailed.
        """
        content = _content("module artifact", data)
        module_ref, blob = await _sealed(content, partial(artifacts.encode, content, self._profile))
        await self._put(blob, artifacts.prepare_put(module_ref, blob))
        return module_ref

    async def get_module_artifact(self, module_ref: str) -> bytes | None:
        """The artifact of that reference, byte for byte as it was put; None if there is none.

        Raises ArtifactDecodeFailed if its blob is missing or damaged, or holds another artifact.
        """
        key = column_text("module artifact", "module_ref", module_ref)
        return await self._read(partial(artifacts.read, module_ref=key))

    async def _put(self, blob: Blob, plan: Plan) -> None:
        """Run `plan`, made by `prepare_put`; whoever puts a content must be able to get it."""
        if not blobs.was_present(await self._run(plan)):
            return
        damage = await self._read(partial(blobs.read_damage, ref=blob.ref))
        if damage is not None:
            await self._run(blobs.prepare_repair(blob, damage))


def _content(kind: str, data: Bytes) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise InvalidRecord(kind, "$", f"expected bytes, got a {type(data).__name__}")
    return bytes(data)  # the caller may go on writing to what is not bytes yet


async def _sealed(content: bytes, encode: Callable[[], T]) -> T:
    """What `encode` makes of `content`; where that takes long the event loop goes on."""
    return encode() if len(content) < _LARGE_BYTES else await asyncio.to_thread(encode)
