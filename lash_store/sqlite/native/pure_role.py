"""The queue of one writer, and the role: the right to use the writer connection, held by one thread at a time.

Invariant, whenever the lock is free: if nobody holds the role and the queue is not empty, then a ticket stands at its
head, and a worker thread is in `serve` or on its way there. A waiting caller at the head is given the role at once.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic, monotonic_ns
from typing import Final

from lash_store.errors import StoreClosed, StoreReentered
from lash_store.sqlite.native.pure_job import CLOSED, Caller, Job, Outcome, State, Ticket, failure

CALLS_MAX: Final = 16
_REARM_S: Final = 0.05


class WriterRole:
    """Who may write, and who is next."""

    def __init__(self, path: str, start_worker: Callable[[], object], members_max: int) -> None:
        self._path = path
        self._start_worker = start_worker
        self._members_max = members_max
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._idle = threading.Condition(self._lock)
        self._jobs: deque[Job] = deque()
        self._flight: Sequence[Job] = ()
        self._holder: object = None
        self._thread = 0
        self._leased = False
        self._workers: set[int] = set()
        self._starting = False
        self._stopped = False
        self._aborted = False
        self.handoffs = 0

    @property
    def queued(self) -> int:
        """Jobs waiting now."""
        return len(self._jobs)

    def leased(self) -> bool:
        """True when the calling thread holds the role to use the connection itself."""
        return self._leased and self._thread == threading.get_ident()

    def held_by(self, holder: object) -> bool:
        """True when the role was given to `holder`."""
        return self._holder is holder

    def holder(self) -> object:
        """What the role was given to; RuntimeError if that is not the calling thread, or not for its own use."""
        if not self.leased():
            raise RuntimeError("release: this thread does not hold the writer role")
        return self._holder

    # -- callers ------------------------------------------------------------------------------------------------------

    def enter(self, job: Caller) -> bool:
        """Wait until the calling thread has the role (True) or `job` was answered by another (False)."""
        with self._lock:
            self._refuse_if_stopped()
            self._refuse_if_held()
            if self._holder is None and (not self._jobs or (job.plan and self._jobs[0].plan)):
                # Plans that wait for the worker are carried along: waiting for it would only take longer.
                self._grant(job)
                return True
            self._append(job)
        job.wake.acquire()
        return job.granted

    def desert(self, job: Caller) -> None:
        """The caller gives up (KeyboardInterrupt): take its job out, if it is still queued."""
        with self._lock:
            hire = job.state is State.QUEUED and self._remove(job)
        if hire:
            self._launch()

    # -- tickets ------------------------------------------------------------------------------------------------------

    def put(self, ticket: Ticket) -> None:
        """Queue `ticket`, and see to it that a worker comes for it."""
        with self._lock:
            self._refuse_if_stopped()
            self._append(ticket)
            self._work.notify()
            hire = self._hire()
        if hire:
            self._launch()

    def withdraw(self, ticket: Ticket) -> bool:
        """Take `ticket` out of the queue; False if it is not there any more."""
        with self._lock:
            if ticket.state is not State.QUEUED:
                return False
            hire = self._remove(ticket)
        if hire:
            self._launch()
        return True

    # -- workers ------------------------------------------------------------------------------------------------------

    def enlist(self) -> None:
        """The calling thread is a worker, from now until it retires: no other is started meanwhile."""
        with self._lock:
            self._refuse_if_held()
            self._starting = False
            self._workers.add(threading.get_ident())

    def retire(self) -> None:
        """The calling thread is no worker any more."""
        with self._lock:
            hire = self._retire()
        if hire:
            self._launch()

    def serve(self, session: object, idle_s: float | None) -> list[Ticket] | None:
        """Wait for the head of the queue and take the role for `session`.

        A list holds the calls that stood there; an empty one means that a plan does, to be collected. None: retired,
        because the queue is closed and empty, or because nothing came for `idle_s` (None: no limit).
        """
        with self._work:
            ends_s = None if idle_s is None else monotonic() + idle_s
            while self._holder is not None or not self._jobs:
                left_s = None if ends_s is None else ends_s - monotonic()
                idle = left_s is not None and left_s <= 0
                # A batch in flight may put jobs back. After `stop` nobody else would come for those.
                if not self._jobs and (self._stopped or idle) and not (self._stopped and self._flight):
                    self._workers.discard(threading.get_ident())
                    return None
                # Idle, but somebody else is still at work: what that leaves may be ours, so look again before long.
                self._work.wait(_REARM_S if idle else left_s)
            calls: list[Ticket] = []
            while self._jobs and len(calls) < CALLS_MAX:
                head = self._jobs[0]
                if not isinstance(head, Ticket) or head.plan:
                    break
                head.state = State.TAKEN
                calls.append(head)
                self._jobs.popleft()
            self._seize(session, threading.get_ident(), leased=bool(calls))
            return calls

    # -- the holder ---------------------------------------------------------------------------------------------------

    def collect(self, holder: object) -> Sequence[Job]:
        """The holder's batch: its own plan, if it has one, and the plans that stand at the head of the queue."""
        with self._lock:
            members: list[Job] = []
            most = self._members_max - isinstance(holder, Caller)
            while self._jobs and self._jobs[0].plan and len(members) < most:
                job = self._jobs.popleft()
                job.state = State.TAKEN
                members.append(job)
            if isinstance(holder, Caller):
                # Who came before it goes first, so that a thread's jobs keep their order.
                before = sum(job.enqueued_ns <= holder.enqueued_ns for job in members)
                members.insert(before, holder)
            self._flight = members
            return members

    def give_back(self, holder: object, results: Sequence[tuple[Job, Outcome]] = ()) -> None:
        """Answer the batch and pass the role on; members without an outcome go back to the head of the queue."""
        for job, outcome in results:
            job.answer(outcome)
        with self._lock:
            if self._holder is not holder:
                return
            # The holder's own job has an outcome, unless its thread is leaving with an exception and wants none.
            rest = [job for job in self._flight if job.state is State.TAKEN and job is not holder]
            refused = rest if self._aborted else []
            if not self._aborted:
                for job in rest:
                    job.state = State.QUEUED
                self._jobs.extendleft(reversed(rest))
            self._flight = ()
            self._holder, self._thread, self._leased = None, 0, False
            hire = self._pass_on()
        for job in refused:
            job.answer((CLOSED,))
        if hire:
            self._launch()

    def give_time_back(self, waited_ns: int) -> None:
        """What waits has waited `waited_ns` less, but no job for less than nothing."""
        now_ns = monotonic_ns()
        with self._lock:
            for job in self._jobs:
                job.enqueued_ns = min(now_ns, job.enqueued_ns + waited_ns)
            if isinstance(self._holder, Caller):
                self._holder.enqueued_ns = min(now_ns, self._holder.enqueued_ns + waited_ns)

    # -- the end ------------------------------------------------------------------------------------------------------

    def stop(self, *, abort: bool) -> None:
        """Refuse new jobs; `abort`: answer those still queued with CLOSED."""
        with self._lock:
            self._stopped = True
            refused: list[Job] = []
            if abort:
                self._aborted = True
                refused.extend(self._jobs)
                self._jobs.clear()
                for job in refused:
                    job.state = State.TAKEN
            self._work.notify_all()
            self._idle.notify_all()
        for job in refused:
            job.answer((CLOSED,))

    def wait_idle(self, timeout_s: float | None) -> bool:
        """Wait until nothing is queued and nobody holds the role; False after `timeout_s` (None: no limit)."""
        with self._idle:
            return self._idle.wait_for(lambda: self._holder is None and not self._jobs, timeout_s)

    # -- with the lock held -------------------------------------------------------------------------------------------

    def _refuse_if_stopped(self) -> None:
        if self._stopped:
            raise StoreClosed(path=self._path)

    def _refuse_if_held(self) -> None:
        if self._thread == threading.get_ident():
            raise StoreReentered(path=self._path)

    def _seize(self, holder: object, thread: int, *, leased: bool) -> None:
        self._holder, self._thread, self._leased = holder, thread, leased

    def _grant(self, job: Caller) -> None:
        job.state = State.TAKEN
        job.granted = True
        self._seize(job, job.thread, leased=not job.plan)

    def _pass_on(self) -> bool:
        """Nobody holds the role: give it to the caller at the head, or see that a worker takes it (True: start one)."""
        if not self._jobs:
            self._idle.notify_all()
            if self._stopped:
                self._work.notify_all()
            return False
        head = self._jobs[0]
        if isinstance(head, Caller):
            self._jobs.popleft()
            self._grant(head)
            self.handoffs += 1
            head.wake.release()
            return False
        self._work.notify()
        return self._hire()

    def _append(self, job: Job) -> None:
        job.state = State.QUEUED
        self._jobs.append(job)

    def _remove(self, job: Job) -> bool:
        self._jobs.remove(job)
        job.state = State.ENDED
        return self._holder is None and self._pass_on()

    def _hire(self) -> bool:
        if self._workers or self._starting:
            return False
        self._starting = True
        return True

    def _retire(self) -> bool:
        self._workers.discard(threading.get_ident())
        return self._holder is None and self._pass_on()

    # -- without the lock ---------------------------------------------------------------------------------------------

    def _launch(self) -> None:
        """Ask for a worker. Where none can be started, nobody would ever come for the tickets: they fail."""
        try:
            self._start_worker()
        except BaseException as error:
            with self._lock:
                self._starting = False
                tickets = [job for job in self._jobs if isinstance(job, Ticket)]
                for ticket in tickets:
                    ticket.state = State.TAKEN
                    self._jobs.remove(ticket)
                if self._holder is None:
                    self._pass_on()
            for ticket in tickets:
                ticket.answer(failure(-1, error))
            if not isinstance(error, Exception):
                raise
