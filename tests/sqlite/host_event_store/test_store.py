"""What the host-event store does beyond upstream's: accounts of deliveries, resumption, retention; and damaged rows."""

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable
from typing import Any

import apsw
import pytest

from lash_store.errors import (
    InvalidJsonValue,
    InvalidRecord,
    InvalidTriggerSubscription,
    StoreCorrupt,
    TriggerDeliveryCorrupt,
    UnknownHostEventOccurrence,
    UnknownTriggerDelivery,
)
from lash_store.records.host_event import HostEventPruneReport
from lash_store.records.host_event_trigger import (
    TriggerDelivery,
    TriggerDeliveryReservation,
    TriggerDeliveryState,
    TriggerInputBindingFixed,
    TriggerSubscriptionFilter,
    TriggerTargetIdentity,
)
from lash_store.records.process_input import ProcessRef
from lash_store.sqlite.host_event_store.store import SqliteHostEventStore
from lash_store.sqlite.ops import host_event_deliveries, host_event_retention
from lash_store.sqlite.plan import Plan
from tests.clocks import NOW_MS, ManualClock
from tests.host_event_examples import BUTTON, OCCURRENCE_ID, PROCESS_ID, draft, pressed

OpenFile = Callable[[], Awaitable[SqliteHostEventStore]]
EVERYTHING = TriggerSubscriptionFilter()
KEY = (OCCURRENCE_ID, "subscription:1")


async def sql(store: SqliteHostEventStore, statement: str, *values: Any) -> list[Any]:
    def run(connection: apsw.Connection) -> list[Any]:
        return connection.execute(statement, values).fetchall()

    return await store._connection.call(run)


async def reserved(store: SqliteHostEventStore, *sessions: str) -> list[TriggerDeliveryReservation]:
    for session_id in sessions or ("session-a",):
        await store.register_subscription(draft(session_id=session_id))
    occurrence = await store.record_occurrence(pressed())
    return await store.reserve_matching_deliveries(occurrence.occurrence_id)


async def states(store: SqliteHostEventStore) -> list[str]:
    return [delivery.state.value for delivery in await store.list_deliveries()]


async def test_the_account_of_a_delivery(store: SqliteHostEventStore, clock: ManualClock) -> None:
    await reserved(store)
    account = TriggerDelivery(*KEY, PROCESS_ID, NOW_MS, TriggerDeliveryState.RESERVED, 1, NOW_MS, None)
    assert await store.list_deliveries() == [account]
    assert await store.list_deliveries(occurrence_id=OCCURRENCE_ID) == [account]
    assert await store.list_deliveries(process_id=PROCESS_ID) == [account]
    assert await store.list_deliveries(occurrence_id="host_event:none") == []
    assert await store.mark_delivery_started(*KEY) is True
    assert await store.mark_delivery_started(*KEY) is False
    assert await states(store) == ["started"]


async def test_what_was_not_started_is_resumed_by_one(store: SqliteHostEventStore, clock: ManualClock) -> None:
    first = await reserved(store, "a", "b", "c")
    await store.mark_delivery_started(*KEY)
    clock.advance(29_999)
    assert await store.resume_deliveries() == []
    clock.advance(1)
    both = await asyncio.gather(*(store.resume_deliveries() for _ in range(8)))
    assert [taken for taken in both if taken] == [first[1:]]
    clock.advance(29_999)
    assert await store.resume_deliveries() == []
    clock.advance(1)
    assert await store.resume_deliveries(limit=1) == first[1:2]
    assert await store.resume_deliveries() == first[2:]
    assert [delivery.attempts for delivery in await store.list_deliveries()] == [1, 3, 3]


