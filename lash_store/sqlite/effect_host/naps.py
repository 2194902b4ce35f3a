"""Waiting for a time of the wall clock."""

import asyncio
from typing import Final

from lash_store.clock import Clock
from lash_store.sqlite.connection import now_ms_of

LONGEST_NAP_S: Final = 1.0
"""How long a sleeper goes without a look at the clock, which may have jumped ahead: the machine was suspended."""


async def sleep_until(clock: Clock, due_at_ms: int) -> None:
    """Return when `clock` shows `due_at_ms`, or when as much time has passed as it lay ahead when this was called.

    So a clock that steps backwards meanwhile makes nobody sleep longer.
    """
    loop = asyncio.get_running_loop()
    wake_at = loop.time() + (due_at_ms - now_ms_of(clock)) / 1000
    while (left_s := min((due_at_ms - now_ms_of(clock)) / 1000, wake_at - loop.time())) > 0:  # noqa: ASYNC110  nobody sets a clock off
        await asyncio.sleep(min(left_s, LONGEST_NAP_S))
