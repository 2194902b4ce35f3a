"""Schema versions: a database is of one kind and version, or new, or refused and left as it is (specification 1.2)."""

from collections.abc import Mapping
from typing import Any, Final

import apsw
import msgspec

from lash_store.errors import AnotherKindOfDatabase, UnsupportedSchemaVersion

# One statement, so that both are of one moment: another opener may be creating everything right now. `sqlite_` is
# SQLite's own prefix; without the escape `_` would stand for any character, and pass over `sqlite2x`.
_STATE: Final = r"""
SELECT user_version, name FROM pragma_user_version LEFT JOIN sqlite_schema ON name NOT LIKE 'sqlite\_%' ESCAPE '\'
"""


ADDED: Final = "lash_"
"""With this begin the names of what this package adds to a kind of database; others do without."""

# A table of each kind of database that there is, whatever its version: the kinds count their versions separately.
_MARKS: Final = frozenset({"session_head", "process_handle_grants", "runtime_effect_replay", "host_event_occurrences"})


class Schema(msgspec.Struct, frozen=True):
    """What a database of one `kind` and `version` (its `user_version`) holds.

    `objects` maps the name of each table and index to the statement that creates it if it is missing, in an order in
    which they can run. A file of the right version that has them all is opened without a write.
    """

    kind: str
    version: int
    objects: Mapping[str, str]


def is_new(connection: apsw.Connection) -> bool:
    """Whether nothing was created in the file yet: it has no version, and holds nothing."""
    return _state(connection) == (0, set())


def is_complete(connection: apsw.Connection, path: str, schema: Schema) -> bool:
    """Whether the file has everything; False if it is new, or lacks what can be added.

    Raises AnotherKindOfDatabase for a file in which there is nothing of this schema, but something else, if it has the
    right version or is a database of one of the other kinds; UnsupportedSchemaVersion for any other file of another
    version, and for one without a version that holds something.
    """
    found, present = _state(connection)
    _require_kind(path, schema, found, present)
    if found == schema.version:
        return schema.objects.keys() <= present
    if found == 0 and not present:
        return False
    raise UnsupportedSchemaVersion(path, schema.kind, schema.version, found)


def complete(connection: apsw.Connection, path: str, schema: Schema) -> None:
    """Create what is missing, in one transaction; of many first openers one does, the others find it done.

    Raises as `is_complete` does, and apsw's errors.
    """
    if is_complete(connection, path, schema):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not is_complete(connection, path, schema):  # somebody else may have been here since
            for statement in schema.objects.values():
                connection.execute(statement)
            connection.pragma("user_version", schema.version)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def require_version(connection: apsw.Connection, path: str, schema: Schema) -> None:
    """For a file that shall only be read: raise as `is_complete` does, and refuse a new one, too."""
    found, present = _state(connection)
    _require_kind(path, schema, found, present)
    if found != schema.version:
        raise UnsupportedSchemaVersion(path, schema.kind, schema.version, found)
    if not {name for name in schema.objects if not name.startswith(ADDED)} <= present:
        raise AnotherKindOfDatabase(path, schema.kind)


def _state(connection: apsw.Connection) -> tuple[int, set[str]]:
    """The file's version, and the names of its objects."""
    rows: list[tuple[Any, ...]] = connection.execute(_STATE).fetchall()
    return rows[0][0], {name for _, name in rows if name is not None}


def _require_kind(path: str, schema: Schema, found: int, present: set[str]) -> None:
    # Several kinds have the same version, and none an id: the tables tell.
    telling = present if found == schema.version else present & _MARKS
    if telling and not schema.objects.keys() & present:
        raise AnotherKindOfDatabase(path, schema.kind)
