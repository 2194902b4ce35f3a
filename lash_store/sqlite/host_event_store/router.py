"""`HostEventRouter`: from an event to the processes that it triggers (host events specification 4.7)."""

from collections.abc import Callable, Sequence
from typing import Final

from lash_store.errors import (
    EffectEnvelopeChanged,
    EffectRefused,
    HostEventDeliveryUnavailable,
    InvalidTriggerPayload,
    RuntimeEffectControllerError,
    TriggerDeliveryCorrupt,
)
from lash_store.protocols import EffectController, ProcessOperations
from lash_store.records.causal import CausalRefHostEvent
from lash_store.records.effect_outcome import ProcessEffectOutcomeStart, RuntimeEffectOutcomeProcess
from lash_store.records.host_event import HostEventEmitReport, HostEventOccurrenceRequest
from lash_store.records.host_event_trigger import TriggerDeliveryReservation
from lash_store.records.process import ProcessRecord
from lash_store.rules.host_event_payload import misfit
from lash_store.rules.host_event_requests import require_host_profile
from lash_store.rules.host_event_start import start_envelope
from lash_store.sqlite.host_event_store.store import RESUME_IDLE_MS, RESUME_LIMIT, SqliteHostEventStore

__all__ = ["EffectController", "HostEventRouter"]

_NO_ENVELOPE: Final = "runtime_effect_envelope_hash"
_WRONG_OUTCOME: Final = "runtime_effect_wrong_outcome"


class HostEventRouter:
    """Records events, reserves their deliveries and starts the processes, each exactly once."""

    def __init__(
        self,
        store: SqliteHostEventStore,
        process_registry: ProcessOperations | None = None,
        *,
        host_profile_id: str = "default",
        poke: Callable[[], object] | None = None,
    ) -> None:
        """A router on `store`. `poke` is called when processes were started, to wake up who runs them.

        It is called once for all of them, and also if something behind the first start fails or is cancelled. Raises
        InvalidRecord for a `host_profile_id` that no process could have.
        """
        require_host_profile(host_profile_id)
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
        TriggerDeliveryCorrupt, and what the controller or `poke` raises. An error with one delivery, whatever it is,
        keeps no other from being started: the first is raised when all were tried, with a note for each other, and the
        report as its attribute `emit_report`. A delivery that can never start is dropped, with the error as reason: its
        payload does not fit, its start has no envelope, or failed for good (a RuntimeEffectControllerError that is no
        EffectRefused). If its process is there all the same, however it was started, it counts as started.
        """
        occurrence = await self._store.record_occurrence(request)
        try:
            reservations = await self._store.reserve_matching_deliveries(occurrence.occurrence_id)
        except TriggerDeliveryCorrupt as damage:
            started, errors = await self._start_all(damage.reservations, effect_controller)
            errors = [damage, *damage.also, *errors]
        else:
            started, errors = await self._start_all(reservations, effect_controller)
        report = HostEventEmitReport(occurrence.occurrence_id, started)
        _raise_first(errors, report)
        return report

    async def resume(
        self, effect_controller: EffectController, *, idle_ms: int = RESUME_IDLE_MS, limit: int = RESUME_LIMIT
    ) -> list[str]:
        """Start what was reserved and not started, because somebody died or failed; the process ids.

        As `SqliteHostEventStore.resume_deliveries`; raises as `emit`, the process ids in `emit_report`. For the start
        of a host, and from time to time.
        """
        try:
            reservations = await self._store.resume_deliveries(idle_ms=idle_ms, limit=limit)
        except TriggerDeliveryCorrupt as damage:
            started, errors = await self._start_all(damage.reservations, effect_controller)
            errors = [damage, *damage.also, *errors]
        else:
            started, errors = await self._start_all(reservations, effect_controller)
        _raise_first(errors, HostEventEmitReport(None, started))
        return started

    async def _start_all(
        self, reservations: Sequence[TriggerDeliveryReservation], effect_controller: EffectController
    ) -> tuple[list[str], list[Exception]]:
        """The ids of the processes that were started, and what went wrong with the others and with `poke`."""
        started: list[str] = []
        errors: list[Exception] = []
        try:
            for reservation in reservations:
                try:
                    await self._start(reservation, effect_controller, started)
                except Exception as error:  # noqa: BLE001  it is raised when the others were tried
                    errors.append(error)
        except BaseException as leaving:
            for other in (*errors, *self._poked(started)):
                leaving.add_note(f"before that: {other!r}")
            raise
        return started, [*errors, *self._poked(started)]

    def _poked(self, started: Sequence[str]) -> list[Exception]:
        """Poke if something was started; what that raises."""
        if started and self._poke is not None:
            try:
                self._poke()
            except Exception as error:  # noqa: BLE001  it is raised behind what has failed before
                return [error]
        return []

    async def _start(
        self, reservation: TriggerDeliveryReservation, effect_controller: EffectController, started: list[str]
    ) -> None:
        """Start the process, which is then among those `started` even if that cannot be reported."""
        occurrence, subscription = reservation.occurrence, reservation.subscription
        key = (occurrence.occurrence_id, subscription.subscription_id)
        if self._registry is None:
            raise HostEventDeliveryUnavailable(occurrence.occurrence_id)
        if (path := misfit(subscription.event_ty, occurrence.payload)) is not None:
            refusal = InvalidTriggerPayload(subscription.handle, occurrence.occurrence_id, path)
            await self._store.drop_delivery(*key, str(refusal))
            raise refusal
        try:
            await self._execute_start(reservation, effect_controller, self._registry)
        except RuntimeEffectControllerError as error:
            final = _is_final(error)
            if not final and not isinstance(error, EffectEnvelopeChanged):
                raise
            # A router of another profile, or one with other effects, may have started it and died before it said so.
            if not _is_started(await self._registry.get_process(reservation.process_id), reservation):
                if final:
                    await self._store.drop_delivery(*key, str(error))
                raise
        started.append(reservation.process_id)
        await self._store.mark_delivery_started(*key)

    async def _execute_start(
        self,
        reservation: TriggerDeliveryReservation,
        effect_controller: EffectController,
        registry: ProcessOperations,
    ) -> None:
        envelope = start_envelope(reservation, self._host_profile_id)
        outcome = await effect_controller.execute_effect(envelope, None, process_registry=registry)
        if not isinstance(outcome, RuntimeEffectOutcomeProcess) or not isinstance(
            outcome.result, ProcessEffectOutcomeStart
        ):
            raise EffectRefused(
                _WRONG_OUTCOME, f"the start of {reservation.process_id!r} gave {type(outcome).__name__}"
            )


def _is_final(error: RuntimeEffectControllerError) -> bool:
    """Whether every replay would fail like this: it is the recorded verdict, or there is nothing that could be run."""
    return not isinstance(error, EffectRefused) or error.code == _NO_ENVELOPE


def _is_started(record: ProcessRecord | None, reservation: TriggerDeliveryReservation) -> bool:
    """Whether this is the process of the delivery, and not another one that has its id."""
    if record is None:
        return False
    owner, occurrence_id = record.provenance.owner_scope, reservation.occurrence.occurrence_id
    cause = CausalRefHostEvent(occurrence_id)
    return (owner.session_id, record.provenance.caused_by) == (reservation.subscription.session_id, cause)


def _raise_first(errors: Sequence[Exception], report: HostEventEmitReport) -> None:
    """Raise the first of the errors, if there is one, with all that is known."""
    for other in errors[1:]:
        errors[0].add_note(f"something else failed, too: {other!r}")
    for first in errors[:1]:
        vars(first)["emit_report"] = report  # whatever class it is of
        raise first
