"""`SqliteHostEventStore`: trigger subscriptions, occurrences of host events, and the deliveries that link them."""

import os
from functools import partial
from typing import Any, ClassVar, Final, Self

from lash_store.clock import SYSTEM_CLOCK, Clock
from lash_store.codecs.host_event_ids import default_host_event_source_key
from lash_store.errors import GuardFailed, UnknownTriggerDelivery
from lash_store.records.artifacts import DurabilityTier
from lash_store.records.host_event import (
    HostEventOccurrenceRecord,
    HostEventOccurrenceRequest,
    HostEventOccurrenceResult,
    HostEventPruneReport,
)
from lash_store.records.host_event_trigger import (
    TriggerDelivery,
    TriggerDeliveryReservation,
    TriggerDeliveryState,
    TriggerSubscriptionDraft,
    TriggerSubscriptionFilter,
    TriggerSubscriptionRecord,
)
from lash_store.rules.host_event_requests import require_reachable, require_valid_occurrence
from lash_store.sqlite.connection import Durability, now_ms_of
from lash_store.sqlite.ops import (
    host_event_deliveries,
    host_event_occurrences,
    host_event_retention,
    host_event_subscriptions,
)
from lash_store.sqlite.ops.arguments import record_of
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.ops.texts import column_text
from lash_store.sqlite.plan import Plan
from lash_store.sqlite.schema import Schema
from lash_store.sqlite.store_handle import StoreHandle, connect

SCHEMA: Final = Schema(
    "host event router",
    1,
    {**host_event_subscriptions.TABLES, **host_event_occurrences.TABLES, **host_event_deliveries.TABLES},
)
RESUME_IDLE_MS: Final = 30_000
"""For how long nobody must have tried to start a delivery before another may (ms), unless the call says otherwise."""
RESUME_LIMIT: Final = 100


