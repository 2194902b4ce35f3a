"""Removing a database that nobody has open.

To unlink a database, or its log, under an open handle corrupts whatever is created at the same path next: the old
handle goes on writing into a log that it finds by its name. So the file is removed only under SQLite's exclusive lock,
which no other handle leaves room for, and is marked before: who opened it in between, and waits for the lock, refuses
it then.
"""

import os
from typing import Final

import apsw

from lash_store.errors import NotADatabase, StoreOpenFailed, StoreRemovalFailed
from lash_store.sqlite.connection import open_for_removal, translated

_REMOVED: Final = -1
"""The `user_version` of a file that is about to go; no schema has it."""
_SIDECARS: Final = ("-wal", "-shm")


def remove_database(path: str) -> None:
    """Remove the file at `path` and its `-wal` and `-shm`. What is not there is fine.

    Raises StoreInUse if any handle is open on it, StoreRemovalFailed with the path that could not be removed, and
    StoreReadOnly, StoreForked and StoreOpenFailed as an open does.
    """
    sidecars = [path + sidecar for sidecar in _SIDECARS]
    if not any(map(os.path.lexists, (path, *sidecars))):
        return
    connection = _locked(path)
    try:
        if connection is not None and os.name == "nt":
            connection.close()  # an open file cannot be removed there
        # The database last: as soon as its name is free, the names beside it belong to whoever creates the next one.
        for name in (*sidecars, path):
            _unlink(name)
    finally:
        if connection is not None:
            connection.close()


def _locked(path: str) -> apsw.Connection | None:
    """A connection that holds the file alone, the mark set; None for a file that nobody can open.

    Where only a log was left behind, the file is created for it, so that whoever comes now waits for the lock.
    """
    existed = os.path.lexists(path)
    try:
        connection = open_for_removal(path)
    except NotADatabase:
        return None
    except StoreOpenFailed:
        if existed:
            raise
        return None
    try:
        with translated(path):
            connection.pragma("journal_mode", "delete")  # empties the log, and needs the file for itself
            connection.pragma("user_version", _REMOVED)
    except BaseException:
        connection.close()
        raise
    return connection


def _unlink(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108  a Path would normalise what SQLite must see as it is
    except FileNotFoundError:
        pass
    except OSError as error:
        raise StoreRemovalFailed(path, error.strerror or str(error)) from error
