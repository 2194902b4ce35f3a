"""What may hang, bounded: child programs, calls on threads of their own, conditions that no event announces."""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from lash_store.sqlite import native

T = TypeVar("T")

LIMIT_S: Final = 30.0
"""How long anything may take before a test calls it a hang."""
ROOT: Final = Path(__file__).parents[1]


class Program:
    """A module of tests.programs in a process of its own, spoken to in lines; killed when the block ends.

    It runs on the same native implementation as the tests, and any warning is an error there, too.
    """

    def __init__(self, module: str, *arguments: object, warnings: str = "error") -> None:
        self.name = module
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  closed in __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-W", warnings, "-m", f"tests.programs.{module}", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "LASH_STORE_NATIVE": native.IMPLEMENTATION},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
        )
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._listener = threading.Thread(target=self._listen, name=f"listener of {module}", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def say(self, line: str) -> None:
        """Send a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self, limit_s: float = LIMIT_S) -> str:
        """Return the program's next line; fails if it ends or falls silent instead."""
        try:
            line = self._lines.get(timeout=limit_s)
        except Empty:
            raise AssertionError(f"{self.name} said nothing for {limit_s} s: {self._complaints()}") from None
        assert line is not None, f"{self.name} ended too early: {self._complaints()}"
        return line

    def ask(self, line: str, limit_s: float = LIMIT_S) -> str:
        """Send a line and return the answer."""
        self.say(line)
        return self.hear(limit_s)

    def kill(self) -> None:
        """End it on the spot, as the system does when memory runs out."""
        self._process.kill()
        self._process.wait(LIMIT_S)

    def end(self, limit_s: float = LIMIT_S) -> str:
        """Close its input, wait for its end, and return what it wrote to its standard error."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end within {limit_s} s: {self._complaints()}") from None
        assert code == 0, f"{self.name} ended with {code}: {self._complaints()}"
        return self._complaints()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.kill()
        self._process.stdin.close()
        self._listener.join(LIMIT_S)
        self._process.stdout.close()
        self._errors.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _complaints(self) -> str:
        self._errors.seek(0)
        return self._errors.read()


class Background(Generic[T]):
    """A call on a daemon thread: its result or error arrives within a limit, or the test fails."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def done(self, within_s: float = 0.0) -> bool:
        """Whether the call has ended, or does so within `within_s`."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def result(self, limit_s: float = LIMIT_S) -> T:
        """Return the call's value, or raise its error."""
        assert self.done(limit_s), f"the call hangs: it does not end within {limit_s} s"
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._call())
        except BaseException as error:  # noqa: BLE001  it is raised where the result is asked for
            self._error = error


def bounded(call: Callable[[], T], limit_s: float = LIMIT_S) -> T:
    """Return what `call` returns, or raise what it raises; fails if that takes longer than `limit_s`."""
    return Background(call).result(limit_s)


def await_true(condition: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Wait for what no event announces."""
    ends = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < ends, "what was waited for did not happen"
        time.sleep(0.001)
