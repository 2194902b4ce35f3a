"""What is no record, no option and no text is refused by a typed error that says so; what is damaged is named."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lash_store import (
    ActivePath,
    InvalidRecord,
    RuntimeSessionState,
    SessionMeta,
    SessionPolicy,
    SqliteSessionStoreFactory,
    Store,
    StoreCorrupt,
)
from lash_store.records.queue import QueuedWorkClaim
from tests.sqlite.session_store.samples import change, commit, message_node

NOTHING: Any = None
FIVE: Any = 5


def is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())


async def test_options_that_are_none_open_nothing(tmp_path: Path) -> None:
    for opening in (Store.open(tmp_path / "a.db", NOTHING), Store.memory(FIVE)):
        with pytest.raises(InvalidRecord, match="StoreOptions"):
            await opening
    with pytest.raises(InvalidRecord, match="StoreOptions"):
        SqliteSessionStoreFactory(tmp_path, NOTHING)
    assert is_empty(tmp_path)


@pytest.mark.parametrize("policy", [NOTHING, FIVE, SessionPolicy(model=NOTHING), SessionPolicy(max_turns=-1)])
async def test_a_policy_that_is_none_creates_nothing(tmp_path: Path, policy: Any) -> None:
    factory = SqliteSessionStoreFactory(tmp_path / "sessions")
    with pytest.raises(InvalidRecord, match="SessionPolicy"):
        await factory.create_store("root", policy=policy)
    assert is_empty(tmp_path)


@pytest.mark.parametrize("batches", [FIVE, NOTHING, [5]])
async def test_a_claim_of_something_else_is_not_renewed(store: Store, batches: Any) -> None:
    claim = QueuedWorkClaim.from_json(
        '{"session_id":"root","claim_id":"qwc:1:1","owner_id":"o","lease_token":"t","fencing_token":1,'
        '"claimed_at_epoch_ms":0,"expires_at_epoch_ms":1,"batches":[]}'
    )
    claim = msgspec.structs.replace(claim, batches=batches)
    with pytest.raises(InvalidRecord, match="QueuedWorkBatch"):
        await store.renew_queued_work_claim(claim, 1000)


READS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "all": lambda store: store.load_session(),
    "path": lambda store: store.load_session(ActivePath()),
    "node": lambda store: store.load_node("b"),
    "picker": lambda store: store.load_picker_info(),
}


@pytest.mark.parametrize("read", READS)
async def test_a_node_that_is_no_utf8_is_named(store: Store, read: str) -> None:
    await store.save_session_meta(SessionMeta("root", "root", "unix:0", "m"))
    await commit(store, RuntimeSessionState.new(), message_node("b", "hello"))
    await change(store, "UPDATE graph_nodes SET node_json = replace(node_json, 'hello', CAST(x'ff' AS TEXT))")
    with pytest.raises(StoreCorrupt) as raised:
        await READS[read](store)
    assert (raised.value.kind, raised.value.key) == ("graph node", "b")


async def test_a_commit_of_other_keys_that_nobody_could_read_is_refused(store: Store) -> None:
    state = RuntimeSessionState.new()
    await commit(store, state, message_node("a", "hello"))
    state.policy = msgspec.structs.replace(state.policy, other_keys={"x": 1})
    (frame,) = state.agent_frames
    assignment = msgspec.structs.replace(frame.assignment, policy=state.policy)
    state.agent_frames = [msgspec.structs.replace(frame, assignment=assignment)]
    with pytest.raises(InvalidRecord, match="other_keys"):
        await commit(store, state, message_node("b", "hello", parent="a"))
    read = await store.load_session()
    assert read is not None
    assert read.head_revision == 1
