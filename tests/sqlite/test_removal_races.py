"""Removing a database while others come: whatever they write is theirs, in files that are theirs."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import apsw
import pytest

from lash_store.errors import StoreInUse
from lash_store.sqlite import connection as connection_module
from tests.sqlite.removals import create, files, remove, rows
from tests.watchdog import Program, await_true


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def programs() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class Newcomer:
    """Another process that opens the database and writes a row into it, once, at a moment of the removal."""

    def __init__(self, path: Path, program: Program) -> None:
        self._path = path
        self._program = program
        self.came = False

    def begin(self) -> None:
        """Be on the way."""
        assert not self.came
        self.came = True
        assert self._program.ask(str(self._path)) == "ready"
        self._program.say("go")

    def outcome(self) -> str:
        return self._program.hear()

    def come(self) -> None:
        if not self.came:
            self.begin()
            assert self.outcome() == "ok"

    def has_it_open(self) -> bool:
        """Whether the file that is there now is open in that process, whatever it does with it."""
        there = self._path.stat()
        opened = Path(f"/proc/{self._program.pid}/fd").iterdir()
        return any(os.path.samestat(there, file.stat()) for file in opened if file.exists())

    def kill(self) -> None:
        self._program.kill()

    def has_all_his_files(self) -> None:
        """Database, log and index are his, and so what he has written is there when he is killed."""
        assert files(self._path) == ["x.db", "x.db-shm", "x.db-wal"]
        self.kill()
        assert rows(self._path) == 1


@pytest.fixture(params=["a database", "a store"])
def arrive(request: pytest.FixtureRequest, path: Path, programs: ExitStack) -> Callable[[], Newcomer]:
    """Start processes that open a database without a schema, or a session's store."""
    arguments = ["opener"] if request.param == "a database" else ["session_opener", "store"]
    return lambda: Newcomer(path, programs.enter_context(Program(*arguments)))


@pytest.fixture
def newcomer(arrive: Callable[[], Newcomer]) -> Newcomer:
    return arrive()


@pytest.mark.parametrize("exists", [True, False], ids=["a database", "nothing"])
@pytest.mark.parametrize("moment", ["x.db", "x.db-wal", "x.db-shm"])
def test_who_creates_it_anew_after_a_file_is_gone_keeps_what_he_writes(
    path: Path, newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch, moment: str, *, exists: bool
) -> None:
    """As soon as the name is free, it is the newcomer's, with all that belongs to it."""
    if exists:
        create(path)
    unlink = os.unlink

    def unlink_and_let_in(name: str) -> None:
        try:
            unlink(name)
        finally:
            if Path(name).name == moment and not path.exists():
                newcomer.come()

    monkeypatch.setattr(os, "unlink", unlink_and_let_in)
    remove(path)
    monkeypatch.undo()
    newcomer.come()
    newcomer.has_all_his_files()


def test_who_creates_it_after_it_was_not_found_keeps_what_he_writes(
    path: Path, newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    lexists = os.path.lexists

    def look_and_let_in(name: str) -> bool:
        found = lexists(name)
        newcomer.come()
        return found

    monkeypatch.setattr(os.path, "lexists", look_and_let_in)
    with suppress(StoreInUse):
        remove(path)
    monkeypatch.undo()
    newcomer.come()
    newcomer.has_all_his_files()


def test_who_creates_it_after_another_removal_keeps_what_he_writes(
    path: Path, newcomer: Newcomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The removal that comes second has opened the file that the first one removed, and must not remove the next."""
    create(path)
    opened = connection_module._open

    def open_and_be_overtaken(name: str, flags: int) -> apsw.Connection:
        monkeypatch.undo()
        connection = opened(name, flags)
        remove(path)
        newcomer.come()
        return connection

    monkeypatch.setattr(connection_module, "_open", open_and_be_overtaken)
    with suppress(StoreInUse):
        remove(path)
    newcomer.has_all_his_files()


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has open is seen in /proc")
def test_who_waits_while_it_is_removed_does_not_write_into_the_removed_file(
    path: Path, arrive: Callable[[], Newcomer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor into the next one as if it were the removed one: a log is found by its name, and belongs to the next one."""
    create(path)
    waiting, newcomer = arrive(), arrive()
    unlink = os.unlink

    def unlink_when_somebody_waits(name: str) -> None:
        if name == str(path):
            waiting.begin()
            await_true(waiting.has_it_open)
        unlink(name)
        if name == str(path):
            newcomer.come()

    monkeypatch.setattr(os, "unlink", unlink_when_somebody_waits)
    remove(path)
    monkeypatch.undo()
    written = 1 + (waiting.outcome() == "ok")
    waiting.kill()
    newcomer.kill()
    assert rows(path) == written
