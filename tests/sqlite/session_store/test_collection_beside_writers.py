"""One process collects while another commits and puts: nothing that is referred to ever disappears (weakness 10)."""

import asyncio
from pathlib import Path
from typing import Any

from lash_store.sqlite.session_store.store import Store
from tests.sqlite.session_store.rig import chain, commit, open_store, rows
from tests.watchdog import Program

COLLECTIONS = 2500
AT_LEAST = 100  # turns
LONG_S = 90.0


async def turn(store: Store, number: int) -> None:
    """Commit a checkpoint and put an artifact, of contents that were garbage a moment ago and soon are again."""
    snapshots: dict[str, Any] = {
        "tool_state": {"generation": number % 5, "tools": {}},
        "plugin_snapshot": {"plugins": {}} if number % 2 else None,
        "execution_state": bytes([number % 3]) * 5000,
    }
    artifact = b'{"module_ref":"m","exports":{"n":%d}}' % (number % 3)
    committed = await commit(store, graph=chain("a", f"b{number}"), turn_index=number % 5, **snapshots)
    checkpoint = await store.get_checkpoint(committed.checkpoint_ref)
    assert checkpoint is not None
    assert checkpoint.tool_state == snapshots["tool_state"]
    assert checkpoint.plugin_snapshot == snapshots["plugin_snapshot"]
    assert checkpoint.execution_state == snapshots["execution_state"]
    await store.put_module_artifact(artifact)
    await store.put_blob(b"orphan %d" % number)
    assert await store.get_module_artifact("m") == artifact


async def test_nothing_that_is_referred_to_disappears(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with await open_store(path) as store:
        with Program("collector", path) as collector:
            assert collector.hear() == "ready"
            collector.say(f"collect {COLLECTIONS}")
            answer = asyncio.create_task(asyncio.to_thread(collector.hear, LONG_S))
            number = 0
            while not answer.done() or number < AT_LEAST:
                number += 1
                await turn(store, number)
            deleted = int(await answer)
            assert collector.end() == ""
        assert deleted > 0
        deleted += (await store.gc_unreachable()).deleted_blob_count
        # Each turn leaves an orphan, and most replace a checkpoint.
        assert deleted > number
        ((left,),) = await rows(store, "SELECT count(*) FROM blobs")
        assert left <= 5
