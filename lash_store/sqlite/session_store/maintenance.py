"""What keeps a store from growing: hidden nodes, blobs and receipts that nobody needs (specification 4.18 to 4.20)."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

from lash_store.errors import InvalidRecord
from lash_store.records.artifacts import GcOutcome, GcReport, TombstoneReport, VacuumReport
from lash_store.sqlite.ops import gc, retention
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.store_handle import StoreHandle

_MOST_OVERTAKEN: Final = 64  # so often in a row may others move the head before a collection gives way
_MOST_OVERTAKEN_AUTOMATICALLY: Final = 4  # a commit waits for this one, and the next comes soon
_COPY_BACK_PAUSES_S: Final = (0.005, 0.02, 0.1, 0.4, 1.0)


class MaintenanceOperations(StoreHandle):
    """Upkeep. What takes long runs in slices, each a transaction of its own: other writers get in between.

    Whatever is interrupted, by an error or a crash, has done some of its slices, and is finished by the next call.
    """

    _auto_gc_every_commits: int | None
    _commits_counted = 0
    _auto_gc_running = False
    _last_auto_gc: GcReport | Exception | None = None
    # What the last collection of this handle has read of the graph, so that the next one need not read it again.
    _archives: gc.Archives | None = None

    async def tombstone_nodes(self, ids: Sequence[str]) -> TombstoneReport:
        """Hide nodes from every load, until a vacuum removes them; unknown ids are ignored. Atomic.

        Neither the head's leaf, its revision nor its node count change: hiding a node on the active path cuts that
        path, and hiding the leaf empties it. The report says whether any node on it is hidden now; to tell, the path is
        walked in a read snapshot, some 3 microseconds a node. Raises InvalidRecord for an id that is no text.
        """
        if not ids:
            return TombstoneReport()
        hidden = (await self._run(retention.prepare_tombstone(ids))).changes
        return TombstoneReport(hidden, await self._read(retention.read_hidden_on_active_path))

    async def vacuum(self, *, shrink: bool = False) -> VacuumReport:
        """Remove the hidden nodes, in slices; with `shrink` also give the free pages back to the file system.

        Without it, free pages stay in the file and are used again. Shrinking rewrites the whole database: all writers
        wait for it, and it needs the database's room twice more, in the log and in a temporary file. Readers go on; the
        file gets smaller when those that began before have ended, at the latest when its last handle closes. Do it
        after removing much, not regularly. If shrinking raises (StoreBusy, StoreFull), the nodes are removed.
        """
        removed = 0
        found = await self._read(partial(retention.read_tombstoned, after=0))
        while found:
            removed += (await self._run(retention.prepare_remove_tombstoned(found))).changes
            found = await self._read(partial(retention.read_tombstoned, after=found[-1]))
        return VacuumReport(removed, await self._shrink() if shrink else 0)

    async def gc_unreachable(self) -> GcReport:
        """Remove every blob that neither the head nor an artifact reference needs, in slices.

        Kept are the head's manifest and its parts, artifacts, execution states of the head's frames, and archives of
        pruned parts of visible nodes. If the head or its manifest cannot be read, or the manifest is missing, nothing
        is removed, and the report's `outcome` says why. If others commit all the time, the outcome may be OVERTAKEN.

        A blob that was put alone, and that nothing refers to yet, is removed too. A checkpoint that names it is refused
        then (BlobMissing); frames and nodes may name what is not stored. So put an archive, or the execution state of a
        frame, after the commit that names it (again, if it was put before): what is named then stays. Contents that a
        commit brings itself are never in danger.
        """
        return await self._collect(_MOST_OVERTAKEN)

    async def _collect(self, most_overtaken: int) -> GcReport:
        found = await self._read(partial(gc.survey, known=self._archives))
        blobs = freed = overtaken = 0
        while found.garbage and overtaken < most_overtaken:
            swept = gc.swept(await self._run(gc.prepare_sweep(found)))
            if swept is None:
                overtaken += 1
            else:
                overtaken = 0
                blobs += swept.blobs
                freed += swept.bytes
            after = found.after if swept is None else found.last
            found = await self._read(partial(gc.survey, after=after, earlier=found))
        self._archives = found.archives
        marking = found.marking
        outcome = marking.doubt or (GcOutcome.OVERTAKEN if found.garbage else GcOutcome.SWEPT)
        return GcReport(marking.root_count, found.retained, blobs, outcome, freed, marking.blocked_by)

    async def prune_turn_commits(self, older_than_epoch_ms: int, *, keep_latest: int = 1) -> int:
        """Remove receipts of turns committed before that time (epoch ms), but never the `keep_latest` newest; how many.

        In slices. A receipt is what makes sending the same commit again harmless. Without it, a retry of that turn
        meets HeadRevisionConflict if it names the revision it expects, and is applied a second time if it names none.
        So choose a time before which no retry can come any more. Raises InvalidRecord if `keep_latest` is less than 1:
        the newest turn is the one whose answer may be on its way.
        """
        before = column_integer("turn commit", "older_than_epoch_ms", older_than_epoch_ms)
        kept = column_integer("turn commit", "keep_latest", keep_latest)
        if kept < 1:
            raise InvalidRecord("turn commit", "$.keep_latest", "expected 1 or more: the newest receipt must stay")
        removed = 0
        read = partial(retention.read_old_receipts, older_than_epoch_ms=before, keep_latest=kept)
        while found := await self._read(read):
            removed += (await self._run(retention.prepare_remove_receipts(found, before))).changes
        return removed

    async def _shrink(self) -> int:
        freed = await self._connection.call(retention.shrink)
        for pause_s in _COPY_BACK_PAUSES_S:
            if await self._connection.call(retention.copy_back):
                break
            await asyncio.sleep(pause_s)  # the checkpointer of this or another handle is at work
        return freed

    @property
    def last_auto_gc(self) -> GcReport | Exception | None:
        """What the last automatic collection found, or the error it ended with; None before the first one."""
        return self._last_auto_gc

    async def _after_commit(self) -> None:
        """Count a commit, and collect if it is the nth. The commit stands, so nothing that fails here is raised.

        A failed or aborted collection goes to the event loop's exception handler and to `last_auto_gc`. One collection
        runs at a time: a commit whose turn comes during another's leaves it to that one.
        """
        self._commits_counted += 1
        every = self._auto_gc_every_commits
        if not every or self._commits_counted % every or self._auto_gc_running:
            return
        self._auto_gc_running = True
        try:
            report = self._last_auto_gc = await self._collect(_MOST_OVERTAKEN_AUTOMATICALLY)
            if report.outcome.aborted:
                self._tell(f"was aborted: {report.outcome.value} ({report.blocked_by})", None)
        except Exception as error:  # noqa: BLE001  it is told, and kept; a commit that stands must not fail
            self._last_auto_gc = error
            self._tell("failed", error)
        finally:
            self._auto_gc_running = False

    def _tell(self, what: str, error: Exception | None) -> None:
        context: dict[str, object] = {"message": f"the automatic collection of {self.path!r} {what}"}
        if error is not None:
            context["exception"] = error
        asyncio.get_running_loop().call_exception_handler(context)
