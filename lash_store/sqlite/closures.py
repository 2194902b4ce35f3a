"""Closures on the writer connection, by a thread that holds the writer role.

Closures that wait at the same time share one transaction, a savepoint each: one that raises is rolled back to its
savepoint and the others stand. If something ends the whole transaction (a full disk, an I/O error), the closures that
had run before are run once more in a new one, so a closure may be called again and must have no effects but its writes.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import apsw

from lash_store.clock import Clock
from lash_store.errors import StoreBackend, StoreForked, StoreMisuse
from lash_store.sqlite import forks
from lash_store.sqlite.connection import translate
from lash_store.sqlite.native import Executor
from lash_store.sqlite.transaction import Commit, Rollback, Transaction

_LONGEST_HOLD_S = 0.005  # what a group of closures may hold the lock before it commits
_NO_TIME_S = 0.001


class Call:
    """A closure and what became of it: `value`, or the `error` to raise; `done` says whether it is final."""

    __slots__ = ("asked_s", "done", "error", "run", "value")

    def __init__(self, run: Callable[[Any], Any]) -> None:
        self.run = run
        self.asked_s = time.monotonic()
        self.value: Any = None
        self.error: BaseException | None = None
        self.done = False

    def waited_ms(self) -> int:
        """How long ago it was asked for (ms)."""
        return int((time.monotonic() - self.asked_s) * 1000)

    def result(self) -> Any:
        """The value, or the error raised."""
        if self.error is not None:
            raise self.error
        return self.value


class RawCall(Call):
    """A closure on the connection itself, outside of any transaction."""

    __slots__ = ()


class WriteCall(Call):
    """A closure in a transaction; `flow`: it returns Commit or Rollback."""

    __slots__ = ("flow",)

    def __init__(self, run: Callable[[Transaction], Any], *, flow: bool) -> None:
        super().__init__(run)
        self.flow = flow


class ClosureRunner:
    """Runs closures on one writer connection, whose role the calling thread holds through `executor`."""

    def __init__(
        self, connection: apsw.Connection, *, clock: Clock, path: str, budget_ms: int, executor: Executor
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._path = path
        self._budget_ms = budget_ms
        self._executor = executor
        self._generation = forks.generation

    def run(self, calls: Sequence[Call]) -> None:
        """Run all of `calls`, in order; each is `done` afterwards. Raises nothing: the calls keep it."""
        try:
            self._run_all(calls)
        except BaseException as error:  # noqa: BLE001  a hook of the caller's, an interrupt: nobody else may suffer it
            for call in calls:
                if not call.done:
                    call.error = call.error or self._translated(error)
                    call.done = True

    def _run_all(self, calls: Sequence[Call]) -> None:
        group: list[WriteCall] = []
        for call in calls:
            if isinstance(call, WriteCall):
                group.append(call)
                continue
            self._run_groups(group)
            group = []
            self._run_raw(call)
        self._run_groups(group)

    def _run_groups(self, group: list[WriteCall]) -> None:
        while group:
            group = self._run_group(group)

    def _check_process(self) -> None:
        """Raise StoreForked if the closure forked and this is the child: its COMMIT would be the parent's."""
        if self._generation != forks.generation:
            raise StoreForked(self._path)

    def _run_raw(self, call: Call) -> None:
        self._executor.lend()
        try:
            call.value = call.run(self._connection)
        except BaseException as error:  # noqa: BLE001  it belongs to the caller, who gets it
            call.error = self._translated(error)
        self._check_process()
        if not _is_open(self._connection):
            self._executor.abort()
            call.error = StoreMisuse("the closure closed the writer's connection; close the handle, and open another")
            call.done = True
            return
        if self._connection.in_transaction:
            self._rollback()
            call.error = call.error or StoreMisuse(
                "the closure left a transaction open, which was rolled back; use write() for transactions"
            )
        if self._connection.txn_state("main") != apsw.SQLITE_TXN_NONE:
            # Half read, it holds a snapshot, and nobody can write from an old one: every write would be StoreBusy.
            call.value = None
            call.error = call.error or StoreMisuse(
                "the closure left a statement half read; fetch all of its rows, or close its cursor, before it returns"
            )
        call.done = True

    def _run_group(self, group: list[WriteCall]) -> list[WriteCall]:
        """One transaction; returns the members that must be run again in another one."""
        try:
            self._executor.before_begin(group[0].waited_ms())
            self._connection.execute("BEGIN IMMEDIATE")
        except apsw.BusyError as error:
            return self._fail_expired(group, error)
        except Exception as error:  # noqa: BLE001  it belongs to the callers, who get it
            return self._fail(group, error)
        self._executor.lend()
        deadline = time.monotonic() + _LONGEST_HOLD_S
        ran: list[WriteCall] = []
        for call in group:
            if ran and time.monotonic() > deadline:
                break
            alone = len(group) == 1
            if not self._run_member(call, alone=alone):
                call.done = True
                for other in ran:
                    other.done = other.error is not None
                return [other for other in group if not other.done]  # the transaction is gone with all before it
            ran.append(call)
        rest = group[len(ran) :]
        return self._end(ran) + rest

    def _end(self, ran: list[WriteCall]) -> list[WriteCall]:
        kept = sum(map(_is_kept, ran))
        try:
            self._connection.execute("COMMIT" if kept else "ROLLBACK")
        except Exception as error:  # noqa: BLE001  SQLite's refusal, or a commit hook's
            self._rollback()
            if len(ran) == 1:
                return self._fail(ran, error)
            for call in ran:
                if call.error is None:
                    self._run_group([call])
                call.done = True
            return []
        if kept:
            self._executor.note_commit(kept)
        for call in ran:
            if call.error is None and call.flow:
                call.value = call.value.value
            call.done = True
        return []

    def _run_member(self, call: WriteCall, *, alone: bool) -> bool:
        """Run one closure; False if the whole transaction is gone. The member's outcome is noted either way."""
        call.value, call.error = None, None
        transaction = Transaction(self._connection, self._clock, self._path)
        try:
            if not alone:
                self._connection.execute("SAVEPOINT member")
            call.value = call.run(transaction)
            if call.flow and not isinstance(call.value, Commit | Rollback):
                raise StoreMisuse(
                    f"a write_flow closure must return Commit or Rollback, not {type(call.value).__name__}"
                )
        except BaseException as error:  # noqa: BLE001  it belongs to the caller, who gets it
            call.error = self._translated(error)
        finally:
            transaction.end()
        self._check_process()
        if not self._connection.in_transaction:
            call.error = call.error or StoreBackend(
                apsw.SQLITE_ABORT, apsw.SQLITE_ABORT, "the closure went on after SQLite had ended its transaction"
            )
            return False
        # Alone, nothing is undone here: if nothing of the group is kept, it ends with ROLLBACK.
        return alone or self._close_savepoint(call)

    def _close_savepoint(self, call: WriteCall) -> bool:
        try:
            if not _is_kept(call):
                self._connection.execute("ROLLBACK TO member")
            self._connection.execute("RELEASE member")
        except Exception as error:  # noqa: BLE001  it belongs to the caller, who gets it
            call.error = call.error or self._translated(error)
            self._rollback()
            return False
        return True

    def _fail(self, calls: list[WriteCall], error: Exception) -> list[WriteCall]:
        for call in calls:
            call.error = self._translated(error, call.waited_ms())
            call.done = True
        return []

    def _fail_expired(self, group: list[WriteCall], error: apsw.BusyError) -> list[WriteCall]:
        """The lock was not to be had in the time of the first; those who came later go on waiting."""
        expired = [call for call in group if call.waited_ms() >= self._budget_ms]
        if not expired:
            time.sleep(_NO_TIME_S)  # SQLite gave up without asking the busy handler: do not spin
        self._fail(expired, error)
        return [call for call in group if not call.done]

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except apsw.Error:
                # The executor rolls back again before its next BEGIN, and reports what that says.
                return

    def _translated(self, error: BaseException, waited_ms: int | None = None) -> BaseException:
        """An error of SQLite's as one of the tree; any other as it is."""
        if not isinstance(error, apsw.Error):
            return error
        waited = self._executor.last_wait_ms() if waited_ms is None else waited_ms
        translated = translate(error, self._path, waited_ms=waited)
        translated.__cause__ = error
        return translated


def _is_open(connection: apsw.Connection) -> bool:
    try:
        return connection.in_transaction is not None
    except apsw.ConnectionClosedError:
        return False


def _is_kept(call: WriteCall) -> bool:
    return call.error is None and not (call.flow and isinstance(call.value, Rollback))
