"""Publishes turn after turn until its input ends, and collects what is unreachable all the time.

Argument: the path. Out: "ready" after the first turn; at the end the number of turns.
"""

import asyncio
import sys
import threading

from lash_store import SessionMeta, Store, StoreOptions
from tests.programs.session_turns import SESSION, publish

GC_EVERY = 8


async def work(path: str, ended: threading.Event) -> None:
    async with await Store.open(path, StoreOptions(auto_gc_every_commits=GC_EVERY)) as store:
        await store.save_session_meta(SessionMeta(SESSION, SESSION, "unix:0", "model"))
        number = 0
        while not ended.is_set():
            await publish(store, number)
            number += 1
            if number == 1:
                print("ready", flush=True)  # noqa: T201
    print(number, flush=True)  # noqa: T201


def main() -> None:
    ended = threading.Event()

    def listen() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    asyncio.run(work(sys.argv[1], ended))


if __name__ == "__main__":
    main()
