"""A row that cannot be read names itself, changes nothing, and can be removed (weakness 18)."""

import pytest

from lash_store.errors import InvalidRecord, StoreCorrupt
from tests.sqlite.ops.queue_rig import CHECKPOINT, Queue, draft, texts

DAMAGES = [
    "UPDATE queued_work_batches SET delivery_policy = 'whenever' WHERE enqueue_seq = 1",
    "UPDATE queued_work_batches SET slot_policy = 'sometimes' WHERE enqueue_seq = 1",
    "UPDATE queued_work_batches SET slot_policy = x'ff' WHERE enqueue_seq = 1",
    "UPDATE queued_work_batches SET merge_key_json = 'never' WHERE enqueue_seq = 1",
    "UPDATE queued_work_batches SET merge_key_json = '{\"group\":7}' WHERE enqueue_seq = 1",
    "UPDATE queued_work_batches SET source_key = CAST(x'ff' AS TEXT) WHERE enqueue_seq = 1",
    "UPDATE queued_work_batches SET available_at_ms = -0.5 WHERE enqueue_seq = 1",
    "UPDATE queued_work_items SET payload_json = '{}' WHERE item_id LIKE '%:item:0' AND rowid = 1",
    'UPDATE queued_work_items SET payload_json = \'{"type":"turn_input"\' WHERE rowid = 1',
    'UPDATE queued_work_items SET payload_json = \'{"type":"novelty","input":{}}\' WHERE rowid = 1',
    "UPDATE queued_work_items SET payload_json = CAST(x'7b22ff' AS TEXT) WHERE rowid = 1",
]


@pytest.fixture(params=DAMAGES)
async def damaged(request: pytest.FixtureRequest, queue: Queue) -> str:
    """The id of a damaged batch at the head of the queue, which holds a sound one behind it."""
    batch, _ = await queue.put(draft("damaged", key="k"), draft("sound"))
    await queue.execute(request.param)
    return batch.batch_id


async def test_a_claim_names_it_and_leaves_nothing_claimed(queue: Queue, damaged: str) -> None:
    before = await queue.everything()
    for _ in range(2):
        with pytest.raises(StoreCorrupt) as caught:
            await queue.claim()
        assert (caught.value.kind, caught.value.key) == ("queued_work_batch", damaged)
        assert isinstance(caught.value.__cause__, InvalidRecord)
        assert await queue.everything() == before
    with pytest.raises(StoreCorrupt):
        await queue.claim(boundary=CHECKPOINT)
    with pytest.raises(StoreCorrupt):
        await queue.claim_exactly([damaged])
    assert await queue.everything() == before


async def test_if_it_cannot_be_given_back_the_error_says_so(queue: Queue) -> None:
    await queue.put(draft("damaged"))
    await queue.execute("UPDATE queued_work_batches SET slot_policy = 'sometimes'")
    await queue.execute(
        "CREATE TRIGGER full BEFORE UPDATE ON queued_work_batches WHEN NEW.claim_token IS NULL "
        "BEGIN SELECT raise(ABORT, 'no room'); END"
    )
    with pytest.raises(StoreCorrupt) as caught:
        await queue.claim()
    assert isinstance(caught.value.__cause__, InvalidRecord)
    (note,) = caught.value.__notes__
    assert "until its lease ends" in note
    assert "no room" in note


async def test_lists_and_cancelling_name_it_and_change_nothing(queue: Queue, damaged: str) -> None:
    before = await queue.everything()
    with pytest.raises(StoreCorrupt, match=damaged):
        await queue.list_queued_work("root")
    with pytest.raises(StoreCorrupt, match=damaged):
        await queue.list_pending_queued_work("root")
    with pytest.raises(StoreCorrupt, match=damaged):
        await queue.cancel_queued_work_batch("root", damaged)
    assert await queue.everything() == before


async def test_discarding_it_sets_its_session_free(queue: Queue, damaged: str) -> None:
    assert await queue.discard_queued_work_batch("root", damaged)
    assert not await queue.discard_queued_work_batch("root", damaged)
    assert texts(await queue.list_queued_work("root")) == ["sound"]
    assert texts(await queue.claim()) == ["sound"]
    assert await queue.rows("SELECT count(*) FROM queued_work_items") == [(1,)]


async def test_it_does_not_hinder_other_sessions(queue: Queue, damaged: str) -> None:
    await queue.put(draft("theirs", "other"))
    assert texts(await queue.claim(session_id="other")) == ["theirs"]


async def test_a_replay_of_its_key_names_it(queue: Queue) -> None:
    [batch] = await queue.put(draft(key="k"))
    await queue.execute("UPDATE queued_work_items SET payload_json = '1'")
    before = await queue.everything()
    with pytest.raises(StoreCorrupt, match=batch.batch_id):
        await queue.put(draft(key="k"))
    assert await queue.everything() == before


async def test_a_damaged_follower_fails_the_claim_as_a_whole(queue: Queue) -> None:
    await queue.put(draft("sound"), draft("damaged"))
    await queue.execute("UPDATE queued_work_items SET payload_json = '' WHERE rowid = 2")
    before = await queue.everything()
    with pytest.raises(StoreCorrupt):
        await queue.claim()
    assert await queue.everything() == before
    assert texts(await queue.claim(1)) == ["sound"]