class SqliteHostEventStore(StoreHandle):
    """The host-event store of a deployment (host events specification), a handle for one event loop and all its tasks.

    Every operation that writes is one transaction, and one that raises has written nothing, unless its docstring says
    otherwise. All of them raise StoreBusy if other processes keep the write lock for 15 s, StoreFull, StoreCorrupt,
    StoreBackend; StoreClosed after `close`, StoreWrongLoop and StoreForked. Values without a stored form raise
    InvalidRecord or InvalidJsonValue.
    """

    durability_tier: ClassVar[DurabilityTier] = DurabilityTier.DURABLE

    @classmethod
    async def open(
        cls, path: str | os.PathLike[str], *, durability: Durability = "normal", clock: Clock = SYSTEM_CLOCK
    ) -> Self:
        """Open the store at `path`, or create it; its folder must exist.

        `durability`: "normal" survives a crash of the process, "full" also a crash of the machine. Raises as
        `Database.open`, AnotherKindOfDatabase for a database of another kind.
        """
        return cls(await connect(path, SCHEMA, durability=durability, clock=clock), clock)

    @classmethod
    async def memory(cls, *, clock: Clock = SYSTEM_CLOCK) -> Self:
        """Open a private store in memory."""
        return cls(await connect(None, SCHEMA, durability="normal", clock=clock), clock)

    async def source_key_for_subscription(self, source_type: str, source: Any) -> str:
        """The key of a source (free JSON); as `default_host_event_source_key`. Reads nothing."""
        return default_host_event_source_key(source_type, source)

    async def register_subscription(self, draft: TriggerSubscriptionDraft) -> TriggerSubscriptionRecord:
        """Subscribe. Equal drafts give subscriptions of their own; a number is never given twice.

        Raises InvalidTriggerSubscription for a blank source type or source key, which nothing could match, and
        InvalidRecord for an event type that is no type expression.
        """
        plan = host_event_subscriptions.prepare_registration(record_of(TriggerSubscriptionDraft, draft))
        require_reachable(draft)
        return host_event_subscriptions.registered(await self._run(plan))

    async def list_subscriptions(
        self,
        filter: TriggerSubscriptionFilter,  # noqa: A002  the specification's name
    ) -> list[TriggerSubscriptionRecord]:
        """The subscriptions that are like `filter`, cancelled ones too, by session id, then by handle, as texts.

        Raises StoreCorrupt for a damaged one that may be meant: one without a readable name may have any name.
        """
        # What has no stored form equals nothing that is stored, and is refused.
        record_of(TriggerSubscriptionFilter, filter).to_json()
        return await self._read(partial(host_event_subscriptions.read_subscriptions, wanted=filter))

    async def cancel_subscription(self, session_id: str, handle: str) -> bool:
        """Cancel a subscription; whether it was enabled before. One that was not, or is not there, is left as it is.

        What is reserved for it and not started is dropped in the same transaction. A damaged one is cancelled, too:
        nothing is reserved for it any more.
        """
        return await self._cancel(session_id, handle) > 0

    async def cancel_session_subscriptions(self, session_id: str) -> int:
        """Cancel all subscriptions of a session, as when it is deleted; how many of them were enabled.

        What is reserved for them and not started is dropped. One transaction.
        """
        return await self._cancel(session_id, None)

    async def record_occurrence(self, request: HostEventOccurrenceRequest) -> HostEventOccurrenceRecord:
        """Record what happened, or return what was recorded under the idempotency key before, its time unchanged.

        Raises InvalidHostEventOccurrence for a blank source type, source key or idempotency key, and
        HostEventOccurrenceConflict if the key stands for something else. Reaches nobody: reserve the deliveries next.
        """
        return (await self.record_occurrence_once(request)).occurrence

    async def record_occurrence_once(self, request: HostEventOccurrenceRequest) -> HostEventOccurrenceResult:
        """As `record_occurrence`; the result says whether this very call has recorded it."""
        require_valid_occurrence(record_of(HostEventOccurrenceRequest, request))
        return host_event_occurrences.recorded(
            request, await self._run(host_event_occurrences.prepare_recording(request))
        )

    async def list_occurrences(
        self, source_type: str, *, source_key: str | None = None, from_ms: int = 0
    ) -> list[HostEventOccurrenceRecord]:
        """The occurrences of a type, or of one source of it, from a time (epoch ms) on, by time."""
        column_text("host event occurrence", "source_type", source_type)
        if source_key is not None:
            column_text("host event occurrence", "source_key", source_key)
        column_integer("host event occurrence", "from_ms", from_ms)
        return await self._read(
            partial(
                host_event_occurrences.read_occurrences,
                source_type=source_type,
                source_key=source_key,
                from_ms=from_ms,
            )
        )

    async def reserve_matching_deliveries(self, occurrence_id: str) -> list[TriggerDeliveryReservation]:
        """Reserve the occurrence for each enabled subscription of its source that it has not reached yet.

        Whoever gets a reservation starts its process and reports with `mark_delivery_started`; nobody else gets it,
        unless `resume_deliveries` finds it not started later. In the order of `list_subscriptions`. Raises
        UnknownHostEventOccurrence. One transaction.

        Raises TriggerDeliveryCorrupt for a subscription that cannot be read, and that only when all are reserved: the
        error has the `reservations` of the others.
        """
        column_text("host event occurrence", "occurrence_id", occurrence_id)
        while True:
            matching = await self._read(partial(host_event_deliveries.read_matching, occurrence_id=occurrence_id))
            if not matching.subscriptions:
                return []
            try:
                result = await self._run(host_event_deliveries.prepare_reservation(occurrence_id, matching))
            except GuardFailed:
                continue  # somebody has subscribed, or the occurrence was pruned, since
            return host_event_deliveries.reserved(matching, result)

    async def resume_deliveries(
        self, *, idle_ms: int = RESUME_IDLE_MS, limit: int = RESUME_LIMIT
    ) -> list[TriggerDeliveryReservation]:
        """Take over up to `limit` deliveries that were reserved and not started, the longest untried first.

        Only what nobody has reserved or resumed within `idle_ms` (by the clock) is taken, and by one caller only.
        Starting a process twice is harmless: its id is always the same. Those that an unchanged alpha.40 has reserved
        are not among them, as it does not say which it has started; `list_deliveries` shows them. One transaction.
        Raises TriggerDeliveryCorrupt as `reserve_matching_deliveries`; what is damaged counts as tried, too.
        """
        column_integer("trigger delivery", "idle_ms", idle_ms)
        column_integer("trigger delivery", "limit", limit)
        until_ms = now_ms_of(self._clock) - idle_ms
        found = await self._read(partial(host_event_deliveries.read_open, tried_until_ms=until_ms, limit=limit))
        if not found:
            return []
        return host_event_deliveries.resumed(found, await self._run(host_event_deliveries.prepare_resumption(found)))

    async def mark_delivery_started(self, occurrence_id: str, subscription_id: str) -> bool:
        """Say that the process of a delivery was started; whether that was news. Raises UnknownTriggerDelivery."""
        return await self._settle(occurrence_id, subscription_id, TriggerDeliveryState.STARTED, None)

    async def drop_delivery(self, occurrence_id: str, subscription_id: str, reason: str) -> bool:
        """Give up a delivery that can never be started, for a `reason`; False if it is started or dropped already.

        Raises UnknownTriggerDelivery.
        """
        column_text("trigger delivery", "reason", reason)
        return await self._settle(occurrence_id, subscription_id, TriggerDeliveryState.DROPPED, reason)

    async def list_deliveries(
        self, *, occurrence_id: str | None = None, process_id: str | None = None
    ) -> list[TriggerDelivery]:
        """How far deliveries have come: all, those of an occurrence, or the one that starts a process; oldest first."""
        for field, value in (("occurrence_id", occurrence_id), ("process_id", process_id)):
            if value is not None:
                column_text("trigger delivery", field, value)
        return await self._read(
            partial(host_event_deliveries.read_deliveries, occurrence_id=occurrence_id, process_id=process_id)
        )

    async def prune(self, before_ms: int) -> HostEventPruneReport:
        """Remove occurrences from before that time (epoch ms) with their deliveries, unless one is still to be started.

        Subscriptions go that were cancelled before it and have no delivery left. An idempotency key that is removed
        protects no longer: a request that is repeated later happens again. In slices, each one transaction; an
        occurrence goes with all its deliveries. A call that raises or is cancelled has removed a part.
        """
        column_integer("host event", "before_ms", before_ms)
        occurrences, deliveries = await self._prune_occurrences(before_ms)
        return HostEventPruneReport(occurrences, deliveries, await self._prune_subscriptions(before_ms))

    async def _prune_occurrences(self, before_ms: int) -> tuple[int, int]:
        occurrences = deliveries = 0
        after = ""
        while found := await self._read(
            partial(host_event_retention.read_old_occurrences, before_ms=before_ms, after=after)
        ):
            result = await self._run(host_event_retention.prepare_remove_occurrences(found, before_ms))
            deliveries += len(result.rows[0])
            occurrences += len(result.rows[1])
            after = found[-1]
        return occurrences, deliveries

    async def _prune_subscriptions(self, before_ms: int) -> int:
        removed = 0
        after = ""
        while found := await self._read(
            partial(host_event_retention.read_old_subscriptions, before_ms=before_ms, after=after)
        ):
            removed += (await self._run(host_event_retention.prepare_remove_subscriptions(found, before_ms))).changes
            after = found[-1]
        while (await self._run(host_event_retention.prepare_remove_numbers())).changes:
            pass  # a slice of them
        return removed

    async def _cancel(self, session_id: str, handle: str | None) -> int:
        cancel = host_event_subscriptions.cancel_step(session_id, handle)
        drop = host_event_deliveries.drop_cancelled_step(session_id, handle)
        return len((await self._run(Plan([cancel, drop]))).rows[0])

    async def _settle(
        self, occurrence_id: str, subscription_id: str, state: TriggerDeliveryState, reason: str | None
    ) -> bool:
        column_text("trigger delivery", "occurrence_id", occurrence_id)
        column_text("trigger delivery", "subscription_id", subscription_id)
        plan = host_event_deliveries.prepare_settlement(occurrence_id, subscription_id, state, reason)
        try:
            result = await self._run(plan)
        except GuardFailed as failed:
            raise UnknownTriggerDelivery(occurrence_id, subscription_id) from failed
        return result.changes > 0
