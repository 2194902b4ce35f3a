"""The attachment manifest, as a store offers it (specification 4.28). The bytes of attachments lie elsewhere."""

from collections.abc import Sequence
from functools import partial

from lash_store.records.attachments import AttachmentIntent, AttachmentManifestEntry
from lash_store.sqlite.ops import attachments
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.ops.texts import column_text, column_texts
from lash_store.sqlite.plan import Plan
from lash_store.sqlite.store_handle import StoreHandle


class AttachmentOperations(StoreHandle):
    """Which session means to keep which attachment. The bytes are the caller's: the store neither keeps nor reads them.

    To keep one: `record_intent`, write the bytes where the intent says, then commit with
    `RuntimeCommit.with_committed_attachments`. A crash in between leaves bytes that the manifest names.

    To sweep: for each entry of `list_uncommitted`, with a time before which nobody is still under way,
    `forget_uncommitted` first, and delete the bytes only if it says True. The other way round, a commit in between
    would refer to bytes that are gone. An id without a row can be committed all the same (misspelt or forgotten, it is
    not asked about), so whoever comes back to a swept attachment records its intent anew, and writes the bytes anew.

    Every operation is one transaction, and raises InvalidRecord for what is no text, or no time 0 ... 2^63-1 ms.
    """

    async def record_intent(self, intent: AttachmentIntent) -> None:
        """Write down that a session is about to keep an attachment.

        An attachment that has a row keeps it as it is, also if that is another session's, or committed.
        """
        await self._run(attachments.prepare_record(intent))

    async def commit_refs(self, session_id: str, attachment_ids: Sequence[str]) -> None:
        """Mark attachments of the session as committed now; those that are keep their time, unknown ids are ignored.

        A commit does the same for its `committed_attachment_ids`, in its own transaction.
        """
        session = column_text("attachment", "session_id", session_id)
        steps = attachments.commit_refs_steps(session, column_texts("attachment", "attachment_id", attachment_ids))
        if steps:
            await self._run(Plan(steps))

    async def list_uncommitted(self, older_than_epoch_ms: int) -> list[AttachmentManifestEntry]:
        """What was never committed and intended at that time (epoch ms) or before, by time, then by id.

        Raises StoreCorrupt for a row that cannot be read.
        """
        latest = column_integer("attachment", "older_than_epoch_ms", older_than_epoch_ms)
        return await self._read(partial(attachments.read_uncommitted, older_than_epoch_ms=latest))

    async def forget(self, attachment_id: str) -> None:
        """Delete the row of an attachment, committed or not, if there is one; a sweep uses `forget_uncommitted`."""
        await self._run(attachments.prepare_forget(column_text("attachment", "attachment_id", attachment_id)))

    async def forget_uncommitted(self, attachment_id: str) -> bool:
        """Delete the row of an attachment if it was never committed; whether there was one, whose bytes may go now."""
        key = column_text("attachment", "attachment_id", attachment_id)
        return (await self._run(attachments.prepare_forget_uncommitted(key))).changes == 1
