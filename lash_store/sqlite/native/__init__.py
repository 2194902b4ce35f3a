"""The executor, in C or in Python: the one place that chooses, by `lash_store.native_choice`."""

from typing import TYPE_CHECKING, Any, TypeAlias

import apsw

from lash_store import native_choice

__all__ = [
    "BUSY",
    "CLOSED",
    "DONE",
    "FAILED",
    "GUARD",
    "IMPLEMENTATION",
    "INVALID",
    "SANITIZERS",
    "VFS",
    "Executor",
    "Mailbox",
    "Outcome",
    "Ticket",
    "register_clock",
]


def _load() -> str | None:
    """Hand apsw's SQLite to the C module; the name of the VFS to open databases with."""
    connection = apsw.Connection(":memory:")
    try:
        connection.enable_load_extension(True)
        try:
            connection.load_extension(_native.__file__, _native.EXTENSION_ENTRY)
        finally:
            connection.enable_load_extension(False)
    finally:
        connection.close()
    # The functions are found by their places in SQLite's table: a wrong answer here means a wrong table.
    if _native.libversion() != apsw.sqlite_lib_version():
        raise ImportError(
            f"the C module is attached to SQLite {_native.libversion()}, apsw uses {apsw.sqlite_lib_version()}"
        )
    return _native.register_vfs()


Outcome: TypeAlias = tuple[Any, ...]

_use_c = native_choice.CHOICE != "python"
VFS: str | None = None
if _use_c:
    try:
        from lash_store.sqlite.native import _native

        VFS = _load()
    except (ImportError, apsw.Error) as error:
        native_choice.do_without(error)
        _use_c = False

if TYPE_CHECKING or _use_c:
    from lash_store.sqlite.native._native import (
        BUSY,
        CLOSED,
        DONE,
        FAILED,
        GUARD,
        IMPLEMENTATION,
        INVALID,
        SANITIZERS,
        Executor,
        Mailbox,
        Ticket,
        register_clock,
    )
else:
    from lash_store.sqlite.native.pure import (
        BUSY,
        CLOSED,
        DONE,
        FAILED,
        GUARD,
        IMPLEMENTATION,
        INVALID,
        Executor,
        Mailbox,
        Ticket,
        register_clock,
    )

    SANITIZERS = ""
