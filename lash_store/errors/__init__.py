"""Every failure of the store is one of these, with its facts as attributes.

    StoreError
    ├── StoreOpenFailed(path, reason)  the database cannot be opened
    │   ├── NotADatabase(path)  the file holds something else
    │   ├── WalUnavailable(path, mode)  the file cannot be put into WAL mode
    │   ├── UnsupportedSchemaVersion(path, kind, expected, found)  another version, or another program's file
    │   └── AnotherKindOfDatabase(path, kind)  a database of another kind
    ├── StoreClosed(path)  the handle was closed
    ├── StoreMisuse(reason)  the handle is used where it must not be
    │   ├── StoreForked(path)  ... in a child of the process that opened it
    │   ├── StoreWrongLoop(path)  ... from a second event loop
    │   └── StoreReentered(path)  ... inside a closure that holds its own writer
    ├── StoreBusy(waited_ms)  the write lock was not to be had in time (retryable)
    ├── StoreReadOnly(path)  a write to what can only be read
    ├── StoreFull(path)  no room on the device
    ├── StoreCorrupt(kind, key)  what is stored cannot be read
    │   └── ArtifactDecodeFailed(module_ref, reason)  ... no module artifact any more
    ├── StoreBackend(code, extended_code, message, step)  any other refusal of SQLite's
    │   └── ConstraintViolation  a constraint of the schema does not hold
    ├── InvalidPlan(step, reason)  a plan that cannot be run as written
    ├── GuardFailed(step, name, expected, row, changes)  what a plan had to find was not there
    ├── StoreInUse(path)  it is open somewhere, and was not removed
    ├── StoreRemovalFailed(path, reason)  a file could not be removed
    ├── SessionBindingMismatch(bound_session_id, attempted_session_id)  the database holds another session
    ├── HeadRevisionConflict(expected, actual)  somebody else has committed
    ├── RuntimeTurnCommitConflict(session_id, turn_id)  the turn was committed with other content
    ├── QueuedWorkClaimExpired(session_id, claim_id)  the claim no longer holds its batches
    ├── UnknownLeafNode(session_id, leaf_node_id)  the leaf is no node
    ├── UnsupportedReadScope(scope)  a scope that the store cannot serve
    ├── UnsupportedRecordSchemaVersion(record_kind, actual, expected)  a record of another version
    ├── BlobMissing(ref)  a ref without a value, and nothing stored
    ├── InvalidJsonValue(path, reason)  a free JSON value that has no stored form
    ├── InvalidRecord(kind, path, reason)  a text or value that is no record of its kind
    │   ├── ArtifactEncodeFailed(path, reason)  ... no module artifact
    │   └── ProviderInPolicy()  a policy that holds a live provider
    ├── ProcessRegistryError  what only the process registry raises
    │   ├── UnknownProcess(process_id)  it is not registered
    │   ├── InvalidProcessRegistration(process_id, reason)  it breaks a rule
    │   ├── ProcessRegistrationConflict(process_id, existing_hash, new_hash)  registered with other content
    │   ├── UndeclaredProcessEvent(process_id, event_type)  the process has not declared this type
    │   ├── ProcessReplayKeyRequired(process_id, event_type)  the event must not happen twice
    │   ├── ProcessReplayKeyConflict(process_id, replay_key)  another event has this key
    │   ├── InvalidProcessPayload(event_type, location, reason)  it does not fit its schema
    │   ├── SelectorMismatch(pointer)  it finds nothing in the payload
    │   ├── ProcessAlreadyTerminal(process_id)  it has ended
    │   ├── MissingWakeTarget(process_id, event_type)  the request does not say whom to wake
    │   ├── HandleNotGranted(process_id, session_id)  nothing to be moved from there
    │   ├── ProcessLeaseConflict(process_id, owner_id, expires_at_epoch_ms)  somebody else holds it
    │   ├── ProcessLeaseLost(process_id)  expired, completed or taken over
    │   ├── ProcessCancelRefused(session_id, refusals, done)  some processes refuse to be asked to end
    │   └── ProcessNotVisible(process_id, session_id)  the session has no handle on it
    ├── RuntimeEffectControllerError(code, message)  an effect failed; a verdict that is recorded
    │   └── EffectRefused  what the host says on its own account
    │       ├── EffectEnvelopeChanged(scope_id, replay_key, paths)  recorded with another envelope
    │       ├── EffectLeaseLost(scope_id, replay_key)  somebody else has taken it over
    │       └── EffectRowCorrupt(code, scope_id, replay_key, reason)  its row is damaged (a StoreCorrupt, too)
    └── HostEventError  what only host events raise
        ├── InvalidHostEventOccurrence(field)  a field is blank
        ├── HostEventOccurrenceConflict(idempotency_key)  the key stands for another occurrence
        ├── UnknownHostEventOccurrence(occurrence_id)  it is not recorded
        ├── UnknownTriggerDelivery(occurrence_id, subscription_id)  nothing was reserved
        ├── InvalidTriggerSubscription(field)  a field is blank
        ├── HostEventDeliveryUnavailable(occurrence_id)  the router has no registry
        ├── InvalidTriggerPayload(handle, occurrence_id, path)  it does not fit the event type
        ├── TriggerDeliveryCorrupt(occurrence_id, subscription_id)  a damaged delivery (a StoreCorrupt, too)
        └── DuplicateHostEvent(source_type)  this source type is declared already

`retryable` says, for each class, whether sending the same call again may succeed without any other change. Unless a
class says otherwise, an operation that raises has changed nothing in the file; one that works in slices, as its
docstring says, may have done some.
"""

