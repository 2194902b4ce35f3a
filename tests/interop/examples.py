"""Records that both programs read: the examples of the other tests, and whole ones for what those leave opaque."""

import json
from typing import Any, Final

import msgspec

from lash_store import (
    QueuedWorkPayloadProcessWake,
    Record,
    ReplaceFull,
    RuntimeCommit,
    RuntimeEffectCommandDirect,
    RuntimeEffectCommandLlmCall,
    RuntimeEffectEnvelope,
    RuntimeEffectOutcomeCheckpoint,
    RuntimeEffectOutcomeDirect,
    RuntimeEffectOutcomeExecCode,
    RuntimeEffectOutcomeLlmCall,
    RuntimeEffectOutcomeSyncExecutionSurface,
    RuntimeEffectOutcomeToolCall,
)
from tests.effects import exec_outcome
from tests.golden import vectors
from tests.host_event_examples import RECORDS as HOST_EVENT_RECORDS
from tests.records.effect_examples import EFFECT_RECORDS
from tests.records.examples import NODES
from tests.records.examples import RECORDS as SESSION_RECORDS
from tests.records.process_examples import DELIVERY
from tests.records.process_examples import RECORDS as PROCESS_RECORDS

WITHOUT_A_TEXT: Final = {
    "AttachmentIntent",
    "AttachmentManifestEntry",
    "EffectHistoryEntry",
    "GcReport",
    "PersistedSessionRead",
    "SessionPickerInfo",
    "TombstoneReport",
    "VacuumReport",
}
"""Records that upstream never writes, or does not have."""

LLM_REQUEST: Final = json.loads(vectors.text("effect_e7.json"))["command"]["request"]
RESPONSE: Final = {
    "full_text": "hi",
    "parts": [
        {"Text": {"text": "hi", "response_meta": {"id": "r", "status": "done", "phase": "p"}}},
        {"Reasoning": {"text": "t", "replay": {"item_id": "r1", "redacted": True, "summary": ["s"]}}},
        {"ToolCall": {"call_id": "c", "tool_name": "t", "input_json": "{}", "replay": None}},
    ],
    "usage": {"input_tokens": 1, "output_tokens": -2, "cached_input_tokens": 3, "reasoning_tokens": 4},
    "terminal_reason": "tool_use",
    "terminal_diagnostic": None,
    "provider_usage": {"a": 1.5, "b": [None]},
    "request_body": None,
    "http_summary": "200",
}
CALL_ERROR: Final = {
    "message": "m",
    "retryable": True,
    "raw": None,
    "code": "429",
    "terminal_reason": "provider_error",
    "request_body": None,
}
CALL: Final = {
    "call_id": "c",
    "tool_name": "t",
    "args": {"a": [1]},
    "output": {"outcome": {"status": "success", "payload": {"x": 1}}},
    "model_return": {"call_id": "c", "tool_name": "t", "parts": [{"type": "text", "text": "x"}]},
    "duration_ms": 7,
    "replay": {"item_id": "i"},
}
TOOL_EVENT: Final = {
    "resource_type": "ui",
    "alias": "button",
    "event": "pressed",
    "source_type": "ui.button.pressed",
    "source_key": "k",
    "occurrence_id": "o",
    "payload": {"b": 1},
    "started_process_ids": ["p"],
}
SPEC: Final = {
    "name": "echo",
    "description": "d",
    "input_schema": {},
    "output_schema": {},
    "input_schema_projections": [],
    "output_schema_projections": [],
}
DELIVERED: Final = {
    "messages": [{"role": "User", "content": "x", "origin": {"kind": "plugin", "plugin_id": "p"}}],
    "transient_messages": [],
    "turn_causes": [
        {"id": "w", "event_type": "e", "origin": {"kind": "plugin", "plugin_id": "p"}, "text": "t"},
    ],
}
WAKE: Final = QueuedWorkPayloadProcessWake(json.loads(DELIVERY.to_json()))
WHOLE: Final[list[Record]] = [
    WAKE,
    RuntimeEffectCommandLlmCall(LLM_REQUEST),
    RuntimeEffectCommandDirect(LLM_REQUEST, "u"),
    RuntimeEffectOutcomeLlmCall({"Ok": RESPONSE}, text_streamed=True),
    RuntimeEffectOutcomeLlmCall({"Err": CALL_ERROR}, text_streamed=False),
    RuntimeEffectOutcomeDirect({"Ok": RESPONSE}),
    RuntimeEffectOutcomeToolCall(CALL, [TOOL_EVENT]),
    RuntimeEffectOutcomeToolCall(CALL),
    exec_outcome({"$lash": 1.5}),
    RuntimeEffectOutcomeExecCode({"Err": "no"}),
    RuntimeEffectOutcomeCheckpoint({"Ok": DELIVERED}),
    RuntimeEffectOutcomeSyncExecutionSurface({"Ok": {"system_prompt": "s", "tool_specs": [SPEC]}}),
]
"""With all the keys that upstream insists on where we take any JSON."""


