"""Processes that work together begin together, and one that fails does not leave the others waiting."""

import os
from functools import partial
from pathlib import Path

import pytest

from bench.pool import run_together, wait_for_all


def _count_the_ready(folder: Path) -> tuple[int, int]:
    (folder / str(os.getpid())).touch()
    wait_for_all()
    return os.getpid(), len(list(folder.iterdir()))


def _fail_if_first(folder: Path) -> None:
    try:
        (folder / "first").touch(exist_ok=False)
    except FileExistsError:
        wait_for_all()
    else:
        raise RuntimeError("the first has failed")


def test_nobody_begins_before_all_are_ready(tmp_path: Path) -> None:
    found = run_together(partial(_count_the_ready, tmp_path), 3)
    assert [ready for _, ready in found] == [3, 3, 3]
    assert len({process for process, _ in found}) == 3


def test_one_process_is_this_one(tmp_path: Path) -> None:
    assert run_together(partial(_count_the_ready, tmp_path), 1) == [(os.getpid(), 1)]


@pytest.mark.timeout(50)
def test_the_cause_is_raised_and_nobody_waits_for_one_that_failed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the first has failed"):
        run_together(partial(_fail_if_first, tmp_path), 2)
