"""The writer of one database: its connection, its executor, and the two threads that serve them.

The threads hold the writer, never the handle that a caller has: a handle that is dropped can be told from one in use.
"""

import threading
from collections.abc import Callable
from typing import Any

import apsw

from lash_store.clock import Clock
from lash_store.errors import StoreClosed, StoreReentered
from lash_store.sqlite import forks
from lash_store.sqlite.closures import Call, ClosureRunner
from lash_store.sqlite.connection import add_clock_function, open_helper, translated
from lash_store.sqlite.native import Executor

WORKER_IDLE_MS = 10_000
"""After this long without work (ms) the worker thread ends; the next submission starts another."""

_FOREVER_MS = 2**40
_RETRY_S = 1.0
"""After this long (s) a checkpointer that could not open the file is asked for again, if one is needed."""


class Writer:
    """The one connection of this handle that writes. All methods are thread-safe."""

    def __init__(
        self, connection: apsw.Connection, path: str, *, clock: Clock, busy_timeout_ms: int, checkpoints: bool
    ) -> None:
        self.path = path
        self._connection = connection
        self._checkpoints = checkpoints
        self._threads: list[threading.Thread] = []
        self._threads_lock = threading.Lock()
        self._ending = threading.Event()
        self._generation = forks.generation
        self.checkpointer_failures = 0
        with translated(path):
            add_clock_function(connection, clock)
        self.executor = Executor(
            connection,
            busy_timeout_ms=busy_timeout_ms,
            start_worker=self._start_worker,
            start_checkpointer=self._start_checkpointer,
        )
        self._closures = ClosureRunner(
            connection,
            clock=clock,
            path=path,
            budget_ms=busy_timeout_ms,
            executor=self.executor,
        )
        forks.protect(self, connection.filename)

    def run_call(self, call: Call) -> Any:
        """Run a closure on the calling thread, after what stands before it in the queue."""
        self.executor.hold(lambda: self._closures.run([call]))
        return call.result()

    def check_closable(self) -> None:
        """Raise StoreReentered within a closure of this writer, which would wait for itself."""
        if self.executor.owned():
            raise StoreReentered(self.path)

    def close(self) -> None:
        """Let queued work run, end the threads, close the connection. If it is interrupted, it can be called again."""
        self.executor.stop()
        self.executor.wait_idle(_FOREVER_MS)
        self._end_threads()
        self._join(None)
        self.executor.close()
        with translated(self.path):
            self._connection.close()
        forks.release(self)

    def abandon(self, join_s: float) -> None:
        """End without waiting for queued work, which is answered StoreClosed; wait at most `join_s` for the threads.

        If a closure still runs then, the connection is left to it.
        """
        if self._generation != forks.generation:
            return
        self.executor.abort()
        self._end_threads()
        if self._join(join_s) and self.executor.wait_idle(int(join_s * 1000)):
            self.executor.close()
            self._connection.close()

    def _end_threads(self) -> None:
        """No thread starts from now on."""
        with self._threads_lock:
            self._ending.set()

    def _join(self, timeout_s: float | None) -> bool:
        with self._threads_lock:
            threads = list(self._threads)
        for thread in threads:
            # One whose start was interrupted may never have run: then there is nothing to wait for.
            if thread is not threading.current_thread() and thread.ident is not None:
                thread.join(timeout_s)
        return not any(thread.is_alive() for thread in threads)

    def _start(self, target: Callable[[], None], name: str) -> None:
        # Daemons: a handle left open must not keep the interpreter from ending; database.py sees to them then.
        thread = threading.Thread(target=target, name=f"lash_store {name} {self.path}", daemon=True)
        with self._threads_lock:
            if self._ending.is_set():
                return
            self._threads = [other for other in self._threads if other.is_alive()]
            self._threads.append(thread)
            try:
                thread.start()
            except Exception:
                self._threads.remove(thread)
                raise

    def _start_worker(self) -> None:
        self._start(self._work, "writer")

    def _start_checkpointer(self) -> None:
        if self._checkpoints:
            self._start(self._checkpoint, "checkpointer")

    def _work(self) -> None:
        executor = self.executor
        while (tickets := executor.serve(WORKER_IDLE_MS)) is not None:
            try:
                self._closures.run([ticket.call for ticket in tickets])
            finally:
                for ticket in tickets:
                    executor.finish(ticket, ticket.call)
                executor.release()

    def _checkpoint(self) -> None:
        try:
            with translated(self.path):
                locker, checkpointer = open_helper(self.path), open_helper(self.path)
                try:
                    self.executor.serve_checkpoints(locker, checkpointer)
                finally:
                    checkpointer.close()
                    locker.close()
        except StoreClosed:
            return
        except Exception:  # noqa: BLE001  counted: stats tell of it; commits go on, and the next long log asks again
            self.checkpointer_failures += 1
            self._ending.wait(_RETRY_S)
        finally:
            self.executor.checkpointer_ended()