from lash_store.errors.artifact import ArtifactDecodeFailed, ArtifactEncodeFailed
from lash_store.errors.effect import (
    EffectEnvelopeChanged,
    EffectLeaseLost,
    EffectRefused,
    EffectRowCorrupt,
    RuntimeEffectControllerError,
)
from lash_store.errors.host_event import (
    DuplicateHostEvent,
    HostEventDeliveryUnavailable,
    HostEventError,
    HostEventOccurrenceConflict,
    InvalidHostEventOccurrence,
    InvalidTriggerPayload,
    InvalidTriggerSubscription,
    TriggerDeliveryCorrupt,
    UnknownHostEventOccurrence,
    UnknownTriggerDelivery,
)
from lash_store.errors.process import (
    HandleNotGranted,
    InvalidProcessPayload,
    InvalidProcessRegistration,
    MissingWakeTarget,
    ProcessAlreadyTerminal,
    ProcessCancelRefused,
    ProcessLeaseConflict,
    ProcessLeaseLost,
    ProcessNotVisible,
    ProcessRegistrationConflict,
    ProcessRegistryError,
    ProcessReplayKeyConflict,
    ProcessReplayKeyRequired,
    SelectorMismatch,
    UndeclaredProcessEvent,
    UnknownProcess,
)
from lash_store.errors.root import StoreError
from lash_store.errors.session import (
    AnotherKindOfDatabase,
    BlobMissing,
    HeadRevisionConflict,
    QueuedWorkClaimExpired,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    UnknownLeafNode,
    UnsupportedReadScope,
    UnsupportedRecordSchemaVersion,
    UnsupportedSchemaVersion,
)
from lash_store.errors.storage import (
    ConstraintViolation,
    GuardFailed,
    InvalidPlan,
    NotADatabase,
    StoreBackend,
    StoreBusy,
    StoreClosed,
    StoreCorrupt,
    StoreForked,
    StoreFull,
    StoreInUse,
    StoreMisuse,
    StoreOpenFailed,
    StoreReadOnly,
    StoreReentered,
    StoreRemovalFailed,
    StoreWrongLoop,
    WalUnavailable,
)
from lash_store.errors.values import (
    InvalidJsonValue,
    InvalidRecord,
    ProviderInPolicy,
)

__all__ = [
    "AnotherKindOfDatabase",
    "ArtifactDecodeFailed",
    "ArtifactEncodeFailed",
    "BlobMissing",
    "ConstraintViolation",
    "DuplicateHostEvent",
    "EffectEnvelopeChanged",
    "EffectLeaseLost",
    "EffectRefused",
    "EffectRowCorrupt",
    "GuardFailed",
    "HandleNotGranted",
    "HeadRevisionConflict",
    "HostEventDeliveryUnavailable",
    "HostEventError",
    "HostEventOccurrenceConflict",
    "InvalidHostEventOccurrence",
    "InvalidJsonValue",
    "InvalidPlan",
    "InvalidProcessPayload",
    "InvalidProcessRegistration",
    "InvalidRecord",
    "InvalidTriggerPayload",
    "InvalidTriggerSubscription",
    "MissingWakeTarget",
    "NotADatabase",
    "ProcessAlreadyTerminal",
    "ProcessCancelRefused",
    "ProcessLeaseConflict",
    "ProcessLeaseLost",
    "ProcessNotVisible",
    "ProcessRegistrationConflict",
    "ProcessRegistryError",
    "ProcessReplayKeyConflict",
    "ProcessReplayKeyRequired",
    "ProviderInPolicy",
    "QueuedWorkClaimExpired",
    "RuntimeEffectControllerError",
    "RuntimeTurnCommitConflict",
    "SelectorMismatch",
    "SessionBindingMismatch",
    "StoreBackend",
    "StoreBusy",
    "StoreClosed",
    "StoreCorrupt",
    "StoreError",
    "StoreForked",
    "StoreFull",
    "StoreInUse",
    "StoreMisuse",
    "StoreOpenFailed",
    "StoreReadOnly",
    "StoreReentered",
    "StoreRemovalFailed",
    "StoreWrongLoop",
    "TriggerDeliveryCorrupt",
    "UndeclaredProcessEvent",
    "UnknownHostEventOccurrence",
    "UnknownLeafNode",
    "UnknownProcess",
    "UnknownTriggerDelivery",
    "UnsupportedReadScope",
    "UnsupportedRecordSchemaVersion",
    "UnsupportedSchemaVersion",
    "WalUnavailable",
]
