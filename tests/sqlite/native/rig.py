"""One executor under test, with threads that come when they are asked for."""

import select
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from lash_store.sqlite import native
from lash_store.sqlite.native import Executor, Mailbox

DONE, GUARD, FAILED, BUSY, INVALID, CLOSED = range(6)
ANYTHING, ROW, NO_ROW = -1, -2, -3
FAIL, STOP = 0, 1
# How long anything may take before a test calls it a hang, in seconds.
PATIENCE_S = 20.0


@dataclass
class Step:
    """A step as the executor reads it."""

    sql: Any
    values: Any = ()
    expect: Any = ANYTHING
    otherwise: Any = FAIL
    rows: bool = False
    many: bool = False


def insert(*values: object, into: str = "t(a)") -> Step:
    return Step(f"INSERT INTO {into} VALUES ({', '.join('?' * len(values))})", values)


def open_connection(path: Path, vfs: str | None = native.VFS) -> apsw.Connection:
    connection = apsw.Connection(str(path), vfs=vfs)
    connection.wal_autocheckpoint(0)
    return connection


def await_true(condition: Callable[[], bool]) -> None:
    """Wait for what no event announces."""
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < ends, "what was waited for did not happen"
        time.sleep(0.001)


class Rig:
    """One executor on a file, a worker and a checkpointer that start when they are asked for, and one mailbox."""

    def __init__(self, path: Path, *, busy_timeout_ms: int = 10_000) -> None:
        self.path = path
        with closing(open_connection(path)) as setup:
            setup.pragma("journal_mode", "wal")
            setup.execute("CREATE TABLE t(a UNIQUE, b)")
        self.connection = open_connection(path)
        self.mailbox = Mailbox()
        self.threads: list[threading.Thread] = []
        self.may_checkpoint = threading.Event()
        self.may_checkpoint.set()
        self.checkpoint_vfs = native.VFS
        self.checkpointer_has_read = True
        self.workers_wanted = self.checkpointers_wanted = 0
        self.executor = Executor(
            self.connection,
            busy_timeout_ms=busy_timeout_ms,
            start_worker=self.start_worker,
            start_checkpointer=self.start_checkpointer,
        )
        self.function("thread_id", threading.get_ident)

    def function(self, name: str, body: Callable[..., Any]) -> None:
        """Make `body` callable from the writer's SQL."""
        self.connection.create_scalar_function(name, body)

    def start_worker(self) -> None:
        self.workers_wanted += 1
        self.spawn(self.work)

    def start_checkpointer(self) -> None:
        self.checkpointers_wanted += 1
        self.spawn(self.checkpoint)

    def spawn(self, body: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=body, daemon=True)
        self.threads.append(thread)
        thread.start()
        return thread

    def work(self) -> None:
        while (tickets := self.executor.serve(60_000)) is not None:
            for ticket in tickets:
                self.executor.finish(ticket, ticket.call())
            self.executor.release()

    def checkpoint(self) -> None:
        self.may_checkpoint.wait(PATIENCE_S)
        locker, checkpointer = open_connection(self.path), open_connection(self.path, vfs=self.checkpoint_vfs)
        if self.checkpointer_has_read:
            checkpointer.pragma("user_version")
        self.executor.serve_checkpoints(locker, checkpointer)
        locker.close()
        checkpointer.close()

    def run(self, *steps: Step) -> Any:
        return self.executor.run(steps)

    def submit(self, *steps: Step, tag: object = None) -> Any:
        return self.executor.submit(steps, self.mailbox, tag)

    def group(self, *plans: Step | tuple[Step, ...]) -> list[Any]:
        """The outcomes of plans that stood in the queue together, in their order."""
        self.executor.acquire()
        for number, plan in enumerate(plans):
            self.executor.submit(plan if isinstance(plan, tuple) else (plan,), self.mailbox, number)
        self.executor.release()
        outcomes = dict(self.receive(len(plans)))
        return [outcomes[number] for number in range(len(plans))]

    def receive(self, count: int) -> list[tuple[Any, Any]]:
        """Wait for exactly `count` outcomes."""
        pairs: list[tuple[Any, Any]] = []
        while len(pairs) < count:
            assert self.mailbox.wait(int(PATIENCE_S * 1000)), f"{len(pairs)} of {count} outcomes came"
            pairs += self.mailbox.drain()
        assert len(pairs) == count
        return pairs

    def column(self, table: str = "t") -> list[Any]:
        """What is committed in the first column of `table`, as another connection sees it."""
        with closing(open_connection(self.path)) as other:
            return [row[0] for row in other.execute(f"SELECT * FROM {table} ORDER BY rowid")]

    def queued(self, count: int) -> None:
        """Wait until `count` jobs are queued."""
        await_true(lambda: self.executor.counters()["queued"] == count)

    def close(self) -> None:
        if self.executor.owned():
            self.executor.release()
        self.executor.abort()
        for thread in self.threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), "a thread did not come back"
        self.executor.close()
        self.connection.close()
        self.mailbox.close()


WHO = Step("SELECT thread_id()", rows=True)


def readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])
