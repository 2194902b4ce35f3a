"""What holds for a short session holds for a long one: many commits, many orphans, many batches, many nodes."""

import random

import msgspec
import pytest

from lash_store import (
    ActivePath,
    Append,
    PersistedSessionConfig,
    SessionHeadMeta,
    Store,
    TokenLedgerEntry,
    Unchanged,
)
from tests.conformance.session_store import alpha40
from tests.conformance.session_store.conftest import Stores
from tests.conformance.session_store.examples import (
    CHECKPOINT,
    IDLE,
    MODEL,
    TTL_MS,
    claimed,
    message,
    node_ids,
    root_commit,
    used,
)
from tests.conformance.session_store.rows import change, query
from tests.property.session_model import Model
from tests.property.session_queue_model import Queued

STILL = Unchanged(None)
MANY = 1_500


async def at_revision(store: Store, revision: int) -> None:
    """A head that has seen so many commits."""
    head = SessionHeadMeta(head_revision=revision, config=PersistedSessionConfig("p", MODEL))
    await store.save_session_head_meta(head)


async def ledger_of(store: Store) -> list[TokenLedgerEntry]:
    read = await store.load_session()
    assert read is not None
    return read.token_ledger


async def test_the_ledger_of_a_long_session(store: Store) -> None:
    """Section 4.21, over 1 100 commits: what was added up once is not counted again, and keeps its place."""
    model = Model()
    dice = random.Random(21)
    await at_revision(store, 0)
    for turn in range(1_100):
        entries = [
            used(dice.choice("ab"), dice.choice("mn"), *(dice.randint(1, 9) for _ in range(4)))
            for _ in range(dice.randrange(3))
        ]
        model.usage += entries
        await store.commit_runtime_state(root_commit(graph=STILL, usage_deltas=entries))
        if turn % 100 == 99:
            model.usage.append(used("late", "m", 1, 0, 0, 0))
            await store.append_usage_deltas([used("late", "m", 1, 0, 0, 0)])
            assert await ledger_of(store) == model.ledger()
    assert await ledger_of(store) == model.ledger()
    assert await store.load_usage_deltas() == model.usage


@pytest.mark.parametrize("revision", [0, 254, 255, 1023, 9_999])
async def test_the_ledger_does_not_depend_on_the_revision(store: Store, revision: int) -> None:
    """Counters are signed (2.4): sums may come to nothing, and yet the entry stands where it first appeared."""
    await at_revision(store, revision)
    for entries in ([used("a", "m", 1, 2, 3, 4), used("b", "m", 5, 0, 0, 0)], [used("a", "m", -1, -2, -3, -4)], []):
        await store.commit_runtime_state(root_commit(graph=STILL, usage_deltas=entries))
    assert await ledger_of(store) == [used("a", "m", 0, 0, 0, 0), used("b", "m", 5, 0, 0, 0)]


async def test_alpha40_adds_to_the_ledger_of_a_long_session(stores: Stores) -> None:
    store = await stores.file()
    await at_revision(store, 255)
    await store.commit_runtime_state(root_commit(graph=STILL, usage_deltas=[used("a", "m", 1, 1, 1, 1)]))
    alpha40.write_usage(stores.path, "b", "m", 2, 2, 2, 2)
    alpha40.write_usage(stores.path, "a", "m", 3, 3, 3, 3)
    assert await ledger_of(store) == [used("a", "m", 4, 4, 4, 4), used("b", "m", 2, 2, 2, 2)]
    alpha40.run(stores.path, "UPDATE session_head SET head_revision = 511")
    await store.commit_runtime_state(root_commit(graph=STILL))
    alpha40.write_usage(stores.path, "b", "m", 1, 1, 1, 1)
    assert await ledger_of(store) == [used("a", "m", 4, 4, 4, 4), used("b", "m", 3, 3, 3, 3)]


async def test_many_orphans_are_collected(store: Store) -> None:
    await store.commit_runtime_state(root_commit())
    orphans = [await store.put_blob(b"orphan %d" % number) for number in range(400)]
    report = await store.gc_unreachable()
    assert (report.deleted_blob_count, report.root_count, report.retained_blob_count) == (400, 1, 1)
    assert [ref for ref in orphans if await store.get_blob(ref) is not None] == []
    read = await store.load_session()
    assert read is not None
    assert read.checkpoint is not None


