"""Records as JSON and MessagePack, straight from their attributes: see encoder.py, which makes the tables."""

from typing import Any, final

SANITIZERS: str
"""What the module was built with: "address,undefined", or "" for a plain build."""

@final
class Writer:
    """Writes the values that its table describes, if they are of the usual kind.

    Every method answers None for any other value, whether it has a stored form or not, and raises MemoryError only.
    A writer without a table answers None to everything.
    """

    def define(self, table: tuple[Any, ...]) -> None:
        """Gives the writer its table, once. Raises TypeError if that is none, ValueError if it has one."""

    def compact(self, value: object, /) -> bytes | None:
        """The JSON text, keys in declared order."""

    def hashed(self, value: object, /) -> bytes | None:
        """The JSON text that is hashed: keys sorted, without what two attempts at one turn do not share (4.8)."""

    def packed(self, value: object, /) -> bytes | None:
        """The MessagePack bytes, keys in declared order."""
