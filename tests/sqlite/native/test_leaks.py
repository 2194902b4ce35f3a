"""Nothing is kept that is no longer needed: values, results, tickets, descriptors, threads, memory."""

import asyncio
import gc
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lash_store import Database, Expect, GuardFailed, Plan, SqliteConnection, Step, StoreError
from lash_store.sqlite.native import Executor, Mailbox
from lash_store.sqlite.plan import SqlValue
from tests.sqlite.native.rig import open_connection

# How long anything may take before a test calls it a hang, in seconds.
PATIENCE_S = 60.0
PLANS = 100_000
# What the allocators may keep for themselves, in bytes; a leak of 100 bytes a plan would be ten MB.
LOOSE = 6_000_000
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def resident() -> int:
    """The memory of this process, in bytes."""
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Sentinels:
    """Objects that no cache shares: who keeps one shows in its count."""

    def __init__(self) -> None:
        self.blob = b"sentinel" * 20
        self.text = "sentinel é" * 20
        self.number = 2**60 + 1
        self.list: list[SqlValue] = [self.text, self.blob]
        self.sql = "SELECT ?1, ?2, ?3 /* sentinel */"
        self.name = "sentinel's name"

    def counts(self) -> list[int]:
        gc.collect()
        return [sys.getrefcount(each) for each in vars(self).values()]

    def plan(self, *, miss: bool) -> Plan:
        expect = Expect.NO_ROW if miss else Expect.ROW
        step = Step(self.sql, (self.blob, self.text, self.number), expect=expect, rows=True, name=self.name)
        return Plan([step, Step("SELECT ?, ?", [self.list], many=True)])


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "x.db") as opened:
        opened.call(lambda raw: raw.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)").fetchall())
        yield opened


def run_good(database: Database, sentinels: Sentinels) -> None:
    assert database.run(sentinels.plan(miss=False)).rows == ([(sentinels.blob, sentinels.text, sentinels.number)],)


def run_missed(database: Database, sentinels: Sentinels) -> None:
    with pytest.raises(GuardFailed):
        database.run(sentinels.plan(miss=True))


def run_refused(database: Database, sentinels: Sentinels) -> None:
    with pytest.raises(StoreError):
        database.run(Plan([Step("INSERT INTO nowhere VALUES (?)", (sentinels.blob,))]))


def run_wrong(database: Database, sentinels: Sentinels) -> None:
    wrong: Any = [sentinels.text, sentinels.blob, sentinels]
    with pytest.raises(StoreError):
        database.run(Plan([Step("SELECT ?", (sentinels.blob,)), Step("SELECT ?, ?, ?", wrong)]))


def run_closure(database: Database, sentinels: Sentinels) -> None:
    database.write(lambda tx: tx.execute("SELECT ?, ?", sentinels.list))


@pytest.mark.parametrize("run", [run_good, run_missed, run_refused, run_wrong, run_closure])
def test_no_reference_is_kept(database: Database, run: Callable[[Database, Sentinels], None]) -> None:
    sentinels = Sentinels()
    run(database, sentinels)
    before, objects = sentinels.counts(), len(gc.get_objects())
    for _ in range(500):
        run(database, sentinels)
    assert sentinels.counts() == before
    assert len(gc.get_objects()) - objects < 100


