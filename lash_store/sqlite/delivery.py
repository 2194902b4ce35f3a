"""How outcomes come from the writer, which has no event loop, to the futures that tasks wait for.

The writer puts them into a mailbox without the GIL; the loop polls the mailbox's descriptor and takes all that have
arrived at once. The loop knows the delivery, never the handle: a handle that is dropped can be collected.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from lash_store.sqlite.native import Mailbox, Ticket

T = TypeVar("T")

_POLL_MS = 200  # of the watching thread, where the loop cannot poll: only to notice the end


class Delivery:
    """The mailbox of one handle in one event loop. All methods but `stop_soon` run in that loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, kick: Callable[[], None]) -> None:
        self.mailbox = Mailbox()
        self.kick_due = False
        self._kick = kick
        self._loop = loop
        self._late: dict[asyncio.Future[Any], asyncio.Future[Any]] = {}
        self._missed: set[asyncio.Future[Any]] = set()  # cancelled, and their outcomes came before their tasks ran
        self._stopped = False
        self._polled = True
        try:
            loop.add_reader(self.mailbox.fileno(), self.deliver)
        except (NotImplementedError, ValueError):
            # Windows' default loop polls no descriptors: a thread waits for the mailbox instead.
            self._polled = False
            threading.Thread(target=self._watch, name="lash_store delivery", daemon=True).start()

    def kick_soon(self) -> None:
        """Have the writer start once all tasks that are ready now have had their say, so that they share a commit."""
        if not self.kick_due:
            self.kick_due = True
            self._loop.call_soon(self._kick_now)

    def deliver(self) -> None:
        """Hand the outcomes that have arrived to their futures."""
        for future, outcome in self.mailbox.drain():
            if not future.done():
                future.set_result(outcome)
            elif (late := self._late.pop(future, None)) is not None:
                late.set_result(outcome)
            else:
                self._missed.add(future)
        self.kick_soon()  # behind the tasks that were just woken

    async def settle(self, ticket: Ticket, future: asyncio.Future[Any]) -> None:
        """After the waiting task was cancelled: withdraw the job, or wait for its end if it was started."""
        if future in self._missed:
            self._missed.remove(future)
        elif future.cancelled() and not ticket.withdraw():
            late = self._late[future] = self._loop.create_future()
            await until_done(late)

    def stop(self) -> None:
        """Deliver what has arrived, then listen no more."""
        if not self._stopped:
            self._stopped = True
            self.kick_due = True  # nobody is there to be kicked any more
            self.deliver()
            if self._polled:
                self._loop.remove_reader(self.mailbox.fileno())
            self.mailbox.close()

    def stop_soon(self) -> None:
        """Stop, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.stop)

    def _kick_now(self) -> None:
        self.kick_due = False
        self._kick()

    def _watch(self) -> None:
        delivered = threading.Event()

        def deliver() -> None:
            self.deliver()
            delivered.set()

        while not self._stopped and not self._loop.is_closed():
            if self.mailbox.wait(_POLL_MS) and not self._stopped:
                delivered.clear()
                self._loop.call_soon_threadsafe(deliver)
                delivered.wait(_POLL_MS / 1000)


async def until_done(future: asyncio.Future[Any]) -> None:
    """Wait for `future`, also when the waiting task is cancelled once more: it is on its way out already."""
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue


async def in_thread(job: "Future[T]", undo: Callable[[T], object] | None = None) -> T:
    """The result of a job in a thread pool. On cancellation a started one is awaited, its result given to `undo`."""
    waiting = asyncio.wrap_future(job)
    try:
        return await asyncio.shield(waiting)
    except asyncio.CancelledError:
        if not job.cancel():
            await until_done(waiting)
            if waiting.exception() is None and undo is not None:  # asked for, or the loop would log it
                undo(waiting.result())
        raise
