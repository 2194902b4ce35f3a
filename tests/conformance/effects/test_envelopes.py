"""Scenarios 11 to 15: envelopes, their texts and hashes, and how invocations are composed."""

import json
from typing import Any

import pytest

from lash_store.errors import EffectRefused
from lash_store.records.causal import CausalRefEffect, CausalRefProcessEvent
from lash_store.records.effect_command import (
    ProcessCommandCancel,
    ProcessCommandStart,
    ProcessExecutionContext,
    RuntimeEffectCommandDirect,
    RuntimeEffectCommandExecCode,
    RuntimeEffectCommandLlmCall,
    RuntimeEffectCommandProcess,
    RuntimeEffectCommandToolCall,
)
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.invocation import (
    RuntimeEffectKind,
    RuntimeInvocation,
    RuntimeReplay,
    RuntimeScope,
    RuntimeSubjectEffect,
    RuntimeSubjectProcess,
)
from lash_store.records.process import ProcessRegistration
from lash_store.records.process_input import ProcessInputToolCall
from lash_store.rules.effect_invocations import (
    direct_call_discriminator,
    direct_call_invocation,
    lashlang_sleep_invocation,
    process_command_invocation,
    tool_call_invocation,
    tool_retry_sleep_invocation,
    turn_effect_invocation,
)
from lash_store.sqlite.effect_host.controller import SqliteRuntimeEffectController
from tests.effects import exec_envelope, refusing

REFERENCE = {"id": "sha256:9f64", "media_type": {"kind": "image", "type": "png"}, "byte_len": 4}
LIVE_REQUEST: dict[str, Any] = {
    "model": "model",
    "messages": [{"role": "User", "blocks": [{"Image": {"attachment_idx": 0}}]}],
    "attachments": [{"reference": REFERENCE, "data": b"\1\2\3\4"}],
    "tools": [],
    "tool_choice": "Auto",
    "stream_events": lambda event: None,
    "on_usage": print,
}
CALL = {
    "call_id": "call-123",
    "tool_name": "echo",
    "args": {"value": "hi"},
    "prepared_payload": {"context": "prepared"},
}


def test_scenario_11_a_live_request_as_a_record() -> None:
    invocation = RuntimeInvocation.effect(RuntimeScope("s"), "1", RuntimeEffectKind.LLM_CALL, "k")
    envelope = RuntimeEffectEnvelope.new(invocation, RuntimeEffectCommandLlmCall(LIVE_REQUEST))
    text = envelope.hashed_text()
    again = RuntimeEffectEnvelope.from_json(text)
    assert isinstance(again.command, RuntimeEffectCommandLlmCall)
    request = again.command.request
    assert request.keys() == LIVE_REQUEST.keys() - {"stream_events", "on_usage"} | {
        "model_variant",
        "generation",
        "session_id",
        "output_spec",
    }
    assert request["model"] == "model"
    assert request["attachments"] == [{"reference": REFERENCE}]
    assert again.stable_hash() == envelope.stable_hash()


def test_scenario_12_a_direct_call() -> None:
    discriminator = direct_call_discriminator(LIVE_REQUEST)
    invocation = direct_call_invocation("s", None, "tool", discriminator)
    envelope = RuntimeEffectEnvelope.new(invocation, RuntimeEffectCommandDirect(LIVE_REQUEST, "tool"))
    assert len(envelope.stable_hash()) == 64
    again = RuntimeEffectEnvelope.from_json(envelope.hashed_text())
    assert again.replay_key == envelope.replay_key == f"s:direct:tool:{discriminator}"
    assert again.command.kind is RuntimeEffectKind.DIRECT


def test_scenario_13_the_start_of_a_tool_call() -> None:
    command = ProcessCommandStart(ProcessRegistration("p", ProcessInputToolCall(CALL)))
    invocation = process_command_invocation(command, "s")
    envelope = RuntimeEffectEnvelope.new(invocation, RuntimeEffectCommandProcess(command))
    again = RuntimeEffectEnvelope.from_json(envelope.to_json())
    assert again.stable_hash() == envelope.stable_hash()
    assert again.command.kind is RuntimeEffectKind.PROCESS
    assert isinstance(again.command, RuntimeEffectCommandProcess)
    started = again.command.command
    assert isinstance(started, ProcessCommandStart)
    assert (started.grant, started.execution_context) == (None, ProcessExecutionContext())
    assert isinstance(started.registration.input, ProcessInputToolCall)
    assert started.registration.input.call == CALL
    assert "execution_context" not in json.loads(envelope.to_json())["command"]["command"]


def test_scenario_14_a_direct_invocation() -> None:
    invocation = direct_call_invocation("s", None, "tool", "request:k")
    assert isinstance(invocation.subject, RuntimeSubjectEffect)
    assert invocation.subject.kind is RuntimeEffectKind.DIRECT
    assert invocation.replay is not None
    assert invocation.replay.key.startswith("s:direct:tool:request:k")


def test_scenario_15_a_retry_sleep() -> None:
    parent = turn_effect_invocation(RuntimeScope.for_turn("s", "t", 1, 0), RuntimeEffectKind.LLM_CALL, 3)
    invocation = tool_retry_sleep_invocation(parent, "probe", 2)
    assert isinstance(invocation.subject, RuntimeSubjectEffect)
    assert invocation.subject.kind is RuntimeEffectKind.SLEEP
    assert invocation.replay is not None
    assert invocation.replay.key.endswith(":probe:attempt:2:sleep")


def composed(invocation: RuntimeInvocation) -> tuple[str, str, Any]:
    assert isinstance(invocation.subject, RuntimeSubjectEffect)
    assert invocation.replay is not None
    return invocation.replay.key, invocation.subject.effect_id, invocation.caused_by


