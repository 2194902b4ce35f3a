"""Adds 1 to the counter of a database, again and again.

In: "increment N". Out: "done", or the error. How it is done is the second argument.
"""

import sys
from collections.abc import Callable

from lash_store import Database, Expect, GuardFailed, Plan, Step, StoreError, Transaction

ADD = Plan(
    [
        Step("SELECT n FROM counter", expect=Expect.ROW),  # what is read first must hold still when it is written
        Step("INSERT INTO entry (n) SELECT n + 1 FROM counter", expect=1),
        Step("UPDATE counter SET n = n + 1", expect=1),
    ]
)


def add_in_closure(database: Database) -> None:
    def add(transaction: Transaction) -> None:
        [(n,)] = transaction.execute("SELECT n FROM counter")
        transaction.execute("UPDATE counter SET n = ?", (n + 1,))
        transaction.execute("INSERT INTO entry (n) VALUES (?)", (n + 1,))

    database.write(add)


def add_by_plan(database: Database) -> None:
    database.run(ADD)


def add_if_unchanged(database: Database) -> None:
    """Read first, and let the plan verify under the lock that what was read still holds; on a miss start over."""
    while True:
        n = database.read(lambda connection: int(connection.execute("SELECT n FROM counter").get))
        plan = [
            Step("SELECT 1 FROM counter WHERE n = ?", (n,), expect=Expect.ROW),
            Step("UPDATE counter SET n = ?", (n + 1,), expect=1),
            Step("INSERT INTO entry (n) VALUES (?)", (n + 1,), expect=1),
        ]
        try:
            database.run(Plan(plan))
        except GuardFailed:
            continue
        return


WAYS: dict[str, Callable[[Database], None]] = {
    "write": add_in_closure,
    "run": add_by_plan,
    "verify": add_if_unchanged,
}


def main() -> None:
    path, way = sys.argv[1:]
    with Database.open(path) as database:
        print("ready", flush=True)  # noqa: T201
        for line in sys.stdin:
            try:
                for _ in range(int(line.split()[1])):
                    WAYS[way](database)
            except StoreError as error:
                print(repr(error), flush=True)  # noqa: T201
            else:
                print("done", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
