"""Where lash_store is meant to behave otherwise (docs/compatibility.md): that alpha.40 does behave as is said there.

What comes of it in the file is read alike by both, or a test says what alpha.40 does not see.
"""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from lash_store import (
    BlobMissing,
    EffectRefused,
    EffectScopeTurn,
    InvalidTriggerSubscription,
    ProcessLeaseLost,
    PruneStateDeleted,
    QueuedWorkClaimExpired,
    ReplaceFull,
    SessionHead,
    Store,
    Unchanged,
    UnknownLeafNode,
)
from tests.conformance.session_store.examples import IDLE, TTL_MS, draft, message, root_commit, used
from tests.effects import exec_envelope, exec_outcome
from tests.host_event_examples import draft as subscription
from tests.interop.conftest import Opener
from tests.interop.examples import EVERYTHING
from tests.interop.stores import TheirStore, same_loads
from tests.interop.test_effects import Hosts
from tests.interop.test_host_events import EVERY, TheirEvents
from tests.interop.test_queue import claimed, completing
from tests.interop.test_upkeep import collected
from tests.process_examples import registration


class Pair:
    """A session file that is open in both."""

    def __init__(self, ours: Store, theirs: TheirStore) -> None:
        self.ours = ours
        self.theirs = theirs


@pytest_asyncio.fixture
async def pair(opener: Opener, tmp_path: Path) -> Pair:
    return Pair(await opener.ours(tmp_path / "s.db"), await opener.theirs(tmp_path / "s.db"))


async def test_ledger_rows_with_cached_tokens_only(pair: Pair) -> None:
    """Weakness 32."""
    cached = used("cache", "m", 0, 0, 9, 0)
    await pair.theirs.commit_runtime_state(root_commit(usage_deltas=[cached, used("none", "m", 0, 0, 0, 0)]))
    theirs, ours = await pair.theirs.load_session(), await pair.ours.load_session()
    assert theirs is not None
    assert ours is not None
    assert (theirs.token_ledger, ours.token_ledger) == ([], [cached])


async def test_a_lease_that_ran_out_is_renewed(pair: Pair) -> None:
    """Weakness 12."""
    await pair.ours.enqueue_queued_work(draft("a"))
    claim = await claimed(pair.theirs, ttl=0)
    with pytest.raises(QueuedWorkClaimExpired):
        await pair.ours.renew_queued_work_claim(claim, TTL_MS)
    await pair.theirs.renew_queued_work_claim(claim, TTL_MS)
    assert await pair.ours.list_pending_queued_work("root") == []


async def test_a_completion_that_names_other_batches(pair: Pair) -> None:
    """Weakness 13: alpha.40 says that it is done, and has removed nothing."""
    await pair.ours.enqueue_queued_work(draft("a"))
    claim = await claimed(pair.ours)
    wrong = msgspec.structs.replace(claim.completion(), batch_ids=["qwb:other"])
    commit = root_commit(graph=Unchanged(None)).completing_queue_claims([wrong])
    with pytest.raises(QueuedWorkClaimExpired):
        await pair.ours.commit_runtime_state(commit)
    assert (await pair.theirs.commit_runtime_state(commit)).head_revision == 1
    await pair.ours.commit_runtime_state(completing(claim))
    assert await pair.theirs.list_queued_work("root") == []


async def test_an_exact_claim_in_vain(pair: Pair) -> None:
    """Weakness 21: alpha.40 leaves a trace, which we go on from."""
    for text in "ab":
        await pair.ours.enqueue_queued_work(draft(text))
    ids = [batch.batch_id for batch in await pair.ours.list_queued_work("root")]
    for session in (pair.ours, pair.theirs):
        assert await session.claim_ready_queued_work_by_batch_ids("root", "o", IDLE, TTL_MS, ids[1:]) is None
    assert (await claimed(pair.ours)).fencing_token == 2


async def test_references_on_trust(pair: Pair) -> None:
    """Weakness 30: what alpha.40 has let pass, both read as a reference without a value, and we let it stand."""
    checkpoint = msgspec.structs.replace(root_commit().checkpoint, tool_state_ref="0" * 64)
    with pytest.raises(BlobMissing):
        await pair.ours.commit_runtime_state(root_commit(checkpoint=checkpoint))
    await pair.theirs.commit_runtime_state(root_commit(checkpoint=checkpoint))
    found = (await same_loads(pair.ours, pair.theirs)).checkpoint
    assert found is not None
    assert (found.tool_state_ref, found.tool_state) == ("0" * 64, None)
    await pair.ours.commit_runtime_state(root_commit(checkpoint=checkpoint))


async def test_a_leaf_that_is_no_node(pair: Pair) -> None:
    """Of a leaf that alpha.40 has let pass both load an empty path, and we can go on."""
    with pytest.raises(UnknownLeafNode):
        await pair.ours.commit_runtime_state(root_commit(graph=Unchanged("nowhere")))
    await pair.theirs.commit_runtime_state(root_commit(graph=Unchanged("nowhere")))
    assert (await pair.ours.load_session()) == (await pair.theirs.load_session())
    await pair.ours.commit_runtime_state(root_commit(graph=Unchanged("nowhere")))


