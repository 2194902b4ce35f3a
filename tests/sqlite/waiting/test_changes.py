"""The signal: whether another connection has committed."""

from pathlib import Path

import pytest

from lash_store import Database, Plan, Step, StoreClosed
from lash_store.sqlite import forks
from lash_store.sqlite.changes import ChangeSignal


def test_a_signal_tells_what_others_commit(tmp_path: Path) -> None:
    signal = ChangeSignal()
    with Database.open(tmp_path / "x.db") as database:
        database.run(Plan([Step("CREATE TABLE item (id)")]))
        signal.open(str(tmp_path / "x.db"))
        assert not signal.changed()
        database.run(Plan([Step("INSERT INTO item VALUES (1)")]))
        assert (signal.changed(), signal.changed()) == (True, False)
        assert signal in forks._owners
        signal.close()
        signal.close()
        assert signal not in forks._owners
        with pytest.raises(StoreClosed):
            signal.changed()


def test_a_signal_that_was_closed_is_not_opened(tmp_path: Path) -> None:
    signal = ChangeSignal()
    signal.close()
    with Database.open(tmp_path / "x.db") as database:
        signal.open(database.path)
        assert not signal.is_open
