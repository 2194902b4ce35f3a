//! Records as texts, and the values that are derived from them.

use lash_core::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Answer, Arguments, text, value};

pub fn perform(op: &str, arguments: &Arguments) -> Answer {
    let of = |name: &str| arguments.text(name);
    match op {
        "echo" => echo(&of("type")?, &of("text")?),
        "turn_commit_hash" => value(parsed::<RuntimeCommit>(&of("text")?)?.turn_commit_hash()),
        "envelope_hash" => value(parsed::<RuntimeEffectEnvelope>(&of("text")?)?.stable_hash()),
        "registration" => {
            let registration = parsed(&of("text")?)?;
            let (complete, hash) = runtime::prepare_process_registration(registration).map_err(text)?;
            Ok(json!({ "text": serde_json::to_string(&complete).map_err(text)?, "hash": hash }))
        }
        "payload_hash" => value(runtime::process_event_payload_hash(
            &of("event_type")?,
            &parsed::<Value>(&of("text")?)?,
        )),
        "turn_cause" => {
            let delivery: ProcessWakeDelivery = parsed(&of("text")?)?;
            serde_json::to_string(&runtime::process_wake_turn_cause(&delivery))
                .map(Value::String)
                .map_err(text)
        }
        "scope_id" => value(Ok::<_, String>(parsed::<EffectScope>(&of("text")?)?.id())),
        "process_scope_id" => value(Ok::<_, String>(parsed::<ProcessScope>(&of("text")?)?.id())),
        "source_key" => value(default_host_event_source_key(
            &of("source_type")?,
            &parsed(&of("text")?)?,
        )),
        "request_hash" => value(host_event_occurrence_request_hash(&parsed(&of("text")?)?)),
        "occurrence_id" => value(deterministic_occurrence_id(&parsed(&of("text")?)?)),
        "delivery_process_id" => value(deterministic_delivery_process_id(
            &of("occurrence_id")?,
            &of("subscription_id")?,
        )),
        "cancel_request" => {
            let reason = arguments.get("reason")?;
            serde_json::to_string(&ProcessEventAppendRequest::cancel_requested(&of("process_id")?, reason))
                .map(Value::String)
                .map_err(text)
        }
        _ => Err(format!("no operation on records: {op}")),
    }
}

fn parsed<T: DeserializeOwned>(source: &str) -> Result<T, String> {
    serde_json::from_str(source).map_err(text)
}

/// The text of a record, read and written again.
fn again<T: DeserializeOwned + Serialize>(source: &str) -> Answer {
    serde_json::to_string(&parsed::<T>(source)?)
        .map(Value::String)
        .map_err(text)
}

macro_rules! echo_of {
    ($name:expr, $source:expr, $($known:ident: $type:ty,)*) => {
        match $name {
            $(stringify!($known) => again::<$type>($source),)*
            other => Err(format!("no record: {other}")),
        }
    };
}

