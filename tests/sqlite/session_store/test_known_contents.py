"""Contents that are stored already: met once, believed as long as they are used, checked beside the event loop."""

import random
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lash_store import HydratedSessionCheckpoint, PersistedTurnState, RuntimeCommit, RuntimeSessionState, Store
from lash_store.codecs.checkpoint import encode_checkpoint, encode_execution_state
from lash_store.codecs.content_hash import content_hash
from lash_store.errors import GuardFailed
from tests.sqlite.session_store.rig import execute, stored_refs
from tests.sqlite.session_store.samples import change, commit, query

TOOLS = {"generation": 1, "tools": {}}
PARTS: dict[str, Any] = {"tool_state": TOOLS, "plugin_snapshot": {"plugins": {}}, "execution_state": b"vm"}
HYDRATED = HydratedSessionCheckpoint(turn_state=PersistedTurnState(turn_index=1), **PARTS)


def count_plans(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The plans that the store runs from now on."""
    plans: list[object] = []

    async def run(plan: Any) -> Any:
        plans.append(plan)
        return await Store._run(store, plan)

    monkeypatch.setattr(store, "_run", run)
    return plans


def encodings(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """In which threads commits encode their checkpoints from now on."""
    threads: list[threading.Thread] = []

    def watched(*arguments: Any) -> Any:
        threads.append(threading.current_thread())
        return encode_checkpoint(*arguments)

    monkeypatch.setattr("lash_store.sqlite.ops.commit.encode_checkpoint", watched)
    return threads


def state_of(**changes: Any) -> RuntimeSessionState:
    return msgspec.structs.replace(RuntimeSessionState.new(), turn_index=1, **changes)


async def test_all_that_a_commit_meets_costs_one_more_try(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "session.db"
    async with await Store.open(path) as store, await Store.open(path) as other:
        await commit(store, state_of(**PARTS))
        plans, encoded = count_plans(other, monkeypatch), encodings(monkeypatch)
        await commit(other, state_of(**PARTS))
        assert (len(plans), len(encoded)) == (2, 1)
        await commit(other, state_of(**PARTS))
        assert len(plans) == 3


async def test_all_that_is_damaged_is_mended_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "session.db"
    async with await Store.open(path) as store, await Store.open(path) as other:
        await commit(store, state_of(**PARTS))
        await execute(store, "UPDATE blobs SET content = x'00'")
        plans = count_plans(other, monkeypatch)
        ref, _ = await other.put_checkpoint(HYDRATED)
        assert len(plans) == 3
        assert await store.get_checkpoint(ref) == msgspec.structs.replace(HYDRATED, **(await refs_of(store)), **PARTS)


async def refs_of(store: Store) -> dict[str, str | None]:
    read = await store.load_session()
    assert read is not None
    assert read.checkpoint is not None
    names = ("tool_state_ref", "plugin_snapshot_ref", "execution_state_ref")
    return {name: getattr(read.checkpoint, name) for name in names}


async def test_what_others_have_mended_meanwhile_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repair names the damage that it replaces: another sound form of the content, the bare one here, is none."""
    bare = encode_execution_state(b"vm")
    ref = content_hash(bare)
    await commit(store, state_of(**PARTS))
    store._stored_refs.clear()
    await execute(store, "UPDATE blobs SET content = x'00' WHERE hash = ?1", ref)

    async def run(plan: Any) -> Any:
        if any(step.sql.lstrip().startswith("UPDATE blobs") for step in plan.steps):
            await change(store, "UPDATE blobs SET content = ?2 WHERE hash = ?1", ref, bare)
        return await Store._run(store, plan)

    monkeypatch.setattr(store, "_run", run)
    await store.put_checkpoint(HYDRATED)
    assert await query(store, "SELECT content FROM blobs WHERE hash = ?1", ref) == [(bare,)]


async def test_a_constant_part_is_known_however_many_others_come(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await commit(store, state_of(tool_state=TOOLS))
    plans = count_plans(store, monkeypatch)
    for number in range(200):
        await commit(store, state_of(tool_state=TOOLS, execution_state=b"%d" % number))
    assert len(plans) == 200


async def test_a_checkpoint_put_alone_is_known_to_the_commit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = count_plans(store, monkeypatch)
    await store.put_checkpoint(HYDRATED)
    await commit(store, state_of(**PARTS))
    assert len(plans) == 2
    assert len(await stored_refs(store)) == 4


async def test_a_guard_reads_no_blob_under_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "session.db"
    state = state_of(execution_state=random.Random(1).randbytes(200_000))
    rows: list[object] = []

    async def run(plan: Any) -> Any:
        try:
            return await Store._run(other, plan)
        except GuardFailed as failed:
            rows.append(failed.row)
            raise

    async with await Store.open(path) as store, await Store.open(path) as other:
        commit_again = RuntimeCommit.persisted_state(state)
        await store.commit_runtime_state(commit_again)
        monkeypatch.setattr(other, "_run", run)
        await other.commit_runtime_state(commit_again)
    assert rows == [(1,)]


@pytest.mark.parametrize("row", [(b"\x00" * 5_000_000,), ("x" * 5_000_000, 1, None)])
def test_the_message_of_a_guard_is_short(row: tuple[Any, ...]) -> None:
    failed = GuardFailed(3, "name", "no row", row, 0)
    assert len(str(failed)) < 500
    assert failed.row is row


def test_the_message_of_a_guard_shows_short_values_whole() -> None:
    assert "saw the row ('root', 7, None)" in str(GuardFailed(0, "", "no row", ("root", 7, None), 0))


LARGE = 64 * 1024
BYTES = {"plugins": {"p": {"meta": {}, "artifacts": [{"name": "a", "data": [1] * LARGE}]}}}


@pytest.mark.parametrize(
    ("parts", "large"),
    [
        ({"execution_state": b"x" * LARGE}, True),
        ({"execution_state": b"x" * 1000}, False),
        ({"plugin_snapshot": BYTES}, True),
        ({"tool_state": {"generation": 1, "tools": {f"t{n}": {} for n in range(1000)}}}, True),
        ({"tool_state": TOOLS, "plugin_snapshot": {"plugins": {}}}, False),
    ],
)
async def test_what_is_large_is_encoded_in_a_thread(
    store: Store, monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any], large: bool
) -> None:
    threads = encodings(monkeypatch)
    await commit(store, state_of(**parts))
    assert [thread is not threading.current_thread() for thread in threads] == [large]
