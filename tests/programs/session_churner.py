"""Creates, commits to and closes a session again and again, or deletes it again and again, while others do the same.

Arguments: the factory's folder, and "commit" or "delete". In: "stop". Out: "ready"; then a line for each success,
"committed N B E" or "deleted B E" (the node's id; when it began and ended on the monotonic clock); and "end". Of what
is refused, because others use the session or remove it, and of what is not there to be deleted, it says nothing.
"""

import asyncio
import secrets
import sys
import threading
import time

from lash_store import FullGraph, RuntimeSessionState, SqliteSessionStoreFactory, Store, StoreError
from tests.programs.session_turns import SESSION
from tests.sqlite.session_store.samples import appending, message_node


async def commit(factory: SqliteSessionStoreFactory) -> str:
    node_id = secrets.token_hex(8)
    async with await factory.create_store(SESSION) as store:
        began = time.monotonic_ns()
        await store.commit_runtime_state(appending(RuntimeSessionState.new(SESSION), [message_node(node_id, "text")]))
        ended = time.monotonic_ns()
        # As long as this handle is open, the file that has its name is this one.
        async with await Store.open_readonly(factory.path_for_session(SESSION)) as other:
            read = await other.load_session(FullGraph())
            assert read is not None
            assert node_id in {node.node_id for node in read.graph.nodes}, "the commit went into a removed file"
    return f"committed {node_id} {began} {ended}"


async def delete(factory: SqliteSessionStoreFactory) -> str | None:
    began = time.monotonic_ns()
    existed = factory.path_for_session(SESSION).exists()
    await factory.delete_session(SESSION)
    return f"deleted {began} {time.monotonic_ns()}" if existed else None


def await_stop(stop: threading.Event) -> None:
    sys.stdin.readline()
    stop.set()


async def churn(folder: str, what: str) -> None:
    factory = SqliteSessionStoreFactory(folder)
    stop = threading.Event()
    threading.Thread(target=await_stop, args=(stop,), daemon=True).start()
    while not stop.is_set():
        try:
            answer = await (commit(factory) if what == "commit" else delete(factory))
        except StoreError:
            continue
        if answer is not None:
            print(answer, flush=True)  # noqa: T201


def main() -> None:
    print("ready", flush=True)  # noqa: T201
    asyncio.run(churn(*sys.argv[1:]))
    print("end", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