async def test_two_who_read_the_same_do_not_both_take_it(open_file: OpenFile) -> None:
    first, second = await open_file(), await open_file()
    expected = await reserved(first, *"abcdefgh")
    taken = await asyncio.gather(*(one.resume_deliveries(idle_ms=0) for one in (first, second) * 4))
    found = [reservation.process_id for part in taken for reservation in part]
    assert len(found) >= len(expected)  # with no idle time at all, one may take it after the other
    accounts = await first.list_deliveries()
    assert sum(account.attempts - 1 for account in accounts) == len(found)


async def test_a_dropped_delivery_is_not_resumed_but_a_start_counts(store: SqliteHostEventStore) -> None:
    await reserved(store)
    assert await store.drop_delivery(*KEY, "the module is gone") is True
    assert await store.drop_delivery(*KEY, "again") is False
    assert [(d.state.value, d.reason) for d in await store.list_deliveries()] == [("dropped", "the module is gone")]
    assert await store.resume_deliveries(idle_ms=0) == []
    assert await store.mark_delivery_started(*KEY) is True
    assert await store.drop_delivery(*KEY, "too late") is False
    assert [(d.state.value, d.reason) for d in await store.list_deliveries()] == [("started", None)]


async def test_an_unknown_delivery(store: SqliteHostEventStore) -> None:
    for settle in (store.mark_delivery_started(*KEY), store.drop_delivery(*KEY, "never")):
        with pytest.raises(UnknownTriggerDelivery) as unknown:
            await settle
        assert (unknown.value.occurrence_id, unknown.value.subscription_id) == KEY


async def test_cancelling_drops_what_is_reserved(store: SqliteHostEventStore) -> None:
    await reserved(store, "a", "a", "b")
    assert await store.cancel_subscription("a", "trigger:1")
    assert await states(store) == ["dropped", "reserved", "reserved"]
    assert await store.cancel_session_subscriptions("a") == 1
    assert await store.cancel_session_subscriptions("a") == 0
    assert await states(store) == ["dropped", "dropped", "reserved"]
    assert [record.enabled for record in await store.list_subscriptions(EVERYTHING)] == [False, False, True]
    assert [taken.subscription.session_id for taken in await store.resume_deliveries(idle_ms=0)] == ["b"]


async def test_a_subscription_that_another_program_cancelled_starts_nothing(store: SqliteHostEventStore) -> None:
    await reserved(store)
    await sql(store, "UPDATE host_event_trigger_subscriptions SET enabled = 0")
    assert await store.resume_deliveries(idle_ms=0) == []


async def test_what_another_program_reserved_is_unknown_until_somebody_knows(store: SqliteHostEventStore) -> None:
    await reserved(store)
    await sql(store, "DELETE FROM lash_host_event_starts")
    assert await states(store) == ["unknown"]
    assert await store.resume_deliveries(idle_ms=0) == []
    assert await store.mark_delivery_started(*KEY) is True
    assert await states(store) == ["started"]


async def test_cancelling_again_changes_nothing(store: SqliteHostEventStore, clock: ManualClock) -> None:
    """Weakness 24: upstream's second cancellation sets a new time."""
    [before] = [await store.register_subscription(draft())]
    clock.advance(5)
    assert await store.cancel_subscription("session-a", before.handle)
    clock.advance(5)
    assert not await store.cancel_subscription("session-a", before.handle)
    [after] = await store.list_subscriptions(EVERYTHING)
    assert (after.enabled, after.created_at_ms, after.updated_at_ms) == (False, NOW_MS, NOW_MS + 5)
    columns = "enabled, created_at_ms, updated_at_ms"
    assert await sql(store, f"SELECT {columns} FROM host_event_trigger_subscriptions") == [(0, NOW_MS, NOW_MS + 5)]