async def test_a_long_path_is_loaded_in_order(store: Store) -> None:
    nodes = [message(f"n{number}", f"n{number - 1}" if number else None) for number in range(3_000)]
    branch = [message(f"x{number}", "n0") for number in range(100)]
    await store.commit_runtime_state(root_commit(graph=Append([*nodes, *branch], "n2999")))
    read = await store.load_session(ActivePath())
    assert read is not None
    assert node_ids(read.graph.nodes) == node_ids(nodes)


def fill_queue(stores: Stores, now: int) -> None:
    """Many batches in every state: not yet available, claimed, with an expired claim, free; in groups and alone."""
    dice = random.Random(22)
    rows = []
    policy = kind = key = ""
    for number in range(MANY):
        if not policy or dice.random() < 0.15:
            policy = dice.choice(["earliest_safe_boundary"] * 3 + ["after_current_turn_commit"])
            kind = dice.choice(["join", "join", "join", "exclusive"])
            key = dice.choice(['"never"', '{"group":"g"}', '{"group":"h"}'])
        available = dice.choice([0, 0, 0, now - 5, now + dice.randrange(1_000)])
        expires = dice.choice([0, 0, 0, now - dice.randrange(9), now + dice.randrange(1_000)])
        claim = ("qwc", "o", f"t{number}", 1, now - 100, expires) if expires else (None, None, None, 0, 0, 0)
        rows.append((f"qwb:{number}", policy, kind, key, available, now - 10, *claim))
    change(
        stores.path,
        "INSERT INTO queued_work_batches (batch_id, session_id, delivery_policy, slot_policy, merge_key_json,"
        " available_at_ms, enqueued_at_ms, claim_id, claim_owner_id, claim_token, claim_fencing_token,"
        " claim_claimed_at_ms, claim_expires_at_ms)"
        " SELECT value ->> 0, 'root', value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,"
        " value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11 FROM json_each(?)",
        msgspec.json.encode(rows).decode(),
    )


async def model_of_queue(stores: Stores, store: Store) -> Model:
    columns = "claim_id, claim_owner_id, claim_token, claim_fencing_token, claim_claimed_at_ms, claim_expires_at_ms"
    claims = query(stores.path, f"SELECT {columns} FROM queued_work_batches ORDER BY enqueue_seq")
    batches = await store.list_queued_work("root")
    return Model(
        queue=[
            Queued(batch, None if row[0] is None else row[:3], *row[3:])
            for batch, row in zip(batches, claims, strict=True)
        ]
    )


async def test_claims_from_a_long_queue_are_in_order(stores: Stores) -> None:
    store = await stores.file()
    fill_queue(stores, stores.clock.now)
    model = await model_of_queue(stores, store)
    assert len(model.queue) == MANY
    dice = random.Random(23)
    sizes = set()
    for _ in range(300):
        now, limit = stores.clock.now, dice.choice([1, 2, 64])
        boundary, ttl = dice.choice([IDLE, IDLE, CHECKPOINT]), dice.choice([0, 50, TTL_MS])
        group = model.next_group("root", boundary, limit, now)
        made = await store.claim_ready_queued_work("root", "o", boundary, ttl, limit)
        assert (made is not None) == bool(group)
        if made is not None:
            assert made == model.claim(group, now, made, ttl)
        sizes.add(len(group))
        if dice.random() < 0.2:
            stores.clock.advance(dice.randrange(60))
        free = [queued.batch for queued in model.queue if queued.free(stores.clock.now)]
        assert await store.list_pending_queued_work("root") == free
    assert len(sizes) > 8


async def test_all_of_a_fleets_claims_expire_at_once(stores: Stores) -> None:
    store = await stores.file()
    fill_queue(stores, stores.clock.now)
    stores.clock.advance(10_000)
    first = await claimed(store, "owner-b", 1)
    assert [batch.batch_id for batch in first.batches] == ["qwb:0"]
    model = await model_of_queue(stores, store)
    group = model.next_group("root", IDLE, 64, stores.clock.now)
    assert [b.batch_id for b in (await claimed(store, "owner-c", 64)).batches] == [q.batch.batch_id for q in group]
