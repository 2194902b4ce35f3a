"""The rows of bench.scaling: what was measured, at which size."""

from dataclasses import dataclass
from typing import Final

from bench.measure import Waits
from bench.scaling_memory import MemoryReport

COMMIT: Final = "commit of 2 nodes"
FIRST_COMMIT: Final = "first commit after foreign writes"
LOAD: Final = "load_session, full graph"
LOAD_PATH: Final = "load_session, active path"
FETCH: Final = "apsw fetch, msgspec.json.decode"
FETCH_TYPED: Final = "apsw fetch, msgspec decode to structs"
PICKER: Final = "load_picker_info"
LEDGER: Final = "load_session, ledger"
FOREIGN_LEDGER: Final = "load_session, ledger never merged"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large, and how often."""

    histories: tuple[int, ...] = (10, 1_000, 10_000, 100_000)
    loads: tuple[int, ...] = (1_000, 10_000)
    pickers: tuple[int, int] = (100, 100_000)
    ledgers: tuple[int, int] = (100, 100_000)
    commits: int = 200
    reads: int = 60
    nodes_loaded: int = 60_000
    turns: int = 400


QUICK: Final = Sizes((10, 1_000, 20_000), (1_000, 10_000), (100, 20_000), (100, 20_000), 60, 20, 30_000, 100)


@dataclass(frozen=True, slots=True)
class ScalingRow:
    """One operation at one size. `statements` and `log_bytes` of one call; `error` is why the row counts as failed."""

    operation: str
    size: int
    waits: Waits
    statements: float | None = None
    log_bytes: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """A load's peak beside the bytes of the texts that it read."""

    text_bytes: int
    report: MemoryReport | None


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes by which a file grows at each turn: as it is, and after a collection of unreachable blobs and a vacuum."""

    turns: int
    per_turn: float
    per_turn_swept: float


@dataclass(frozen=True, slots=True)
class Round:
    """All that one round measured."""

    rows: list[ScalingRow]
    memory: Memory
    growth: Growth
