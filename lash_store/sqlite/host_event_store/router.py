"""`HostEventRouter`: from an event to the processes that it triggers (host events specification 4.7)."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from lash_store.errors import (
    EffectRefused,
    HostEventDeliveryUnavailable,
    InvalidTriggerPayload,
    RuntimeEffectControllerError,
)
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_outcome import ProcessEffectOutcomeStart, RuntimeEffectOutcomeProcess
from lash_store.records.host_event import HostEventEmitReport, HostEventOccurrenceRequest
from lash_store.records.host_event_trigger import TriggerDeliveryReservation
from lash_store.rules.host_event_payload import fits
from lash_store.rules.host_event_start import start_envelope
from lash_store.sqlite.host_event_store.store import RESUME_IDLE_MS, RESUME_LIMIT, SqliteHostEventStore

_NO_ENVELOPE: Final = "runtime_effect_envelope_hash"
_WRONG_OUTCOME: Final = "runtime_effect_wrong_outcome"


class EffectController(Protocol):
    """What runs effects, and remembers that it has: `SqliteRuntimeEffectController`, or any like it."""

    async def execute_effect(
        self, envelope: RuntimeEffectEnvelope, local_executor: Any = None, *, process_registry: Any = None
    ) -> Any:
        """The outcome of the effect, now or from before."""
        ...


class HostEventRouter:
    """Records events, reserves their deliveries and starts the processes, each exactly once."""

    def __init__(
        self,
        store: SqliteHostEventStore,
        process_registry: Any = None,
        *,
        host_profile_id: str = "default",
        poke: Callable[[], object] | None = None,
    ) -> None:
        """A router on `store`. `poke` is called when processes were started, to wake up who runs them.

        It is called once for all of them, and also if something behind the first start fails or is cancelled.
        """
        self._store = store
        self._registry = process_registry
        self._host_profile_id = host_profile_id
        self._poke = poke

    async def emit(
        self, request: HostEventOccurrenceRequest, effect_controller: EffectController
    ) -> HostEventEmitReport:
        """Record the event and start the process of each subscription that it had not reached yet.

        A repeated request reaches nobody twice; what was reserved and not started, `resume` starts. Raises what the
        store raises, HostEventDeliveryUnavailable without a registry if somebody has subscribed, InvalidTriggerPayload,
        and what the controller raises. An error with one delivery, whatever it is, keeps no other from being started:
        the first is raised when all were tried. A delivery that can never start is dropped, with the error as reason:
        its payload does not fit, its start has no envelope, or failed for good (a RuntimeEffectControllerError that is
        no EffectRefused).
        """
        occurrence = await self._store.record_occurrence(request)
        reservations = await self._store.reserve_matching_deliveries(occurrence.occurrence_id)
        return HostEventEmitReport(occurrence.occurrence_id, await self._start_all(reservations, effect_controller))

    async def resume(
        self, effect_controller: EffectController, *, idle_ms: int = RESUME_IDLE_MS, limit: int = RESUME_LIMIT
    ) -> list[str]:
        """Start what was reserved and not started, because somebody died or failed; the process ids.

        As `SqliteHostEventStore.resume_deliveries`; raises as `emit`. For the start of a host, and from time to time.
        """
        reservations = await self._store.resume_deliveries(idle_ms=idle_ms, limit=limit)
        return await self._start_all(reservations, effect_controller)

    async def _start_all(
        self, reservations: Sequence[TriggerDeliveryReservation], effect_controller: EffectController
    ) -> list[str]:
        started: list[str] = []
        errors: list[Exception] = []
        try:
            for reservation in reservations:
                try:
                    await self._start(reservation, effect_controller, started)
                except Exception as error:  # noqa: BLE001  it is raised when the others were tried
                    errors.append(error)
        finally:
            if started and self._poke is not None:
                self._poke()
        for other in errors[1:]:
            errors[0].add_note(f"another delivery failed, too: {other!r}")
        if errors:
            raise errors[0]
        return started

    async def _start(
        self, reservation: TriggerDeliveryReservation, effect_controller: EffectController, started: list[str]
    ) -> None:
        """Start the process, which is then among those `started` even if that cannot be reported."""
        occurrence, subscription = reservation.occurrence, reservation.subscription
        key = (occurrence.occurrence_id, subscription.subscription_id)
        if self._registry is None:
            raise HostEventDeliveryUnavailable(occurrence.occurrence_id)
        if not fits(subscription.event_ty, occurrence.payload):
            refusal = InvalidTriggerPayload(subscription.handle)
            await self._store.drop_delivery(*key, str(refusal))
            raise refusal
        try:
            envelope = start_envelope(reservation, self._host_profile_id)
            outcome = await effect_controller.execute_effect(envelope, None, process_registry=self._registry)
        except RuntimeEffectControllerError as error:
            if _is_final(error):
                await self._store.drop_delivery(*key, str(error))
            raise
        if not isinstance(outcome, RuntimeEffectOutcomeProcess) or not isinstance(
            outcome.result, ProcessEffectOutcomeStart
        ):
            raise RuntimeEffectControllerError(
                _WRONG_OUTCOME, f"the start of {reservation.process_id!r} gave {type(outcome).__name__}"
            )
        started.append(reservation.process_id)
        await self._store.mark_delivery_started(*key)


def _is_final(error: RuntimeEffectControllerError) -> bool:
    """Whether every replay would fail like this: it is the recorded verdict, or there is nothing that could be run."""
    return not isinstance(error, EffectRefused) or error.code == _NO_ENVELOPE
