"""The jobs of the writer's queue, and the outcomes they end with."""

import threading
from collections.abc import Callable
from enum import Enum
from time import monotonic_ns
from typing import Any, Final

import apsw

from lash_store.sqlite.native.pure_mailbox import Mailbox
from lash_store.sqlite.native.pure_plan import CompiledPlan

DONE: Final = 0
GUARD: Final = 1
FAILED: Final = 2
BUSY: Final = 3
INVALID: Final = 4
CLOSED: Final = 5

Outcome = tuple[Any, ...]


def failure(step: int, error: BaseException) -> Outcome:
    """The FAILED outcome for what a statement raised; `step` is -1 for BEGIN, COMMIT and what surrounds a plan."""
    code = getattr(error, "result", None)
    if not isinstance(code, int):
        if isinstance(error, MemoryError):
            code = apsw.SQLITE_NOMEM
        elif isinstance(error, UnicodeDecodeError):
            code = apsw.SQLITE_CORRUPT  # a text in the result is not UTF-8
        elif isinstance(error, apsw.Error):
            # apsw's own complaints (connection closed, used by two threads) carry no code: all of them are misuse.
            code = apsw.SQLITE_MISUSE
        else:
            # Raised by a Python function that a statement called: SQLite itself reports that as SQLITE_ERROR.
            code = apsw.SQLITE_ERROR
    extended = getattr(error, "extendedresult", None)
    return (FAILED, step, code, extended if isinstance(extended, int) else code, str(error) or type(error).__name__)


class State(Enum):
    """Where a job stands."""

    NEW = 0
    QUEUED = 1
    TAKEN = 2
    ENDED = 3


class Job:
    """One entry of the queue; `plan` is empty for what is not a plan. `state` belongs to the queue."""

    __slots__ = ("enqueued_ns", "plan", "state")

    def __init__(self, plan: CompiledPlan = ()) -> None:
        self.plan = plan
        self.state = State.NEW
        self.enqueued_ns = monotonic_ns()

    def answer(self, outcome: object) -> None:
        """End the job with `outcome` and tell whoever waits for it."""
        raise NotImplementedError


class Caller(Job):
    """A thread inside `run` (with a plan) or `acquire` (without)."""

    __slots__ = ("granted", "outcome", "thread", "wake")

    def __init__(self, plan: CompiledPlan = ()) -> None:
        super().__init__(plan)
        self.thread = threading.get_ident()
        self.granted = False
        self.outcome: Any = None
        # A bare lock is the cheapest thing a thread can wait on once: it is released by the answer or by the grant.
        self.wake = threading.Lock()
        self.wake.acquire()

    def answer(self, outcome: object) -> None:
        """Wake the thread up with `outcome`."""
        self.state = State.ENDED
        self.outcome = outcome
        self.wake.release()


class Ticket(Job):
    """One submitted job."""

    __slots__ = ("_call", "_mailbox", "_token", "_withdraw")

    def __init__(
        self,
        plan: CompiledPlan,
        call: object,
        mailbox: Mailbox,
        token: object,
        withdraw: "Callable[[Ticket], bool]",
    ) -> None:
        super().__init__(plan)
        self._call = call
        self._mailbox = mailbox
        self._token = token
        self._withdraw = withdraw

    @property
    def call(self) -> Any:
        """The object given to `submit_call`; None for a plan."""
        return self._call

    def withdraw(self) -> bool:
        """Take the job out of the queue; True if it had not been started, and then it never will be."""
        return self._withdraw(self)

    def answer(self, outcome: object) -> None:
        """Send `outcome` to the mailbox, with the token."""
        self.state = State.ENDED
        self._mailbox.post(self._token, outcome)
