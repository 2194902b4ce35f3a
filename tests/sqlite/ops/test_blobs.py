"""The steps by which a commit stores its blobs."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from lash_store.codecs.envelope import Blob, seal, seal_raw
from lash_store.records.artifacts import EXECUTION_STATE, BlobProfile
from lash_store.sqlite.database import Database
from lash_store.sqlite.ops.blobs import TABLES, blob_steps, read_content, read_stored
from lash_store.sqlite.plan import Plan
from lash_store.sqlite.schema import Schema

LARGE = seal(EXECUTION_STATE, bytes(range(256)) * 1024, BlobProfile.LOW_LATENCY)
SMALL = seal_raw(b"orphan")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "store.db", schema=Schema("session", 3, TABLES)) as opened:
        yield opened


def contents(database: Database) -> list[bytes | None]:
    return [database.read(partial(read_content, ref=blob.ref)) for blob in (LARGE, SMALL)]


def test_blobs_are_stored_under_their_refs(database: Database) -> None:
    assert database.run(Plan(blob_steps([LARGE, SMALL]))).changes == 2
    assert contents(database) == [bytes(range(256)) * 1024, b"orphan"]
    assert database.read(lambda connection: read_stored(connection, LARGE.ref)) == LARGE.stored


def test_no_blobs_are_no_steps() -> None:
    assert blob_steps([]) == []


def test_what_is_stored_costs_no_write(database: Database) -> None:
    database.run(Plan(blob_steps([LARGE])))
    pages = database.stats().wal_pages
    assert database.run(Plan(blob_steps([LARGE, Blob(LARGE.ref, b"another form")]))).changes == 0
    assert database.stats().wal_pages == pages
    assert database.run(Plan(blob_steps([LARGE, SMALL]))).changes == 1
    assert contents(database) == [bytes(range(256)) * 1024, b"orphan"]
