"""The executor in Python: what `_native` does in C, for platforms without a compiler, and to test the C against.

The contract is in `_native.pyi`. This file is only the face; behind it

    pure_plan        checks and copies a plan before it is queued
    pure_job         jobs, tickets, outcomes
    pure_mailbox     where outcomes arrive
    pure_role        the queue, and who holds the writer role
    pure_batch       group commit; pure_statement runs the single plan in it
    pure_busy        waiting for SQLite's write lock
    pure_wal         checkpoints

What this implementation cannot do is run a batch without the GIL: under load from other Python threads every statement
waits to win it back, with the write lock held.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import apsw

from lash_store.errors import StoreClosed
from lash_store.sqlite.native.pure_batch import MEMBERS_MAX, Batches
from lash_store.sqlite.native.pure_busy import BusyWait
from lash_store.sqlite.native.pure_job import (
    BUSY,
    CLOSED,
    DONE,
    FAILED,
    GUARD,
    INVALID,
    Caller,
    Outcome,
    State,
    Ticket,
    failure,
)
from lash_store.sqlite.native.pure_mailbox import Mailbox, timeout_s
from lash_store.sqlite.native.pure_plan import CompiledPlan, StepLike, compile_steps
from lash_store.sqlite.native.pure_role import WriterRole
from lash_store.sqlite.native.pure_wal import WalWatch

__all__ = [
    "BUSY",
    "CLOSED",
    "DONE",
    "FAILED",
    "GUARD",
    "IMPLEMENTATION",
    "INVALID",
    "Executor",
    "Mailbox",
    "Ticket",
    "register_clock",
]

IMPLEMENTATION: Final = "python"


def register_clock(connection: apsw.Connection) -> None:
    """Register the SQL function `lash_now_ms()` on `connection`: the system's clock, in epoch milliseconds."""

    def now_ms(*_: object) -> int:
        return time.time_ns() // 1_000_000

    connection.create_scalar_function("lash_now_ms", now_ms, 0)


