"""Scenarios 17 to 28 and 40: subscriptions, occurrences and reservations."""

from collections.abc import Awaitable, Callable

import pytest

from lash_store.codecs.host_event_ids import default_host_event_source_key, host_event_occurrence_request_hash
from lash_store.errors import HostEventOccurrenceConflict, InvalidHostEventOccurrence, UnknownHostEventOccurrence
from lash_store.records.artifacts import DurabilityTier
from lash_store.records.host_event import HostEventOccurrenceRecord
from lash_store.records.host_event_trigger import TriggerSubscriptionFilter, TriggerSubscriptionRecord
from lash_store.sqlite.host_event_store.store import SqliteHostEventStore
from tests.clocks import NOW_MS, ManualClock
from tests.golden.test_host_events import H2, H3, H5
from tests.host_event_examples import BUTTON, PROCESS_ID, SOURCE_KEY, draft, pressed

OpenFile = Callable[[], Awaitable[SqliteHostEventStore]]


async def handles(store: SqliteHostEventStore, **wanted: object) -> list[str]:
    found = await store.list_subscriptions(TriggerSubscriptionFilter(**wanted))  # type: ignore[arg-type]
    return [record.handle for record in found]


async def reserve(store: SqliteHostEventStore, occurrence: HostEventOccurrenceRecord) -> list[str]:
    found = await store.reserve_matching_deliveries(occurrence.occurrence_id)
    return [reservation.subscription.handle for reservation in found]


async def two(store: SqliteHostEventStore) -> tuple[TriggerSubscriptionRecord, TriggerSubscriptionRecord]:
    first = await store.register_subscription(draft("first"))
    return first, await store.register_subscription(draft("second", "session-b"))


async def test_scenario_17_durability_tier(store: SqliteHostEventStore) -> None:
    assert store.durability_tier is DurabilityTier.DURABLE
    assert store.durability_tier.value == "durable"


async def test_scenario_18_source_key(store: SqliteHostEventStore) -> None:
    keys = {await store.source_key_for_subscription(BUTTON, {"button": "Blue"}) for _ in range(3)}
    assert keys == {f"source:{BUTTON}:sha256:{H2}"}


async def test_scenario_19_two_subscriptions_on_one_source(store: SqliteHostEventStore) -> None:
    first, second = await two(store)
    assert (first.subscription_id, first.handle) == ("subscription:1", "trigger:1")
    assert (second.subscription_id, second.handle) == ("subscription:2", "trigger:2")


async def test_scenario_20_lists(store: SqliteHostEventStore) -> None:
    first, second = await two(store)
    assert await store.list_subscriptions(TriggerSubscriptionFilter(session_id="session-a")) == [first]
    wanted = TriggerSubscriptionFilter(source_type=BUTTON, source_key=SOURCE_KEY, enabled=True)
    assert await store.list_subscriptions(wanted) == [first, second]


async def test_scenario_21_only_the_owner_cancels(store: SqliteHostEventStore) -> None:
    first, _ = await two(store)
    assert await store.cancel_subscription("session-b", first.handle) is False
    assert await store.cancel_subscription("session-a", first.handle) is True
    wanted = TriggerSubscriptionFilter(session_id="session-a", handle=first.handle)
    assert [record.enabled for record in await store.list_subscriptions(wanted)] == [False]


async def test_scenario_22_an_occurrence(store: SqliteHostEventStore) -> None:
    await store.register_subscription(draft())
    occurrence = await store.record_occurrence(pressed())
    assert occurrence.occurrence_id == f"host_event:{H5}"
    assert (occurrence.source_type, occurrence.source_key) == (BUTTON, SOURCE_KEY)
    assert host_event_occurrence_request_hash(pressed()) == H3
    assert occurrence.occurred_at_ms == NOW_MS


async def test_scenario_23_one_reservation(store: SqliteHostEventStore) -> None:
    subscription = await store.register_subscription(draft())
    occurrence = await store.record_occurrence(pressed())
    [reservation] = await store.reserve_matching_deliveries(occurrence.occurrence_id)
    assert reservation.subscription == subscription
    assert reservation.occurrence == occurrence
    assert reservation.process_id == PROCESS_ID
    assert await store.reserve_matching_deliveries(occurrence.occurrence_id) == []


async def test_scenario_24_a_repeated_request(store: SqliteHostEventStore, clock: ManualClock) -> None:
    await store.register_subscription(draft())
    occurrence = await store.record_occurrence(pressed())
    await reserve(store, occurrence)
    clock.advance(1000)
    assert await store.record_occurrence(pressed()) == occurrence
    assert await reserve(store, occurrence) == []


