"""C or Python: what is asked for, and what is said where C cannot be had. The one home of `LASH_STORE_NATIVE`.

`=c` insists on the C modules, `=python` on their twins. Without the variable each C module is used if it is there.
`sqlite.native`, `records.encoder` and `codecs.intarrays` choose by it.
"""

import os
import warnings
from typing import Final

VARIABLE: Final = "LASH_STORE_NATIVE"
CHOICE: Final = os.environ.get(VARIABLE, "")
"""What is asked for: "c", "python", or "" for whatever is there."""

if CHOICE not in ("", "c", "python"):
    raise ImportError(f"{VARIABLE} is {CHOICE!r}; set it to 'c' or 'python', or not at all")

_told = False


def do_without(reason: Exception) -> None:
    """A C module cannot be used: a RuntimeWarning, one in a process, says what that costs.

    Raises ImportError, from `reason`, where C is insisted on.
    """
    global _told  # noqa: PLW0603  where nothing could be compiled three modules are missing: that is one thing to say
    if CHOICE == "c":
        raise ImportError(f"{VARIABLE}=c, but the C module cannot be used: {reason}") from reason
    if not _told:
        _told = True
        warnings.warn(
            f"lash_store runs without its C module ({reason}): Python does the same work, slower; if it is the "
            "executor that is missing, the write lock is held while Python waits for its turn, so a busy thread slows "
            f"every writer of the file, often a hundredfold; install a wheel or a C compiler, or set {VARIABLE}=python "
            "to accept it",
            RuntimeWarning,
            stacklevel=3,
        )
