"""Databases that are created, removed and looked at."""

from contextlib import closing
from pathlib import Path

import apsw

from lash_store import Database, Plan, Step
from lash_store.sqlite.removal import remove_database

TABLE = Plan([Step("CREATE TABLE IF NOT EXISTS arrival (n INTEGER PRIMARY KEY)")])
ADD = Plan([*TABLE.steps, Step("INSERT INTO arrival DEFAULT VALUES")])


def create(path: Path) -> None:
    with Database.open(path) as database:
        database.run(ADD)


def remove(path: Path) -> None:
    remove_database(str(path))


def files(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


def rows(path: Path) -> int:
    """How many rows the file holds, in the table of arrivals or in that of blobs; it is sound."""
    with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        assert connection.pragma("integrity_check") == "ok"
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        return int(connection.execute(f"SELECT count(*) FROM {'arrival' if 'arrival' in tables else 'blobs'}").get)
