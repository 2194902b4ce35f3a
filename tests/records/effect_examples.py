"""A record of every class that effects are made of, with every key given."""

from typing import Any, Final

from lash_store.records import effect_command as cmd
from lash_store.records import effect_outcome as out
from lash_store.records import effect_scope as sco
from lash_store.records import invocation as inv
from lash_store.records.causal import CausalRefTurn
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.effect_history import EffectHistoryEntry
from lash_store.records.process import ProcessRecord, ProcessRegistration, ProcessScope
from lash_store.records.process_event import ProcessEvent, ProcessEventAppendRequest, ProcessEventSemantics, SystemTime
from lash_store.records.process_event_type import default_process_event_types
from lash_store.records.process_grant import ProcessHandleDescriptor, ProcessHandleGrant, ProcessSessionDeleteReport
from lash_store.records.process_input import ProcessInputExternal
from lash_store.records.process_output import ProcessAwaitOutputSuccess

SCOPE: Final = inv.RuntimeScope.for_turn("s", "t", 1, 0)
INVOCATION: Final = inv.RuntimeInvocation(
    SCOPE,
    inv.RuntimeSubjectEffect("e", inv.RuntimeEffectKind.EXEC_CODE),
    CausalRefTurn("s", "t"),
    inv.RuntimeReplay("k"),
)
SUBJECTS: Final[list[Any]] = [
    INVOCATION.subject,
    inv.RuntimeSubjectProcess("p"),
    inv.RuntimeSubjectProcessEvent("p", 3, "x"),
    inv.RuntimeSubjectHostEvent("o"),
    inv.RuntimeSubjectSessionNode("n"),
]
SCOPES: Final[list[Any]] = [
    sco.EffectScopeTurn("s", "t"),
    sco.EffectScopeProcess("p"),
    sco.EffectScopeQueueDrain("s", "d"),
    sco.EffectScopeSessionDelete("s"),
    sco.EffectScopeRuntimeOperation("o"),
]
OWNER: Final = ProcessScope("s", "f")
REGISTRATION: Final = ProcessRegistration("p", ProcessInputExternal({"a": 1}), default_process_event_types())
PROCESS: Final = ProcessRecord(
    id="p",
    registration_hash="h",
    input=REGISTRATION.input,
    event_types=REGISTRATION.event_types,
    provenance=REGISTRATION.provenance,
    created_at_ms=1,
    updated_at_ms=2,
)
GRANT: Final = cmd.ProcessStartGrant(OWNER, ProcessHandleDescriptor("tool", "l"))
CONTEXT: Final = cmd.ProcessExecutionContext(INVOCATION, OWNER)
EVENT: Final = ProcessEvent("p", 1, "x", {"a": 1}, INVOCATION, ProcessEventSemantics(), SystemTime.from_ms(1_500))
PROCESS_COMMANDS: Final[list[Any]] = [
    cmd.ProcessCommandStart(REGISTRATION, GRANT, CONTEXT),
    cmd.ProcessCommandList(OWNER, cmd.ProcessListMode.ALL),
    cmd.ProcessCommandTransfer(OWNER, ProcessScope("r"), ["p", "q"]),
    cmd.ProcessCommandDeleteSession("s"),
    cmd.ProcessCommandAwait("p"),
    cmd.ProcessCommandCancel("p", "stop"),
    cmd.ProcessCommandSignal("p", "1", ProcessEventAppendRequest("x", {"a": 1}, inv.RuntimeReplay("k"), OWNER)),
]
REQUEST: Final = {"model": "m", "messages": [{"role": "User", "blocks": [{"Text": {"text": "hi"}}]}]}
CALL: Final = {"call_id": "c", "tool_name": "t", "args": {"a": 1}, "replay": {"item_id": "i"}, "prepared_payload": 1}
COMMANDS: Final[list[Any]] = [
    cmd.RuntimeEffectCommandLlmCall(REQUEST),
    cmd.RuntimeEffectCommandDirect(REQUEST, "u"),
    cmd.RuntimeEffectCommandToolCall(CALL),
    cmd.RuntimeEffectCommandProcess(PROCESS_COMMANDS[0]),
    cmd.RuntimeEffectCommandExecCode("x"),
    cmd.RuntimeEffectCommandCheckpoint(cmd.CheckpointKind.AFTER_WORK),
    cmd.RuntimeEffectCommandSyncExecutionSurface(update_machine_config=True),
    cmd.RuntimeEffectCommandSleep(120),
]
PROCESS_OUTCOMES: Final[list[Any]] = [
    out.ProcessEffectOutcomeStart(PROCESS),
    out.ProcessEffectOutcomeList([(ProcessHandleGrant("s", "p", GRANT.descriptor), PROCESS)]),
    out.ProcessEffectOutcomeTransfer(),
    out.ProcessEffectOutcomeDeleteSession(ProcessSessionDeleteReport("s", 2, 0, ["p"], ["q"])),
    out.ProcessEffectOutcomeAwait(ProcessAwaitOutputSuccess({"a": 1})),
    out.ProcessEffectOutcomeCancel(PROCESS),
    out.ProcessEffectOutcomeSignal(EVENT),
]
OUTCOMES: Final[list[Any]] = [
    out.RuntimeEffectOutcomeLlmCall({"Ok": {"full_text": "hi", "parts": []}}, text_streamed=True),
    out.RuntimeEffectOutcomeDirect({"Err": {"message": "m", "retryable": False}}),
    out.RuntimeEffectOutcomeToolCall({"call_id": "c", "tool_name": "t", "args": {}}, [{"alias": "a", "event": "e"}]),
    out.RuntimeEffectOutcomeProcess(PROCESS_OUTCOMES[0]),
    out.RuntimeEffectOutcomeExecCode({"Err": "no"}),
    out.RuntimeEffectOutcomeCheckpoint({"Err": {"code": "c", "message": "m"}}),
    out.RuntimeEffectOutcomeSyncExecutionSurface({"Ok": None}),
    out.RuntimeEffectOutcomeSleep(),
]
EFFECT_RECORDS: Final[list[Any]] = [
    SCOPE,
    INVOCATION,
    INVOCATION.replay,
    *SUBJECTS,
    *SCOPES,
    GRANT,
    CONTEXT,
    *PROCESS_COMMANDS,
    *COMMANDS,
    RuntimeEffectEnvelope(INVOCATION, COMMANDS[4]),
    *PROCESS_OUTCOMES,
    *OUTCOMES,
    out.RuntimeEffectFailure("c", "m"),
    EffectHistoryEntry(
        scope_id="s",
        replay_key="k",
        envelope_hash="h",
        status="completed",
        attempts=1,
        lease_owner_id="o",
        lease_expires_at_ms=0,
        due_at_ms=9,
        created_at_ms=1,
        updated_at_ms=2,
    ),
]
