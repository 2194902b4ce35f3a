"""The executor, in C or in Python: the one place that chooses.

`LASH_STORE_NATIVE=c` insists on the C module, `=python` on its twin. Without the variable the C module is used if it is
there; if it is not, one RuntimeWarning says what that costs.
"""

import os
import warnings
from typing import TYPE_CHECKING, Any, TypeAlias

import apsw

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

_choice = os.environ.get("LASH_STORE_NATIVE", "")
if _choice not in ("", "c", "python"):
    raise ImportError(f"LASH_STORE_NATIVE is {_choice!r}; set it to 'c' or 'python', or not at all")

_use_c = _choice != "python"
VFS: str | None = None
if _use_c:
    try:
        from lash_store.sqlite.native import _native

        VFS = _load()
    except (ImportError, apsw.Error) as error:
        if _choice == "c":
            raise ImportError(f"LASH_STORE_NATIVE=c, but the C module cannot be used: {error}") from error
        warnings.warn(
            f"lash_store runs without its C module ({error}): the write lock is held while Python waits for its turn, "
            "so a busy thread slows every writer of the file, often a hundredfold; "
            "install a wheel or a C compiler, or set LASH_STORE_NATIVE=python to accept it",
            RuntimeWarning,
            stacklevel=2,
        )
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
