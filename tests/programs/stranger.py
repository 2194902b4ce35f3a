"""Another program on the same file, with the standard library's sqlite3 and none of this package.

In: SQL statements, or "increment N" to add 1 to the counter N times by reading and writing. Out: the first row, "done",
or the error.
"""

import sqlite3
import sys

TIMEOUT_S = 15.0


def increment(connection: sqlite3.Connection, times: int) -> None:
    for _ in range(times):
        connection.execute("BEGIN IMMEDIATE")
        (n,) = connection.execute("SELECT n FROM counter").fetchone()
        connection.execute("UPDATE counter SET n = ?", (n + 1,))
        connection.execute("COMMIT")


def main() -> None:
    connection = sqlite3.connect(sys.argv[1], timeout=TIMEOUT_S, isolation_level=None)
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    for line in sys.stdin:
        try:
            if line.startswith("increment "):
                increment(connection, int(line.split()[1]))
                answer = "done"
            else:
                answer = str(connection.execute(line).fetchone() or "done")
        except sqlite3.Error as error:
            answer = repr(error)
        print(answer, flush=True)  # noqa: T201
    connection.close()


if __name__ == "__main__":
    main()
