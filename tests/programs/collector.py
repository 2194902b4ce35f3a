"""Collects the unreachable blobs of a store, again and again.

In: "collect N". Out: how many blobs that has deleted, or the error, or how a collection ended that did not sweep.
"""

import asyncio
import sys

from lash_store.errors import StoreError
from lash_store.records.artifacts import GcOutcome
from lash_store.sqlite.session_store.store import Store
from tests.sqlite.session_store.rig import open_store


async def collect(store: Store, times: int) -> str:
    deleted = 0
    for _ in range(times):
        report = await store.gc_unreachable()
        if report.outcome not in (GcOutcome.SWEPT, GcOutcome.OVERTAKEN):
            return str(report.outcome.value)
        deleted += report.deleted_blob_count
    return str(deleted)


async def main() -> None:
    (path,) = sys.argv[1:]
    async with await open_store(path) as store:
        print("ready", flush=True)  # noqa: T201
        for line in sys.stdin:
            try:
                answer = await collect(store, int(line.split()[1]))
            except StoreError as error:
                answer = repr(error)
            print(answer, flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
