"""One host-event store in the hands of both programs."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio

from lash_store import (
    HostEventError,
    HostEventOccurrenceRecord,
    HostEventOccurrenceRequest,
    TriggerDeliveryReservation,
    TriggerDeliveryState,
    TriggerSubscriptionDraft,
    TriggerSubscriptionFilter,
    TriggerSubscriptionRecord,
    default_host_event_source_key,
    deterministic_delivery_process_id,
    deterministic_occurrence_id,
)
from tests.host_event_examples import BUTTON, SOURCE_KEY, draft, pressed
from tests.interop.conftest import Opener
from tests.interop.driver import Alpha40, Alpha40Refused

EVERY = TriggerSubscriptionFilter()
REFUSED = (HostEventError, Alpha40Refused)


class Events(Protocol):
    """The operations of `lash_store.SqliteHostEventStore` that alpha.40 has, too."""

    async def source_key_for_subscription(self, source_type: str, source: Any) -> str: ...
    async def register_subscription(self, draft: TriggerSubscriptionDraft) -> TriggerSubscriptionRecord: ...
    async def list_subscriptions(self, filter: TriggerSubscriptionFilter) -> list[TriggerSubscriptionRecord]: ...  # noqa: A002
    async def cancel_subscription(self, session_id: str, handle: str) -> bool: ...
    async def record_occurrence(self, request: HostEventOccurrenceRequest) -> HostEventOccurrenceRecord: ...
    async def reserve_matching_deliveries(self, occurrence_id: str) -> list[TriggerDeliveryReservation]: ...


class TheirEvents:
    """alpha.40 on a host-event store: its operations under the names that ours have."""

    def __init__(self, alpha: Alpha40) -> None:
        self.alpha = alpha

    async def source_key_for_subscription(self, source_type: str, source: Any) -> str:
        return str(await self.alpha("source_key", source_type=source_type, source=source))

    async def register_subscription(self, draft: TriggerSubscriptionDraft) -> TriggerSubscriptionRecord:
        return await self.alpha.record(TriggerSubscriptionRecord, "register", draft=draft)

    async def list_subscriptions(self, filter: TriggerSubscriptionFilter) -> list[TriggerSubscriptionRecord]:  # noqa: A002
        return await self.alpha.records(TriggerSubscriptionRecord, "list", filter=filter)

    async def cancel_subscription(self, session_id: str, handle: str) -> bool:
        return bool(await self.alpha("cancel", session_id=session_id, handle=handle))

    async def record_occurrence(self, request: HostEventOccurrenceRequest) -> HostEventOccurrenceRecord:
        return await self.alpha.record(HostEventOccurrenceRecord, "record", request=request)

    async def reserve_matching_deliveries(self, occurrence_id: str) -> list[TriggerDeliveryReservation]:
        return await self.alpha.records(TriggerDeliveryReservation, "reserve", occurrence_id=occurrence_id)


class BothEvents:
    """A store that `one` has made and `other` has opened then."""

    def __init__(self, one: Events, other: Events) -> None:
        self.one = one
        self.other = other

    def __getitem__(self, number: int) -> Events:
        return self.other if number % 2 else self.one

    async def same_list(self, wanted: TriggerSubscriptionFilter = EVERY) -> list[TriggerSubscriptionRecord]:
        listed = await self.one.list_subscriptions(wanted)
        assert listed == await self.other.list_subscriptions(wanted)
        return listed


@pytest_asyncio.fixture(params=["ours_first", "alpha40_first"])
async def events(request: pytest.FixtureRequest, opener: Opener, tmp_path: Path) -> BothEvents:
    path = tmp_path / "host_events.db"
    if request.param == "ours_first":
        ours = await opener.our_events(path)
        return BothEvents(ours, TheirEvents(await opener.alpha40("host_events", path)))
    theirs = TheirEvents(await opener.alpha40("host_events", path))
    return BothEvents(theirs, await opener.our_events(path))


def processes(reservations: Sequence[TriggerDeliveryReservation]) -> list[str]:
    return [reservation.process_id for reservation in reservations]


async def test_subscriptions_of_both_have_one_numbering(events: BothEvents) -> None:
    made = []
    for number in range(12):
        wanted = draft(f"n{number}", f"session-{number % 3}", source={"z": [1.5], "a": number})
        record = await events[number].register_subscription(wanted)
        assert TriggerSubscriptionDraft.from_json(wanted.to_json()) == wanted
        assert (record.handle, record.subscription_id) == (f"trigger:{number + 1}", f"subscription:{number + 1}")
        assert (record.source, record.input_template, record.event_ty) == (
            wanted.source,
            wanted.input_template,
            wanted.event_ty,
        )
        made.append(record)
    assert await events.same_list() == sorted(made, key=lambda record: (record.session_id, record.handle))


async def test_filters(events: BothEvents) -> None:
    first = await events.one.register_subscription(draft("a", "s"))
    second = await events.other.register_subscription(draft(None, "s", source_key="k", process_name="other"))
    third = await events.one.register_subscription(draft("a", "t"))
    assert await events.other.cancel_subscription("t", third.handle)
    cases: list[tuple[TriggerSubscriptionFilter, list[str]]] = [
        (EVERY, [first.handle, second.handle, third.handle]),
        (TriggerSubscriptionFilter(session_id="s"), [first.handle, second.handle]),
        (TriggerSubscriptionFilter(handle=second.handle), [second.handle]),
        (TriggerSubscriptionFilter(name="a"), [first.handle, third.handle]),
        (TriggerSubscriptionFilter(source_type=BUTTON, source_key=SOURCE_KEY), [first.handle, third.handle]),
        (TriggerSubscriptionFilter(target=second.target), [second.handle]),
        (TriggerSubscriptionFilter(enabled=True), [first.handle, second.handle]),
        (TriggerSubscriptionFilter(enabled=False), [third.handle]),
        (TriggerSubscriptionFilter(session_id="u"), []),
    ]
    for wanted, handles in cases:
        assert [record.handle for record in await events.same_list(wanted)] == handles


async def test_a_cancelled_subscription_gets_nothing(events: BothEvents) -> None:
    record = await events.one.register_subscription(draft())
    assert await events.other.cancel_subscription("session-a", "trigger:9") is False
    assert await events.other.cancel_subscription("session-a", record.handle) is True
    assert await events.one.cancel_subscription("session-a", record.handle) is False
    (cancelled,) = await events.same_list()
    assert not cancelled.enabled
    occurrence = await events.one.record_occurrence(pressed())
    assert await events.one.reserve_matching_deliveries(occurrence.occurrence_id) == []
    assert await events.other.reserve_matching_deliveries(occurrence.occurrence_id) == []


async def test_an_occurrence_is_recorded_once(events: BothEvents) -> None:
    request = pressed(payload={"z": [1, None], "a": {"ä": 1.5}})
    first = await events.one.record_occurrence(request)
    assert first.occurrence_id == deterministic_occurrence_id(request)
    assert await events.other.record_occurrence(request) == first
    assert await events.one.record_occurrence(request) == first
    for store in (events.one, events.other):
        for changed in (pressed(button="Red"), pressed(source_key="other"), pressed(source_type="other")):
            with pytest.raises(REFUSED):
                await store.record_occurrence(changed)
        for blank in (pressed(""), pressed(source_key=" "), pressed(source_type="\t")):
            with pytest.raises(REFUSED):
                await store.record_occurrence(blank)
        with pytest.raises(REFUSED):
            await store.reserve_matching_deliveries("unknown")


async def test_each_delivery_goes_to_one(events: BothEvents) -> None:
    for number in range(3):
        await events[number].register_subscription(draft(session_id=f"session-{number}"))
    occurrence = await events.one.record_occurrence(pressed())
    reserved = await events.one.reserve_matching_deliveries(occurrence.occurrence_id)
    expected = [
        deterministic_delivery_process_id(occurrence.occurrence_id, f"subscription:{number}") for number in (1, 2, 3)
    ]
    assert processes(reserved) == expected
    assert all(reservation.occurrence == occurrence for reservation in reserved)
    assert [reservation.subscription for reservation in reserved] == await events.same_list()
    assert await events.other.reserve_matching_deliveries(occurrence.occurrence_id) == []
    late = await events.other.register_subscription(draft(session_id="late"))
    (reservation,) = await events.other.reserve_matching_deliveries(occurrence.occurrence_id)
    assert reservation.subscription == late
    assert await events.one.reserve_matching_deliveries(occurrence.occurrence_id) == []


async def test_both_at_once_share_the_deliveries(events: BothEvents) -> None:
    for number in range(10):
        await events[number].register_subscription(draft(session_id=f"session-{number}"))
    for number in range(20):
        request = pressed(f"key-{number}")
        both = await asyncio.gather(events.one.record_occurrence(request), events.other.record_occurrence(request))
        assert both[0] == both[1]
        ids = both[0].occurrence_id
        reserved = await asyncio.gather(*(events[side].reserve_matching_deliveries(ids) for side in range(4)))
        every = [process_id for reservations in reserved for process_id in processes(reservations)]
        assert sorted(every) == sorted(
            deterministic_delivery_process_id(ids, f"subscription:{subscription}") for subscription in range(1, 11)
        )


@pytest.mark.parametrize("source", [{}, None, {"b": 1, "a": [1.5, "ä"]}, "text", 2**64 - 1])
async def test_source_keys(source: Any, events: BothEvents) -> None:
    expected = default_host_event_source_key(BUTTON, source)
    assert await events.one.source_key_for_subscription(BUTTON, source) == expected
    assert await events.other.source_key_for_subscription(BUTTON, source) == expected


async def test_what_they_have_reserved_is_not_taken_over(opener: Opener, tmp_path: Path) -> None:
    """alpha.40 does not say whether it has started what it reserved."""
    ours, alpha = await opener.our_events(tmp_path / "h.db"), await opener.alpha40("host_events", tmp_path / "h.db")
    theirs = TheirEvents(alpha)
    await ours.register_subscription(draft())
    mine, other = [await ours.record_occurrence(pressed(key)) for key in ("mine", "other")]
    await ours.reserve_matching_deliveries(mine.occurrence_id)
    await theirs.reserve_matching_deliveries(other.occurrence_id)
    assert processes(await ours.resume_deliveries(idle_ms=0)) == [
        deterministic_delivery_process_id(mine.occurrence_id, "subscription:1")
    ]
    states = {
        delivery.occurrence_id: delivery.state
        for occurrence in (mine, other)
        for delivery in await ours.list_deliveries(occurrence_id=occurrence.occurrence_id)
    }
    assert states == {
        mine.occurrence_id: TriggerDeliveryState.RESERVED,
        other.occurrence_id: TriggerDeliveryState.UNKNOWN,
    }
