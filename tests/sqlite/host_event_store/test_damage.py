"""Damaged rows: each is named, and keeps no other delivery from being made."""

from typing import Any

import pytest

from lash_store.errors import InvalidRecord, StoreCorrupt, TriggerDeliveryCorrupt
from lash_store.records.host_event_trigger import TriggerSubscriptionFilter
from lash_store.rules.host_event_catalog import HostEventCatalog
from lash_store.sqlite.host_event_store.store import SqliteHostEventStore
from tests.clocks import ManualClock
from tests.host_event_examples import BUTTON, OCCURRENCE_ID, draft, pressed
from tests.sqlite.host_event_store.test_store import reserved, sql, states

BAD: list[Any] = [None, 5, "x", [], {}, b"x", 1.5]
DAMAGE_SUBSCRIPTION = "UPDATE host_event_trigger_subscriptions SET record_json = ? WHERE subscription_id = ?"
DAMAGE_OCCURRENCE = "UPDATE host_event_occurrences SET record_json = ? WHERE idempotency_key = ?"


async def test_one_damaged_subscription_of_three(store: SqliteHostEventStore, clock: ManualClock) -> None:
    for session_id in ("a", "b", "c"):
        await store.register_subscription(draft(session_id=session_id))
    ((text,),) = await sql(store, "SELECT record_json FROM host_event_trigger_subscriptions WHERE session_id = 'b'")
    await sql(store, DAMAGE_SUBSCRIPTION, "{oops", "subscription:2")
    await store.record_occurrence(pressed())
    with pytest.raises(TriggerDeliveryCorrupt) as damaged:
        await store.reserve_matching_deliveries(OCCURRENCE_ID)
    error = damaged.value
    assert (error.occurrence_id, error.subscription_id) == (OCCURRENCE_ID, "subscription:2")
    assert [each.subscription.session_id for each in error.reservations] == ["a", "c"]
    assert await store.reserve_matching_deliveries(OCCURRENCE_ID) == []
    clock.advance(30_000)
    with pytest.raises(TriggerDeliveryCorrupt) as again:
        await store.resume_deliveries()
    assert [each.subscription.session_id for each in again.value.reservations] == ["a", "c"]
    await sql(store, DAMAGE_SUBSCRIPTION, text, "subscription:2")
    assert [each.subscription.session_id for each in await store.resume_deliveries(idle_ms=0)] == ["a", "b", "c"]


async def test_what_is_damaged_does_not_stand_in_the_way(store: SqliteHostEventStore, clock: ManualClock) -> None:
    """With a limit, too: it counts as tried, and others are the longest untried then. It can be dropped."""
    await store.register_subscription(draft())
    for key in ("i", "j", "k"):
        occurrence = await store.record_occurrence(pressed(key))
        await store.reserve_matching_deliveries(occurrence.occurrence_id)
        clock.advance(1)
    await sql(store, DAMAGE_OCCURRENCE, "{}", "i")
    await sql(store, DAMAGE_OCCURRENCE, "{oops", "j")
    clock.advance(30_000)
    with pytest.raises(TriggerDeliveryCorrupt) as damaged:
        await store.resume_deliveries(limit=2)
    assert (damaged.value.reservations, len(damaged.value.also)) == ((), 1)
    [third] = await store.resume_deliveries(limit=2)
    assert third.occurrence.idempotency_key == "k"
    for error in (damaged.value, *damaged.value.also):
        assert await store.drop_delivery(error.occurrence_id, error.subscription_id, "damaged")
    assert await states(store) == ["dropped", "dropped", "reserved"]
    assert [each.process_id for each in await store.resume_deliveries(idle_ms=0)] == [third.process_id]


@pytest.mark.parametrize("damage", ["{oops", "{}", "null", '{"subscription_id":"subscription:9","name":"other"}'])
async def test_a_name_is_not_asked_past_damage(store: SqliteHostEventStore, damage: str) -> None:
    for name in ("one", "two"):
        await store.register_subscription(draft(name, session_id=name))
    await sql(store, DAMAGE_SUBSCRIPTION, damage, "subscription:2")
    for session_id, is_corrupt in ((None, True), ("two", True), ("one", False)):
        asked = TriggerSubscriptionFilter(session_id=session_id, name="one")
        if is_corrupt:
            with pytest.raises(StoreCorrupt) as corrupt:
                await store.list_subscriptions(asked)
            assert (corrupt.value.kind, corrupt.value.key) == ("trigger subscription", "subscription:2")
        else:
            assert [each.name for each in await store.list_subscriptions(asked)] == ["one"]


async def test_records_of_other_rows(store: SqliteHostEventStore) -> None:
    await reserved(store, "a", "b")
    await store.record_occurrence(pressed("other"))
    subscriptions = "host_event_trigger_subscriptions"
    await sql(store, f"UPDATE {subscriptions} SET record_json = (SELECT max(record_json) FROM {subscriptions})")
    with pytest.raises(StoreCorrupt) as corrupt:
        await store.list_subscriptions(TriggerSubscriptionFilter())
    assert (corrupt.value.kind, corrupt.value.key) == ("trigger subscription", "subscription:1")
    occurrences = "host_event_occurrences"
    await sql(store, f"UPDATE {occurrences} SET record_json = (SELECT max(record_json) FROM {occurrences})")
    with pytest.raises(StoreCorrupt) as listed:
        await store.list_occurrences(BUTTON)
    [damaged] = await sql(
        store, f"SELECT occurrence_id FROM {occurrences} WHERE record_json ->> '$.occurrence_id' <> occurrence_id"
    )
    assert (listed.value.kind, listed.value.key) == ("host event occurrence", *damaged)


@pytest.mark.parametrize(
    ("column", "value"),
    [("state", "later"), ("state", b"\xff"), ("state", 5), ("attempts", "x"), ("tried_at_ms", "x"), ("reason", b"x")],
)
async def test_an_account_that_says_nothing(store: SqliteHostEventStore, column: str, value: Any) -> None:
    await reserved(store)
    await sql(store, f"UPDATE lash_host_event_starts SET {column} = ?", value)
    with pytest.raises(StoreCorrupt) as corrupt:
        await store.list_deliveries()
    assert (corrupt.value.kind, corrupt.value.key) == ("trigger delivery", f"{OCCURRENCE_ID}/subscription:1")


@pytest.mark.parametrize("bad", BAD, ids=repr)
async def test_what_is_no_record(store: SqliteHostEventStore, bad: Any) -> None:
    for call in (
        lambda: store.register_subscription(bad),
        lambda: store.list_subscriptions(bad),
        lambda: store.record_occurrence(bad),
        lambda: store.record_occurrence_once(bad),
    ):
        with pytest.raises(InvalidRecord):
            await call()
    with pytest.raises(InvalidRecord):
        HostEventCatalog().declare(bad)