async def test_cancelling_changes_nothing_else_of_the_text(store: SqliteHostEventStore, clock: ManualClock) -> None:
    awkward = {'é"\\\n\u2028': [1e300, 1.5, -0.0, 2**64 - 1, -(2**63), True, None, "\x00😀", {}, []], "$.enabled": 1}
    record = await store.register_subscription(draft(source=awkward, event_ty={"Enum": ["b", "a"]}))
    clock.advance(7)
    await store.cancel_subscription("session-a", record.handle)
    [(text,)] = await sql(store, "SELECT record_json FROM host_event_trigger_subscriptions")
    times = f'"updated_at_ms":{NOW_MS}'
    expected = record.to_json().decode().replace('"enabled":true', '"enabled":false')
    assert text == expected.replace(times, f'"updated_at_ms":{NOW_MS + 7}')


async def test_who_recorded_it_first_is_told(store: SqliteHostEventStore) -> None:
    """Weakness 20."""
    results = await asyncio.gather(*(store.record_occurrence_once(pressed()) for _ in range(10)))
    assert sum(result.is_new for result in results) == 1
    assert len({result.occurrence.to_json() for result in results}) == 1


async def test_a_new_subscriber_in_place_of_an_old_one_misses_nothing(
    store: SqliteHostEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await store.register_subscription(draft("old"))
    occurrence = await store.record_occurrence(pressed())
    run = store._run
    swapped = False

    async def swap_first(plan: Any) -> Any:
        nonlocal swapped
        if not swapped:
            swapped = True
            await store.register_subscription(draft("new"))
            await store.cancel_subscription("session-a", old.handle)
        return await run(plan)

    monkeypatch.setattr(store, "_run", swap_first)
    found = await store.reserve_matching_deliveries(occurrence.occurrence_id)
    assert [reservation.subscription.name for reservation in found] == ["new"]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["one", "two", None, "two"]),
        ({"session_id": "a"}, ["one", "two"]),
        ({"session_id": "a", "handle": "trigger:2"}, ["two"]),
        ({"handle": "trigger:4"}, ["two"]),
        ({"name": "two"}, ["two", "two"]),
        ({"name": "two", "session_id": "b"}, ["two"]),
        ({"source_type": "ui.other"}, [None]),
        ({"source_key": "elsewhere"}, [None]),
        ({"enabled": False}, ["one"]),
        ({"enabled": True, "session_id": "a"}, ["two"]),
        ({"name": ""}, []),
    ],
    ids=str,
)
async def test_filters(store: SqliteHostEventStore, wanted: dict[str, Any], names: list[str | None]) -> None:
    await store.register_subscription(draft("one", "a"))
    await store.register_subscription(draft("two", "a"))
    await store.register_subscription(draft(None, "b", source_type="ui.other", source_key="elsewhere"))
    await store.register_subscription(draft("two", "b"))
    await store.cancel_subscription("a", "trigger:1")
    assert [r.name for r in await store.list_subscriptions(TriggerSubscriptionFilter(**wanted))] == names


async def test_a_target_is_equal_in_all_four(store: SqliteHostEventStore) -> None:
    record = await store.register_subscription(draft())
    target = TriggerTargetIdentity(
        "lashlang:v1:sha256:module", "lashlang-surface:v1:sha256:surface", ProcessRef("process", 1), "on_button"
    )
    assert await store.list_subscriptions(TriggerSubscriptionFilter(target=target)) == [record]
    other = TriggerTargetIdentity(target.module_ref, target.required_surface_ref, ProcessRef("process", 2), "on_button")
    assert await store.list_subscriptions(TriggerSubscriptionFilter(target=other)) == []


async def test_pruning(store: SqliteHostEventStore, clock: ManualClock) -> None:
    """Weakness 25."""
    await reserved(store, "a", "b")
    clock.advance(1)
    await store.cancel_subscription("a", "trigger:1")
    assert await store.prune(NOW_MS) == HostEventPruneReport(0, 0, 0)
    assert await store.prune(NOW_MS + 2) == HostEventPruneReport(0, 0, 0)  # one is still to be started
    await store.mark_delivery_started(OCCURRENCE_ID, "subscription:2")
    assert await store.prune(NOW_MS + 2) == HostEventPruneReport(1, 2, 1)
    assert await store.list_occurrences(BUTTON) == []
    assert await store.list_deliveries() == []
    assert await sql(store, "SELECT count(*) FROM lash_host_event_starts") == [(0,)]
    assert await sql(store, "SELECT id FROM host_event_subscription_seq") == [(2,)]
    assert (await store.register_subscription(draft())).handle == "trigger:3"
    with pytest.raises(InvalidRecord):
        await store.prune(2**63)


