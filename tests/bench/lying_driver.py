"""A driver that acknowledges every third commit without having written it."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.drivers import stdlib
from bench.drivers.protocol import Adapter
from bench.drivers.stdlib import StdlibWriter
from bench.workload import Durability


class LyingWriter(StdlibWriter):
    """Says yes and does nothing, now and then."""

    calls = 0

    def commit(self, node_id: str, node_json: str) -> None:
        self.calls += 1
        if self.calls % 3:
            super().commit(node_id, node_json)


@contextmanager
def _open(path: str, durability: Durability) -> Iterator[LyingWriter]:
    writer = LyingWriter(path, durability)
    try:
        yield writer
    finally:
        writer.close()


ADAPTER = Adapter(stdlib.ADAPTER.versions, stdlib.ADAPTER.open_async, _open)
