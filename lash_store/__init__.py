"""lash_store: the durable SQLite session store of the lash agent runtime.

Everything public is named here; what the names mean is said where they are defined. Where a docstring says
"specification 4.30" it names a section of the descriptions of lash's files; see docs/compatibility.md.
"""

# fmt: off
# ruff: noqa: I001  packed: one name a line would be a file of 700
from lash_store.clock import Clock, SYSTEM_CLOCK, SystemClock
from lash_store.codecs.host_event_ids import (
    default_host_event_source_key, deterministic_delivery_process_id, deterministic_occurrence_id,
    empty_host_event_source_key, host_event_occurrence_request_hash, host_event_source_type,
)
from lash_store.codecs.ids import wake_source_key
from lash_store.errors import (
    AnotherKindOfDatabase, ArtifactDecodeFailed, ArtifactEncodeFailed, BlobMissing, ConstraintViolation,
    DuplicateHostEvent, EffectEnvelopeChanged, EffectLeaseLost, EffectRefused, EffectRowCorrupt, GuardFailed,
    HandleNotGranted, HeadRevisionConflict, HostEventDeliveryUnavailable, HostEventError, HostEventOccurrenceConflict,
    InvalidHostEventOccurrence, InvalidJsonValue, InvalidPlan, InvalidProcessPayload, InvalidProcessRegistration,
    InvalidRecord, InvalidTriggerPayload, InvalidTriggerSubscription, MissingWakeTarget, NotADatabase,
    ProcessAlreadyTerminal, ProcessCancelRefused, ProcessLeaseConflict, ProcessLeaseLost, ProcessNotVisible,
    ProcessRegistrationConflict, ProcessRegistryError, ProcessReplayKeyConflict, ProcessReplayKeyRequired,
    ProviderInPolicy, QueuedWorkClaimExpired, RuntimeEffectControllerError, RuntimeTurnCommitConflict, SelectorMismatch,
    SessionBindingMismatch, StoreBackend, StoreBusy, StoreClosed, StoreCorrupt, StoreError, StoreForked, StoreFull,
    StoreInUse, StoreMisuse, StoreOpenFailed, StoreReadOnly, StoreReentered, StoreRemovalFailed, StoreWrongLoop,
    TriggerDeliveryCorrupt, UndeclaredProcessEvent, UnknownHostEventOccurrence, UnknownLeafNode, UnknownProcess,
    UnknownTriggerDelivery, UnsupportedReadScope, UnsupportedRecordSchemaVersion, UnsupportedSchemaVersion,
    WalUnavailable,
)
from lash_store.records.artifacts import (
    BlobArtifactDescriptor, BlobProfile, BlobStorageHint, DurabilityTier, GcOutcome, GcReport, PersistedArtifactKind,
    TombstoneReport, VacuumReport,
)
from lash_store.records.attachments import AttachmentIntent, AttachmentManifestEntry
from lash_store.records.causal import (
    CausalRef, CausalRefEffect, CausalRefHostEvent, CausalRefProcess, CausalRefProcessEvent, CausalRefSessionNode,
    CausalRefToolCall, CausalRefTurn,
)
from lash_store.records.checkpoint import HydratedSessionCheckpoint, SessionCheckpoint
from lash_store.records.commit import (
    Append, GraphCommitDelta, ReplaceFull, RuntimeCommit, RuntimeTurnCommitStamp, Unchanged,
)
from lash_store.records.commit_result import RuntimeCommitResult
from lash_store.records.config import ModelLimits, ModelSpec, PersistedSessionConfig, SessionPolicy
from lash_store.records.conversation import (
    AttachmentRef, ConversationRecord, ImageMediaType, MediaType, MediaTypeImage, MessageOrigin, MessageOriginPlugin,
    MessageOriginProcess, MessagePart, MessageRole, PartAttachment, PartKind, PruneState, PruneStateCleared,
    PruneStateDeleted, PruneStateIntact, PruneStateSummarized, ReasoningMeta, ResponseMeta, ToolReplay,
)
from lash_store.records.effect_command import (
    CheckpointKind, ProcessCommand, ProcessCommandAwait, ProcessCommandCancel, ProcessCommandDeleteSession,
    ProcessCommandList, ProcessCommandSignal, ProcessCommandStart, ProcessCommandTransfer, ProcessExecutionContext,
    ProcessListMode, ProcessStartGrant, RuntimeEffectCommand, RuntimeEffectCommandCheckpoint,
    RuntimeEffectCommandDirect, RuntimeEffectCommandExecCode, RuntimeEffectCommandLlmCall, RuntimeEffectCommandProcess,
    RuntimeEffectCommandSleep, RuntimeEffectCommandSyncExecutionSurface, RuntimeEffectCommandToolCall,
    process_command_effect_id,
)
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_history import EffectHistoryEntry
from lash_store.records.effect_outcome import (
    ProcessEffectOutcome, ProcessEffectOutcomeAwait, ProcessEffectOutcomeCancel, ProcessEffectOutcomeDeleteSession,
    ProcessEffectOutcomeList, ProcessEffectOutcomeSignal, ProcessEffectOutcomeStart, ProcessEffectOutcomeTransfer,
    RuntimeEffectFailure, RuntimeEffectOutcome, RuntimeEffectOutcomeCheckpoint, RuntimeEffectOutcomeDirect,
    RuntimeEffectOutcomeExecCode, RuntimeEffectOutcomeLlmCall, RuntimeEffectOutcomeProcess, RuntimeEffectOutcomeSleep,
    RuntimeEffectOutcomeSyncExecutionSurface, RuntimeEffectOutcomeToolCall,
)
from lash_store.records.effect_scope import (
    EffectScope, EffectScopeProcess, EffectScopeQueueDrain, EffectScopeRuntimeOperation, EffectScopeSessionDelete,
    EffectScopeTurn, require_scope,
)
from lash_store.records.frames import (
    AgentFrameAssignment, AgentFrameRecord, AgentFrameStatus, PluginOptions, PluginSource, SubagentContext, ToolAccess,
)
from lash_store.records.graph import (
    ProtocolEvent, SessionEvent, SessionGraph, SessionNodePayload, SessionNodePayloadEvent, SessionNodePayloadPlugin,
    SessionNodeRecord,
)
from lash_store.records.head import ActivePath, FullGraph, PersistedSessionRead, ReadScope, SessionHead, SessionHeadMeta
from lash_store.records.host_event import (
    HostEvent, HostEventEmitReport, HostEventOccurrenceRecord, HostEventOccurrenceRequest, HostEventOccurrenceResult,
    HostEventPayloadType, HostEventPruneReport,
)
from lash_store.records.host_event_trigger import (
    TriggerDelivery, TriggerDeliveryReservation, TriggerDeliveryState, TriggerInputBinding, TriggerInputBindingEvent,
    TriggerInputBindingFixed, TriggerRegistration, TriggerRegistrationTarget, TriggerSubscriptionDraft,
    TriggerSubscriptionFilter, TriggerSubscriptionRecord, TriggerTargetIdentity,
)
from lash_store.records.invocation import (
    RuntimeEffectKind, RuntimeInvocation, RuntimeReplay, RuntimeScope, RuntimeSubject, RuntimeSubjectEffect,
    RuntimeSubjectHostEvent, RuntimeSubjectProcess, RuntimeSubjectProcessEvent, RuntimeSubjectSessionNode,
)
from lash_store.records.process import (
    ProcessExternalRef, ProcessProvenance, ProcessRecord, ProcessRegistration, ProcessScope,
)
from lash_store.records.process_event import (
    ProcessEvent, ProcessEventAppendRequest, ProcessEventAppendResult, ProcessEventSemantics, ProcessTerminalSemantics,
    ProcessWake, ProcessWakeDelivery, SystemTime,
)
from lash_store.records.process_event_type import (
    LashSchema, ProcessEventSemanticsSpec, ProcessEventType, ProcessTerminalSpec, ProcessWakeSpec,
    default_process_event_types, lashlang_process_event_types,
)
from lash_store.records.process_grant import (
    ProcessHandleDescriptor, ProcessHandleGrant, ProcessHandleGrantEntry, ProcessSessionDeleteReport,
)
from lash_store.records.process_ids import process_event_payload_hash
from lash_store.records.process_input import (
    ProcessInput, ProcessInputExternal, ProcessInputLashlangProcess, ProcessInputSessionTurn, ProcessInputToolCall,
    ProcessRef,
)
from lash_store.records.process_lease import ProcessLease, ProcessLeaseCompletion
from lash_store.records.process_output import (
    ProcessAwaitOutput, ProcessAwaitOutputCancelled, ProcessAwaitOutputFailure, ProcessAwaitOutputSuccess,
    ProcessStatus, ProcessStatusCancelled, ProcessStatusCompleted, ProcessStatusFailed, ProcessStatusRunning,
    ProcessTerminalStatus,
)
from lash_store.records.process_wake import TurnCause
from lash_store.records.process_work import (
    ObservedProcess, ObservedProcessEvent, ProcessCancelSummary, ProcessListFilter, ProcessWorkItem,
    ProcessWorkSnapshot,
)
from lash_store.records.queue import (
    DeliveryPolicy, MergeKey, MergeKeyGroup, MergeKeyNever, MergeKeyPayloadDefault, QueuedWorkBatch,
    QueuedWorkBatchDraft, QueuedWorkClaim, QueuedWorkClaimBoundary, QueuedWorkCompletion, QueuedWorkItem,
    QueuedWorkPayload, QueuedWorkPayloadProcessWake, QueuedWorkPayloadSessionCommand, QueuedWorkPayloadTurnInput,
    SlotPolicy,
)
from lash_store.records.record import Record
from lash_store.records.session_meta import (
    SessionMeta, SessionPickerInfo, SessionRelation, SessionRelationChild, SessionRelationRoot,
)
from lash_store.records.state import RuntimeSessionState
from lash_store.records.usage import PersistedTurnState, PromptUsage, ProtocolTurnOptions, TokenLedgerEntry, TokenUsage
from lash_store.rules.effect_invocations import (
    direct_call_discriminator, direct_call_invocation, lashlang_sleep_invocation, process_command_invocation,
    tool_call_invocation, tool_retry_sleep_invocation, turn_effect_invocation,
)
from lash_store.rules.graph import (
    GraphChange, NodeContent, ReadModel, active_path, active_read_model, append_to_graph, fork_active_path,
    heal_orphaned_leaf, replace_active_messages,
)
from lash_store.rules.host_event_catalog import HostEventCatalog
from lash_store.rules.process_append import PreparedProcessEventAppend, prepare_process_event_append
from lash_store.rules.process_registration import prepare_process_registration
from lash_store.rules.process_semantics import materialize_process_event_semantics
from lash_store.rules.process_wake_text import (
    process_wake_input_from_event_payload, process_wake_turn_cause, process_wake_turn_text,
)
from lash_store.rules.process_wake_work import process_wake_batch_draft
from lash_store.sqlite.async_connection import SqliteConnection
from lash_store.sqlite.connection import BUSY_TIMEOUT_MS
from lash_store.sqlite.database import Database, DatabaseStats
from lash_store.sqlite.effect_host.controller import LocalExecutor, SqliteRuntimeEffectController
from lash_store.sqlite.effect_host.host import SqliteEffectHost
from lash_store.sqlite.effect_host.process_commands import ProcessOperations
from lash_store.sqlite.host_event_store.router import EffectController, HostEventRouter
from lash_store.sqlite.host_event_store.store import SqliteHostEventStore
from lash_store.sqlite.plan import Expect, Otherwise, Plan, PlanResult, Step
from lash_store.sqlite.process_registry.cancellation import ProcessCancellation
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry
from lash_store.sqlite.process_registry.work_observer import ProcessWorkObserver
from lash_store.sqlite.schema import Schema
from lash_store.sqlite.session_factory import SqliteSessionStoreFactory
from lash_store.sqlite.session_store.listing import ListedSession
from lash_store.sqlite.session_store.store import Store, StoreOptions, load_persisted_session_state
from lash_store.sqlite.transaction import Commit, Rollback, Transaction

