"""The names of the drivers, where their adapters are, and what must be said about each beside its figures."""

from dataclasses import dataclass, field
from importlib import import_module
from typing import cast

from bench.drivers.protocol import Adapter


@dataclass(frozen=True, slots=True)
class Driver:
    """One contender; it is only ever imported in a process of its own.

    `victim` names the driver whose blocking face stands for it as the busy-runtime scenario's victim.
    """

    name: str
    module: str
    victim: str
    note: str
    threads: bool = True
    environment: dict[str, str] = field(default_factory=dict)

    def adapter(self) -> Adapter:
        """Import the driver's library and return how to drive it."""
        return cast(Adapter, import_module(self.module).ADAPTER)


_LASH_NOTE = "plans, group commit; waits for the lock and checkpoints in its own way, the latter in the background"

DRIVERS = {
    driver.name: driver
    for driver in (
        Driver(
            "sqlite3",
            "bench.drivers.stdlib",
            "sqlite3",
            "standard library; tasks: a one-thread executor, the whole transaction one call",
        ),
        Driver(
            "apsw",
            "bench.drivers.apsw_blocking",
            "apsw",
            "tasks: a one-thread executor, the whole transaction one call",
        ),
        Driver(
            "aiosqlite",
            "bench.drivers.aiosqlite_statements",
            "sqlite3",
            "one thread hop for each statement, an asyncio.Lock around the transaction; victim: sqlite3",
            threads=False,
        ),
        Driver(
            "apsw-aio",
            "bench.drivers.apsw_aio",
            "apsw",
            "apsw's own asyncio support, the whole transaction one async_run call; victim: apsw",
            threads=False,
        ),
        Driver("lash", "bench.drivers.lash", "lash", _LASH_NOTE, environment={"LASH_STORE_NATIVE": "c"}),
        Driver(
            "lash-python",
            "bench.drivers.lash",
            "lash-python",
            "lash without its C extension",
            environment={"LASH_STORE_NATIVE": "python"},
        ),
    )
}

BASELINE = "sqlite3"
CEILING = "c-loop"
CEILING_NOTE = (
    "plain C on apsw's SQLite, busy handler and checkpoints as SQLite has them; a mark to judge by, not a contender"
)
