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
from typing import TypeAlias

_Identity: TypeAlias = tuple[int, int]  # device and inode
_owners: "weakref.WeakKeyDictionary[object, _Identity | None]" = weakref.WeakKeyDictionary()
_inherited_files: set[_Identity | None] = set()
generation = 0
"""A number that is another one in every child of this process."""


def protect(owner: object, file: str) -> None:
    """Keep `owner`, and its connections to `file`, from ever being destroyed in a child of this process."""
    _owners[owner] = _identity(file)


def release(owner: object) -> None:
    """Forget `owner`, whose connections are closed."""
    _owners.pop(owner, None)


def is_inherited(file: str) -> bool:
    """Whether the parent of this process had `file` open when it forked."""
    return bool(_inherited_files) and _identity(file) in _inherited_files


def _identity(file: str) -> _Identity | None:
    try:
        found = os.stat(file)  # noqa: PTH116  stat opens nothing: no lock is lost
    except (OSError, ValueError):
        return None  # in memory
    return found.st_dev, found.st_ino


def _after_fork_in_child() -> None:
    global generation  # noqa: PLW0603  one process, one number
    generation += 1
    _inherited_files.update(_owners.values())
    _inherited_files.discard(None)
    for owner in list(_owners):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
