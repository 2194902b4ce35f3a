"""`WaitingRoom`: tasks that wait for what a database will hold one day, whoever writes it.

However many tasks wait, one watch looks out for commits, and one read looks for all that is waited for. A commit of
this process that `WaitingRoom.changed` tells of wakes at once; all others, of this process or another, are noticed by
the watch (`lash_store.sqlite.changes`), which exists only while somebody waits. A database in memory has no watch: what
`changed` does not tell of is not noticed there.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec

from lash_store.clock import SYSTEM_CLOCK, Clock
from lash_store.errors import StoreClosed, StoreCorrupt, StoreError, StoreForked, StoreWrongLoop
from lash_store.sqlite import forks
from lash_store.sqlite.async_connection import SqliteConnection
from lash_store.sqlite.changes import ChangeSignal
from lash_store.sqlite.connection import lasting_name, now_ms_of
from lash_store.sqlite.database import MEMORY
from lash_store.sqlite.watch import SAFETY_S, Watch

if TYPE_CHECKING:
    import apsw

K = TypeVar("K")
V = TypeVar("V")

_PACE_S: Final = 0.003  # between looks that the watch asks for: it hears of commits that concern nobody here, too
_REST_S: Final = 0.001  # between looks at a key whose time has come: it may stay past however often one looks
_LINGER_S: Final = 1.0  # the watch outlives its last waiter by this: tasks that wait in turn share one


class LookAgain(msgspec.Struct, frozen=True):
    """Not there yet, but look at the key again at `at_ms` of the clock, even if nobody commits: a lease ends then."""

    at_ms: int


class _Again(NamedTuple):
    """When to look at a key again: at a time of the clock, but not before one of the loop (s).

    Two clocks, because the injected one may stand still: a time of it that is past already must still come.
    """

    at_ms: int
    rested_s: float


_Asked: TypeAlias = "Mapping[K, tuple[asyncio.Future[V], ...]]"
Look: TypeAlias = "Callable[[apsw.Connection, Collection[K]], Mapping[K, V | LookAgain]]"


class WaitingRoom(Generic[K, V]):
    """Where tasks of one event loop wait for what `look` finds.

    `look(connection, keys)` runs in one read snapshot, on another thread, and returns what is there of `keys`: the
    value, or `LookAgain` for one that must be looked at again at a certain time even without a commit; keys that are
    not there are left out. What it raises is raised by everyone who waits for one of these keys; StoreCorrupt for a
    text that is no UTF-8.
    """

    def __init__(self, connection: SqliteConnection, look: "Look[K, V]", *, clock: Clock = SYSTEM_CLOCK) -> None:
        """A room on `connection`, for its event loop. `clock` is what `LookAgain` is measured by."""
        self._connection = connection
        self._look = look
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._generation = forks.generation
        self._closed = False
        self._waiters: dict[K, set[asyncio.Future[V]]] = {}
        self._due: set[K] = set()  # to be looked at as soon as possible
        self._again: dict[K, _Again] = {}
        self._changed = False  # all are to be looked at, ...
        self._hurry = False  # ... without waiting for the pace
        self._looking: asyncio.Task[None] | None = None
        self._full_look_ended = 0.0
        self._full_look_took = 0.0
        self._proceeding = False  # `_proceed` is about to run
        self._timer: asyncio.TimerHandle | None = None
        self._signal: ChangeSignal | None = None
        self._watch: Watch | None = None

    async def wait(self, key: K) -> V:
        """Return what `look` finds for `key`, as soon as it is there; looks at once first.

        Raises what `look` raises, StoreClosed when the room or its connection is closed meanwhile, StoreWrongLoop and
        StoreForked. Cancelling it leaves nothing behind. There is no limit of time: use `asyncio.timeout`.
        """
        self._check()
        waiter: asyncio.Future[V] = self._loop.create_future()
        self._waiters.setdefault(key, set()).add(waiter)
        self._due.add(key)
        self._proceed_soon()
        try:
            return await waiter
        finally:
            self._forget({key: (waiter,)})
            self._proceed_soon()

    def changed(self) -> None:
        """Say that this process has committed something that may matter. Costs microseconds; call it in the loop."""
        if not self._waiters:
            return
        if self._ask_watch():
            self._changed = True
        self._hurry = self._changed  # also for one that the watch has noticed before
        self._proceed()

    def close(self) -> None:
        """Raise StoreClosed in all who wait, and in all who come. Call it before the connection is closed.

        Raises StoreWrongLoop, and closes nothing, in another event loop.
        """
        inherited = self._generation != forks.generation
        if not inherited and asyncio.get_running_loop() is not self._loop:
            raise StoreWrongLoop(self._connection.path)
        self._closed = True
        if not inherited:
            self._refuse(self._everyone(), StoreClosed(self._connection.path))
            self._end_watch()

    def _check(self) -> None:
        if self._generation != forks.generation:
            raise StoreForked(self._connection.path)
        if asyncio.get_running_loop() is not self._loop:
            raise StoreWrongLoop(self._connection.path)
        if self._closed or self._connection.closed:
            raise StoreClosed(self._connection.path)

    def _everyone(self) -> "_Asked[K, V]":
        return {key: tuple(waiters) for key, waiters in self._waiters.items()}

    def _forget(self, asked: "_Asked[K, V]") -> "list[asyncio.Future[V]]":
        """Strike those who are `asked` for off the list, and return those of them that are still waiting."""
        struck = []
        for key, asking in asked.items():
            waiters = self._waiters.get(key, set())
            struck += [waiter for waiter in asking if waiter in waiters and not waiter.done()]
            waiters.difference_update(asking)
            if not waiters:
                self._waiters.pop(key, None)
                self._due.discard(key)
                self._again.pop(key, None)
        return struck

    def _proceed_soon(self) -> None:
        """Proceed behind the tasks that are ready now: those who come share a look, those who have an answer go on."""
        if self._loop.is_closed():
            self._end_watch()
        elif not self._proceeding:
            self._proceeding = True
            self._loop.call_soon(self._proceed)

    def _proceed(self) -> None:
        """Start the look that is due, or see to it that the next reason for one is noticed."""
        self._proceeding = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._looking is not None:
            return  # its end comes here again
        if not self._waiters:
            self._rest()
            return
        if self._connection.closed:
            self._fail(StoreClosed(self._connection.path))
            return
        self._collect_due()
        if self._due or (self._changed and self._pause_s() <= 0):
            self._start_look()
        elif self._changed:
            self._timer = self._loop.call_later(self._pause_s(), self._proceed)
        else:
            if self._watch is not None:
                self._watch.look_out()
            self._timer = self._loop.call_later(self._until_again_s(), self._proceed)

    def _collect_due(self) -> None:
        if self._again:
            now_ms, now_s = now_ms_of(self._clock), self._loop.time()
            self._due.update([key for key, (at, rested) in self._again.items() if at <= now_ms and rested <= now_s])
        if self._watch is None and self._connection.path != MEMORY and len(self._due) < len(self._waiters):
            self._signal = ChangeSignal()
            self._due.update(self._waiters)  # somebody has to wait: watch from now on, and look once more

    def _pause_s(self) -> float:
        """How long a look at everything has still to wait after the last one (s); 0 or less if it has not."""
        # As much time again is left between looks as they take: a thread that reads without end starves the loop.
        pace = self._full_look_took if self._hurry else _PACE_S
        return self._full_look_ended + pace - self._loop.time()

    def _until_again_s(self) -> float:
        """When to see whether a time has come (an injected clock may jump, so it is asked often), or the end (s)."""
        if not self._again:
            return _LINGER_S
        now_ms, now_s = now_ms_of(self._clock), self._loop.time()
        return min(SAFETY_S, *(max((at - now_ms) / 1000, rested - now_s) for at, rested in self._again.values()))

    def _start_look(self) -> None:
        if self._watch is not None:
            self._watch.stop()
            self._changed |= self._ask_watch()  # what is committed by now, this look sees
        full = len(self._due) == len(self._waiters) or (self._changed and self._pause_s() <= 0)
        if full:
            self._due.update(self._waiters)
            self._changed = self._hurry = False
        # Those who come from now on want a look that begins from now on.
        asked = {key: tuple(self._waiters[key]) for key in self._due}
        self._due.clear()
        for key in asked:
            self._again.pop(key, None)
        if asked:  # or the watch has failed, and all who waited know it
            self._looking = self._loop.create_task(self._look_at(asked, full=full))

    async def _look_at(self, asked: "_Asked[K, V]", *, full: bool) -> None:
        opening = self._signal if self._watch is None else None
        began = self._loop.time()
        try:
            found = await self._connection.read(partial(self._observe, asked, opening))
        except asyncio.CancelledError:
            for waiter in self._forget(self._everyone()):  # who ends the look, as the loop does in its end, ends them
                waiter.cancel()
            raise
        except UnicodeDecodeError as damage:
            corrupt = StoreCorrupt("text in the database", self._connection.path)
            corrupt.__cause__ = damage
            self._refuse(asked, corrupt)
        except Exception as error:  # noqa: BLE001  it goes to those who wait
            self._refuse(asked, error)
        else:
            self._answer(asked, found)
        finally:
            self._looking = None
            if full:
                self._full_look_ended = self._loop.time()
                self._full_look_took = self._full_look_ended - began
            if opening is not None:
                self._begin_watch(opening)
            self._proceed_soon()

    def _observe(
        self, keys: "Collection[K]", opening: ChangeSignal | None, connection: "apsw.Connection"
    ) -> "Mapping[K, V | LookAgain]":
        """The look, on a reader's thread. The signal is opened first: what it does not tell, the look sees."""
        if opening is not None:
            opening.open(lasting_name(connection, self._connection.path))
        return self._look(connection, keys)

    def _begin_watch(self, signal: ChangeSignal) -> None:
        if signal is not self._signal:
            return  # nobody waited for it, and it was closed
        if signal.is_open:
            self._watch = Watch(self._loop, signal, self._notice, self._fail)
        else:
            self._signal = None

    def _notice(self) -> None:
        self._changed = True
        self._proceed()

    def _ask_watch(self) -> bool:
        """Whether there is a commit that was not noticed yet, or there may be one."""
        if self._watch is None:
            return True
        try:
            return self._watch.ask()
        except StoreError as error:
            self._fail(error)
            return False

    def _fail(self, error: Exception) -> None:
        self._refuse(self._everyone(), error)
        self._end_watch()

    def _answer(self, asked: "_Asked[K, V]", found: "Mapping[K, V | LookAgain]") -> None:
        rested_s = self._loop.time() + _REST_S
        for key, value in found.items():
            if isinstance(value, LookAgain):
                if key in self._waiters:
                    self._again[key] = _Again(value.at_ms, rested_s)
                continue
            for waiter in self._forget({key: asked.get(key, ())}):
                waiter.set_result(value)

    def _refuse(self, asked: "_Asked[K, V]", error: Exception) -> None:
        for waiter in self._forget(asked):
            waiter.set_exception(error)
            waiter.exception()  # taken: not a word in the log if its task is cancelled before it gets it

    def _rest(self) -> None:
        """Let the watch sleep while nobody waits, and end it if that lasts."""
        self._changed = self._hurry = False
        if self._watch is not None:
            self._watch.stop()
            self._timer = self._loop.call_later(_LINGER_S, self._end_watch)

    def _end_watch(self) -> None:
        if self._generation != forks.generation:
            return  # it is the parent's
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watch is not None:
            self._watch.stop()
            self._watch = None
        if self._signal is not None:
            self._signal.close()
            self._signal = None