class Executor:
    """The writer of one database. All methods are thread-safe."""

    def __init__(
        self,
        connection: apsw.Connection,
        *,
        busy_timeout_ms: int,
        start_worker: Callable[[], object],
        start_checkpointer: Callable[[], object],
    ) -> None:
        """Take over `connection`: installs the busy handler and the WAL hook.

        The caller turns autocheckpoints off *before*: SQLite keeps them in the same slot as the WAL hook.
        `start_worker` is called when a job was submitted and no thread serves, which is from its entry to `serve` until
        `serve` returns None or raises; a thread that was asked for and has not arrived yet counts as well.
        `start_checkpointer` is called once, when the WAL first outgrows the checkpoint threshold.
        """
        self._connection = connection
        self._path = connection.filename
        self._busy = BusyWait(busy_timeout_ms)
        self._wal = WalWatch(start_checkpointer, connection.pragma("page_size"), busy_timeout_ms / 1000)
        self._batches = Batches(connection, self._busy)
        self._role = WriterRole(self._path, start_worker, MEMBERS_MAX)
        connection.set_busy_handler(self._busy.on_busy)
        connection.set_wal_hook(self._wal.on_commit)

    def run(self, steps: Sequence[StepLike]) -> Outcome:
        """Run a plan on the calling thread, or wait for another thread to carry it along."""
        job = Caller(compile_steps(steps))
        try:
            if self._role.enter(job):
                self._carry(job)
        except BaseException:
            self._desert(job)
            raise
        outcome: Outcome = job.outcome
        return outcome

    def submit(self, steps: Sequence[StepLike], mailbox: Mailbox, token: object) -> Ticket:
        """Queue a plan for the worker; (token, outcome) arrives in `mailbox`."""
        return self._put(compile_steps(steps), None, mailbox, token)

    def acquire(self) -> None:
        """Wait in the queue for the writer role and take it for the calling thread."""
        job = Caller()
        try:
            if not self._role.enter(job):
                raise StoreClosed(path=self._path)
            self._hold_back()
            self._busy.lease(job.enqueued_ns)
        except BaseException:
            self._desert(job)
            raise

    def hold(self, call: Callable[[], object]) -> object:
        """`acquire`, `call()`, `release`, in one."""
        self.acquire()
        try:
            return call()
        finally:
            self.release()

    def submit_call(self, call: object, mailbox: Mailbox, token: object) -> Ticket:
        """Queue a Python job for the worker; `serve` hands it out, `finish` answers it."""
        return self._put((), call, mailbox, token)

    def release(self) -> None:
        """Give the writer role back (after `acquire`, or after `serve` returned tickets).

        A transaction left open is rolled back. RuntimeError if the calling thread does not hold the role.
        """
        self._leave(self._role.holder())

    def kick(self) -> None:
        """Nothing to do: the worker of this twin starts at once and does not wait for company."""

    def serve(self, idle_ms: int) -> list[Ticket] | None:
        """The worker's loop: run plans until Python jobs stand at the head, and return those with the role held.

        Returns None when the executor closes and its queue is empty, or when nothing came for `idle_ms` (negative:
        however long).
        """
        self._role.enlist()
        session = object()
        try:
            while True:
                calls = self._role.serve(session, timeout_s(idle_ms))
                if calls is None:
                    return None
                if calls:
                    self._hold_back()
                    self._busy.lease(calls[0].enqueued_ns)
                    return calls
                self._carry(session)
        except BaseException:
            if self._role.held_by(session):
                self._leave(session)
            self._role.retire()
            raise

    def finish(self, ticket: Ticket, outcome: object) -> None:
        """Answer a Python job; ValueError if `serve` did not hand it out or it has been answered."""
        if ticket.plan or ticket.state is not State.TAKEN:
            raise ValueError("finish: the ticket was not handed out by serve, or was answered before")
        ticket.answer(outcome)

    def owned(self) -> bool:
        """True when the calling thread holds the writer role through `acquire` or `serve`."""
        return self._role.leased()

    def serve_checkpoints(self, locker: apsw.Connection, checkpointer: apsw.Connection) -> None:
        """The checkpointer's loop, on two connections of its own; returns when the executor closes."""
        self._wal.serve(locker, checkpointer)

    def checkpointer_ended(self) -> None:
        """The thread of `serve_checkpoints` is gone, for whatever reason; when one is needed it is asked for again."""
        self._wal.ended()

    def before_begin(self, waited_ms: int) -> None:
        """A closure's BEGIN follows, which has waited for `waited_ms` already; RuntimeError without the role."""
        self._role.holder()
        self._busy.lease(time.monotonic_ns() - waited_ms * 1_000_000)

    def lend(self) -> None:
        """The connection goes to code that may do anything with it, until `before_begin` or `release`."""
        self._role.holder()

    def counters(self) -> dict[str, int]:
        """What happened so far, and how things stand; times in milliseconds, the WAL in pages.

        `commits` counts jobs, `batches` the transactions they were committed in, `conflicts` the plans whose guard did
        not hold, `handoffs` how often the role went straight to a waiting thread, `checkpoint_errors` what failed for
        another reason than that somebody else was at work.
        """
        tally = self._batches.tally
        return {
            "commits": tally.commits,
            "batches": tally.batches,
            "largest_batch": tally.largest_batch,
            "conflicts": tally.conflicts,
            "busy_waits": self._busy.waits,
            "busy_wait_ms": self._busy.total_ms,
            "handoffs": self._role.handoffs,
            "checkpoints": self._wal.checkpoints,
            "restarts": self._wal.restarts,
            "checkpoint_errors": self._wal.errors,
            "queued": self._role.queued,
            "wal_pages": self._wal.pages,
            "wal_pages_pending": self._wal.pending,
        }

    def note_commit(self, members: int) -> None:
        """Count a transaction of `members` Python jobs (the role is held)."""
        self._batches.tally.committed(members)

    def last_wait_ms(self) -> int:
        """How long, in milliseconds, the last BEGIN of the role's holder waited for the write lock."""
        return self._busy.last_ms

    def stop(self) -> None:
        """Refuse new jobs, let the queued ones run, then make `serve` and `serve_checkpoints` return."""
        self._role.stop(abort=False)
        self._wal.stop()

    def abort(self) -> None:
        """Like `stop`, but queued jobs are answered CLOSED instead of run."""
        self._role.stop(abort=True)
        self._wal.stop()

    def wait_idle(self, timeout_ms: int) -> bool:
        """Wait until nothing is queued and nobody holds the role; False if that took too long (negative: no limit)."""
        return self._role.wait_idle(timeout_s(timeout_ms))

    def close(self) -> None:
        """After `stop` and after the threads have ended: remove handler and hook. Closing twice does nothing."""
        self.stop()
        with suppress(apsw.ConnectionClosedError):
            self._batches.close()
            self._connection.set_busy_handler(None)
            self._connection.set_wal_hook(None)

    def _put(self, plan: CompiledPlan, call: object, mailbox: Mailbox, token: object) -> Ticket:
        if not isinstance(mailbox, Mailbox):
            raise TypeError(f"mailbox must be a Mailbox, not {type(mailbox).__name__}")
        ticket = Ticket(plan, call, mailbox, token, self._role.withdraw)
        self._role.put(ticket)
        return ticket

    def _carry(self, holder: object) -> None:
        """Run one batch with the role held by `holder`, answer it and pass the role on."""
        self._hold_back()
        members = self._role.collect(holder)
        fault: Exception | None = None
        try:
            self._batches.run(members)
        except Exception as error:  # noqa: BLE001 - every member must be answered, whatever went wrong
            fault = error
        finally:
            results = self._batches.leave()
            if fault is not None:
                # Not SQLite's refusal of one plan: running the rest again could fail for ever in the same way.
                settled = {job for job, _ in results}
                results += [(job, failure(-1, fault)) for job in members if job not in settled]
            self._role.give_back(holder, results)
            self._wal.after_commits()

    def _hold_back(self) -> None:
        """Keep to the pace of the disk. The time for it is no time that jobs have waited for another writer's lock."""
        waited_ns = self._wal.hold_back(self._connection)
        if waited_ns:
            self._role.give_time_back(waited_ns)

    def _desert(self, job: Caller) -> None:
        """The calling thread leaves `run` or `acquire` with an exception: neither its job nor the role stays behind."""
        self._role.desert(job)
        if self._role.held_by(job):
            self._leave(job)

    def _leave(self, holder: object) -> None:
        self._role.give_back(holder, self._batches.leave())
        self._wal.after_commits()