async def test_the_revision_of_a_saved_head(pair: Pair) -> None:
    """Weakness 29: alpha.40 begins again with 0, and who has seen the old revision is refused by both."""
    await pair.ours.commit_runtime_state(root_commit())
    saved = SessionHead(session_id="root", config=EVERYTHING.config)
    await pair.ours.save_session_head(saved)
    assert (await same_loads(pair.ours, pair.theirs)).head_revision == 2
    await pair.theirs.save_session_head(saved)
    assert (await same_loads(pair.ours, pair.theirs)).head_revision == 0
    result = await pair.ours.commit_runtime_state(root_commit(expected_head_revision=0))
    assert result.head_revision == 1


async def test_what_a_collection_keeps(pair: Pair) -> None:
    """Weakness 9: archives and the execution states of frames go with alpha.40's collection, and stay in ours."""
    archive, frame_state = [await pair.ours.put_blob(data) for data in (b"archive", b"state of a frame")]
    part = msgspec.structs.replace(
        message("a").payload.event.parts[0],  # type: ignore[union-attr]
        prune_state=PruneStateDeleted("b", archive),
    )
    node = message("a")
    event = msgspec.structs.replace(node.payload.event, parts=[part])  # type: ignore[union-attr]
    node = msgspec.structs.replace(node, payload=msgspec.structs.replace(node.payload, event=event))
    frames = [
        msgspec.structs.replace(frame, execution_state_ref=frame_state, execution_state_snapshot=None)
        for frame in root_commit().agent_frames
    ]
    await pair.ours.commit_runtime_state(root_commit(graph=ReplaceFull([node], "a"), agent_frames=frames))
    before = await same_loads(pair.ours, pair.theirs)
    assert (await collected(pair.ours))[2] == 0
    assert (await collected(pair.theirs))[2] == 2
    assert await pair.ours.get_blob(archive) is None
    assert await same_loads(pair.ours, pair.theirs) == before


async def test_scopes_with_equal_ids(opener: Opener, tmp_path: Path) -> None:
    """Effects, weakness 1: alpha.40 replays to one session what another has recorded."""
    hosts = Hosts(await opener.our_effects(tmp_path / "e.db"), await opener.alpha40("effects", tmp_path / "e.db"))
    envelope, mine, stranger = exec_envelope("k", "code"), EffectScopeTurn("s", "t"), EffectScopeTurn("stranger", "t")
    await hosts.run_here(envelope, exec_outcome(1), mine)
    with pytest.raises(EffectRefused):
        await hosts.run_here(envelope, scope=stranger)
    assert await hosts.run_there(envelope, scope=stranger) == (exec_outcome(1), 0)


async def test_an_outcome_of_another_kind(opener: Opener, tmp_path: Path) -> None:
    """Effects, weakness 31: what alpha.40 has stored we do not hand out as what it is not."""
    hosts = Hosts(await opener.our_effects(tmp_path / "e.db"), await opener.alpha40("effects", tmp_path / "e.db"))
    sleep: Any = {"type": "sleep"}
    envelope, scope = exec_envelope("k", "code"), EffectScopeTurn("s", "t")
    stored = await hosts.theirs("execute", scope=scope, envelope=envelope, outcome=sleep)
    assert stored == {"outcome": sleep, "executed": 1}
    with pytest.raises(EffectRefused) as caught:
        await hosts.run_here(envelope, scope=scope)
    assert caught.value.code == "runtime_effect_wrong_outcome"


async def test_a_lease_renewed_by_its_token_alone(opener: Opener, tmp_path: Path) -> None:
    """Processes, weakness 3."""
    ours, theirs = await opener.our_registry(tmp_path / "p.db"), await opener.their_registry(tmp_path / "p.db")
    await ours.register_process(registration("p"))
    lease = await ours.claim_process_lease("p", "owner", TTL_MS)
    forged = msgspec.structs.replace(lease, fencing_token=lease.fencing_token + 1)
    with pytest.raises(ProcessLeaseLost):
        await ours.renew_process_lease(forged, TTL_MS)
    assert (await theirs.renew_process_lease(forged, TTL_MS)).fencing_token == forged.fencing_token
    await ours.renew_process_lease(lease, TTL_MS)


async def test_subscriptions_that_nothing_can_match(opener: Opener, tmp_path: Path) -> None:
    """Host events, weaknesses 22 and 24: both list what alpha.40 lets pass, and what it cancels twice."""
    ours = await opener.our_events(tmp_path / "h.db")
    theirs = TheirEvents(await opener.alpha40("host_events", tmp_path / "h.db"))
    blank = subscription(source_type=" ")
    with pytest.raises(InvalidTriggerSubscription):
        await ours.register_subscription(blank)
    record = await theirs.register_subscription(blank)
    assert await ours.list_subscriptions(EVERY) == [record] == await theirs.list_subscriptions(EVERY)
    assert await theirs.cancel_subscription(record.session_id, record.handle) is True
    assert await ours.cancel_subscription(record.session_id, record.handle) is False
    assert await theirs.cancel_subscription(record.session_id, record.handle) is False
    assert await ours.list_subscriptions(EVERY) == await theirs.list_subscriptions(EVERY)
