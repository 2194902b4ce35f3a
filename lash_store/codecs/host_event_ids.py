"""Keys, hashes and identifiers of host events that every program computes alike (specification 3.3)."""

from typing import Any, Final

from lash_store.codecs.content_hash import canonical_hash
from lash_store.records.host_event import HostEventOccurrenceRequest

_EMPTY_SOURCE: Final[dict[str, Any]] = {}


def host_event_source_type(alias: str, event: str) -> str:
    """The source type of a declared event."""
    return f"{alias}.{event}"


def default_host_event_source_key(source_type: str, source: Any) -> str:
    """The key of the source `source` (free JSON) of a type. Raises InvalidJsonValue if it has no JSON form."""
    return f"source:{source_type}:sha256:{canonical_hash([source_type, source])}"


def empty_host_event_source_key(source_type: str) -> str:
    """The key of the one source of a type that has no sources to tell apart."""
    return default_host_event_source_key(source_type, _EMPTY_SOURCE)


def host_event_occurrence_request_hash(request: HostEventOccurrenceRequest) -> str:
    """By which a repeated request is known: all but the idempotency key. Raises InvalidJsonValue."""
    return canonical_hash([request.source_type, request.source_key, request.payload, request.source])


def deterministic_occurrence_id(request: HostEventOccurrenceRequest) -> str:
    """The id of the occurrence. Raises InvalidJsonValue."""
    return f"host_event:{canonical_hash([request.source_type, request.source_key, request.idempotency_key])}"


def deterministic_delivery_process_id(occurrence_id: str, subscription_id: str) -> str:
    """The id of the process that a delivery starts: however often it is started, there is one."""
    return f"process:host-event:{canonical_hash([occurrence_id, subscription_id])}"
