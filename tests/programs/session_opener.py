"""Opens stores at a signal, of the path or the session that it is told, and puts its number into them.

Argument: "store" for paths, or the folder of a factory for session ids. In: a path or id, then "go". Out: "ready", then
"ok" or the error. The store stays open until the next line.
"""

import asyncio
import os
import sys

from lash_store import ModelLimits, ModelSpec, SessionPolicy, SqliteSessionStoreFactory, Store, StoreError


async def open_one(folder: str, name: str) -> Store:
    if folder == "store":
        return await Store.open(name)
    policy = SessionPolicy(ModelSpec(id=str(os.getpid()), limits=ModelLimits(1)))
    return await SqliteSessionStoreFactory(folder).create_store(name, policy=policy)


def main() -> None:
    with asyncio.Runner() as runner:
        while line := sys.stdin.readline():
            print("ready", flush=True)  # noqa: T201
            sys.stdin.readline()
            try:
                store = runner.run(open_one(sys.argv[1], line.rstrip("\n")))
                runner.run(store.put_blob(str(os.getpid()).encode()))
            except StoreError as error:
                print(repr(error), flush=True)  # noqa: T201
                continue
            print("ok", flush=True)  # noqa: T201
            sys.stdin.readline()
            runner.run(store.close())
            print("closed", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
