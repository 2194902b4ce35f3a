"""Writers of several processes take turns: none starves, none is lost, and strangers to the order come to no harm."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lash_store import Database, Plan, Step, StoreBusy, Transaction
from lash_store.sqlite.database import DatabaseStats
from tests.watchdog import await_true, bounded

TURNS = 40
# Commits for each time that somebody had to wait: about 100 with the order or with short naps, thousands with the naps
# of 100 ms that SQLite itself takes. A slow machine makes all of them longer alike.
MOST_PER_WAIT = 600
# How long anything may take before a test calls it a hang, in seconds.
PATIENCE_S = 60.0
# How long the dead may hold up the living, in seconds: less than the time after which a writer gives up.
NO_HANG_S = 10.0
SEED = Plan([Step("CREATE TABLE t(who, n)"), Step("CREATE TABLE total(n)"), Step("INSERT INTO total VALUES (0)")])
# Commits until the parent says stop, then tells what was acknowledged. Meanwhile it tells of its first commit, and of
# the turns it had to wait for.
WRITER = """
import json, sys, threading, time
from lash_store import Database, Plan, Step
path, who, turns_told = sys.argv[1:]
with Database.open(path) as database:
    print("ready", flush=True)
    sys.stdin.readline()
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    done, longest, turns = 0, 0.0, 0
    while not stop.is_set():
        began = time.monotonic()
        insert = Step("INSERT INTO t VALUES (?, ?)", (who, done))
        database.run(Plan([insert, Step("UPDATE total SET n = n + 1", expect=1)]))
        longest = max(longest, time.monotonic() - began)
        done += 1
        if done == 1:
            print("begun", flush=True)
        elif turns < int(turns_told) and database.stats().busy_waits > turns:
            turns += 1
            print("turn", flush=True)
    print(json.dumps([done, longest, database.stats().busy_waits]), flush=True)
"""
# The same with Python's own SQLite, which knows nothing of any order.
STRANGER = """
import json, sqlite3, sys, threading, time
path, who, _ = sys.argv[1:]
connection = sqlite3.connect(path, timeout=120, isolation_level=None)
print("ready", flush=True)
sys.stdin.readline()
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
done, longest = 0, 0.0
while not stop.is_set():
    began = time.monotonic()
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO t VALUES (?, ?)", (who, done))
    connection.execute("UPDATE total SET n = n + 1")
    connection.execute("COMMIT")
    longest = max(longest, time.monotonic() - began)
    done += 1
    if done == 1:
        print("begun", flush=True)
