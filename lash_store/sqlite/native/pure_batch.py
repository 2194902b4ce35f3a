"""Group commit: plans that wait together run in one transaction, a savepoint each, and stand or fall each for itself.

Nothing here answers anybody. Outcomes are collected, and only those that nothing can change any more: what was
committed, and what was refused for good. A job without an outcome at the end was not run, and goes back to the queue.
"""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic_ns
from typing import Final

import apsw

from lash_store.sqlite.native.pure_busy import BusyWait
from lash_store.sqlite.native.pure_job import BUSY, DONE, FAILED, GUARD, Job, Outcome, failure
from lash_store.sqlite.native.pure_statement import Statements

MEMBERS_MAX: Final = 128
SLICE_NS: Final = 2_000_000

_Results = list[tuple[Job, Outcome]]


class Tally:
    """What was committed so far; written only by the thread that holds the writer role."""

    def __init__(self) -> None:
        self.commits = 0
        self.batches = 0
        self.largest_batch = 0
        self.conflicts = 0

    def committed(self, members: int) -> None:
        """Count one transaction that committed the work of `members` jobs."""
        self.commits += members
        self.batches += 1
        self.largest_batch = max(self.largest_batch, members)


class Batches:
    """Runs batches of plans on `connection`; used only by the thread that holds the writer role."""

    def __init__(self, connection: apsw.Connection, busy: BusyWait) -> None:
        self._connection = connection
        self._statements = Statements(connection)
        self._busy = busy
        self._work: deque[Sequence[Job]] = deque()
        self._results: _Results = []
        self._committing: _Results = []
        self.tally: Final = Tally()

    def run(self, members: Sequence[Job]) -> None:
        """Run `members` in order. `leave` must follow, whatever this raises, and tells the outcomes."""
        self._work = deque([members])
        while self._work:
            self._attempt(self._work.popleft())

    def leave(self) -> _Results:
        """The final outcomes of the last batch; leaves no transaction open, however the use of the connection ended."""
        committing, self._committing = self._committing, []
        if committing and not self._open():
            # Interrupted between SQLite's COMMIT and our noticing: it was done, and must not be done again.
            self._settle(committing)
        # What cannot be rolled back now is tried again before the next BEGIN, and fails that one if it must.
        with suppress(apsw.Error):
            self._roll_back()
        results, self._results = self._results, []
        return results

    def close(self) -> None:
        """Give the statement in use back to apsw."""
        self._statements.close()

    def _attempt(self, group: Sequence[Job]) -> None:
        """One transaction over `group`, as far as the time under the lock allows."""
        if not self._begin(group):
            return
        results: _Results = []
        ends_ns = monotonic_ns() + SLICE_NS
        for position, job in enumerate(group):
            if position and monotonic_ns() >= ends_ns:
                # What comes later, in this group and after it, goes back to the queue, so that the order stays.
                self._work.clear()
                break
            outcome, stands = self._member(job, grouped=len(group) > 1)
            if not stands:
                # The whole transaction is gone, and the work of the members before this one with it.
                self._settle([(job, outcome)])
                others = [other for other in group if other is not job]
                if others:
                    self._work.appendleft(others)
                return
            results.append((job, outcome))
        self._commit(results)

    def _begin(self, group: Sequence[Job]) -> bool:
        """Open the transaction; False if that cannot be, and then whose time is over, or who failed, has an outcome."""
        self._busy.begin(group[0].enqueued_ns + self._busy.budget_ns)
        try:
            while True:
                try:
                    self._roll_back()
                    self._statements.control("BEGIN IMMEDIATE")
                    return True
                except apsw.BusyError:
                    # SQLite does not ask the busy handler in every case: not while a read on this connection is open.
                    if not self._busy.nap():
                        break
        except Exception as error:  # noqa: BLE001 - the outcome tells it
            self._settle([(job, failure(-1, error)) for job in group])
            return False
        now_ns = monotonic_ns()
        waited = [(job, now_ns - job.enqueued_ns) for job in group]
        expired = [(job, (BUSY, ns // 1_000_000)) for job, ns in waited if ns >= self._busy.budget_ns]
        self._settle(expired)
        if len(expired) < len(group):
            self._work.clear()
        return False

    def _member(self, job: Job, *, grouped: bool) -> tuple[Outcome, bool]:
        """Run one plan; False beside its outcome if the transaction did not outlive it."""
        outcome: Outcome | None = None
        try:
            if grouped:
                self._statements.control("SAVEPOINT member")
            outcome = self._statements.run_plan(job.plan)
            if self._open() and grouped:
                if outcome[0] != DONE:
                    self._statements.control("ROLLBACK TO member")
                self._statements.control("RELEASE member")
        except Exception as error:  # noqa: BLE001 - the outcome tells it
            # This member cannot be undone alone (or kept): the transaction is given up, and the others run again.
            self._roll_back()
            if outcome is None or outcome[0] == DONE:
                outcome = failure(-1, error)
            return outcome, False
        if self._open():
            return outcome, True
        if outcome[0] == DONE:
            outcome = (FAILED, -1, apsw.SQLITE_ABORT, apsw.SQLITE_ABORT, "the transaction ended while the plan ran")
        return outcome, False

    def _commit(self, results: _Results) -> None:
        """End the transaction; the outcomes hold only once COMMIT has returned."""
        done = sum(outcome[0] == DONE for _, outcome in results)
        if not done:
            self._roll_back()
            self._settle(results)
            return
        self._committing = results
        try:
            self._statements.control("COMMIT")
        except Exception as error:  # noqa: BLE001 - the outcome tells it
            self._committing = []
            self._roll_back()
            if len(results) > 1:
                # Only SQLite knows whose work it refuses (a deferred foreign key, say): alone, each meets its own fate.
                self._work.extendleft([job] for job, _ in reversed(results))
            else:
                self._settle([(results[0][0], failure(-1, error))])
            return
        self._committing = []
        self._settle(results)

    def _settle(self, results: _Results) -> None:
        """These outcomes are final."""
        done = sum(outcome[0] == DONE for _, outcome in results)
        if done:
            self.tally.committed(done)
        self.tally.conflicts += sum(outcome[0] == GUARD for _, outcome in results)
        self._results.extend(results)

    def _open(self) -> bool:
        try:
            return self._connection.in_transaction
        except apsw.Error:
            # A closure closed the connection: no transaction outlived that.
            return False

    def _roll_back(self) -> None:
        """End an open transaction. SQLite may end it by itself meanwhile, and then there is nothing left to do."""
        if self._open():
            try:
                self._statements.control("ROLLBACK")
            except apsw.Error:
                if self._open():
                    raise
