"""Random sequences of host-event operations, on two handles and reopened ones, do what they do to a model."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from lash_store.codecs.host_event_ids import deterministic_delivery_process_id, deterministic_occurrence_id
from lash_store.errors import HostEventOccurrenceConflict, UnknownTriggerDelivery
from lash_store.records.host_event import HostEventOccurrenceRequest
from lash_store.records.host_event_trigger import TriggerDeliveryReservation, TriggerSubscriptionFilter
from lash_store.sqlite.host_event_store.store import SqliteHostEventStore
from tests.clocks import ManualClock
from tests.host_event_examples import draft, pressed

IDLE_MS = 50
Pair: TypeAlias = tuple[str, str]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
sources = st.sampled_from(["one", "one", "two"])
sessions = st.sampled_from(["b", "a"])
numbers = st.integers(1, 3)
subscriptions = st.tuples(st.just("register"), sessions, sources, st.none() | st.text(max_size=3), json_values)
events = st.tuples(st.just("record"), sources, numbers, st.sampled_from([None, None, None, {"b": 1, "a": [1.0]}]))
steps = st.one_of(
    subscriptions,
    st.tuples(st.just("cancel"), sessions, numbers),
    st.tuples(st.just("cancel_all"), sessions),
    events,
    st.tuples(st.just("reserve"), numbers),
    st.tuples(st.just("reserve"), numbers),
    st.tuples(st.just("start"), st.integers(0, 5)),
    st.tuples(st.just("drop"), st.integers(0, 5)),
    st.tuples(st.just("resume"), st.integers(1, 3)),
    st.tuples(st.just("resume"), st.integers(1, 3)),
    st.tuples(st.just("wait"), st.sampled_from([IDLE_MS, IDLE_MS // 2])),
    st.tuples(st.just("reopen")),
)


class Model:
    """Subscriptions, occurrences by their key, and accounts of deliveries."""

    def __init__(self) -> None:
        self.subscriptions: list[dict[str, Any]] = []
        self.occurrences: dict[str, tuple[str, HostEventOccurrenceRequest, int]] = {}
        self.accounts: dict[Pair, list[Any]] = {}  # state, attempts, tried at

    def in_order(self, matches: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        found = [one for one in self.subscriptions if matches(one)]
        return sorted(found, key=lambda one: (one["session_id"], one["handle"]))

    def cancel(self, matches: Callable[[dict[str, Any]], bool], now: int) -> int:
        cancelled = [one for one in self.subscriptions if matches(one) and one["enabled"]]
        for one in cancelled:
            one.update(enabled=False, updated_at_ms=now)
        ids = {one["subscription_id"] for one in self.subscriptions if not one["enabled"]}
        for (_, subscription_id), account in self.accounts.items():
            if subscription_id in ids and account[0] == "reserved":
                account[0] = "dropped"
        return len(cancelled)


class World:
    """Two handles on one file, and the model of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock()
        self.model = Model()
        self.handles: list[SqliteHostEventStore] = []
        self.turn = 0

    async def store(self) -> SqliteHostEventStore:
        while len(self.handles) < 2:
            self.handles.append(await SqliteHostEventStore.open(self.path, clock=self.clock))
        self.turn += 1
        return self.handles[self.turn % 2]

    async def reopen(self) -> None:
        while self.handles:
            await self.handles.pop().close()

    async def register(self, session_id: str, source: str, name: str | None, value: Any) -> None:
        store = await self.store()
        asked = draft(name, session_id, source_type="type", source_key=source, source=value)
        record = await store.register_subscription(asked)
        number = len(self.model.subscriptions) + 1
        expected = {
            "subscription_id": f"subscription:{number}",
            "session_id": session_id,
            "handle": f"trigger:{number}",
            "source_key": source,
            "enabled": True,
            "created_at_ms": self.clock.now,
            "updated_at_ms": self.clock.now,
        }
        self.model.subscriptions.append(expected)
        assert {key: getattr(record, key) for key in expected} == expected
        assert (record.name, record.to_json().count(b'"subscription_id"')) == (name, 1)

    async def cancel(self, session_id: str, number: int) -> None:
        handle = f"trigger:{number}"
        expected = self.model.cancel(
            lambda one: (one["session_id"], one["handle"]) == (session_id, handle), self.clock.now
        )
        assert await (await self.store()).cancel_subscription(session_id, handle) == bool(expected)

    async def cancel_all(self, session_id: str) -> None:
        expected = self.model.cancel(lambda one: one["session_id"] == session_id, self.clock.now)
        assert await (await self.store()).cancel_session_subscriptions(session_id) == expected

    async def record(self, source: str, number: int, payload: Any) -> None:
        store = await self.store()
        request = pressed(f"key {number}", source_type="type", source_key=source, payload=payload)
        known = self.model.occurrences.get(request.idempotency_key)
        try:
            result = await store.record_occurrence_once(request)
        except HostEventOccurrenceConflict:
            assert known is not None
            assert known[1] != request
            return
        occurrence_id = deterministic_occurrence_id(request)
        if known is None:
            known = self.model.occurrences[request.idempotency_key] = (occurrence_id, request, self.clock.now)
            assert result.is_new
        assert known[1] == request
        assert (result.occurrence.occurrence_id, result.occurrence.occurred_at_ms) == (known[0], known[2])

    async def reserve(self, index: int) -> None:
        known = list(self.model.occurrences.values())
        if not known:
            return
        occurrence_id, request, _ = known[index % len(known)]
        expected = [
            (occurrence_id, one["subscription_id"])
            for one in self.model.in_order(lambda one: one["source_key"] == request.source_key and one["enabled"])
            if (occurrence_id, one["subscription_id"]) not in self.model.accounts
        ]
        found = await (await self.store()).reserve_matching_deliveries(occurrence_id)
        assert [_pair(one) for one in found] == expected
        assert [one.process_id for one in found] == [deterministic_delivery_process_id(*pair) for pair in expected]
        for pair in expected:
            self.model.accounts[pair] = ["reserved", 1, self.clock.now]

    async def start(self, index: int) -> None:
        await self.settle(index, "started")

    async def drop(self, index: int) -> None:
        await self.settle(index, "dropped")

    async def settle(self, index: int, state: str) -> None:
        store = await self.store()
        pairs = [("none", "subscription:1"), *sorted(self.model.accounts)]
        pair = pairs[-1 - index % len(pairs)]
        account = self.model.accounts.get(pair)
        try:
            news = await (
                store.mark_delivery_started(*pair) if state == "started" else store.drop_delivery(*pair, "why not")
            )
        except UnknownTriggerDelivery:
            assert account is None
            return
        assert account is not None
        assert news == (account[0] == "reserved" or (account[0], state) == ("dropped", "started"))
        if news:
            account[0] = state

    async def resume(self, limit: int) -> None:
        due = sorted(
            (account[2], pair)
            for pair, account in self.model.accounts.items()
            if account[0] == "reserved" and account[2] <= self.clock.now - IDLE_MS
        )[:limit]
        found = await (await self.store()).resume_deliveries(idle_ms=IDLE_MS, limit=limit)
        assert [_pair(one) for one in found] == [pair for _, pair in due]
        for _, pair in due:
            self.model.accounts[pair][1:] = [self.model.accounts[pair][1] + 1, self.clock.now]

    async def wait(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds)

    async def check(self) -> None:
        store = await self.store()
        accounts = {
            (one.occurrence_id, one.subscription_id): [one.state.value, one.attempts, one.tried_at_ms]
            for one in await store.list_deliveries()
        }
        assert accounts == self.model.accounts
        found = await store.list_subscriptions(TriggerSubscriptionFilter())
        expected = self.model.in_order(lambda one: True)
        assert [{key: getattr(record, key) for key in expected[0]} for record in found] == expected
        occurrences = await store.list_occurrences("type")
        assert {one.idempotency_key: one.occurrence_id for one in occurrences} == {
            key: known[0] for key, known in self.model.occurrences.items()
        }


def _pair(reservation: TriggerDeliveryReservation) -> Pair:
    return reservation.occurrence.occurrence_id, reservation.subscription.subscription_id


@settings(max_examples=80)
@given(
    st.lists(subscriptions, min_size=1, max_size=4),
    st.lists(events, max_size=2),
    st.lists(steps, min_size=8, max_size=30),
)
def test_any_sequence_does_what_the_model_says(
    first: list[tuple[Any, ...]], second: list[tuple[Any, ...]], sequence: list[tuple[Any, ...]]
) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            world = World(Path(folder, "host-events.db"))
            try:
                for name, *arguments in [*first, *second, *sequence]:
                    await getattr(world, name)(*arguments)
                await world.check()
            finally:
                await world.reopen()

    asyncio.run(run())
