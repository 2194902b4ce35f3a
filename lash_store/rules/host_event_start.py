"""How a trigger starts its process: the effect that stands for a delivery (specification 3.2, 4.7)."""

from lash_store.records.causal import CausalRefHostEvent
from lash_store.records.effect_command import (
    ProcessCommandStart,
    ProcessExecutionContext,
    ProcessStartGrant,
    RuntimeEffectCommandProcess,
    process_command_effect_id,
)
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.host_event_trigger import TriggerDeliveryReservation
from lash_store.records.invocation import (
    RuntimeEffectKind,
    RuntimeInvocation,
    RuntimeReplay,
    RuntimeScope,
    RuntimeSubjectEffect,
    RuntimeSubjectHostEvent,
)
from lash_store.records.process import ProcessProvenance, ProcessRegistration, ProcessScope
from lash_store.records.process_event_type import default_process_event_types, lashlang_process_event_types
from lash_store.records.process_grant import ProcessHandleDescriptor
from lash_store.records.process_input import ProcessInputLashlangProcess
from lash_store.rules.host_event_payload import process_args


def start_envelope(reservation: TriggerDeliveryReservation, host_profile_id: str) -> RuntimeEffectEnvelope:
    """The effect that starts the process of a delivery: the same one however often it is made."""
    occurrence_id = reservation.occurrence.occurrence_id
    subscription = reservation.subscription
    scope = ProcessScope(subscription.session_id)
    runtime_scope = RuntimeScope(subscription.session_id)
    command = ProcessCommandStart(
        _registration(reservation, scope, host_profile_id),
        ProcessStartGrant(scope, ProcessHandleDescriptor("lashlang", subscription.process_name)),
        ProcessExecutionContext(
            RuntimeInvocation(
                runtime_scope,
                RuntimeSubjectHostEvent(occurrence_id),
                replay=RuntimeReplay(f"host_event:{occurrence_id}"),
            ),
            scope,
        ),
    )
    invocation = RuntimeInvocation(
        runtime_scope,
        RuntimeSubjectEffect(process_command_effect_id(command), RuntimeEffectKind.PROCESS),
        CausalRefHostEvent(occurrence_id),
        RuntimeReplay(f"host_event:{occurrence_id}:{subscription.subscription_id}"),
    )
    return RuntimeEffectEnvelope.new(invocation, RuntimeEffectCommandProcess(command))


def _registration(
    reservation: TriggerDeliveryReservation, scope: ProcessScope, host_profile_id: str
) -> ProcessRegistration:
    subscription = reservation.subscription
    return ProcessRegistration(
        reservation.process_id,
        ProcessInputLashlangProcess(
            subscription.module_ref,
            subscription.process_ref,
            subscription.required_surface_ref,
            subscription.process_name,
            process_args(subscription.input_template, reservation.occurrence.payload),
        ),
        [*default_process_event_types(), *lashlang_process_event_types()],
        ProcessProvenance(scope, host_profile_id, CausalRefHostEvent(reservation.occurrence.occurrence_id)),
    )
