"""What is refused before anything is written (specification 4.6)."""

from lash_store.errors import InvalidHostEventOccurrence, InvalidRecord, InvalidTriggerSubscription
from lash_store.records.host_event import HostEventOccurrenceRequest
from lash_store.records.host_event_trigger import TriggerSubscriptionDraft
from lash_store.records.process import ProcessProvenance, ProcessScope
from lash_store.records.text import trimmed
from lash_store.rules.host_event_payload import is_type


def require_valid_occurrence(request: HostEventOccurrenceRequest) -> None:
    """Raise InvalidHostEventOccurrence for the first of the three keys that is blank."""
    for field in ("source_type", "source_key", "idempotency_key"):
        if _is_blank(getattr(request, field)):
            raise InvalidHostEventOccurrence(field)


def require_reachable(draft: TriggerSubscriptionDraft) -> None:
    """Raise InvalidTriggerSubscription if no occurrence could ever match, InvalidRecord for an event type that is none.

    The draft must have a stored form.
    """
    for field in ("source_type", "source_key"):
        if _is_blank(getattr(draft, field)):
            raise InvalidTriggerSubscription(field)
    if not is_type(draft.event_ty):
        raise InvalidRecord(
            type(draft).__name__, "$.event_ty", "it is no type expression, so no payload would ever fit"
        )


def require_host_profile(host_profile_id: str) -> None:
    """Raise InvalidRecord for a host profile id that no process can be registered with (process specification 4.1)."""
    ProcessProvenance(ProcessScope(""), host_profile_id).to_json()
    if _is_blank(host_profile_id):
        raise InvalidRecord("ProcessProvenance", "$.host_profile_id", "it is blank; give it a text")


def _is_blank(value: object) -> bool:
    """What is no text at all is refused when the record is written."""
    return isinstance(value, str) and not trimmed(value)
