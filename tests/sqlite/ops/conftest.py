"""A work queue of each kind for the tests of this folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.sqlite.ops.queue_rig import Queue


@pytest.fixture(params=["file", "memory"])
async def queue(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Queue]:
    async with await Queue.open(tmp_path / "store.db" if request.param == "file" else None) as opened:
        yield opened


@pytest.fixture
async def other(tmp_path: Path, queue: Queue) -> AsyncIterator[Queue]:
    """A second handle on the file queue's database, with the same clock."""
    async with await Queue.open(tmp_path / "store.db", queue.hand_clock) as opened:
        yield opened
