"""Any sequence of operations, from two handles on one file, ends as in a plain model of the registry."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lash_store.errors import StoreError
from lash_store.records.invocation import RuntimeReplay
from lash_store.records.process import ProcessExternalRef, ProcessRegistration, ProcessScope
from lash_store.records.process_event import ProcessEvent, ProcessEventAppendRequest
from lash_store.records.process_event_type import (
    LashSchema,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessTerminalSpec,
    ProcessWakeSpec,
)
from lash_store.records.process_grant import ProcessHandleDescriptor
from lash_store.records.process_input import ProcessInputExternal
from lash_store.records.process_lease import ProcessLease, ProcessLeaseCompletion
from lash_store.records.process_output import ProcessAwaitOutputSuccess
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from tests.clocks import ManualClock
from tests.process_examples import plain_type
from tests.property.process_model import Model, Refused

IDS = st.sampled_from(["p", "q", "r"])
SCOPES = [ProcessScope("s"), ProcessScope("s", "f"), ProcessScope("t")]
SCOPE = st.sampled_from(SCOPES)
TYPES = [
    plain_type("line"),
    ProcessEventType(
        "wakes",
        LashSchema({}),
        ProcessEventSemanticsSpec(wake=ProcessWakeSpec(when={"present": "/w"}, input={"pointer": "/w"})),
    ),
    ProcessEventType(
        "ends", LashSchema({}), ProcessEventSemanticsSpec(ProcessTerminalSpec("completed", {"pointer": "/out"}))
    ),
]
REASON = "session deleted"

APPEND = st.tuples(
    st.just("append"),
    IDS,
    st.sampled_from(["line", "wakes", "wakes", "ends", "undeclared"]),
    st.sampled_from([{}, {"w": "x"}, {"w": "x", "out": 1}, {"out": 1}]),
    st.sampled_from([None, "", "k", "l", "m"]),
    st.sampled_from([True, True, False]),
)
OPERATION = st.one_of(
    APPEND,
    APPEND,
    APPEND,
    st.tuples(st.just("register"), IDS, st.sampled_from(["a", "a", "b"])),
    st.tuples(st.just("refer"), IDS, st.sampled_from(["1", "2"])),
    st.tuples(st.just("complete"), IDS, st.integers(0, 1)),
    st.tuples(st.just("cancel"), IDS),
    st.tuples(st.just("ack"), IDS, st.integers(0, 3)),
    st.tuples(st.just("grant"), SCOPE, IDS, st.sampled_from(["l", "m"])),
    st.tuples(st.just("revoke"), SCOPE, IDS),
    st.tuples(st.just("transfer"), SCOPE, SCOPE, st.lists(IDS, max_size=3)),
    st.tuples(st.just("delete_session"), st.sampled_from(["s", "t"]), st.booleans()),
    st.tuples(st.just("claim"), IDS, st.sampled_from(["a", "b"]), st.integers(0, 20)),
    st.tuples(st.just("renew"), st.integers(0, 9), st.integers(0, 20)),
    st.tuples(st.just("release"), st.integers(0, 9)),
    st.tuples(st.just("time"), st.integers(-10, 20)),
)
TURN = st.tuples(st.booleans(), OPERATION)


class Play:
    """One run: the model, two handles, one clock, and the leases that were handed out."""

    def __init__(self, handles: list[SqliteProcessRegistry], clock: ManualClock) -> None:
        self.model = Model()
        self.clock = clock
        self._handles = handles
        self._leases: list[ProcessLease] = []
        self.registry = handles[0]

    async def turn(self, second: bool, operation: tuple[Any, ...]) -> None:
        """Do it in both worlds: the same value, or the same refusal."""
        self.registry = self._handles[second]
        name, *arguments = operation
        await getattr(self, name)(*arguments)

    async def same(self, expected: Callable[[], Any], real: Awaitable[Any]) -> Any:
        """What both did. A refusal of one must be one of the other."""
        try:
            value, refusal = expected(), None
        except Refused as refused:
            value, refusal = None, refused.args[0]
        try:
            outcome, error = await real, None
        except StoreError as raised:
            outcome, error = None, type(raised).__name__
        assert error == refusal
        return value, outcome

    async def register(self, process_id: str, variant: str) -> None:
        registration = ProcessRegistration(process_id, ProcessInputExternal(variant), TYPES)
        await self.same(
            lambda: self.model.register(process_id, variant, self.clock.now),
            self.registry.register_process(registration),
        )

    async def refer(self, process_id: str, reference: str) -> None:
        await self.same(
            lambda: self.model.refer(process_id, reference, self.clock.now),
            self.registry.set_external_ref(process_id, ProcessExternalRef("b", reference)),
        )

    async def append(self, process_id: str, event_type: str, payload: Any, key: str | None, targeted: bool) -> None:
        request = ProcessEventAppendRequest(
            event_type, payload, None if key is None else RuntimeReplay(key), SCOPES[0] if targeted else None
        )
        now = self.clock.now
        event, result = await self.same(
            lambda: self.model.append(process_id, event_type, payload, key=key, targeted=targeted, now=now),
            self.registry.append_event(process_id, request),
        )
        if event is not None:
            assert facts(result.event) == facts(event)
            assert (result.wake_delivery is not None) == event.woke

    async def complete(self, process_id: str, value: int) -> None:
        _, record = await self.same(
            lambda: self.model.complete(process_id, value, self.clock.now),
            self.registry.complete_process(process_id, ProcessAwaitOutputSuccess(value)),
        )
        if record is not None:
            assert record.status.await_output == ProcessAwaitOutputSuccess(value)

    async def cancel(self, process_id: str) -> None:
        request = ProcessEventAppendRequest.cancel_requested(process_id, REASON)
        await self.same(
            lambda: self.model.cancel(process_id, key_of(request), REASON, self.clock.now),
            self.registry.append_event(process_id, request),
        )

    async def ack(self, process_id: str, sequence: int) -> None:
        await self.same(
            lambda: self.model.known(process_id).acks.add(sequence), self.registry.ack_wake(process_id, sequence)
        )

    async def grant(self, scope: ProcessScope, process_id: str, label: str) -> None:
        await self.same(
            lambda: self.model.grant(scope.id, scope.session_id, process_id, label),
            self.registry.grant_handle(scope, process_id, ProcessHandleDescriptor(label=label)),
        )

    async def revoke(self, scope: ProcessScope, process_id: str) -> None:
        await self.same(
            lambda: self.model.handles.pop((scope.id, process_id), None),
            self.registry.revoke_handle(scope, process_id),
        )

    async def transfer(self, source: ProcessScope, target: ProcessScope, process_ids: list[str]) -> None:
        await self.same(
            lambda: self.model.transfer(source.id, (target.id, target.session_id), process_ids),
            self.registry.transfer_handle_grants(source, target, process_ids),
        )

    async def delete_session(self, session: str, ask: bool) -> None:
        revoked, left, kept = self.model.delete_session(session)
        report = await self.registry.delete_session_process_state(session, cancel_reason=REASON if ask else None)
        assert (report.revoked_handle_count, report.cancel_process_ids, report.preserved_process_ids) == (
            revoked,
            left,
            kept,
        )
        for process_id in left if ask else ():
            request = ProcessEventAppendRequest.cancel_requested(process_id, REASON)
            self.model.cancel(process_id, key_of(request), REASON, self.clock.now)

    async def claim(self, process_id: str, owner: str, ttl_ms: int) -> None:
        now = self.clock.now
        fencing, lease = await self.same(
            lambda: self.model.claim(process_id, owner, ttl_ms, now),
            self.registry.claim_process_lease(process_id, owner, ttl_ms),
        )
        if lease is not None:
            assert (lease.fencing_token, lease.expires_at_epoch_ms) == (fencing, now + ttl_ms)
            self._leases.append(lease)

    async def renew(self, which: int, ttl_ms: int) -> None:
        if self._leases:
            lease = self._leases[which % len(self._leases)]
            expires, renewed = await self.same(
                lambda: self.model.renew(lease.process_id, lease.fencing_token, ttl_ms, self.clock.now),
                self.registry.renew_process_lease(lease, ttl_ms),
            )
            assert renewed is None or renewed.expires_at_epoch_ms == expires

    async def release(self, which: int) -> None:
        if self._leases:
            lease = self._leases[which % len(self._leases)]
            self.model.release(lease.process_id, lease.fencing_token)
            await self.registry.complete_process_lease(ProcessLeaseCompletion.from_lease(lease))

    async def time(self, milliseconds: int) -> None:
        self.clock.advance(milliseconds)

    async def compare(self) -> None:
        """Everything that can be read, through both handles."""
        for registry in self._handles:
            running = [record.id for record in await registry.list_non_terminal()]
            assert running == sorted(key for key, one in self.model.processes.items() if one.state == "running")
            for process_id, process in self.model.processes.items():
                await self._compare(registry, process_id)
                assert [facts(event) for event in await registry.events_after(process_id, 0)] == [
                    facts(event) for event in process.events
                ]
                woken = [event.sequence for event in await registry.wake_events_after(process_id, 0)]
                assert woken == self.model.wakes(process_id)
            for scope in SCOPES:
                listed = [
                    (record.id, grant.descriptor.label) for grant, record in await registry.list_handle_grants(scope)
                ]
                assert listed == sorted(
                    (key[1], label) for key, (_, label) in self.model.handles.items() if key[0] == scope.id
                )

    async def _compare(self, registry: SqliteProcessRegistry, process_id: str) -> None:
        process, record = self.model.processes[process_id], await registry.get_process(process_id)
        assert record is not None
        reference = None if record.external_ref is None else record.external_ref.id
        assert (record.created_at_ms, record.updated_at_ms, record.status.label, reference) == (
            process.created_ms,
            process.updated_ms,
            process.state,
            process.reference,
        )


def key_of(request: ProcessEventAppendRequest) -> str:
    assert request.replay is not None
    return request.replay.key


def facts(event: Any) -> tuple[Any, ...]:
    """What the model knows of an event."""
    if not isinstance(event, ProcessEvent):
        return event.sequence, event.event_type, event.payload, event.key, event.at_ms, event.woke
    key = None if event.invocation.replay is None else event.invocation.replay.key
    woke = event.semantics.wake is not None
    return event.sequence, event.event_type, event.payload, key, event.occurred_at.epoch_ms, woke


@settings(max_examples=60)
@given(st.lists(TURN, min_size=8, max_size=40))
def test_two_handles_and_a_model(turns: list[tuple[bool, tuple[Any, ...]]]) -> None:
    asyncio.run(play(turns))


async def play(turns: list[tuple[bool, tuple[Any, ...]]]) -> None:
    clock = ManualClock()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "processes.db"
        async with (
            await SqliteProcessRegistry.open(path, clock=clock) as one,
            await SqliteProcessRegistry.open(path, clock=clock) as two,
        ):
            game = Play([one, two], clock)
            for process_id in ("p", "q"):
                await game.register(process_id, "a")
            for second, operation in turns:
                await game.turn(second, operation)
            await game.compare()