@linux_only
def test_a_hundred_thousand_plans(database: Database) -> None:
    plan = Plan(
        [
            Step("REPLACE INTO t VALUES (1, ?)", ("text é" * 10,)),
            Step("SELECT a, b FROM t", rows=True, expect=Expect.NO_ROW, otherwise=1),  # type: ignore[arg-type]
        ]
    )

    def some(count: int) -> None:
        for _ in range(count):
            assert database.run(plan).row == (1, "text é" * 10)

    some(PLANS // 10)
    gc.collect()
    memory, objects = resident(), len(gc.get_objects())
    some(PLANS)
    gc.collect()
    assert len(gc.get_objects()) - objects < 100
    assert resident() - memory < LOOSE


@linux_only
async def test_a_hundred_thousand_plans_through_the_event_loop(tmp_path: Path) -> None:
    async with await SqliteConnection.open(tmp_path / "x.db") as connection:
        await connection.call(lambda raw: raw.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)").fetchall())
        good = Plan([Step("REPLACE INTO t VALUES (1, ?) RETURNING b", ("text é" * 10,), rows=True)])
        missed = Plan([Step("SELECT 1", expect=Expect.NO_ROW)])

        async def work(count: int) -> None:
            for n in range(count):
                if n % 10:
                    await connection.run(good)
                else:
                    with pytest.raises(GuardFailed):
                        await connection.run(missed)

        await asyncio.gather(*(work(PLANS // 640) for _ in range(64)))
        gc.collect()
        memory, objects = resident(), len(gc.get_objects())
        await asyncio.gather(*(work(PLANS // 64) for _ in range(64)))
        gc.collect()
        assert len(gc.get_objects()) - objects < 100
        assert resident() - memory < LOOSE


@linux_only
def test_handles_leave_no_descriptor_thread_or_memory(tmp_path: Path) -> None:
    def use() -> None:
        with Database.open(tmp_path / "x.db") as database:
            database.write(lambda tx: tx.execute("CREATE TABLE IF NOT EXISTS t(a INTEGER PRIMARY KEY, b)"))
            database.run(Plan([Step("REPLACE INTO t VALUES (1, 2)")]))
            database.read(lambda reader: reader.execute("SELECT * FROM t").fetchall())

    async def use_async() -> None:
        async with await SqliteConnection.open(tmp_path / "x.db") as connection:
            await connection.run(Plan([Step("REPLACE INTO t VALUES (1, 2)")]))
            await connection.read(lambda reader: reader.execute("SELECT * FROM t").fetchall())

    def use_all(count: int) -> tuple[int, set[str], int, int]:
        """Use `count` handles of each kind; what there is afterwards."""
        for _ in range(count):
            use()
            asyncio.run(use_async())
        gc.collect()
        return descriptors(), {thread.name for thread in threading.enumerate()}, len(gc.get_objects()), resident()

    before, after = use_all(20), use_all(200)
    assert after[:2] == before[:2]
    assert after[2] - before[2] < 200
    assert after[3] - before[3] < LOOSE


class Token:
    """A token that tells when it is gone."""


@pytest.mark.parametrize("drained", [True, False], ids=["drained", "never drained"])
def test_tokens_calls_and_mailboxes_of_tickets_are_collected(tmp_path: Path, drained: bool) -> None:
    executor, connection = idle_executor(tmp_path)
    mailbox: Any = Mailbox()
    tokens = [Token() for _ in range(50)]
    gone = [weakref.ref(token) for token in tokens]
    tickets: list[Any] = [executor.submit([Step("SELECT ?", (b"x" * 100,))], mailbox, token) for token in tokens]
    executor.abort()
    if drained:
        assert len(mailbox.drain()) == 50
    mailbox.close()
    del tokens, tickets, mailbox
    gc.collect()
    assert [ref() for ref in gone if ref() is not None] == []
    executor.close()
    connection.close()


def idle_executor(folder: Path) -> tuple[Any, Any]:
    """An executor for which no worker ever starts."""
    connection = open_connection(folder / "x.db")
    executor = Executor(connection, busy_timeout_ms=1_000, start_worker=lambda: None, start_checkpointer=lambda: None)
    return executor, connection


def test_a_ticket_may_outlive_its_executor(tmp_path: Path) -> None:
    """As when a traceback keeps it: what is freed with the executor is not touched by the ticket any more."""
    for _ in range(20):
        executor, connection = idle_executor(tmp_path)
        mailbox = Mailbox()
        steps = [Step(f"SELECT {n}, ?", ("text é" * 50,)) for n in range(50)]
        tickets: list[Any] = [executor.submit(steps, mailbox, n) for n in range(3)]
        executor.abort()
        assert len(mailbox.drain()) == 3
        executor.close()
        connection.close()
        mailbox.close()
        del executor, connection
        gc.collect()
        filler = [bytes(size) for size in range(16, 200) for _ in range(10)]
        del tickets
        gc.collect()
        del filler


def test_a_ticket_that_was_run_may_outlive_its_executor(tmp_path: Path) -> None:
    executor, connection = idle_executor(tmp_path)
    mailbox = Mailbox()
    executor.submit_call("first", mailbox, 0)
    tickets: list[Any] = [executor.submit([Step("SELECT ?", (n,), rows=True)], mailbox, n) for n in range(5)]
    (call,) = executor.serve(0)
    executor.finish(call, "done")
    executor.release()
    executor.stop()
    assert executor.serve(0) is None
    outcomes = mailbox.drain()
    assert len(outcomes) == 6
    executor.close()
    connection.close()
    del executor, connection
    gc.collect()
    assert [ticket.withdraw() for ticket in tickets] == [False] * 5
    del tickets
    gc.collect()
    assert outcomes[1:] == [(n, (0, None, None, ([(n,)],), 0)) for n in range(5)]