fn echo(name: &str, source: &str) -> Answer {
    echo_of!(name, source,
        AgentFrameAssignment: AgentFrameAssignment,
        AgentFrameRecord: AgentFrameRecord,
        AttachmentRef: AttachmentRef,
        BlobArtifactDescriptor: lash_sqlite_store::BlobArtifactDescriptor,
        CausalRef: CausalRef,
        ConversationRecord: ConversationRecord,
        EffectScope: EffectScope,
        GraphCommitDelta: store::GraphCommitDelta,
        HostEvent: HostEvent,
        HostEventEmitReport: HostEventEmitReport,
        HostEventOccurrenceRecord: HostEventOccurrenceRecord,
        HostEventOccurrenceRequest: HostEventOccurrenceRequest,
        HydratedSessionCheckpoint: HydratedSessionCheckpoint,
        LashSchema: LashSchema,
        MergeKey: MergeKey,
        MessageOrigin: MessageOrigin,
        MessagePart: Part,
        ObservedProcess: ObservedProcess,
        ObservedProcessEvent: ObservedProcessEvent,
        PersistedSessionConfig: PersistedSessionConfig,
        PersistedTurnState: PersistedTurnState,
        ProcessAwaitOutput: ProcessAwaitOutput,
        ProcessCancelSummary: ProcessCancelSummary,
        ProcessCommand: ProcessCommand,
        ProcessEffectOutcome: ProcessEffectOutcome,
        ProcessEvent: ProcessEvent,
        ProcessEventAppendRequest: ProcessEventAppendRequest,
        ProcessEventAppendResult: ProcessEventAppendResult,
        ProcessEventSemantics: runtime::ProcessEventSemantics,
        ProcessEventSemanticsSpec: ProcessEventSemanticsSpec,
        ProcessEventType: ProcessEventType,
        ProcessExecutionContext: ProcessExecutionContext,
        ProcessExternalRef: ProcessExternalRef,
        ProcessHandleDescriptor: ProcessHandleDescriptor,
        ProcessHandleGrant: ProcessHandleGrant,
        ProcessInput: ProcessInput,
        ProcessLease: ProcessLease,
        ProcessLeaseCompletion: ProcessLeaseCompletion,
        ProcessProvenance: ProcessProvenance,
        ProcessRecord: ProcessRecord,
        ProcessRef: lashlang::ProcessRef,
        ProcessRegistration: ProcessRegistration,
        ProcessScope: ProcessScope,
        ProcessSessionDeleteReport: ProcessSessionDeleteReport,
        ProcessStartGrant: ProcessStartGrant,
        ProcessStatus: ProcessStatus,
        ProcessTerminalSemantics: ProcessTerminalSemantics,
        ProcessTerminalSpec: ProcessTerminalSpec,
        ProcessWake: ProcessWake,
        ProcessWakeDelivery: ProcessWakeDelivery,
        ProcessWakeSpec: ProcessWakeSpec,
        ProcessWorkItem: ObservedWorkItem,
        ProcessWorkSnapshot: ProcessWorkSnapshot,
        PromptUsage: PromptUsage,
        ProtocolEvent: ProtocolEvent,
        ProtocolTurnOptions: ProtocolTurnOptions,
        PruneState: PruneState,
        QueuedWorkBatch: runtime::QueuedWorkBatch,
        QueuedWorkBatchDraft: runtime::QueuedWorkBatchDraft,
        QueuedWorkClaim: runtime::QueuedWorkClaim,
        QueuedWorkCompletion: runtime::QueuedWorkCompletion,
        QueuedWorkPayload: runtime::QueuedWorkPayload,
        RuntimeCommit: RuntimeCommit,
        RuntimeCommitResult: store::RuntimeCommitResult,
        RuntimeEffectCommand: RuntimeEffectCommand,
        RuntimeEffectEnvelope: RuntimeEffectEnvelope,
        RuntimeEffectFailure: RuntimeEffectControllerError,
        RuntimeEffectOutcome: RuntimeEffectOutcome,
        RuntimeInvocation: RuntimeInvocation,
        RuntimeReplay: runtime::RuntimeReplay,
        RuntimeScope: runtime::RuntimeScope,
        RuntimeSubject: runtime::RuntimeSubject,
        SessionCheckpoint: store::SessionCheckpoint,
        SessionGraph: SessionGraph,
        SessionHead: SessionHead,
        SessionHeadMeta: store::SessionHeadMeta,
        SessionMeta: SessionMeta,
        SessionNodeRecord: SessionNodeRecord,
        SessionPolicy: SessionPolicy,
        SessionRelation: SessionRelation,
        SystemTime: std::time::SystemTime,
        TokenLedgerEntry: TokenLedgerEntry,
        TokenUsage: TokenUsage,
        TriggerDeliveryReservation: TriggerDeliveryReservation,
        TriggerRegistration: TriggerRegistration,
        TriggerSubscriptionDraft: TriggerSubscriptionDraft,
        TriggerSubscriptionFilter: TriggerSubscriptionFilter,
        TriggerSubscriptionRecord: TriggerSubscriptionRecord,
        TurnCause: TurnCause,
    )
}
