"""Opens one database after another, each at a signal, writes a row into it, and closes it when the next is named.

In: a path, then "go". Out: "ready", then "ok" or the error. An empty path closes the last one.
"""

import sys

from lash_store import Database, Plan, Step, StoreError

PLAN = Plan(
    [Step("CREATE TABLE IF NOT EXISTS arrival (n INTEGER PRIMARY KEY)"), Step("INSERT INTO arrival DEFAULT VALUES")]
)


def main() -> None:
    database: Database | None = None
    while line := sys.stdin.readline():
        if database is not None:
            database.close()
        path = line.rstrip("\n")
        print("ready", flush=True)  # noqa: T201
        if not path:
            database = None
            continue
        sys.stdin.readline()
        try:
            database = Database.open(path)
            database.run(PLAN)
        except StoreError as error:
            print(repr(error), flush=True)  # noqa: T201
        else:
            print("ok", flush=True)  # noqa: T201
    if database is not None:
        database.close()


if __name__ == "__main__":
    main()
