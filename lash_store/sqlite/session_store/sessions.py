"""What a session is called, and heads that are written outside a commit."""

from collections.abc import Sequence
from functools import partial
from typing import Self

from lash_store.errors import GuardFailed
from lash_store.records.graph import SessionGraph, SessionNodeRecord
from lash_store.records.head import SessionHead, SessionHeadMeta
from lash_store.records.session_meta import SessionMeta, SessionPickerInfo
from lash_store.records.usage import TokenLedgerEntry
from lash_store.sqlite.ops import blobs, graph, head, head_copy, load, session_meta, usage
from lash_store.sqlite.ops.arguments import record_of
from lash_store.sqlite.plan import Plan
from lash_store.sqlite.store_handle import StoreHandle


class SessionOperations(StoreHandle):
    """Names, usage and heads (specification 4.21, 4.26, 4.27)."""

    async def save_session_meta(self, meta: SessionMeta) -> None:
        """Write the session's row of names, whatever was there. Raises InvalidRecord and InvalidJsonValue."""
        await self._run(Plan([session_meta.save_step(meta)]))

    async def name_session(self, meta: SessionMeta) -> bool:
        """Write the session's row of names if it has none; whether it had none. Raises as `save_session_meta`."""
        return (await self._run(Plan([session_meta.save_first_step(meta)]))).changes == 1

    async def load_session_meta(self) -> SessionMeta | None:
        """The session's row of names, or None. Raises StoreCorrupt."""
        return await self._read(session_meta.read_meta)

    async def load_picker_info(self) -> SessionPickerInfo | None:
        """What a list of sessions shows; None without a row of names. Raises StoreCorrupt.

        The user messages of all branches count. Their number and the first of them come from an index, the history is
        not read.
        """
        return await self._read(session_meta.read_picker_info)

    async def append_usage_deltas(self, entries: Sequence[TokenLedgerEntry]) -> None:
        """Append entries to the ledger, all or none, in order. Raises InvalidRecord."""
        steps = usage.insert_steps(entries)
        if steps:
            await self._run(Plan(steps))

    async def load_usage_deltas(self) -> list[TokenLedgerEntry]:
        """Every entry of the ledger in order of arrival, unmerged. Raises StoreCorrupt."""
        return await self._read(usage.read_entries)

    async def save_session_head(self, saved: SessionHead) -> None:
        """Replace the graph and the head, in one transaction; the ledger stays as it is.

        The first head of a store gets revision 0, any other the next revision: whoever has seen an older one is told so
        by his next commit. `saved.head_revision` and `saved.token_ledger` are not written. Raises InvalidRecord,
        InvalidJsonValue, ConstraintViolation for a node id that stands twice, and StoreCorrupt if the revision of the
        head that is there is damaged, so that there is no next one (`save_session_head_meta` replaces such a head).
        """
        await self._place(head_copy.save_plan(record_of(SessionHead, saved)))

    async def load_session_head(self) -> SessionHead | None:
        """The head with the whole graph and the merged ledger, in one snapshot; None without a head.

        Raises StoreCorrupt.
        """
        return await self._read(load.load_head)

    async def save_session_head_meta(self, saved: SessionHeadMeta) -> None:
        """Write the head's row as it is given, revision and node count included, whatever was there.

        `saved.token_ledger` is not written. Raises InvalidRecord and InvalidJsonValue, also for a revision above
        2^63-3, which no commit could follow.
        """
        await self._run(Plan([head.save_step(record_of(SessionHeadMeta, saved))]))

    async def load_session_head_meta(self) -> SessionHeadMeta | None:
        """The head's row; None without a head. Raises StoreCorrupt."""
        return await self._read(head.read_head)

    async def replace_session_graph(self, replacement: SessionGraph) -> None:
        """Replace all nodes, tombstoned ones too; the head is not touched. Raises as `save_session_head`."""
        await self._run(Plan(graph.replace_steps(record_of(SessionGraph, replacement).nodes)))

    async def append_session_graph_nodes(self, nodes: Sequence[SessionNodeRecord]) -> None:
        """Insert nodes; the head is not touched. Raises InvalidRecord, and ConstraintViolation for a taken node id."""
        await self._run(Plan(graph.append_steps(nodes)))

    async def head_copy_from_store(self, source: Self) -> bool:
        """Copy the head of `source` here, with graph, checkpoint, archives and ledger; False if it has none.

        `source` is read in one snapshot, this store written in one transaction; blobs that are stored here already and
        are damaged are mended before, each in a transaction of its own. The head's revision is as in
        `save_session_head`. The ledger comes along merged, unless this store has one already. Blobs that `source` lacks
        are left out, their refs kept. Raises StoreCorrupt if something to be copied cannot be read, or the revision of
        the head that is here; InvalidRecord if a sum of the merged ledger has more than 64 bits.
        """
        copied = await record_of(SessionOperations, source)._read(head_copy.read_copy)
        if copied is None:
            return False
        for blob in copied.blobs:
            damage = await self._read(partial(blobs.read_damage, ref=blob.ref))
            if damage is not None:
                await self._run(blobs.prepare_repair(blob, damage))
        try:
            await self._place(head_copy.copy_plan(copied, with_ledger=True))
        except GuardFailed as failed:
            if failed.name != head_copy.LEDGER_IN_USE:
                raise
            await self._place(head_copy.copy_plan(copied, with_ledger=False))
        return True

    async def _place(self, plan: Plan) -> None:
        try:
            await self._run(plan)
        except GuardFailed as failed:
            raise head_copy.refusal(failed) from None