def kind_of(record: Any) -> str:
    """The name of a record's class."""
    return type(record).__name__


def _with_whole_wakes(value: Any) -> Any:
    """Plain JSON, with the wake in it that upstream can read."""
    if isinstance(value, list):
        return [_with_whole_wakes(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "process_wake":
        return json.loads(WAKE.to_json())
    return {key: _with_whole_wakes(item) for key, item in value.items()}


def _whole(record: Record) -> Record:
    return type(record).from_json(json.dumps(_with_whole_wakes(json.loads(record.to_json()))))


_REPLACED: Final = {kind_of(record) for record in WHOLE} - {"RuntimeEffectOutcomeExecCode"}
RECORDS: Final[list[Record]] = [
    *(
        _whole(record)
        for record in (*SESSION_RECORDS, *PROCESS_RECORDS, *EFFECT_RECORDS, *HOST_EVENT_RECORDS)
        if kind_of(record) not in WITHOUT_A_TEXT | _REPLACED
    ),
    *WHOLE,
]
"""An example or more of every class of record that upstream has."""
TOOL_STATE: Final[dict[str, Any]] = {
    "generation": 2**63,
    "tools": {
        "b": {"manifest": {"id": "tool:b", "name": "b"}},
        "a": {
            "manifest": {
                "id": "tool:a",
                "name": "a",
                "description": "ä\n",
                "compact_contract": {
                    "name": "a",
                    "signature": "a(x)",
                    "returns": "str",
                    "parameters": [{"a": None, "z": 1.5}],
                    "examples": ["a(1)"],
                },
                "availability": {"base": "callable"},
                "activation": "internal",
                "availability_override": "off",
                "agent_surface": {"module_path": ["m"], "operation": "a", "aliases": ["aa"]},
                "argument_projection": {"kind": "preserve_projected_refs_in_field", "field": "x"},
                "scheduling": "serial",
                "retry_policy": {"type": "safe", "max_attempts": 3, "base_delay_ms": 1, "max_delay_ms": 2},
            }
        },
    },
}
PLUGIN_SNAPSHOT: Final[dict[str, Any]] = {
    "plugins": {
        "q": {"meta": {"plugin_id": "q", "plugin_version": "", "revision": 0}, "artifacts": []},
        "p": {
            "meta": {
                "plugin_id": "p",
                "plugin_version": "1",
                "revision": 2,
                "state": {"z": [1, 2.5, -1, 2**64 - 1], "a": {"y": None, "b": True}},
            },
            "artifacts": [{"name": "n", "data": [1, 255]}, {"name": "empty", "data": []}],
        },
    }
}
COMMITS: Final[list[RuntimeCommit]] = [
    *(record for record in RECORDS if isinstance(record, RuntimeCommit)),
    RuntimeCommit.from_json(vectors.text("turn_commit_large.json")),
]
_NODES: Final = [
    msgspec.structs.replace(node, node_id=f"n{number}", parent_node_id=f"n{number - 1}" if number else None)
    for number, node in enumerate(NODES)
]
EVERYTHING: Final = msgspec.structs.replace(
    COMMITS[0],
    expected_head_revision=None,
    graph=ReplaceFull(_NODES, _NODES[-1].node_id),
    checkpoint=msgspec.structs.replace(
        COMMITS[0].checkpoint,
        tool_state_ref=None,
        tool_state=TOOL_STATE,
        plugin_snapshot_ref=None,
        plugin_snapshot=PLUGIN_SNAPSHOT,
        execution_state_ref=None,
    ),
    turn_commit=None,
    completed_queue_claims=[],
    committed_attachment_ids=[],
)
"""A commit with a value for every key. What it completes is a matter of the queue's tests."""
ENVELOPES: Final[list[RuntimeEffectEnvelope]] = [
    *(record for record in RECORDS if isinstance(record, RuntimeEffectEnvelope)),
    RuntimeEffectEnvelope.from_json(vectors.text("effect_e7.json")),
    RuntimeEffectEnvelope.from_json(vectors.text("effect_e8.json")),
]