__all__ = [
    "ActivePath", "AgentFrameAssignment", "AgentFrameRecord", "AgentFrameStatus", "AnotherKindOfDatabase", "Append",
    "ArtifactDecodeFailed", "ArtifactEncodeFailed", "AttachmentIntent", "AttachmentManifestEntry", "AttachmentRef",
    "BUSY_TIMEOUT_MS", "BlobArtifactDescriptor", "BlobMissing", "BlobProfile", "BlobStorageHint", "CausalRef",
    "CausalRefEffect", "CausalRefHostEvent", "CausalRefProcess", "CausalRefProcessEvent", "CausalRefSessionNode",
    "CausalRefToolCall", "CausalRefTurn", "CheckpointKind", "Clock", "Commit", "ConstraintViolation",
    "ConversationRecord", "Database", "DatabaseStats", "DeliveryPolicy", "DuplicateHostEvent", "DurabilityTier",
    "EffectController", "EffectEnvelopeChanged", "EffectHistoryEntry", "EffectLeaseLost", "EffectRefused",
    "EffectRowCorrupt", "EffectScope", "EffectScopeProcess", "EffectScopeQueueDrain", "EffectScopeRuntimeOperation",
    "EffectScopeSessionDelete", "EffectScopeTurn", "Expect", "FullGraph", "GcOutcome", "GcReport", "GraphChange",
    "GraphCommitDelta", "GuardFailed", "HandleNotGranted", "HeadRevisionConflict", "HostEvent", "HostEventCatalog",
    "HostEventDeliveryUnavailable", "HostEventEmitReport", "HostEventError", "HostEventOccurrenceConflict",
    "HostEventOccurrenceRecord", "HostEventOccurrenceRequest", "HostEventOccurrenceResult", "HostEventPayloadType",
    "HostEventPruneReport", "HostEventRouter", "HydratedSessionCheckpoint", "ImageMediaType",
    "InvalidHostEventOccurrence", "InvalidJsonValue", "InvalidPlan", "InvalidProcessPayload",
    "InvalidProcessRegistration", "InvalidRecord", "InvalidTriggerPayload", "InvalidTriggerSubscription", "LashSchema",
    "ListedSession", "LocalExecutor", "MediaType", "MediaTypeImage", "MergeKey", "MergeKeyGroup", "MergeKeyNever",
    "MergeKeyPayloadDefault", "MessageOrigin", "MessageOriginPlugin", "MessageOriginProcess", "MessagePart",
    "MessageRole", "MissingWakeTarget", "ModelLimits", "ModelSpec", "NodeContent", "NotADatabase", "ObservedProcess",
    "ObservedProcessEvent", "Otherwise", "PartAttachment", "PartKind", "PersistedArtifactKind",
    "PersistedSessionConfig", "PersistedSessionRead", "PersistedTurnState", "Plan", "PlanResult", "PluginOptions",
    "PluginSource", "PreparedProcessEventAppend", "ProcessAlreadyTerminal", "ProcessAwaitOutput",
    "ProcessAwaitOutputCancelled", "ProcessAwaitOutputFailure", "ProcessAwaitOutputSuccess", "ProcessCancelRefused",
    "ProcessCancelSummary", "ProcessCancellation", "ProcessCommand", "ProcessCommandAwait", "ProcessCommandCancel",
    "ProcessCommandDeleteSession", "ProcessCommandList", "ProcessCommandSignal", "ProcessCommandStart",
    "ProcessCommandTransfer", "ProcessEffectOutcome", "ProcessEffectOutcomeAwait", "ProcessEffectOutcomeCancel",
    "ProcessEffectOutcomeDeleteSession", "ProcessEffectOutcomeList", "ProcessEffectOutcomeSignal",
    "ProcessEffectOutcomeStart", "ProcessEffectOutcomeTransfer", "ProcessEvent", "ProcessEventAppendRequest",
    "ProcessEventAppendResult", "ProcessEventSemantics", "ProcessEventSemanticsSpec", "ProcessEventType",
    "ProcessExecutionContext", "ProcessExternalRef", "ProcessHandleDescriptor", "ProcessHandleGrant",
    "ProcessHandleGrantEntry", "ProcessInput", "ProcessInputExternal", "ProcessInputLashlangProcess",
    "ProcessInputSessionTurn", "ProcessInputToolCall", "ProcessLease", "ProcessLeaseCompletion", "ProcessLeaseConflict",
    "ProcessLeaseLost", "ProcessListFilter", "ProcessListMode", "ProcessNotVisible", "ProcessOperations",
    "ProcessProvenance", "ProcessRecord", "ProcessRef", "ProcessRegistration", "ProcessRegistrationConflict",
    "ProcessRegistryError", "ProcessReplayKeyConflict", "ProcessReplayKeyRequired", "ProcessScope",
    "ProcessSessionDeleteReport", "ProcessStartGrant", "ProcessStatus", "ProcessStatusCancelled",
    "ProcessStatusCompleted", "ProcessStatusFailed", "ProcessStatusRunning", "ProcessTerminalSemantics",
    "ProcessTerminalSpec", "ProcessTerminalStatus", "ProcessWake", "ProcessWakeDelivery", "ProcessWakeSpec",
    "ProcessWorkItem", "ProcessWorkObserver", "ProcessWorkSnapshot", "PromptUsage", "ProtocolEvent",
    "ProtocolTurnOptions", "ProviderInPolicy", "PruneState", "PruneStateCleared", "PruneStateDeleted",
    "PruneStateIntact", "PruneStateSummarized", "QueuedWorkBatch", "QueuedWorkBatchDraft", "QueuedWorkClaim",
    "QueuedWorkClaimBoundary", "QueuedWorkClaimExpired", "QueuedWorkCompletion", "QueuedWorkItem", "QueuedWorkPayload",
    "QueuedWorkPayloadProcessWake", "QueuedWorkPayloadSessionCommand", "QueuedWorkPayloadTurnInput", "ReadModel",
    "ReadScope", "ReasoningMeta", "Record", "ReplaceFull", "ResponseMeta", "Rollback", "RuntimeCommit",
    "RuntimeCommitResult", "RuntimeEffectCommand", "RuntimeEffectCommandCheckpoint", "RuntimeEffectCommandDirect",
    "RuntimeEffectCommandExecCode", "RuntimeEffectCommandLlmCall", "RuntimeEffectCommandProcess",
    "RuntimeEffectCommandSleep", "RuntimeEffectCommandSyncExecutionSurface", "RuntimeEffectCommandToolCall",
    "RuntimeEffectControllerError", "RuntimeEffectEnvelope", "RuntimeEffectFailure", "RuntimeEffectKind",
    "RuntimeEffectOutcome", "RuntimeEffectOutcomeCheckpoint", "RuntimeEffectOutcomeDirect",
    "RuntimeEffectOutcomeExecCode", "RuntimeEffectOutcomeLlmCall", "RuntimeEffectOutcomeProcess",
    "RuntimeEffectOutcomeSleep", "RuntimeEffectOutcomeSyncExecutionSurface", "RuntimeEffectOutcomeToolCall",
    "RuntimeInvocation", "RuntimeReplay", "RuntimeScope", "RuntimeSessionState", "RuntimeSubject",
    "RuntimeSubjectEffect", "RuntimeSubjectHostEvent", "RuntimeSubjectProcess", "RuntimeSubjectProcessEvent",
    "RuntimeSubjectSessionNode", "RuntimeTurnCommitConflict", "RuntimeTurnCommitStamp", "SYSTEM_CLOCK", "Schema",
    "SelectorMismatch", "SessionBindingMismatch", "SessionCheckpoint", "SessionEvent", "SessionGraph", "SessionHead",
    "SessionHeadMeta", "SessionMeta", "SessionNodePayload", "SessionNodePayloadEvent", "SessionNodePayloadPlugin",
    "SessionNodeRecord", "SessionPickerInfo", "SessionPolicy", "SessionRelation", "SessionRelationChild",
    "SessionRelationRoot", "SlotPolicy", "SqliteConnection", "SqliteEffectHost", "SqliteHostEventStore",
    "SqliteProcessRegistry", "SqliteRuntimeEffectController", "SqliteSessionStoreFactory", "Step", "Store",
    "StoreBackend", "StoreBusy", "StoreClosed", "StoreCorrupt", "StoreError", "StoreForked", "StoreFull", "StoreInUse",
    "StoreMisuse", "StoreOpenFailed", "StoreOptions", "StoreReadOnly", "StoreReentered", "StoreRemovalFailed",
    "StoreWrongLoop", "SubagentContext", "SystemClock", "SystemTime", "TokenLedgerEntry", "TokenUsage",
    "TombstoneReport", "ToolAccess", "ToolReplay", "Transaction", "TriggerDelivery", "TriggerDeliveryCorrupt",
    "TriggerDeliveryReservation", "TriggerDeliveryState", "TriggerInputBinding", "TriggerInputBindingEvent",
    "TriggerInputBindingFixed", "TriggerRegistration", "TriggerRegistrationTarget", "TriggerSubscriptionDraft",
    "TriggerSubscriptionFilter", "TriggerSubscriptionRecord", "TriggerTargetIdentity", "TurnCause", "Unchanged",
    "UndeclaredProcessEvent", "UnknownHostEventOccurrence", "UnknownLeafNode", "UnknownProcess",
    "UnknownTriggerDelivery", "UnsupportedReadScope", "UnsupportedRecordSchemaVersion", "UnsupportedSchemaVersion",
    "VacuumReport", "WalUnavailable", "active_path", "active_read_model", "append_to_graph",
    "default_host_event_source_key", "default_process_event_types", "deterministic_delivery_process_id",
    "deterministic_occurrence_id", "direct_call_discriminator", "direct_call_invocation", "empty_host_event_source_key",
    "fork_active_path", "heal_orphaned_leaf", "host_event_occurrence_request_hash", "host_event_source_type",
    "lashlang_process_event_types", "lashlang_sleep_invocation", "load_persisted_session_state",
    "materialize_process_event_semantics", "prepare_process_event_append", "prepare_process_registration",
    "process_command_effect_id", "process_command_invocation", "process_event_payload_hash", "process_wake_batch_draft",
    "process_wake_input_from_event_payload", "process_wake_turn_cause", "process_wake_turn_text",
    "replace_active_messages", "require_scope", "tool_call_invocation", "tool_retry_sleep_invocation",
    "turn_effect_invocation", "wake_source_key",
]
# fmt: on
