"""The rows of a registry's file as they are, read and changed past the registry."""

from pathlib import Path
from typing import Any

import apsw


def rows(path: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """What a statement returns, on a connection of its own."""
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(30_000)
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()
