"""Byte strings as arrays of integers, in C or in Python: the one place that chooses, by `lash_store.native_choice`."""

from lash_store import native_choice

IMPLEMENTATION = "python"
if native_choice.CHOICE != "python":
    try:
        from lash_store.codecs._intarrays import decode, encode

        IMPLEMENTATION = "c"
    except ImportError as error:
        native_choice.do_without(error)
if IMPLEMENTATION == "python":
    from lash_store.codecs._intarrays_python import decode, encode

__all__ = ["IMPLEMENTATION", "decode", "encode"]
