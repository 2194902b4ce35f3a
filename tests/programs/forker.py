"""Forks while it has a database open; the child ends as a program does, the parent goes on writing.

Argument: the path. Out: "done" when both have come to their end and the parent's last write is committed.
"""

import gc
import os
import sys
import warnings

from lash_store import Database, Plan, Step

PLAN = Plan([Step("INSERT INTO item VALUES (1)")])


def main() -> None:
    database: Database | None = Database.open(sys.argv[1])
    assert database is not None
    database.run(PLAN)
    database.read(lambda connection: connection.execute("SELECT count(*) FROM item").get)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        child = os.fork()
    if child == 0:
        database = None
        gc.collect()
        return  # through the interpreter's own end: exit handlers, destructors
    _, status = os.waitpid(child, 0)
    assert status == 0
    database.run(PLAN)
    print("done", flush=True)  # noqa: T201
    sys.stdin.read()
    database.close()


if __name__ == "__main__":
    main()
