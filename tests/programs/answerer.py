"""Waits in a waiting room for each odd number, and answers with the even one behind it; to the end of its input."""

import asyncio
import sys
from collections.abc import Collection

import apsw

from lash_store import Plan, SqliteConnection, Step
from lash_store.sqlite.waiting import WaitingRoom


def look(connection: apsw.Connection, keys: Collection[int]) -> dict[int, bool]:
    return {key: True for key in keys if connection.execute("SELECT 1 FROM item WHERE id = ?", (key,)).get}


async def main() -> None:
    async with await SqliteConnection.open(sys.argv[1]) as connection:
        room = WaitingRoom[int, bool](connection, look)
        print("ready", flush=True)  # noqa: T201
        for number in range(1, 100, 2):
            await room.wait(number)
            await connection.run(Plan([Step("INSERT INTO item VALUES (?1, 'pong')", (number + 1,))]))
        await asyncio.to_thread(sys.stdin.read)
        room.close()


if __name__ == "__main__":
    asyncio.run(main())
