"""How the writer waits for SQLite's write lock: short random naps, up to a deadline, all of them counted."""

import random
import time
from typing import Final

_NAP_S: Final = (0.0003, 0.0015)
_NS_PER_MS: Final = 1_000_000


class BusyWait:
    """The busy handler of one writer connection; used only by the thread that holds the writer role.

    SQLite's own handler backs off to naps of 100 ms, which starves waiters. Short naps of random length do not.
    """

    def __init__(self, budget_ms: int) -> None:
        self.budget_ns: Final = budget_ms * _NS_PER_MS
        self.waits = 0
        self._total_ns = 0
        self._last_ns = 0
        self._until_ns = 0
        self._first_until_ns = 0
        self._fixed = False

    @property
    def total_ms(self) -> int:
        """Milliseconds spent waiting since the beginning."""
        return self._total_ns // _NS_PER_MS

    @property
    def last_ms(self) -> int:
        """Milliseconds the last BEGIN waited."""
        return self._last_ns // _NS_PER_MS

    def begin(self, until_ns: int) -> None:
        """A BEGIN of a batch follows; it may wait until `until_ns` (monotonic)."""
        self._fixed = True
        self._until_ns = until_ns
        self._last_ns = 0

    def lease(self, enqueued_ns: int) -> None:
        """The connection goes to a holder that issues its own BEGINs and has waited in the queue since `enqueued_ns`.

        The first of them has what is left of its budget, any further one has the whole.
        """
        self._fixed = False
        self._first_until_ns = enqueued_ns + self.budget_ns
        self._last_ns = 0

    def on_busy(self, prior_calls: int) -> bool:
        """SQLite's busy handler: True to try again. `prior_calls` counts its calls for the same lock."""
        if prior_calls == 0 and not self._fixed:
            self._until_ns = self._first_until_ns or time.monotonic_ns() + self.budget_ns
            self._first_until_ns = 0
            self._last_ns = 0
        return self.nap()

    def nap(self) -> bool:
        """Sleep a moment; False, at once, when the deadline has passed."""
        began = time.monotonic_ns()
        left_s = (self._until_ns - began) / 1e9
        if left_s <= 0:
            return False
        if self._last_ns == 0:
            self.waits += 1
        time.sleep(min(random.uniform(*_NAP_S), left_s))
        slept_ns = time.monotonic_ns() - began
        self._last_ns += slept_ns
        self._total_ns += slept_ns
        return True
