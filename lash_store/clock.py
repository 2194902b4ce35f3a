"""The clock a store reads: whole milliseconds since 1970-01-01T00:00:00Z.

A clock is injected so that expiry can be tested, and replayed, without waiting for it.
"""

import time
from typing import Final, Protocol


class Clock(Protocol):
    """Anything that tells the time in epoch milliseconds."""

    def now_ms(self) -> int:
        """The current time, in whole milliseconds since 1970-01-01T00:00:00Z."""
        ...


class SystemClock:
    """The wall clock of this machine."""

    def now_ms(self) -> int:
        """The current time, in whole milliseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // 1_000_000


SYSTEM_CLOCK: Final = SystemClock()
"""The clock that is used where none is given."""
