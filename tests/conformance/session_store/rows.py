"""What stands in the tables, read past the store: on its own connection once it is closed, or as a whole while open."""

from pathlib import Path
from typing import Any, Final

import apsw
import msgspec

from lash_store import Store

TABLES: Final = (
    "blobs",
    "session_head",
    "graph_nodes",
    "usage_deltas",
    "session_meta",
    "runtime_turn_commits",
    "queued_work_batches",
    "queued_work_items",
    "attachment_manifest",
    "artifact_refs",
)
"""The tables of section 2."""
Row = tuple[Any, ...]


def query(path: Path, sql: str, *values: Any) -> list[Row]:
    """The rows of a statement on a plain connection of its own."""
    connection = apsw.Connection(str(path))
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def change(path: Path, sql: str, *values: Any) -> int:
    """Run a statement on a plain connection of its own; the number of rows it changed."""
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(15_000)
        connection.pragma("foreign_keys", True)
        connection.execute(sql, values).fetchall()
        return connection.changes()
    finally:
        connection.close()


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def everything(store: Store) -> dict[str, list[Row]]:
    """Every row of every table of section 2: equal before and after means that nothing was written."""

    def dump(connection: apsw.Connection) -> dict[str, list[Row]]:
        return {table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in TABLES}

    return await store._read(dump)


def stored_envelope(path: Path, ref: str) -> dict[str, Any]:
    """The envelope map in the row of a blob; `content` comes back as bytes."""
    ((stored,),) = query(path, "SELECT content FROM blobs WHERE hash = ?", ref)
    envelope: dict[str, Any] = msgspec.msgpack.decode(stored)
    assert list(envelope) == ["descriptor", "compression", "content"]
    assert all(type(byte) is int for byte in envelope["content"])
    return {**envelope, "content": bytes(envelope["content"])}
