"""What a fork does to open databases.

A child that inherits an SQLite connection must neither use nor close it: closing would checkpoint and delete the log
of the parent, and the child holds none of the locks that it believes to hold. So in the child every handle refuses to
work, and what it owns is kept for ever instead of being destroyed. Nor can the child open the same file again: SQLite
keeps one record of locks for each file and process, and the inherited record says that the process has locks which the
fork did not give it. The new handle would take none, and whoever closes last elsewhere would delete the log under it.
"""

import ctypes
import os
import weakref
from typing import Protocol


class Owner(Protocol):
    """Something that owns connections to the database at `path`."""

    @property
    def path(self) -> str:
        """The path as it was given."""


_owners: "weakref.WeakSet[Owner]" = weakref.WeakSet()
_inherited_files: set[tuple[int, int]] = set()
_generation = 0


def generation() -> int:
    """A number that is another one in every child of this process."""
    return _generation


def protect(owner: Owner) -> None:
    """Keep `owner`, and the connections it owns, from ever being destroyed in a child of this process."""
    _owners.add(owner)


def release(owner: Owner) -> None:
    """Forget `owner`, whose connections are closed."""
    _owners.discard(owner)


def is_inherited(path: str) -> bool:
    """Whether the parent of this process had the file at `path` open when it forked."""
    return bool(_inherited_files) and _identity(path) in _inherited_files


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  stat opens nothing: no lock is lost
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _after_fork_in_child() -> None:
    global _generation  # noqa: PLW0603  one process, one number
    _generation += 1
    for owner in list(_owners):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner))
        identity = _identity(owner.path)
        if identity is not None:
            _inherited_files.add(identity)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
