"""The executor's contract: `_native` (C) and `pure` (Python) both provide exactly this.

An executor owns one apsw connection, the *writer connection*, and one first-in-first-out queue of jobs. Whoever holds
the *writer role* may use that connection; the role is taken by a blocking caller (`run`, `acquire`) or by the worker
thread inside `serve`. The holder runs what stands at the head of the queue: consecutive plans share one transaction, a
savepoint each.

An *outcome* is a tuple whose first item is one of the OUTCOME constants:

    (DONE, stopped, row, rows, changes)         committed; see `lash_store.sqlite.plan.PlanResult`
    (GUARD, step, row, changes)                 rolled back: the guard of step number `step` did not hold
    (FAILED, step, code, extended, message)     rolled back: SQLite refused; step is -1 for BEGIN and COMMIT
    (BUSY, waited_ms)                           nothing was begun: the write lock was not to be had in time
    (INVALID, step, message)                    rolled back: the step cannot be run as written
    (CLOSED,)                                   never started: the executor was closed first
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import apsw

IMPLEMENTATION: str
SANITIZERS: str
EXTENSION_ENTRY: str
DONE: int
GUARD: int
FAILED: int
BUSY: int
INVALID: int
CLOSED: int

Outcome: TypeAlias = tuple[Any, ...]

def libversion() -> str | None:
    """The version of the SQLite that loaded this file as an extension; None before that."""

def register_vfs() -> str | None:
    """The name of the VFS to open databases with; None where the default one is not the system's own."""

def register_clock(connection: apsw.Connection) -> None:
    """Register the SQL function `lash_now_ms()` on `connection`: the system's clock, in epoch milliseconds."""

class StepLike(Protocol):
    """What the executor reads of a step; `lash_store.sqlite.plan.Step` is the public form."""

    @property
    def sql(self) -> str: ...
    @property
    def values(self) -> Sequence[Any]: ...
    @property
    def expect(self) -> int: ...
    @property
    def otherwise(self) -> int: ...
    @property
    def rows(self) -> bool: ...
    @property
    def many(self) -> bool: ...

class Ticket:
    """One submitted job."""

    @property
    def call(self) -> Any:
        """The object given to `submit_call`; None for a plan."""
    def withdraw(self) -> bool:
        """Take the job out of the queue; True if it had not been started, and then it never will be."""

class Mailbox:
    """Where the outcomes of submitted jobs arrive; signalled without the GIL."""

    def __init__(self) -> None: ...
    def fileno(self) -> int:
        """A descriptor that polls readable while outcomes wait, or -1 where the platform has none."""
    def drain(self) -> list[tuple[Any, Any]]:
        """All waiting (token, outcome) pairs, oldest first; clears the signal."""
    def wait(self, timeout_ms: int) -> bool:
        """Block without the GIL until an outcome waits (True) or the time is over (False)."""
    def close(self) -> None:
        """Close the descriptor; outcomes that still arrive are kept for `drain`."""

class Executor:
    """The writer of one database. All methods are thread-safe; all but the trivial ones release the GIL."""

    def __init__(
        self,
        connection: apsw.Connection,
        *,
        busy_timeout_ms: int,
        start_worker: Callable[[], object],
        start_checkpointer: Callable[[], object],
    ) -> None:
        """Take over `connection`: installs the busy handler and the WAL hook.

        `start_worker` is called, GIL held, when a job was submitted and no thread is inside `serve`.
        `start_checkpointer` is called, GIL held, once, when the WAL first outgrows the checkpoint threshold.
        """
    def run(self, steps: Sequence[StepLike]) -> Outcome:
        """Run a plan on the calling thread, or wait for another thread to carry it along."""
    def submit(self, steps: Sequence[StepLike], mailbox: Mailbox, token: object) -> Ticket:
        """Queue a plan for the worker; (token, outcome) arrives in `mailbox`."""
    def acquire(self) -> None:
        """Wait in the queue for the writer role and take it for the calling thread."""
    def hold(self, call: Callable[[], object]) -> object:
        """`acquire`, `call()`, `release`, in one: no interrupt comes between."""
    def submit_call(self, call: object, mailbox: Mailbox, token: object) -> Ticket:
        """Queue a Python job for the worker; `serve` hands it out, `finish` answers it."""
    def release(self) -> None:
        """Give the writer role back (after `acquire`, or after `serve` returned tickets)."""
    def serve(self, idle_ms: int) -> list[Ticket] | None:
        """The worker's loop: run plans until Python jobs stand at the head, and return those with the role held.

        Returns None when the executor closes and its queue is empty, or when nothing came for `idle_ms`.
        """
    def kick(self) -> None:
        """Have the worker run what is queued. It waits for that, for a good number of jobs, or for a millisecond."""
    def finish(self, ticket: Ticket, outcome: object) -> None:
        """Answer a Python job."""
    def owned(self) -> bool:
        """True when the calling thread holds the writer role through `acquire` or `serve`."""
    def serve_checkpoints(self, locker: apsw.Connection, checkpointer: apsw.Connection) -> None:
        """The checkpointer's loop, on two connections of its own; returns when the executor closes."""
    def checkpointer_ended(self) -> None:
        """The thread of `serve_checkpoints` is gone, for whatever reason; when one is needed it is asked for again."""
    def before_begin(self, waited_ms: int) -> None:
        """A closure's BEGIN follows, which has waited for `waited_ms` already; RuntimeError without the role."""
    def lend(self) -> None:
        """The connection goes to code that may do anything with it, until `before_begin` or `release`."""
    def counters(self) -> dict[str, int]:
        """What `lash_store.DatabaseStats` tells of the writer, by the same names."""
    def note_commit(self, members: int) -> None:
        """Count a transaction of `members` Python jobs (the role is held)."""
    def last_wait_ms(self) -> int:
        """How long the last BEGIN of the role's holder waited for the write lock."""
    def stop(self) -> None:
        """Refuse new jobs, let the queued ones run, then make `serve` and `serve_checkpoints` return."""
    def abort(self) -> None:
        """Like `stop`, but queued jobs are answered CLOSED instead of run."""
    def wait_idle(self, timeout_ms: int) -> bool:
        """Wait until nothing is queued and nobody holds the role; False if that took too long."""
    def close(self) -> None:
        """After `stop` and after the threads have ended: finalise statements, remove handler and hook."""
