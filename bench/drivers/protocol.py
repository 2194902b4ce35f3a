"""What a driver has to offer to be measured."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bench.workload import Durability


class Versions(NamedTuple):
    """The driver's own version, and that of the SQLite it runs."""

    library: str
    sqlite: str


class BlockingWriter(Protocol):
    """An open handle whose commit returns once the transaction is committed, and raises if it is not."""

    def commit(self, node_id: str, node_json: str) -> object:
        """Run the one transaction."""

    def pragma(self, name: str) -> str:
        """The value of a pragma on the connection that writes."""


class AsyncWriter(Protocol):
    """An open handle that many asyncio tasks of one loop use at once."""

    async def commit(self, node_id: str, node_json: str) -> object:
        """Run the one transaction."""


OpenBlocking = Callable[[str, Durability], AbstractContextManager[BlockingWriter]]
OpenAsync = Callable[[str, Durability], AbstractAsyncContextManager[AsyncWriter]]


@dataclass(frozen=True, slots=True)
class Adapter:
    """How the bench drives one library.

    `open_blocking` is None where the library has only an asyncio face. `one_handle_for_all_threads` says how a
    threaded program is meant to use it; a connection for each thread otherwise.
    """

    versions: Callable[[], Versions]
    open_async: OpenAsync
    open_blocking: OpenBlocking | None = None
    one_handle_for_all_threads: bool = False
