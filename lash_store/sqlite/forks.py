"""What a fork does to open databases.

A child that inherits an SQLite connection must neither use nor close it: closing would checkpoint and delete the log
of the parent, and the child holds none of the locks that it believes to hold. So in the child every handle refuses to
work, and what it owns is kept for ever instead of being destroyed.
"""

import ctypes
import os
import weakref

_inherited: weakref.WeakSet[object] = weakref.WeakSet()
_generation = 0


def generation() -> int:
    """A number that is another one in every child of this process."""
    return _generation


def protect(owner: object) -> None:
    """Keep `owner`, and the connections it owns, from ever being destroyed in a child of this process."""
    _inherited.add(owner)


def _after_fork_in_child() -> None:
    global _generation  # noqa: PLW0603  one process, one number
    _generation += 1
    for owner in list(_inherited):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(owner))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
