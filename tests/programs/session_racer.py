"""Commits to a session at a given moment, which another process is given, too.

Argument: the path, and a name for its nodes. In: "race R T", to commit on revision R when the monotonic clock shows T
nanoseconds. Out: "ready" when the store is open; then "won S F" or "lost E A S F", where S and F are the times at which
the commit began and had its answer, and E and A what HeadRevisionConflict said.
"""

import asyncio
import sys
import time

from lash_store import HeadRevisionConflict, RuntimeCommit, RuntimeSessionState, Store
from tests.programs.session_turns import SESSION
from tests.sqlite.session_store.samples import appending, message_node


def commit_on(revision: int, name: str) -> RuntimeCommit:
    state = RuntimeSessionState.new(SESSION)
    state.head_revision = revision
    return appending(state, [message_node(f"{name}-{revision}", name)])


async def race(store: Store, commit: RuntimeCommit, at_ns: int) -> str:
    while (began := time.monotonic_ns()) < at_ns:
        pass
    try:
        result = await store.commit_runtime_state(commit)
    except HeadRevisionConflict as conflict:
        return f"lost {conflict.expected} {conflict.actual} {began} {time.monotonic_ns()}"
    assert result.head_revision == (commit.expected_head_revision or 0) + 1
    return f"won {began} {time.monotonic_ns()}"


def main() -> None:
    path, name = sys.argv[1:]
    with asyncio.Runner() as runner:
        store = runner.run(Store.open(path))
        print("ready", flush=True)  # noqa: T201
        for line in sys.stdin:
            _, revision, at_ns = line.split()
            print(runner.run(race(store, commit_on(int(revision), name), int(at_ns))), flush=True)  # noqa: T201
        runner.run(store.close())


if __name__ == "__main__":
    main()