def test_how_invocations_are_composed() -> None:
    scope = RuntimeScope.for_turn("s", "t", 1, 0)
    turn = turn_effect_invocation(scope, RuntimeEffectKind.LLM_CALL, 3)
    cause = CausalRefEffect(session_id="s", turn_id="t", effect_id="3")
    assert composed(turn) == ("s:t:1:0:llm_call:3", "3", None)
    tool = tool_call_invocation(turn, "c1")
    assert composed(tool) == ("s:t:1:0:llm_call:3:c1", "3:c1", cause)
    assert tool.scope == scope
    below = CausalRefEffect(session_id="s", turn_id="t", effect_id="3:c1")
    assert composed(lashlang_sleep_invocation(tool, "s", "foreground", 0)) == (
        "s:t:1:0:llm_call:3:c1:lashlang:foreground:sleep:0",
        "3:c1:lashlang:foreground:sleep:0",
        below,
    )
    alone = lashlang_sleep_invocation(None, "s", "process:p", 2)
    assert composed(alone) == ("lashlang:process:p:sleep:2", "lashlang:process:p:sleep:2", None)
    assert alone.scope == RuntimeScope("s")
    cancel = process_command_invocation(ProcessCommandCancel("p", "stop"), "s", turn)
    assert composed(cancel) == ("s:t:1:0:llm_call:3:process:cancel:p", "process:cancel:p", cause)
    assert cancel.scope == scope
    free = process_command_invocation(ProcessCommandCancel("p"), "s")
    assert composed(free) == ("s:process:cancel:p", "process:cancel:p", None)


def test_invocations_below_a_parent_without_key_or_effect() -> None:
    parent = RuntimeInvocation(RuntimeScope("s"), RuntimeSubjectProcess("p"))
    assert composed(tool_call_invocation(parent, "c"))[:2] == ("effect:c", "effect:c")
    command = ProcessCommandCancel("p")
    assert composed(process_command_invocation(command, "s", parent))[0] == "process:process:cancel:p"


def test_the_discriminator_of_a_direct_call() -> None:
    assert direct_call_discriminator({}, "k", CausalRefProcessEvent("p1", 3)) == "cause:process_event:p1:3:request:k"
    cause = CausalRefEffect(session_id="s", effect_id="e")
    assert direct_call_discriminator({}, "k", cause) == "cause:effect:s::e:request:k"
    assert direct_call_discriminator(LIVE_REQUEST).startswith("sha256:")
    assert composed(direct_call_invocation("s", "t", "u", "d"))[0] == "s:t:direct:u:d"
    assert composed(direct_call_invocation("s", "", "u", "d"))[0] == "s:direct:u:d"
    with pytest.raises(EffectRefused) as refused:
        direct_call_discriminator({"model": float("nan")})
    assert refused.value.code == "runtime_effect_discriminator"


SCOPE = RuntimeScope("s")
EXEC = RuntimeEffectCommandExecCode("x")
NO_EFFECTS = [
    (RuntimeInvocation(SCOPE, RuntimeSubjectProcess("p"), None, None), "runtime_effect_invocation_subject"),
    (RuntimeInvocation.effect(SCOPE, " \n", RuntimeEffectKind.SLEEP, ""), "runtime_effect_invocation_subject"),
    (RuntimeInvocation.effect(SCOPE, "e", RuntimeEffectKind.SLEEP, ""), "runtime_effect_invocation_kind"),
]
NO_KEYS = [
    RuntimeInvocation.effect(SCOPE, "e", RuntimeEffectKind.EXEC_CODE, ""),
    RuntimeInvocation(SCOPE, RuntimeSubjectEffect("e", RuntimeEffectKind.EXEC_CODE)),
]


@pytest.mark.parametrize(
    ("invocation", "code"), [*NO_EFFECTS, *((keyless, "runtime_effect_replay_required") for keyless in NO_KEYS)]
)
def test_what_is_no_envelope(invocation: RuntimeInvocation, code: str) -> None:
    with pytest.raises(EffectRefused) as refused:
        RuntimeEffectEnvelope.new(invocation, EXEC)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("invocation", "code"), [*NO_EFFECTS, *((keyless, "sqlite_effect_replay_key_missing") for keyless in NO_KEYS)]
)
async def test_a_controller_checks_envelopes_again(
    controller: SqliteRuntimeEffectController, invocation: RuntimeInvocation, code: str
) -> None:
    read = RuntimeEffectEnvelope.from_json(RuntimeEffectEnvelope(invocation, EXEC).to_json())
    unused = refusing()
    with pytest.raises(EffectRefused) as refused:
        await controller.execute_effect(read, unused)
    assert refused.value.code == code
    assert unused.calls == 0


async def test_an_envelope_without_a_json_form(controller: SqliteRuntimeEffectController) -> None:
    invocation = RuntimeInvocation.effect(SCOPE, "e", RuntimeEffectKind.TOOL_CALL, "k")
    command = RuntimeEffectCommandToolCall({"call_id": "c", "tool_name": "t", "args": {"x": float("inf")}})
    with pytest.raises(EffectRefused) as refused:
        await controller.execute_effect(RuntimeEffectEnvelope(invocation, command), refusing())
    assert refused.value.code == "runtime_effect_envelope_hash"
    assert "$.command.call.args.x" in refused.value.message


def test_a_replay_key_belongs_to_the_hash() -> None:
    one, two = exec_envelope("a", "x"), exec_envelope("b", "x")
    assert one.stable_hash() != two.stable_hash()
    assert RuntimeReplay("a") == one.invocation.replay
