"""Byte strings as MessagePack arrays of integers: one element for each byte, never the `bin` family."""

SANITIZERS: str
"""What the module was built with: "address,undefined", or "" for a plain build."""

def encode(data: bytes | bytearray | memoryview, prefix: bytes | bytearray | memoryview = b"") -> bytes:
    """`prefix` followed by the array of the bytes of `data`: header, then one integer each in its shortest form.

    Raises OverflowError from 2^32 bytes on, MemoryError, and ValueError if another thread changes `data` meanwhile.
    """

def decode(data: bytes | bytearray | memoryview, start: int = 0) -> tuple[bytes, int]:
    """The bytes of the array that begins at offset `start`, and the offset behind it.

    Elements may have any integer form. Raises ValueError if there is no array, if an element is no integer 0 ... 255,
    or if `data` ends early; MemoryError.
    """

def kernels() -> list[str]:
    """The ways in which this processor can do it, the fastest, which is used, first."""

def use_kernel(name: str) -> None:
    """Takes another of the ways: for tests. Raises ValueError for a name that is not in `kernels()`."""