async def test_pruning_takes_slices(store: SqliteHostEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_event_retention, "SLICE_ROWS", 3)
    plans: list[Any] = []
    run = store._run

    async def counted(plan: Any) -> Any:
        plans.append(plan)
        return await run(plan)

    for number in range(8):
        await store.register_subscription(draft(session_id=f"session-{number % 2}"))
    for number in range(10):
        occurrence = await store.record_occurrence(pressed(f"key {number}"))
        for reservation in await store.reserve_matching_deliveries(occurrence.occurrence_id):
            await store.mark_delivery_started(occurrence.occurrence_id, reservation.subscription.subscription_id)
    await store.cancel_session_subscriptions("session-0")
    monkeypatch.setattr(store, "_run", counted)
    assert await store.prune(NOW_MS + 1) == HostEventPruneReport(10, 80, 4)
    assert len(plans) == 4 + 2 + 4  # of 10 occurrences, 4 subscriptions, and 7 numbers and the end of them
    assert await sql(store, "SELECT id FROM host_event_subscription_seq") == [(8,)]
    assert await store.prune(NOW_MS + 1) == HostEventPruneReport(0, 0, 0)


async def test_what_is_reserved_while_pruning_stays(
    store: SqliteHostEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.register_subscription(draft())
    await store.record_occurrence(pressed())
    run = store._run

    async def reserve_first(plan: Any) -> Any:
        monkeypatch.setattr(store, "_run", run)
        await store.reserve_matching_deliveries(OCCURRENCE_ID)
        return await run(plan)

    monkeypatch.setattr(store, "_run", reserve_first)
    assert await store.prune(NOW_MS + 1) == HostEventPruneReport(0, 0, 0)
    assert await states(store) == ["reserved"]


async def test_what_is_pruned_while_it_is_reserved_is_unknown(
    store: SqliteHostEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.register_subscription(draft())
    await store.record_occurrence(pressed())
    run = store._run

    async def prune_first(plan: Any) -> Any:
        monkeypatch.setattr(store, "_run", run)
        await store.prune(NOW_MS + 1)
        return await run(plan)

    monkeypatch.setattr(store, "_run", prune_first)
    with pytest.raises(UnknownHostEventOccurrence):
        await store.reserve_matching_deliveries(OCCURRENCE_ID)


async def test_removing_reads_no_more_than_it_removes(store: SqliteHostEventStore) -> None:
    """Nor does cancelling read what is reserved for others: no step goes through a whole table."""
    plans = [
        host_event_retention.prepare_remove_occurrences(["o"], 1),
        host_event_retention.prepare_remove_subscriptions(["s"], 1),
        host_event_retention.prepare_remove_numbers(),
        Plan([host_event_deliveries.drop_cancelled_step("a", None)]),
    ]
    for step in itertools.chain.from_iterable(plan.steps for plan in plans):
        scans = [row[3] for row in await sql(store, f"EXPLAIN QUERY PLAN {step.sql}", *step.values)]
        assert [scan for scan in scans if re.match("SCAN (?!found VIRTUAL|json_each VIRTUAL)", scan)] == [], step.sql
        assert not [scan for scan in scans if "lash_host_event_starts_reserved" in scan], step.sql
    children = await sql(
        store,
        "EXPLAIN QUERY PLAN SELECT rowid FROM host_event_deliveries WHERE subscription_id = 's'",
    )
    assert "lash_host_event_deliveries_subscription" in children[0][3]


async def test_an_account_goes_with_its_delivery_whoever_removes_it(store: SqliteHostEventStore) -> None:
    first = await reserved(store)
    await sql(store, "DELETE FROM host_event_occurrences")
    assert await sql(store, "SELECT count(*) FROM lash_host_event_starts") == [(0,)]
    await store.record_occurrence(pressed())
    assert await store.reserve_matching_deliveries(OCCURRENCE_ID) == first


async def test_an_account_without_a_delivery_keeps_none_from_being_reserved(
    store: SqliteHostEventStore, clock: ManualClock
) -> None:
    """As in files from before accounts went with their deliveries."""
    await store.register_subscription(draft())
    await sql(store, "INSERT INTO lash_host_event_starts VALUES (?, ?, 'dropped', 7, 1, 'an old reason')", *KEY)
    await store.record_occurrence(pressed())
    assert len(await store.reserve_matching_deliveries(OCCURRENCE_ID)) == 1
    account = TriggerDelivery(*KEY, PROCESS_ID, NOW_MS, TriggerDeliveryState.RESERVED, 1, NOW_MS, None)
    assert await store.list_deliveries() == [account]


async def test_occurrences_are_listed_by_time(store: SqliteHostEventStore, clock: ManualClock) -> None:
    """Weakness 17."""
    recorded = []
    for number in range(4):
        recorded.append(
            await store.record_occurrence(pressed(f"key {number % 3}, {number}", source_key=f"s{number % 2}"))
        )
        clock.advance(10)
    await store.record_occurrence(pressed(source_type="ui.other"))
    assert await store.list_occurrences(BUTTON) == recorded
    assert await store.list_occurrences(BUTTON, source_key="s1") == recorded[1::2]
    assert await store.list_occurrences(BUTTON, from_ms=NOW_MS + 20) == recorded[2:]


@pytest.mark.parametrize("field", ["source_type", "source_key"])
async def test_a_subscription_that_nothing_could_match_is_refused(store: SqliteHostEventStore, field: str) -> None:
    """Weakness 22."""
    with pytest.raises(InvalidTriggerSubscription) as refused:
        await store.register_subscription(draft(**{field: " \n"}))
    assert refused.value.field == field
    assert await sql(store, "SELECT count(*) FROM host_event_subscription_seq") == [(0,)]


@pytest.mark.parametrize("event_ty", [None, "Other", {"Enum": None}, {"Object": [{"name": "button"}]}], ids=str)
async def test_an_event_type_that_is_none_is_refused(store: SqliteHostEventStore, event_ty: object) -> None:
    with pytest.raises(InvalidRecord) as refused:
        await store.register_subscription(draft(event_ty=event_ty))
    assert refused.value.path == "$.event_ty"
    assert await sql(store, "SELECT count(*) FROM host_event_subscription_seq") == [(0,)]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"session_id": "\ud800"}, InvalidJsonValue),
        ({"name": 7}, InvalidRecord),
        ({"source_type": 7}, InvalidRecord),
        ({"process_ref": ProcessRef("process", 2**32)}, InvalidRecord),
        ({"source": float("nan")}, InvalidJsonValue),
        ({"event_ty": {"Enum": {1, 2}}}, InvalidJsonValue),
        ({"input_template": {"x": TriggerInputBindingFixed(object())}}, InvalidJsonValue),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_draft_without_a_stored_form_is_refused(
    store: SqliteHostEventStore, changed: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await store.register_subscription(draft(**changed))
    assert await store.list_subscriptions(EVERYTHING) == []


@pytest.mark.parametrize(
    "changed", [{"payload": {1: 2}}, {"source_key": None}, {"source": 2**64}, {"idempotency_key": "\udcff"}], ids=str
)
async def test_a_request_without_a_stored_form_is_refused(store: SqliteHostEventStore, changed: dict[str, Any]) -> None:
    with pytest.raises((InvalidJsonValue, InvalidRecord)):
        await store.record_occurrence(pressed(**changed))
    assert await store.list_occurrences(BUTTON) == []


@pytest.mark.parametrize("damage", ["", "{", "null", '{"subscription_id":"subscription:1"}'])
async def test_a_damaged_subscription_is_named(store: SqliteHostEventStore, damage: str) -> None:
    await store.register_subscription(draft())
    occurrence = await store.record_occurrence(pressed())
    await sql(store, "UPDATE host_event_trigger_subscriptions SET record_json = ?", damage)
    for asked in (EVERYTHING, TriggerSubscriptionFilter(name="on_button"), TriggerSubscriptionFilter(name="other")):
        if damage.startswith('{"') and asked.name is not None:
            continue  # the record of its row; it has no name
        with pytest.raises(StoreCorrupt) as corrupt:
            await store.list_subscriptions(asked)
        assert (corrupt.value.kind, corrupt.value.key) == ("trigger subscription", "subscription:1")
    with pytest.raises(TriggerDeliveryCorrupt) as damaged:
        await store.reserve_matching_deliveries(occurrence.occurrence_id)
    assert (damaged.value.occurrence_id, damaged.value.subscription_id) == KEY
    assert (damaged.value.reservations, damaged.value.also) == ((), ())
    assert isinstance(damaged.value.__cause__, StoreCorrupt)
    assert await states(store) == ["reserved"]


@pytest.mark.parametrize("damage", ["", "{", "null", '{"subscription_id":"subscription:1"}'])
async def test_a_damaged_subscription_can_be_cancelled(store: SqliteHostEventStore, damage: str) -> None:
    before = await reserved(store, "a", "a", "b")
    await sql(store, "UPDATE host_event_trigger_subscriptions SET record_json = ? WHERE handle = 'trigger:1'", damage)
    with pytest.raises(StoreCorrupt):
        await store.resume_deliveries(idle_ms=0)
    assert await store.cancel_session_subscriptions("a") == 2
    assert await store.cancel_subscription("a", "trigger:1") is False
    assert await states(store) == ["dropped", "dropped", "reserved"]
    assert await store.resume_deliveries(idle_ms=0) == before[2:]
    other = await store.record_occurrence(pressed("other"))
    assert len(await store.reserve_matching_deliveries(other.occurrence_id)) == 1


async def test_a_cancellation_has_one_time(store: SqliteHostEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await reserved(store, "a", "a")
    readings = itertools.count(NOW_MS + 1)
    monkeypatch.setattr(ManualClock, "now_ms", lambda _: next(readings))
    assert await store.cancel_session_subscriptions("a") == 2
    times = "SELECT DISTINCT updated_at_ms, record_json ->> '$.updated_at_ms' FROM host_event_trigger_subscriptions"
    [(column, text)] = await sql(store, times)
    assert column == text


async def test_a_damaged_occurrence_is_named(store: SqliteHostEventStore) -> None:
    await reserved(store)
    await sql(store, "UPDATE host_event_occurrences SET record_json = '{}'")
    for read in (
        lambda: store.record_occurrence(pressed()),
        lambda: store.reserve_matching_deliveries(OCCURRENCE_ID),
        lambda: store.list_occurrences(BUTTON),
    ):
        with pytest.raises(StoreCorrupt) as corrupt:
            await read()
        assert (corrupt.value.kind, corrupt.value.key) == ("host event occurrence", OCCURRENCE_ID)
    with pytest.raises(TriggerDeliveryCorrupt) as damaged:
        await store.resume_deliveries(idle_ms=0)
    assert (damaged.value.occurrence_id, damaged.value.subscription_id) == KEY
    assert [delivery.attempts for delivery in await store.list_deliveries()] == [2]


async def test_keys_that_this_version_does_not_know_are_not_written(store: SqliteHostEventStore) -> None:
    unknown = draft().from_json(draft().to_json()[:-1] + b',"later":1}')
    record = await store.register_subscription(unknown)
    assert b"later" not in record.to_json()
