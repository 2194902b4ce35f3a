"""lash v0.1.0-alpha.40 and this package can use one file by turns; what it writes into a file of ours counts."""

from pathlib import Path

import apsw

from lash_store import (
    Append,
    Unchanged,
)
from tests.conformance.session_store import alpha40
from tests.conformance.session_store.artifacts import ARTIFACT, MODULE_REF
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import (
    IDLE,
    TTL_MS,
    enqueued,
    message,
    node_ids,
    plugin,
    root_commit,
    used,
)
from tests.conformance.session_store.rows import TABLES, query


def shape(path: Path) -> dict[str, object]:
    """Of each table of section 2: its columns, what is unique in it, and its foreign keys; and the indexes by name."""
    connection = apsw.Connection(str(path))
    try:
        found: dict[str, object] = {}
        for table in TABLES:
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            unique = [
                [column for _, _, column in connection.execute(f"PRAGMA index_info({name})")]
                for _, name, is_unique, _, _ in connection.execute(f"PRAGMA index_list({table})")
                if is_unique
            ]
            keys = connection.execute(f"PRAGMA foreign_key_list({table})").fetchall()
            found[table] = (columns, sorted(unique), keys)
        return found
    finally:
        connection.close()


async def test_a_new_file_has_the_tables_that_alpha40_makes(stores: Stores, tmp_path: Path) -> None:
    """Columns, types, defaults, keys; further indexes and tables are additions that it ignores."""
    async with await stores.file():
        pass
    alpha40.create(tmp_path / "alpha.db")
    assert shape(stores.path) == shape(tmp_path / "alpha.db")
    indexes = "SELECT name FROM sqlite_master WHERE type = 'index' AND name LIKE 'idx_%'"
    assert set(query(tmp_path / "alpha.db", indexes)) <= set(query(stores.path, indexes))


def node_count(path: Path) -> int:
    """What the last commit counted (3.2)."""
    ((count,),) = query(path, "SELECT json_extract(head_json, '$.graph_node_count') FROM session_head")
    return int(count)


async def test_alpha40_writes_into_a_file_of_ours(stores: Stores) -> None:
    """Every kind of statement of its operations, on a connection that knows none of this package's SQL functions.

    What this package keeps beside the tables of section 2 must not be wrong afterwards.
    """
    store = await stores.file()
    alpha = stores.path
    await store.commit_runtime_state(root_commit(graph=Append([message("m0", text="first")], "m0")))
    await enqueued(store, "ours")
    alpha40.run(alpha, "DELETE FROM session_head")
    alpha40.write_head(alpha, alpha40.write_checkpoint(alpha), revision=2)
    alpha40.run(alpha, "DELETE FROM graph_nodes")
    alpha40.write_nodes(alpha)
    alpha40.write_usage(alpha, "turn", "m", 5, 6, 7, 8)
    read = await store.load_session()
    assert read is not None
    assert (read.head_revision, node_ids(read.graph.nodes)) == (2, ["m1", "protocol:1", "plugin:1"])
    assert read.token_ledger == [used("turn", "m", 5, 6, 7, 8)]
    assert read.checkpoint is not None
    assert read.checkpoint.execution_state == b"\xde\xad\xbe\xef"
    result = await store.commit_runtime_state(
        root_commit(expected_head_revision=2, graph=Unchanged("m1"), usage_deltas=[used("turn", "m", 1, 1, 1, 1)])
    )
    assert result.head_revision == 3
    assert node_count(alpha) == 3
    alpha40.run(alpha, "UPDATE graph_nodes SET tombstoned = 1 WHERE node_id = 'm1'")
    alpha40.run(alpha, "UPDATE graph_nodes SET tombstoned = 1 WHERE node_id = 'm1'")
    await store.commit_runtime_state(root_commit(graph=Unchanged("m1")))
    assert node_count(alpha) == 2
    alpha40.run(alpha, "DELETE FROM graph_nodes WHERE tombstoned <> 0")
    alpha40.write_usage(alpha, "turn", "m", 1, 1, 1, 1)
    read = await store.load_session()
    assert read is not None
    assert node_ids(read.graph.nodes) == ["protocol:1", "plugin:1"]
    assert read.token_ledger == [used("turn", "m", 7, 8, 9, 10)]
    alpha40.run(alpha, "DELETE FROM graph_nodes")
    alpha40.run(alpha, "DELETE FROM usage_deltas")
    await store.commit_runtime_state(root_commit(graph=Append([message("m9")], "m9")))
    assert node_count(alpha) == 1
    read = await store.load_session()
    assert read is not None
    assert (node_ids(read.graph.nodes), read.token_ledger) == (["m9"], [])
    info = await store.load_picker_info()
    assert info is None


async def test_alpha40_claims_and_completes_our_work(stores: Stores) -> None:
    store = await stores.file()
    (batch,) = await enqueued(store, "ours", key="k")
    alpha40.run(
        stores.path,
        "UPDATE queued_work_batches SET claim_id = 'qwc:1:1', claim_owner_id = 'o', claim_token = 't',"
        " claim_fencing_token = claim_fencing_token + 1, claim_claimed_at_ms = ?1, claim_expires_at_ms = ?1 + 1000"
        " WHERE batch_id = ?2",
        stores.clock.now,
        batch.batch_id,
    )
    assert await store.claim_ready_queued_work("root", "owner-b", IDLE, TTL_MS, 1) is None
    assert await store.cancel_queued_work_batch("root", batch.batch_id) is None
    alpha40.run(stores.path, "DELETE FROM queued_work_batches WHERE batch_id = ?", batch.batch_id)
    assert query(stores.path, "SELECT * FROM queued_work_items") == []
    assert await store.list_queued_work("root") == []


async def test_alpha40_takes_the_same_source_key_as_done(stores: Stores) -> None:
    """The unique key ignores the second row (2.7): so it must also in files of ours."""
    store = await stores.file()
    (batch,) = await enqueued(store, "ours", key="k")
    alpha40.insert(
        stores.path,
        "queued_work_batches",
        batch_id="qwb:x",
        session_id="root",
        source_key="k",
        delivery_policy="earliest_safe_boundary",
        slot_policy="join",
        merge_key_json='"never"',
        available_at_ms=0,
        enqueued_at_ms=0,
    )
    assert await store.list_queued_work("root") == [batch]


async def test_artifacts_and_plugin_nodes_of_ours_survive_its_writes(stores: Stores) -> None:
    store = await stores.file()
    await store.put_module_artifact(ARTIFACT)
    await store.commit_runtime_state(root_commit(graph=Append([plugin("p", body={"b": [None, 1.5]})], "p")))
    alpha40.run(stores.path, "UPDATE session_head SET head_revision = head_revision + 1")
    assert await store.get_module_artifact(MODULE_REF) == ARTIFACT
    assert await store.load_node("p") == plugin("p", body={"b": [None, 1.5]})
    head = await store.load_session_head()
    assert head is not None
    assert head.head_revision == 2
