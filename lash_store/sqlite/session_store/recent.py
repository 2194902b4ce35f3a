"""Which blobs a handle knows to be stored: it has committed or loaded them not long ago."""

from collections.abc import Iterable
from typing import Final

_KEPT: Final = 64


class RecentRefs:
    """The refs noted last. A belief only: plans verify that the blobs are there, not that they are still whole."""

    def __init__(self) -> None:
        self._refs: dict[str, None] = {}

    def __contains__(self, ref: object) -> bool:
        return ref in self._refs

    def note(self, refs: Iterable[str]) -> None:
        """Add refs, or make them the latest again; the oldest are dropped."""
        for ref in refs:
            self._refs.pop(ref, None)
            self._refs[ref] = None
        while len(self._refs) > _KEPT:
            del self._refs[next(iter(self._refs))]

    def clear(self) -> None:
        """Forget all."""
        self._refs.clear()
