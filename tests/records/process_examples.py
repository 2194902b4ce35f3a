"""An example of every record of the process registry, with all keys filled in."""

from typing import Any, Final

from lash_store.records.causal import CausalRefHostEvent, CausalRefProcess
from lash_store.records.conversation import MessageOriginProcess
from lash_store.records.invocation import RuntimeInvocation, RuntimeReplay, RuntimeScope, RuntimeSubjectProcessEvent
from lash_store.records.process import (
    ProcessExternalRef,
    ProcessProvenance,
    ProcessRecord,
    ProcessRegistration,
    ProcessScope,
)
from lash_store.records.process_event import (
    ProcessEvent,
    ProcessEventAppendRequest,
    ProcessEventAppendResult,
    ProcessEventSemantics,
    ProcessTerminalSemantics,
    ProcessWake,
    ProcessWakeDelivery,
    SystemTime,
)
from lash_store.records.process_event_type import (
    LashSchema,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessTerminalSpec,
    ProcessWakeSpec,
)
from lash_store.records.process_grant import ProcessHandleDescriptor, ProcessHandleGrant, ProcessSessionDeleteReport
from lash_store.records.process_input import (
    ProcessInputExternal,
    ProcessInputLashlangProcess,
    ProcessInputSessionTurn,
    ProcessInputToolCall,
    ProcessRef,
)
from lash_store.records.process_lease import ProcessLease, ProcessLeaseCompletion
from lash_store.records.process_output import (
    ProcessAwaitOutputCancelled,
    ProcessAwaitOutputFailure,
    ProcessAwaitOutputSuccess,
    ProcessStatusCancelled,
    ProcessStatusCompleted,
    ProcessStatusFailed,
    ProcessStatusRunning,
)
from lash_store.records.process_wake import TurnCause
from lash_store.records.process_work import (
    ObservedProcess,
    ObservedProcessEvent,
    ProcessCancelSummary,
    ProcessWorkItem,
    ProcessWorkSnapshot,
)

FREE: Final = {"payload", "value", "raw", "metadata", "schema"}
"""Keys that take any JSON."""

CONTROL: Final = {"type": "finish", "value": [1]}
SUCCESS: Final = ProcessAwaitOutputSuccess({"a": 1.5}, CONTROL)
FAILURE: Final = ProcessAwaitOutputFailure("timeout", "late", "too late", [1], CONTROL)
CANCELLED: Final = ProcessAwaitOutputCancelled("stopped", "raw", CONTROL)
SCOPE: Final = ProcessScope("s", "f")
PROVENANCE: Final = ProcessProvenance(SCOPE, "host", CausalRefHostEvent("o"))
TERMINAL: Final = ProcessTerminalSpec("failed", {"pointer": "/x"})
WAKES: Final = ProcessWakeSpec(when={"present": "/w"}, input="payload", dedupe_key={"const": "k"})
TYPE: Final = ProcessEventType("t", LashSchema({"type": "object"}), ProcessEventSemanticsSpec(TERMINAL, WAKES))
EXTERNAL: Final = ProcessInputExternal({"label": "l"})
REFERENCE: Final = ProcessExternalRef("b", "i", {"q": 1})
INVOCATION: Final = RuntimeInvocation(
    RuntimeScope("s"), RuntimeSubjectProcessEvent("p", 1, "t"), CausalRefProcess("p"), RuntimeReplay("k")
)
TERMINAL_SEMANTICS: Final = ProcessTerminalSemantics("failed", FAILURE)
WAKE: Final = ProcessWake("in", "p:1")
SEMANTICS: Final = ProcessEventSemantics(TERMINAL_SEMANTICS, WAKE)
EVENT: Final = ProcessEvent("p", 1, "t", {"x": 1}, INVOCATION, SEMANTICS, SystemTime(1, 2_000_000))
DELIVERY: Final = ProcessWakeDelivery(
    wake_id="wake:1",
    target_session_id="s",
    target_scope_id="session:s",
    process_id="p",
    sequence=1,
    event_type="t",
    event_invocation=INVOCATION,
    process_caused_by=CausalRefHostEvent("o"),
    dedupe_key="p:1",
    input="in",
    created_at_ms=5,
)
RECORD: Final = ProcessRecord(
    id="p",
    registration_hash="h",
    input=EXTERNAL,
    event_types=[TYPE],
    provenance=PROVENANCE,
    created_at_ms=1,
    updated_at_ms=2,
    external_ref=REFERENCE,
    status=ProcessStatusFailed(FAILURE),
)
OBSERVED: Final = ObservedProcess(
    process_id="p",
    graph_key="process:p",
    lifecycle="failed",
    status_label="failed",
    terminal=True,
    error="too late",
    created_at_ms=1,
    updated_at_ms=2,
    input=EXTERNAL,
    external_ref=REFERENCE,
    child_session_id="c",
    label="l",
)
OBSERVED_EVENT: Final = ObservedProcessEvent(1, "t", 5, {"x": 1})
DESCRIPTOR: Final = ProcessHandleDescriptor("k", "l")
ITEM: Final = ProcessWorkItem(OBSERVED, DESCRIPTOR, [OBSERVED_EVENT], "k", "l")

RECORDS: Final[list[Any]] = [
    SUCCESS,
    FAILURE,
    CANCELLED,
    ProcessStatusRunning(),
    ProcessStatusCompleted(SUCCESS),
    ProcessStatusFailed(FAILURE),
    ProcessStatusCancelled(CANCELLED),
    SCOPE,
    PROVENANCE,
    TERMINAL,
    WAKES,
    LashSchema({"type": "object"}),
    TYPE.semantics,
    TYPE,
    EXTERNAL,
    ProcessInputToolCall({"call_id": "c", "tool_name": "t", "args": {}}),
    ProcessInputLashlangProcess("m", ProcessRef("c", 1), "r", "n", {"a": [1]}),
    ProcessInputSessionTurn(
        {
            "relation": {"kind": "root"},
            "start": {"kind": "empty"},
            "policy": None,
            "plugin_source": "current_host_fresh",
            "initial_nodes": [],
            "tool_access": {},
            "plugin_options": {},
        },
        {"items": [], "image_blobs": {}},
        {"kind": "static"},
    ),
    ProcessRef("c", 1),
    REFERENCE,
    ProcessRegistration("p", EXTERNAL, [TYPE], PROVENANCE),
    RECORD,
    TERMINAL_SEMANTICS,
    WAKE,
    SEMANTICS,
    SystemTime(1, 2),
    EVENT,
    ProcessEventAppendRequest("t", {"x": 1}, RuntimeReplay("k"), SCOPE),
    ProcessEventAppendResult(EVENT, DELIVERY),
    DELIVERY,
    DESCRIPTOR,
    ProcessHandleGrant("s", "p", DESCRIPTOR),
    ProcessSessionDeleteReport("s", 2, 0, ["p"], ["q"]),
    ProcessLease(
        process_id="p",
        owner_id="o",
        lease_token="t",  # noqa: S106  a lease's, and an example
        fencing_token=2**64 - 1,
        claimed_at_epoch_ms=1,
        expires_at_epoch_ms=2**64 - 1,
    ),
    ProcessLeaseCompletion("p", "t"),
    TurnCause("wake:1", "t", MessageOriginProcess("p", "t", 1, "wake:1"), "text"),
    OBSERVED,
    OBSERVED_EVENT,
    ITEM,
    ProcessCancelSummary("p", "running"),
    ProcessWorkSnapshot("s", ["p"], [ITEM]),
]
