"""Use an installed lash_store once: a database, and a session.

Usage: smoke.py c|python (the implementation that must be in use)
"""

import asyncio
import sys
import tempfile
import warnings
from pathlib import Path


def main(expected: str) -> int:
    """Commit through a closure and a plan, and read both back."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        from lash_store import Database, Plan, Step  # noqa: PLC0415
        from lash_store.codecs import intarrays  # noqa: PLC0415
        from lash_store.records import encoder  # noqa: PLC0415
        from lash_store.sqlite.native import IMPLEMENTATION  # noqa: PLC0415
    kinds = [warning.category for warning in caught]
    found = {IMPLEMENTATION, intarrays.IMPLEMENTATION, encoder.IMPLEMENTATION}
    if (found, kinds) != ({expected}, [] if expected == "c" else [RuntimeWarning]):
        print(f"expected implementation {expected}, found {found} with warnings {kinds}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, Database.open(str(Path(folder, "smoke.db"))) as database:
        database.write(lambda tx: tx.execute("CREATE TABLE t (x INTEGER)"))
        database.run(Plan([Step("INSERT INTO t VALUES (?)", (7,), expect=1)]))
        rows = database.read(lambda connection: list(connection.execute("SELECT x FROM t")))
    revision = asyncio.run(commit_a_turn())
    print(f"{sys.version.split()[0]}: implementation {IMPLEMENTATION}, read {rows}, committed revision {revision}")
    return int(rows != [(7,)] or revision != 1)


async def commit_a_turn() -> int:
    """Commit a session's first turn, twice, and return the revision that it has."""
    from lash_store import RuntimeCommit, RuntimeSessionState, SqliteSessionStoreFactory  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        async with await SqliteSessionStoreFactory(folder).create_store("smoke") as store:
            commit = RuntimeCommit.persisted_state(RuntimeSessionState.new("smoke")).with_turn_commit("turn-1")
            first = await store.commit_runtime_state(commit)
            again = await store.commit_runtime_state(commit)
            return first.head_revision if again == first else -1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
