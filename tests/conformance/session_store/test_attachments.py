"""Scenarios 8 to 11: attachment intents, and what becomes of them."""

from lash_store import AttachmentManifestEntry, Store
from tests.clocks import NOW_MS, ManualClock
from tests.conformance.session_store.examples import intent, root_commit, uncommitted
from tests.conformance.session_store.rows import everything


async def three_intents(store: Store) -> None:
    for name in ("runtime-commit", "manual-commit", "orphan"):
        await store.record_intent(intent(name))


async def two_commits(store: Store) -> None:
    await three_intents(store)
    await store.commit_refs("root", ["manual-commit"])
    await store.commit_runtime_state(root_commit().with_committed_attachments(["runtime-commit"]))


async def test_scenario_08_uncommitted_intents_are_listed(store: Store) -> None:
    await three_intents(store)
    assert sorted(await uncommitted(store, 200)) == ["manual-commit", "orphan", "runtime-commit"]
    assert len(await uncommitted(store, 100)) == 3
    assert await uncommitted(store, 99) == []


async def test_scenario_09_commits_take_them_off_the_list(store: Store) -> None:
    await two_commits(store)
    assert await store.list_uncommitted(200) == [
        AttachmentManifestEntry("orphan", "root", "sha256:orphan", 100, committed_at_epoch_ms=None)
    ]


async def test_scenario_10_forgotten_is_gone(store: Store) -> None:
    await two_commits(store)
    await store.forget("orphan")
    await store.forget("orphan")
    assert await uncommitted(store, 200) == []


async def test_scenario_11_a_no_op_manifest_has_no_counterpart_here(store: Store) -> None:
    """The scenario is that of backends without a manifest. Its outcome holds here too, and here rows are behind it."""
    await store.record_intent(intent("a"))
    await store.commit_refs("root", ["a"])
    assert await uncommitted(store, 200) == []
    assert (await everything(store))["attachment_manifest"] == [("a", "root", "sha256:a", 100, NOW_MS)]
    await store.forget("a")
    assert (await everything(store))["attachment_manifest"] == []


async def test_the_first_intent_and_the_first_commit_time_stand(store: Store, clock: ManualClock) -> None:
    """Section 4.28: a row is never overwritten, not even by another session's intent."""
    await store.record_intent(intent("a"))
    await store.record_intent(intent("a", at_ms=5, session="other"))
    await store.commit_refs("other", ["a"])
    assert await uncommitted(store, 200) == ["a"]
    await store.commit_refs("root", ["a", "unknown"])
    clock.advance(1000)
    await store.commit_refs("root", ["a"])
    await store.commit_runtime_state(root_commit().with_committed_attachments(["a", "unknown"]))
    await store.record_intent(intent("a", at_ms=7))
    assert (await everything(store))["attachment_manifest"] == [("a", "root", "sha256:a", 100, NOW_MS)]


async def test_the_oldest_come_first(store: Store) -> None:
    for at_ms in (30, 10, 20):
        await store.record_intent(intent(f"at-{at_ms}", at_ms))
    assert await uncommitted(store) == ["at-10", "at-20", "at-30"]
