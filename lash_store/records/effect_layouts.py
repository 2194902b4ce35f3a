"""Key orders of what effects carry and the store does not interpret (effects specification 2.3, 2.4).

Requests and results are plain JSON to the caller and structs to every other reader of the file: their keys are brought
into the order of the tables, and what is free JSON in them is sorted.
"""

from typing import Final

from lash_store.records.layout import Fields, Key, Plain

_ALWAYS: Final = Key(always=True)
_FLAG: Final = Key(absent=False)
_KEPT_FLAG: Final = Key(absent=False, always=True)
_FILLED: Final = Key(absent=[])
_OWN: Final = Key(Plain.AS_GIVEN)

_TOOL_REPLAY: Final = Fields(item_id=Key(), opaque=Key())
_RESPONSE_META: Final = Fields(id=Key(), status=Key(), phase=Key())
_REASONING: Final = Fields(
    item_id=Key(), encrypted_content=Key(), signature=Key(), redacted=_FLAG, summary=Key(absent=[])
)
_REFERENCE: Final = Fields(
    id=Key(), media_type=Key(Fields(kind=Key(), type=Key())), byte_len=Key(), width=Key(), height=Key(), label=Key()
)
_NULLABLE_META: Final = Key(_RESPONSE_META, always=True)
_NULLABLE_REPLAY: Final = Key(_TOOL_REPLAY, always=True)
_TOOL_CALL_PART: Final = Fields(call_id=Key(), tool_name=Key(), input_json=Key(), replay=_NULLABLE_REPLAY)
_REASONING_PART: Final = Fields(text=Key(), replay=Key(_REASONING, always=True))
_PROJECTIONS: Final = Key(Fields(profile=Key(), schema=_ALWAYS), absent=[], always=True)
_TOOL: Final = Fields(
    name=Key(),
    description=Key(),
    input_schema=_ALWAYS,
    output_schema=_ALWAYS,
    input_schema_projections=_PROJECTIONS,
    output_schema_projections=_PROJECTIONS,
)
_BLOCK: Final = Fields(
    Text=Key(Fields(text=Key(), response_meta=_NULLABLE_META, cache_breakpoint=_KEPT_FLAG)),
    Image=Key(Fields(attachment_idx=Key())),
    ToolCall=Key(_TOOL_CALL_PART),
    ToolResult=Key(Fields(call_id=Key(), content=Key(), tool_name=_ALWAYS)),
    Reasoning=Key(_REASONING_PART),
)
REQUEST: Final = Fields(
    model=Key(),
    messages=Key(Fields(role=Key(), blocks=Key(_BLOCK, always=True)), absent=[], always=True),
    attachments=Key(Fields(reference=Key(_REFERENCE)), absent=[], always=True),
    tools=Key(_TOOL, absent=[], always=True),
    tool_choice=Key(),
    model_variant=_ALWAYS,
    generation=Key(Fields(output_token_cap=Key()), absent={}, always=True),
    session_id=_ALWAYS,
    output_spec=Key(Fields(JsonSchema=Key(Fields(name=Key(), schema=_ALWAYS, strict=_KEPT_FLAG))), always=True),
)
"""The request of a model call. Callbacks and attachment bytes are never part of it."""

_RESPONSE_PART: Final = Fields(
    Text=Key(Fields(text=Key(), response_meta=_NULLABLE_META)),
    Reasoning=Key(_REASONING_PART),
    ToolCall=Key(_TOOL_CALL_PART),
)
_USAGE: Final = Fields(input_tokens=Key(), output_tokens=Key(), cached_input_tokens=Key(), reasoning_tokens=Key())
_RESPONSE: Final = Fields(
    full_text=Key(),
    parts=Key(_RESPONSE_PART),
    usage=Key(_USAGE),
    terminal_reason=Key(),
    terminal_diagnostic=_OWN,
    provider_usage=Key(),
    request_body=_OWN,
    http_summary=_OWN,
)
_CALL_ERROR: Final = Fields(
    message=Key(), retryable=Key(), raw=_OWN, code=Key(), terminal_reason=Key(), request_body=_OWN
)
_FAILURE: Final = Fields(
    **{"class": Key()},
    code=Key(),
    message=Key(),
    source=Key(),
    retry=Key(Fields(type=Key(), after_ms=Key(), attempts=Key())),
    raw=Key(),
)
_CONTROL: Final = Fields(
    type=Key(), frame_id=Key(), initial_nodes=_FILLED, task=Key(), value=Key(), failure=Key(_FAILURE)
)
_TOOL_OUTPUT: Final = Fields(outcome=Key(Fields(status=Key(), payload=_OWN)), control=Key(_CONTROL))
_MODEL_RETURN: Final = Fields(call_id=Key(), tool_name=Key(), parts=_OWN)
COMPLETED_CALL: Final = Fields(
    call_id=Key(),
    tool_name=Key(),
    args=Key(),
    output=Key(_TOOL_OUTPUT),
    model_return=Key(_MODEL_RETURN),
    duration_ms=Key(),
    replay=Key(_TOOL_REPLAY),
)
"""A completed tool call."""
TOOL_HOST_EVENT: Final = Fields(
    resource_type=Key(),
    alias=Key(),
    event=Key(),
    source_type=Key(),
    source_key=Key(),
    occurrence_id=Key(),
    payload=Key(),
    started_process_ids=Key(),
)
"""A host event that a tool call has emitted."""
_EXECUTED_CALL: Final = Fields(call_id=Key(), tool=Key(), args=Key(), output=Key(_TOOL_OUTPUT), duration_ms=Key())
_EXECUTION: Final = Fields(
    observations=Key(),
    observation_truncation=_OWN,
    tool_calls=Key(_EXECUTED_CALL),
    images=_OWN,
    printed_images=Key(_REFERENCE),
    error=_OWN,
    duration_ms=Key(),
    terminal_finish=Key(),
)
_DELIVERY: Final = Fields(messages=_OWN, transient_messages=_OWN, turn_causes=_OWN)
_SURFACE: Final = Fields(system_prompt=Key(), tool_specs=Key(_TOOL))
_ERROR: Final = Fields(code=Key(), message=Key())

MODEL_RESULT: Final = Fields(Ok=Key(_RESPONSE), Err=Key(_CALL_ERROR))
"""Result of a model call: a response, or why there is none."""
EXECUTION_RESULT: Final = Fields(Ok=Key(_EXECUTION), Err=Key())
"""Result of running code: what it did, or a text."""
CHECKPOINT_RESULT: Final = Fields(Ok=Key(_DELIVERY), Err=Key(_ERROR))
"""Result of a checkpoint: what is to be delivered, or an error record."""
SURFACE_RESULT: Final = Fields(Ok=Key(_SURFACE), Err=Key())
"""Result of updating the execution surface: the new one, null for an unchanged one, or a text."""
