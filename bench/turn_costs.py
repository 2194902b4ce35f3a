"""What a turn's commit costs, part by part: the figures of bench.turn_profile."""

from dataclasses import dataclass
from typing import Final

WHOLE: Final = "the whole commit"
PLAIN: Final = "the statements in plain apsw"
HOP: Final = "a bare hop to a thread and back"


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds a turn: the median, and the mean, in which every tenth turn brings its tool state."""

    p50_us: float
    mean_us: float


@dataclass(frozen=True, slots=True)
class Profile:
    """`parts` add up to `WHOLE` but for what the separate timing adds or misses; `others` are for comparison.

    `statements` and `log_bytes` (of the write-ahead log) are means of one commit.
    """

    parts: dict[str, Cost]
    others: dict[str, Cost]
    statements: float
    log_bytes: float

    @property
    def whole(self) -> Cost:
        """The store's commit, awaited, from the state before to the state after."""
        return self.others[WHOLE]

    @property
    def plain(self) -> Cost:
        """The same statements in plain apsw, synchronous."""
        return self.others[PLAIN]

    @property
    def encoding_us(self) -> float:
        """What any program must do before its statements: the median of making, hashing, encoding, compressing."""
        return sum(cost.p50_us for name, cost in self.parts.items() if name not in ("SQLite", "hand-over"))
