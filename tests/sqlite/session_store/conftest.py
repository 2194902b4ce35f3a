"""A store of each kind for every test of this folder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lash_store import Store


@pytest.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opening = Store.open(tmp_path / "session.db") if request.param == "file" else Store.memory()
    async with await opening as opened:
        yield opened


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Store]:
    """A second handle on the file store's database."""
    async with await Store.open(tmp_path / "session.db") as opened:
        yield opened
