"""Use an installed lash_store once.

Usage: smoke.py c|python (the implementation that must be in use)
"""

import sys
import tempfile
import warnings
from pathlib import Path


def main(expected: str) -> int:
    """Commit through a closure and a plan, and read both back."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        from lash_store import Database, Plan, Step  # noqa: PLC0415
        from lash_store.sqlite.native import IMPLEMENTATION  # noqa: PLC0415
    kinds = [warning.category for warning in caught]
    if (IMPLEMENTATION, kinds) != (expected, [] if expected == "c" else [RuntimeWarning]):
        print(f"expected implementation {expected}, found {IMPLEMENTATION} with warnings {kinds}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, Database.open(str(Path(folder, "smoke.db"))) as database:
        database.write(lambda tx: tx.execute("CREATE TABLE t (x INTEGER)"))
        database.run(Plan([Step("INSERT INTO t VALUES (?)", (7,), expect=1)]))
        rows = database.read(lambda connection: list(connection.execute("SELECT x FROM t")))
    print(f"{sys.version.split()[0]}: implementation {IMPLEMENTATION}, read {rows}")
    return int(rows != [(7,)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