async def test_scenario_25_a_cancelled_subscription_gets_nothing(store: SqliteHostEventStore) -> None:
    subscription = await store.register_subscription(draft())
    await reserve(store, await store.record_occurrence(pressed()))
    assert await store.cancel_subscription("session-a", subscription.handle) is True
    assert await reserve(store, await store.record_occurrence(pressed("button-blue-2"))) == []


async def test_scenario_26_two_handles_on_one_file(open_file: OpenFile) -> None:
    first, second = await open_file(), await open_file()
    subscription = await first.register_subscription(draft())
    occurrence = await first.record_occurrence(pressed())
    assert await reserve(first, occurrence) == [subscription.handle]
    assert await handles(second, session_id="session-a") == [subscription.handle]
    assert await second.record_occurrence(pressed()) == occurrence
    assert await reserve(second, occurrence) == []
    assert await reserve(second, await second.record_occurrence(pressed("button-blue-2"))) == [subscription.handle]


async def test_scenario_27_after_reopening(open_file: OpenFile) -> None:
    first = await open_file()
    subscription = await first.register_subscription(draft())
    assert subscription.handle == "trigger:1"
    await first.close()
    again = await open_file()
    [found] = await again.list_subscriptions(TriggerSubscriptionFilter(source_type=BUTTON, enabled=True))
    assert found.source_key == SOURCE_KEY
    occurrence = await again.record_occurrence(pressed(source=None))
    assert await reserve(again, occurrence) == ["trigger:1"]
    repeated = await again.record_occurrence(pressed(source=None))
    assert repeated.occurrence_id == occurrence.occurrence_id
    assert await reserve(again, repeated) == []


async def test_scenario_28_only_the_enabled_one_is_reached(store: SqliteHostEventStore) -> None:
    first, second = await two(store)
    assert await store.cancel_subscription("session-b", first.handle) is False
    assert await store.cancel_subscription("session-b", second.handle) is True
    assert await reserve(store, await store.record_occurrence(pressed("button-red-1", "Red"))) == [first.handle]


@pytest.mark.parametrize(
    "changed",
    [
        {"payload": {"button": "Red"}},
        {"source": None},
        {"source": {"button": "Blue"}},
        {"source_key": default_host_event_source_key(BUTTON, {"button": "Blue"})},
        {"source_type": "ui.button.released"},
    ],
    ids=",".join,
)
async def test_scenario_40_a_key_stands_for_one_occurrence(
    store: SqliteHostEventStore, changed: dict[str, object]
) -> None:
    occurrence = await store.record_occurrence(pressed())
    with pytest.raises(HostEventOccurrenceConflict, match="button-blue-1") as conflict:
        await store.record_occurrence(pressed(**changed))  # type: ignore[arg-type]
    assert conflict.value.idempotency_key == "button-blue-1"
    assert await store.list_occurrences(BUTTON) == [occurrence]


async def test_blank_keys_are_refused_in_order(store: SqliteHostEventStore) -> None:
    blank = {"source_type": " ", "source_key": "\u2003", "idempotency_key": "\t\n"}
    for field in ("source_type", "source_key", "idempotency_key"):
        with pytest.raises(InvalidHostEventOccurrence) as refused:
            await store.record_occurrence(
                pressed(blank["idempotency_key"], source_type=blank["source_type"], source_key=blank["source_key"])
            )
        assert refused.value.field == field
        blank[field] = {"source_type": BUTTON, "source_key": SOURCE_KEY, "idempotency_key": "\x1f"}[field]
    # U+001F is no white space.
    assert (await store.record_occurrence(pressed("\x1f"))).idempotency_key == "\x1f"


async def test_an_unknown_occurrence_is_an_error(store: SqliteHostEventStore) -> None:
    with pytest.raises(UnknownHostEventOccurrence, match="host_event:none") as unknown:
        await store.reserve_matching_deliveries("host_event:none")
    assert unknown.value.occurrence_id == "host_event:none"


async def test_an_occurrence_nobody_waits_for_is_stored_and_reaches_who_comes_later(
    store: SqliteHostEventStore,
) -> None:
    occurrence = await store.record_occurrence(pressed())
    assert await reserve(store, occurrence) == []
    await two(store)
    assert await reserve(store, occurrence) == ["trigger:1", "trigger:2"]


async def test_the_order_is_that_of_session_and_handle_as_texts(store: SqliteHostEventStore) -> None:
    for session_id in ("b", "a", "é", "Z"):
        for _ in range(3):
            await store.register_subscription(draft(None, session_id))
    in_order = [f"trigger:{n}" for n in (10, 11, 12, 4, 5, 6, 1, 2, 3, 7, 8, 9)]
    assert await handles(store) == in_order
    assert await reserve(store, await store.record_occurrence(pressed())) == in_order
