"""Where the outcomes of submitted jobs arrive."""

import os
import threading
from collections import deque
from typing import Any


def timeout_s(timeout_ms: int) -> float | None:
    """A timeout in milliseconds as Python's locks take it; a negative one, or one too long for them, is no limit."""
    return timeout_ms / 1000 if 0 <= timeout_ms / 1000 <= threading.TIMEOUT_MAX else None


class Mailbox:
    """A thread-safe list of (token, outcome) pairs with a descriptor that an event loop can poll."""

    _reader = _writer = -1

    def __init__(self) -> None:
        self._ready = threading.Condition(threading.Lock())
        self._pairs: deque[tuple[Any, Any]] = deque()
        self._reader, self._writer = _open_signal()

    def fileno(self) -> int:
        """A descriptor that polls readable while outcomes wait, or -1 where the platform has none or after `close`."""
        return self._reader

    def drain(self) -> list[tuple[Any, Any]]:
        """All waiting (token, outcome) pairs, oldest first; clears the signal."""
        with self._ready:
            pairs = list(self._pairs)
            self._pairs.clear()
            if pairs and self._reader >= 0:
                os.read(self._reader, 8)
            return pairs

    def wait(self, timeout_ms: int) -> bool:
        """Block until an outcome waits (True) or `timeout_ms` are over (False); a negative timeout never ends."""
        with self._ready:
            return self._ready.wait_for(lambda: bool(self._pairs), timeout_s(timeout_ms))

    def post(self, token: object, outcome: object) -> None:
        """Put one pair in; only the executor does this."""
        with self._ready:
            # Only the first pair signals: the descriptor then holds one token at most and a write cannot block.
            if not self._pairs and self._writer >= 0:
                os.write(self._writer, _SIGNAL)
            self._pairs.append((token, outcome))
            self._ready.notify_all()

    def close(self) -> None:
        """Close the descriptor; outcomes that still arrive are kept for `drain`. Closing twice does nothing."""
        with self._ready:
            for descriptor in {self._reader, self._writer} - {-1}:
                os.close(descriptor)
            self._reader = self._writer = -1

    def __del__(self) -> None:
        if self._reader >= 0:
            self.close()


_SIGNAL = (1).to_bytes(8, "little")


def _open_signal() -> tuple[int, int]:
    """The reading and the writing end of a non-blocking signal; (-1, -1) where nothing of the kind can be polled."""
    if os.name == "nt":
        return -1, -1
    if hasattr(os, "eventfd"):
        descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        return descriptor, descriptor
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    return reader, writer
