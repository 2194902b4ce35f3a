"""Writes until it is killed, and says of every commit that was acknowledged its number, in eight bytes."""

import asyncio
import os
import struct
from collections.abc import Callable
from itertools import count

from lash_store import Database, Plan, SqliteConnection, Step, Transaction

NUMBER = struct.Struct("<q")
TASKS = 64

TABLES = (
    "CREATE TABLE IF NOT EXISTS credit (writer INTEGER, number INTEGER, note TEXT, PRIMARY KEY (writer, number))",
    "CREATE TABLE IF NOT EXISTS debit (writer INTEGER, number INTEGER, note TEXT, PRIMARY KEY (writer, number))",
    "CREATE TABLE IF NOT EXISTS total (writer INTEGER PRIMARY KEY, commits INTEGER NOT NULL)",
)
CREDIT = "INSERT INTO credit VALUES (?1, ?2, hex(randomblob(200)))"
DEBIT = "INSERT INTO debit VALUES (?1, ?2, hex(randomblob(20)))"
TOTAL = "INSERT INTO total VALUES (?1, 1) ON CONFLICT (writer) DO UPDATE SET commits = commits + 1"


def commit_of(writer: int, number: int) -> Plan:
    """Two rows and a counter that agree in every state of the file, or something was torn."""
    return Plan([Step(CREDIT, (writer, number)), Step(DEBIT, (writer, number)), Step(TOTAL, (writer,))])


def blocking(path: str, writer: int, acknowledge: Callable[[int], None]) -> None:
    database = Database.open(path)
    for number in count():
        database.run(commit_of(writer, number))
        acknowledge(number)


def closures(path: str, writer: int, acknowledge: Callable[[int], None]) -> None:
    database = Database.open(path)
    for number in count():

        def commit(transaction: Transaction, number: int = number) -> None:
            transaction.execute(CREDIT, (writer, number))
            transaction.execute(DEBIT, (writer, number))
            transaction.execute(TOTAL, (writer,))

        database.write(commit)
        acknowledge(number)


def tasks(path: str, writer: int, acknowledge: Callable[[int], None]) -> None:
    async def commit_again(connection: SqliteConnection, numbers: "count[int]") -> None:
        for number in numbers:
            await connection.run(commit_of(writer, number))
            acknowledge(number)

    async def work() -> None:
        connection = await SqliteConnection.open(path)
        numbers = count()
        await asyncio.gather(*(commit_again(connection, numbers) for _ in range(TASKS)))

    asyncio.run(work())


WAYS = {"blocking": blocking, "closures": closures, "tasks": tasks}
UNDER_WAY = {"blocking": 1, "closures": 1, "tasks": TASKS}


def write(path: str, way: str, writer: int, acknowledgements: int) -> None:
    """Write in one of the `WAYS`, for ever; `acknowledgements` is the descriptor that hears of each commit."""

    def acknowledge(number: int) -> None:
        os.write(acknowledgements, NUMBER.pack(number))

    WAYS[way](path, writer, acknowledge)
