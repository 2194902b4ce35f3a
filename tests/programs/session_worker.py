"""Makes turn after turn until it is killed: says what it is going to commit, commits it, says what came out."""

import asyncio
from itertools import count
from multiprocessing.connection import Connection
from typing import Final

from lash_store import Store
from tests.programs.session_turns import SESSION, prepare

ANNOUNCED: Final = b"?"
ANSWERED: Final = b"="


async def _work(path: str, sending: Connection) -> None:
    store = await Store.open(path)
    head = await store.load_session_head_meta()
    assert head is None or head.session_id == SESSION
    for number in count(0 if head is None else head.head_revision):
        commit = await prepare(store, number)
        sending.send_bytes(ANNOUNCED + commit.to_json())
        result = await store.commit_runtime_state(commit)
        sending.send_bytes(ANSWERED + result.to_json())


def work(path: str, sending: Connection) -> None:
    """Go on from the turn that the file at `path` is at; `sending` hears of each commit before and after it."""
    asyncio.run(_work(path, sending))
