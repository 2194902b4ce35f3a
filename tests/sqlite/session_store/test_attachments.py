"""The attachment manifest of a store (specification 4.28)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lash_store.errors import InvalidJsonValue, InvalidRecord, StoreCorrupt, StoreReadOnly
from lash_store.records.attachments import AttachmentIntent, AttachmentManifestEntry
from lash_store.records.commit import RuntimeCommit
from lash_store.sqlite.session_store.store import Store
from tests.sqlite.session_store.rig import execute, open_store, rows, set_clock, state_of

LAST_MS = 2**63 - 1


@pytest_asyncio.fixture(params=["file", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with await open_store(None if request.param == "memory" else tmp_path / "store.db") as opened:
        yield opened


def intent(attachment_id: str, at_ms: int = 100, session_id: str = "root") -> AttachmentIntent:
    return AttachmentIntent(attachment_id, session_id, f"sha256:{attachment_id}", at_ms)


async def listed(store: Store, older_than_ms: int = 200) -> list[str]:
    return [entry.attachment_id for entry in await store.list_uncommitted(older_than_ms)]


async def committed_at(store: Store, attachment_id: str) -> int | None:
    query = "SELECT committed_at_ms FROM attachment_manifest WHERE attachment_id = ?1"
    ((at_ms,),) = await rows(store, query, attachment_id)
    return at_ms  # type: ignore[no-any-return]


async def test_the_life_of_an_intent(store: Store) -> None:
    """Scenarios 8, 9 and 10."""
    for attachment_id in ("runtime-commit", "manual-commit", "orphan"):
        await store.record_intent(intent(attachment_id))
    assert len(await store.list_uncommitted(200)) == 3

    await store.commit_refs("root", ["manual-commit"])
    carrying = RuntimeCommit.persisted_state(state_of()).with_committed_attachments(["runtime-commit"])
    await store.commit_runtime_state(carrying)
    assert await store.list_uncommitted(200) == [AttachmentManifestEntry("orphan", "root", "sha256:orphan", 100, None)]

    await store.forget("orphan")
    assert await store.list_uncommitted(200) == []


async def test_an_attachment_keeps_its_row(store: Store) -> None:
    await store.record_intent(intent("a", 100, "other"))
    await store.record_intent(AttachmentIntent("a", "root", "elsewhere", 50))
    assert await store.list_uncommitted(200) == [AttachmentManifestEntry("a", "other", "sha256:a", 100)]
    await store.commit_refs("other", ["a"])
    await store.record_intent(intent("a"))
    assert await listed(store) == []


async def test_a_time_of_commit_stays(store: Store) -> None:
    await store.record_intent(intent("a"))
    set_clock(store, 5_000)
    await store.commit_refs("root", ["a"])
    set_clock(store, 6_000)
    await store.commit_refs("root", ["a", "a"])
    assert await committed_at(store, "a") == 5_000


async def test_only_the_rows_of_the_session_are_committed(store: Store) -> None:
    await store.record_intent(intent("a", session_id="other"))
    await store.commit_refs("root", ["a", "unknown"])
    await store.commit_refs("root", [])
    assert await committed_at(store, "a") is None


async def test_the_list_is_in_order_of_time_then_id(store: Store) -> None:
    for attachment_id, at_ms in [("c", 100), ("a", 150), ("b", 100), ("d", 100), ("e", 99)]:
        await store.record_intent(intent(attachment_id, at_ms))
    assert await listed(store) == ["e", "b", "c", "d", "a"]


async def test_the_list_goes_up_to_a_time(store: Store) -> None:
    for at_ms in (0, 99, 100, 101, LAST_MS):
        await store.record_intent(intent(f"at {at_ms}", at_ms))
    assert await listed(store, 100) == ["at 0", "at 99", "at 100"]
    assert await listed(store, 0) == ["at 0"]
    assert len(await listed(store, LAST_MS)) == 5


async def test_forgetting_takes_committed_rows_and_unknown_ids(store: Store) -> None:
    await store.record_intent(intent("a"))
    await store.commit_refs("root", ["a"])
    await store.forget("a")
    await store.forget("unknown")
    assert await rows(store, "SELECT * FROM attachment_manifest") == []


async def test_a_sweep_forgets_only_what_was_never_committed(store: Store) -> None:
    for attachment_id in ("kept", "orphan", "committed meanwhile"):
        await store.record_intent(intent(attachment_id))
    await store.commit_refs("root", ["kept"])
    swept = await listed(store)
    assert swept == ["committed meanwhile", "orphan"]
    await store.commit_refs("root", ["committed meanwhile"])
    assert [await store.forget_uncommitted(attachment_id) for attachment_id in swept] == [False, True]
    assert not await store.forget_uncommitted("orphan")
    assert not await store.forget_uncommitted("kept")
    left = await rows(store, "SELECT attachment_id FROM attachment_manifest ORDER BY 1")
    assert left == [("committed meanwhile",), ("kept",)]


@pytest.mark.parametrize("at_ms", [-1, 2**63, 2**64 - 1, True, 1.0, None])
async def test_a_time_that_is_none_is_refused(store: Store, at_ms: int) -> None:
    with pytest.raises(InvalidRecord):
        await store.record_intent(intent("a", at_ms))
    with pytest.raises(InvalidRecord):
        await store.list_uncommitted(at_ms)
    assert await rows(store, "SELECT * FROM attachment_manifest") == []


async def test_a_text_that_is_none_is_refused(store: Store) -> None:
    for refused in (
        store.record_intent(intent("\ud800")),
        store.record_intent(intent("a", session_id=7)),  # type: ignore[arg-type]
        store.commit_refs("root", ["a", "\ud800"]),
        store.commit_refs(None, ["a"]),  # type: ignore[arg-type]
        store.forget(None),  # type: ignore[arg-type]
        store.forget_uncommitted("\ud800"),
    ):
        with pytest.raises((InvalidRecord, InvalidJsonValue)):
            await refused


@pytest.mark.parametrize("damage", ["intent_at_ms = 1.5", "canonical_uri = x'00'", "session_id = x'ff'"])
async def test_a_row_that_cannot_be_read_is_an_error(store: Store, damage: str) -> None:
    await store.record_intent(intent("a"))
    await execute(store, f"UPDATE attachment_manifest SET {damage}")
    with pytest.raises(StoreCorrupt) as raised:
        await store.list_uncommitted(LAST_MS)
    assert (raised.value.kind, raised.value.key) == ("attachment manifest row", "a")


async def test_a_text_that_is_no_utf8_is_an_error(store: Store) -> None:
    await store.record_intent(intent("a"))
    await execute(store, "UPDATE attachment_manifest SET canonical_uri = CAST(x'ff' AS TEXT)")
    with pytest.raises(StoreCorrupt):
        await store.list_uncommitted(LAST_MS)


async def test_failures_are_raised(tmp_path: Path) -> None:
    await (await open_store(tmp_path / "store.db")).close()
    async with await Store.open_readonly(tmp_path / "store.db") as store:
        for refused in (
            store.record_intent(intent("a")),
            store.commit_refs("root", ["a"]),
            store.forget("a"),
            store.forget_uncommitted("a"),
        ):
            with pytest.raises(StoreReadOnly):
                await refused


async def test_the_event_loop_goes_on_meanwhile(tmp_path: Path) -> None:
    """Weakness 43: while another connection holds the lock, an intent waits, and nobody else does."""
    async with (
        await open_store(tmp_path / "store.db") as store,
        await open_store(tmp_path / "store.db") as other,
    ):
        locked, released = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold(connection: object) -> None:
            loop.call_soon_threadsafe(locked.set)
            asyncio.run_coroutine_threadsafe(released.wait(), loop).result()

        holding = asyncio.create_task(other._connection.write(hold))
        await locked.wait()
        recording = asyncio.create_task(store.record_intent(intent("a")))
        meanwhile = await listed(store), recording.done()
        released.set()
        await asyncio.gather(holding, recording)
        assert meanwhile == ([], False)
        assert await listed(store) == ["a"]
