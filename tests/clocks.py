"""A clock that stands still until it is told to go on."""

from typing import Final

NOW_MS: Final = 1_780_358_400_000
"""2026-06-02T00:00:00Z, where these clocks begin."""


class ManualClock:
    """Tells `now` (epoch milliseconds), which tests set or advance; `asked` counts how often."""

    def __init__(self, now: int = NOW_MS) -> None:
        self.now = now
        self.asked = 0

    def now_ms(self) -> int:
        """The time that was set last."""
        self.asked += 1
        return self.now

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now += milliseconds
