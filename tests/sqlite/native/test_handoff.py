"""Writers of several processes take turns: none starves, none is lost, and strangers to the order come to no harm."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lash_store import Database, Plan, Step, StoreBusy, Transaction

# How long anything may take before a test calls it a hang, in seconds.
PATIENCE_S = 60.0
SEED = Plan([Step("CREATE TABLE t(who, n)"), Step("CREATE TABLE total(n)"), Step("INSERT INTO total VALUES (0)")])
# Commits until the parent says stop, then tells what was acknowledged.
WRITER = """
import json, sys, threading, time
from lash_store import Database, Plan, Step
path, who = sys.argv[1:]
with Database.open(path) as database:
    print("ready", flush=True)
    sys.stdin.readline()
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    done, longest = 0, 0.0
    while not stop.is_set():
        began = time.monotonic()
        insert = Step("INSERT INTO t VALUES (?, ?)", (who, done))
        database.run(Plan([insert, Step("UPDATE total SET n = n + 1", expect=1)]))
        longest = max(longest, time.monotonic() - began)
        done += 1
    print(json.dumps([done, longest, database.stats().busy_waits]), flush=True)
"""
# The same with Python's own SQLite, which knows nothing of any order.
STRANGER = """
import json, sqlite3, sys, threading, time
path, who = sys.argv[1:]
connection = sqlite3.connect(path, timeout=30, isolation_level=None)
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
print(json.dumps([done, longest, 0]), flush=True)
"""


class Child:
    """A writing process."""

    def __init__(self, code: str, path: Path, who: str) -> None:
        self.who = who
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(path), who], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.read()

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def say(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, float, int]:
        """Acknowledged commits, the longest of them in seconds, and how often it had to wait."""
        self.say()
        done, longest, waits = json.loads(self.read())
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


def run_all(children: list[Child], seconds: float) -> list[tuple[int, float, int]]:
    for child in children:
        child.say()
    threading.Event().wait(seconds)
    return [child.end() for child in children]


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
    ended = run_all(children, 2.0)
    by_writer, total = stored(tmp_path / "x.db")
    assert by_writer == {child.who: done for child, (done, _, _) in zip(children, ended, strict=True)}
    assert total == sum(by_writer.values())
    assert min(by_writer.values()) > 0.2 * max(by_writer.values())
    assert max(longest for _, longest, _ in ended) < 2.0
    assert sum(waits for _, _, waits in ended) > 0


def test_strangers_to_the_order_come_to_no_harm(tmp_path: Path, children: list[Child]) -> None:
    create(tmp_path / "x.db")
    children += [Child(STRANGER if n % 2 else WRITER, tmp_path / "x.db", f"w{n}") for n in range(4)]
    ended = run_all(children, 2.0)
    by_writer, total = stored(tmp_path / "x.db")
    assert by_writer == {child.who: done for child, (done, _, _) in zip(children, ended, strict=True)}
    assert total == sum(by_writer.values())
    assert len(by_writer) == 4


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills without a chance to clean up")
def test_a_writer_that_is_killed_leaves_nothing_to_clean_up(tmp_path: Path, children: list[Child]) -> None:
    create(tmp_path / "x.db")
    survivor = Child(WRITER, tmp_path / "x.db", "survivor")
    children.append(survivor)
    survivor.say()
    for turn in range(4):
        victim = Child(WRITER, tmp_path / "x.db", f"victim {turn}")
        children.append(victim)
        victim.say()
        threading.Event().wait(0.1)
        victim.kill()
    done, longest, _ = survivor.end()
    by_writer, total = stored(tmp_path / "x.db")
    assert by_writer["survivor"] == done
    assert total == sum(by_writer.values())
    assert longest < 2.0
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
        stop.wait(1.0)
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
    by_writer, total = stored(tmp_path / "x.db")
    assert by_writer == {f"handle {place}": count for place, count in enumerate(counts)}
    assert total == sum(counts)
    assert min(counts) > 0


def test_the_waiter_gets_the_lock_soon_after_it_is_released(tmp_path: Path) -> None:
    create(tmp_path / "x.db")
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
        threading.Event().wait(0.3)
        leave.set()
        waiting.join(2.0)
        assert not waiting.is_alive()
        holding.join(PATIENCE_S)
        stats = waiter.stats()
        assert (stats.commits, stats.busy_waits) == (1, 1)
        assert 100 <= stats.busy_wait_ms < 2_500
    assert [path.name for path in tmp_path.iterdir()] == ["x.db"]


def test_a_busy_error_tells_how_long_it_waited(tmp_path: Path) -> None:
    create(tmp_path / "x.db")
    with Database.open(tmp_path / "x.db") as holder, Database.open(tmp_path / "x.db", busy_timeout_ms=120) as waiter:

        def try_in_vain(tx: Transaction) -> int:
            with pytest.raises(StoreBusy) as caught:
                waiter.run(Plan([Step("INSERT INTO t VALUES ('w', 1)")]))
            return caught.value.waited_ms

        assert 120 <= holder.write(try_in_vain) < 2_000
        waiter.run(Plan([Step("INSERT INTO t VALUES ('w', 2)")]))
        assert waiter.read(lambda reader: reader.execute("SELECT n FROM t").fetchall()) == [(2,)]
