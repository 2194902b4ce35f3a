"""The sessions of a folder, for whoever lets one be chosen."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from lash_store.errors import AnotherKindOfDatabase, StoreError, StoreOpenFailed
from lash_store.records.session_meta import SessionPickerInfo
from lash_store.sqlite import schema
from lash_store.sqlite.database import Database
from lash_store.sqlite.ops import session_meta
from lash_store.sqlite.ops.session_schema import SESSION_SCHEMA
from lash_store.sqlite.ops.texts import readable

if TYPE_CHECKING:
    import apsw

_THREADS: Final = 2


class ListedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session database in a folder: what a list shows of it, or the `error` why that cannot be read.

    Neither is there for one that has no row of names: it is just being created, or was not made by a factory.
    """

    path: Path
    info: SessionPickerInfo | None = None
    error: StoreError | None = None


def list_folder(folder: Path) -> list[ListedSession]:
    """The session databases `*.db` of a folder, by name; none if there is no such folder.

    Raises StoreOpenFailed for a folder that cannot be read; what is wrong with a file is told in its row.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(".db") and not entry.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreOpenFailed(os.fspath(folder), f"the folder cannot be read: {error}") from error
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="lash_store list") as threads:
        return [row for row in threads.map(lambda name: _row(folder / name), names) if row is not None]


def _row(path: Path) -> ListedSession | None:
    """The row of a file; None if it is no session, or gone again."""
    try:
        with Database.open_readonly(path) as database:
            return ListedSession(path=path, info=database.read(lambda connection: _info(connection, path)))
    except AnotherKindOfDatabase:
        return None
    except StoreError as error:
        return ListedSession(path=path, error=error) if path.is_symlink() or path.exists() else None


def _info(connection: "apsw.Connection", path: Path) -> SessionPickerInfo | None:
    if schema.is_new(connection):
        return None
    schema.is_complete(connection, os.fspath(path), SESSION_SCHEMA)  # raises if it is no session of this version
    with readable("text in the database", os.fspath(path)):
        return session_meta.read_picker_info(connection)
