"""The golden vectors that are too long for a line of code: one file each in data/, as the specification prints them."""

from pathlib import Path

DATA = Path(__file__).parent / "data"


def text(name: str) -> str:
    """Return the vector `name`, without the line feed at the end of its file."""
    return (DATA / name).read_text("utf-8").removesuffix("\n")


def binary(name: str) -> bytes:
    """Return the bytes of the vector `name`, which is kept in hexadecimal digits."""
    return bytes.fromhex(text(f"{name}.hex"))
