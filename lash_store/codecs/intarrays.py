"""The one place that brings in the C or the Python implementation of byte strings as arrays of integers.

`LASH_STORE_NATIVE` is "c" or "python"; without it the C module is taken if it is there. Nothing is said if it is not:
`lash_store.sqlite.native`, which chooses by the same variable, warns for the whole package.
"""

import os
from typing import Final

_WANTED: Final = os.environ.get("LASH_STORE_NATIVE", "")

if _WANTED not in ("", "c", "python"):
    raise ImportError(f"LASH_STORE_NATIVE is {_WANTED!r}; it must be 'c' or 'python', or not set at all")

if _WANTED == "python":
    from lash_store.codecs._intarrays_python import decode, encode, kernels, use_kernel

    IMPLEMENTATION = "python"
else:
    try:
        from lash_store.codecs._intarrays import decode, encode, kernels, use_kernel

        IMPLEMENTATION = "c"
    except ImportError:
        if _WANTED == "c":
            raise
        from lash_store.codecs._intarrays_python import decode, encode, kernels, use_kernel

        IMPLEMENTATION = "python"

__all__ = ["IMPLEMENTATION", "decode", "encode", "kernels", "use_kernel"]
