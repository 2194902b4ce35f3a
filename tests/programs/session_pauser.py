"""Makes turns, and stops for ever at a point of the last one's commit.

Arguments: the path, the number of the last turn, and the point. Out: the last turn's commit as JSON, before it is sent;
then "there" at the point.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

from lash_store import Store, StoreOptions, SystemClock
from tests.programs.session_turns import prepare

BEFORE_BEGIN: Final = "before BEGIN"
FIRST_TIME_ASKED: Final = "under the lock, at the attachments"
LAST_TIME_ASKED: Final = "under the lock, at the receipt"
AFTER_COMMIT: Final = "after COMMIT, before the answer"
POINTS: Final = (BEFORE_BEGIN, FIRST_TIME_ASKED, LAST_TIME_ASKED, AFTER_COMMIT)


def stop() -> None:
    print("there", flush=True)  # noqa: T201
    sys.stdin.read()


class PausingClock(SystemClock):
    """The system's clock; the countdown names the question, all of them asked under the lock, at which it stops."""

    countdown = -1

    def now_ms(self) -> int:
        self.countdown -= 1
        if self.countdown == 0:
            stop()
        return super().now_ms()


async def work(path: Path, last: int, point: str) -> None:
    clock = PausingClock()
    store = await Store.open(path, StoreOptions(clock=clock))
    for number in range(last):
        await store.commit_runtime_state(await prepare(store, number))
    commit = await prepare(store, last)
    print(commit.to_json().decode(), flush=True)  # noqa: T201
    if point == BEFORE_BEGIN:
        stop()
    elif point == AFTER_COMMIT:
        # The loop is told of outcomes, that is after COMMIT; now it stops instead of looking at them.
        asyncio.get_running_loop().add_reader(store._connection._delivery.mailbox.fileno(), stop)
    else:
        clock.countdown = (FIRST_TIME_ASKED, LAST_TIME_ASKED).index(point) + 1
    await store.commit_runtime_state(commit)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