print(json.dumps([done, longest, 0]), flush=True)
"""


class Child:
    """A writing process."""

    def __init__(self, code: str, path: Path, who: str) -> None:
        self.who = who
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(path), who, str(TURNS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.hear("ready")

    def read(self) -> str:
        assert self.process.stdout is not None
        return bounded(self.process.stdout.readline, PATIENCE_S).strip()

    def hear(self, word: str) -> None:
        assert self.read() == word

    def say(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, float, int]:
        """Acknowledged commits, the longest of them in seconds, and the waits, of one that was told to stop."""
        while (line := self.read()) in ("begun", "turn"):
            pass
        done, longest, waits = json.loads(line)
        self.process.communicate(timeout=PATIENCE_S)
        return done, longest, waits

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE_S)


@pytest.fixture
def children() -> Iterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in started:
        if child.process.poll() is None:
            child.kill()


def begin_all(children: list[Child]) -> None:
    """Let all go, and return when each of them has committed."""
    for child in children:
        child.say()
    for child in children:
        child.hear("begun")


def end_all(children: list[Child]) -> tuple[dict[str, int], int]:
    """Stop all; what each has acknowledged, and how often they had to wait."""
    for child in children:
        child.say()
    ended = {child.who: child.end() for child in children}
    return {who: done for who, (done, _, _) in ended.items()}, sum(waits for _, _, waits in ended.values())


def create(path: Path) -> None:
    with Database.open(path) as database:
        database.run(SEED)


def rows(database: Database, sql: str) -> list[Any]:
    return database.read(lambda reader: reader.execute(sql).fetchall())


def stored(path: Path) -> tuple[dict[str, int], int]:
    """The number of rows of each writer, and the sum that every commit added one to."""
    with Database.open(path) as database:
        assert rows(database, "PRAGMA integrity_check") == [("ok",)]
        return dict(rows(database, "SELECT who, count(*) FROM t GROUP BY who")), rows(database, "SELECT n FROM total")[
            0
        ][0]


def test_no_writer_starves_and_no_commit_is_lost(tmp_path: Path, children: list[Child]) -> None:
    create(tmp_path / "x.db")
    children += [Child(WRITER, tmp_path / "x.db", f"w{n}") for n in range(4)]
    begin_all(children)
    for child in children:
        for _ in range(TURNS):
            child.hear("turn")
    acknowledged, waits = end_all(children)
    by_writer, total = stored(tmp_path / "x.db")
    assert by_writer == acknowledged
    assert total == sum(by_writer.values())
    assert total < MOST_PER_WAIT * waits


def test_strangers_to_the_order_come_to_no_harm(tmp_path: Path, children: list[Child]) -> None:
    create(tmp_path / "x.db")
    children += [Child(STRANGER if n % 2 else WRITER, tmp_path / "x.db", f"w{n}") for n in range(4)]
    begin_all(children)
    threading.Event().wait(1.0)  # of strife
    acknowledged, _ = end_all(children)
    by_writer, total = stored(tmp_path / "x.db")
    assert by_writer == acknowledged
    assert total == sum(by_writer.values())
    assert len(by_writer) == 4


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills without a chance to clean up")
def test_a_writer_that_is_killed_leaves_nothing_to_clean_up(tmp_path: Path, children: list[Child]) -> None:
    create(tmp_path / "x.db")
    survivor = Child(WRITER, tmp_path / "x.db", "survivor")
    children.append(survivor)
    begin_all([survivor])
    for turn in range(4):
        victim = Child(WRITER, tmp_path / "x.db", f"victim {turn}")
        children.append(victim)
        begin_all([victim])
        threading.Event().wait(random.uniform(0, 0.1))  # whatever it is doing then
        victim.kill()
    survivor.say()
    done, longest, _ = survivor.end()
    by_writer, total = stored(tmp_path / "x.db")
    assert by_writer["survivor"] == done
    assert total == sum(by_writer.values())
    assert longest < NO_HANG_S
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


def test_two_handles_of_one_process_take_turns(tmp_path: Path) -> None:
    create(tmp_path / "x.db")
    counts = [0, 0, 0]
    stop = threading.Event()

    def write(place: int, database: Database) -> None:
        while not stop.is_set():
            database.run(
                Plan([Step("INSERT INTO t VALUES (?, 1)", (f"handle {place}",)), Step("UPDATE total SET n = n + 1")])
            )
            counts[place] += 1

    with ExitStack() as stack:
        handles = [stack.enter_context(Database.open(tmp_path / "x.db")) for _ in counts]
        threads = [threading.Thread(target=write, args=item) for item in enumerate(handles)]
        for thread in threads:
            thread.start()
        try:
            await_true(lambda: all(handle.stats().busy_waits >= TURNS for handle in handles), PATIENCE_S)
        finally:
            stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        waits = sum(handle.stats().busy_waits for handle in handles)
    by_writer, total = stored(tmp_path / "x.db")
    assert by_writer == {f"handle {place}": count for place, count in enumerate(counts)}
    assert total == sum(counts)
    assert total < MOST_PER_WAIT * waits


def test_the_waiter_gets_the_lock_soon_after_it_is_released(tmp_path: Path) -> None:
    create(tmp_path / "x.db")
    stats = wait_while_held(tmp_path, 0.3)
    if stats.busy_waits == 0:  # it came too late to wait
        stats = wait_while_held(tmp_path, 10.0)
    assert (stats.commits, stats.busy_waits) == (1, 1)
    assert stats.busy_wait_ms > 0
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


def wait_while_held(tmp_path: Path, held_s: float) -> DatabaseStats:
    """What becomes of one who wants the lock while somebody else holds it."""
    with Database.open(tmp_path / "x.db") as holder, Database.open(tmp_path / "x.db", busy_timeout_ms=30_000) as waiter:
        inside, leave = threading.Event(), threading.Event()

        def hold(tx: Transaction) -> None:
            inside.set()
            assert leave.wait(PATIENCE_S)

        holding = threading.Thread(target=holder.write, args=(hold,))
        holding.start()
        assert inside.wait(PATIENCE_S)
        waiting = threading.Thread(target=waiter.run, args=(Plan([Step("INSERT INTO t VALUES ('w', 1)")]),))
        waiting.start()
        threading.Event().wait(held_s)
        leave.set()
        waiting.join(NO_HANG_S)
        assert not waiting.is_alive()
        holding.join(PATIENCE_S)
        return waiter.stats()


def test_a_busy_error_tells_how_long_it_waited(tmp_path: Path) -> None:
    create(tmp_path / "x.db")
    with Database.open(tmp_path / "x.db") as holder, Database.open(tmp_path / "x.db", busy_timeout_ms=120) as waiter:

        def try_in_vain(tx: Transaction) -> int:
            with pytest.raises(StoreBusy) as caught:
                waiter.run(Plan([Step("INSERT INTO t VALUES ('w', 1)")]))
            return caught.value.waited_ms

        began = time.monotonic()
        assert 120 <= holder.write(try_in_vain) <= (time.monotonic() - began) * 1000 + 1
        waiter.run(Plan([Step("INSERT INTO t VALUES ('w', 2)")]))
        assert waiter.read(lambda reader: reader.execute("SELECT n FROM t").fetchall()) == [(2,)]
