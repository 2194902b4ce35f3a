"""A `ChangeSignal` in an event loop: `Watch` says once that somebody has committed, and is then told to go on."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from lash_store.errors import StoreError
from lash_store.sqlite import forks
from lash_store.sqlite.changes import ChangeSignal

SAFETY_S: Final = 0.05
"""How often a signal is asked of which the system says nothing, though it should: nothing depends on its events."""
POLL_S: Final = 0.005
"""How often a signal is asked where the system announces no writes."""
# An event comes before the commit can be seen: some microseconds, with synchronous=FULL as long as the device takes.
# Meanwhile further events are not listened to: they may be those of one long transaction that spills into the log.
_RECHECKS_S: Final = (0.0, 0.0, 0.0, 0.0005, 0.001, 0.002, 0.004, 0.004, 0.004, 0.004, 0.004, 0.004)


class Watch:
    """Asks `signal` when it is worth it. `notice` is called for a change, `fail` if it cannot be asked any more.

    Before either is called the watch has stopped; `look_out` starts it again. It runs in `loop`. `descriptor` is what
    announces writes, None while changes are found by asking alone.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        signal: ChangeSignal,
        notice: Callable[[], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self._loop = loop
        self._signal = signal
        self._notice = notice
        self._fail = fail
        self._active = False
        self._listening = False
        self._announced = False  # something was written that is not to be seen yet
        self._rechecks: Iterator[float] = iter(())
        self._timer: asyncio.TimerHandle | None = None
        self.descriptor = signal.descriptor
        self._generation = forks.generation

    def look_out(self) -> None:
        """Watch from now on; a commit since the signal was asked last is noticed, too."""
        if not self._active:
            self._active = True
            self._listen()
            self._ask_again_in(_RECHECKS_S)

    def stop(self) -> None:
        """Watch no more, until `look_out`."""
        self._active = False
        self._deafen()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def ask(self) -> bool:
        """Whether somebody has committed since this was asked last, and nobody was told. Raises as `changed` does."""
        if not self._signal.changed():
            return False
        self._announced = False
        return True

    def _listen(self) -> None:
        if not self._listening and self.descriptor is not None:
            try:
                self._loop.add_reader(self.descriptor, self._on_announcement)
            except (NotImplementedError, OSError, ValueError):  # a loop that cannot poll it
                self.descriptor = None
            else:
                self._listening = True

    def _deafen(self) -> None:
        # A child shares the selector of its parent, whose watch goes on.
        usable = self._generation == forks.generation and not self._loop.is_closed()
        if self._listening and self.descriptor is not None and usable:
            self._loop.remove_reader(self.descriptor)
        self._listening = False

    def _on_announcement(self) -> None:
        self._signal.drain()
        self._announced = True
        if not self._ask():
            self._deafen()
            self._ask_again_in(_RECHECKS_S)

    def _ask_again_in(self, pauses: Iterable[float]) -> None:
        self._rechecks = iter(pauses)
        self._sleep()

    def _sleep(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        pause = next(self._rechecks, None)
        if pause is not None:
            self._timer = self._loop.call_later(pause, self._recheck)
        else:
            self._listen()
            self._timer = self._loop.call_later(POLL_S if self.descriptor is None else SAFETY_S, self._make_sure)

    def _recheck(self) -> None:
        if not self._ask():
            self._sleep()

    def _make_sure(self) -> None:
        announced = self._signal.drain() or self._announced
        if not self._ask():
            self._sleep()
        elif not announced:
            self._deafen()
            self.descriptor = None  # no event told of this commit, so none will of the next: ask often instead

    def _ask(self) -> bool:
        """Whether the watch is over, because of a change or a failure."""
        try:
            if not self.ask():
                return False
        except StoreError as error:
            self.stop()
            self._fail(error)
            return True
        self.stop()
        self._notice()
        return True
