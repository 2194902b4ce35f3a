"""Creates, commits to and closes a session again and again, or deletes it again and again, while others do the same.

Arguments: the factory's folder, and "commit" or "delete". In: "go S" to go on for S seconds. Out: "ready"; then a line
for each success, "committed N B E" or "deleted B E" (the node's id; when it began and ended on the monotonic clock),
or "absent" where there was nothing to delete; "refused" and the error for each refusal; and "end".
"""

import asyncio
import secrets
import sys
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


async def delete(factory: SqliteSessionStoreFactory) -> str:
    began = time.monotonic_ns()
    existed = factory.path_for_session(SESSION).exists()
    await factory.delete_session(SESSION)
    return f"deleted {began} {time.monotonic_ns()}" if existed else "absent"


async def churn(folder: str, what: str, seconds: float) -> None:
    factory = SqliteSessionStoreFactory(folder)
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        try:
            answer = await (commit(factory) if what == "commit" else delete(factory))
        except StoreError as error:
            answer = f"refused {error!r}"
        print(answer, flush=True)  # noqa: T201


def main() -> None:
    print("ready", flush=True)  # noqa: T201
    asyncio.run(churn(sys.argv[1], sys.argv[2], float(sys.stdin.readline().split()[1])))
    print("end", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
