"""Hashes of effect envelopes, as given by the effects specification (3.2)."""

import hashlib
import json

import pytest

from lash_store.records.effect_command import ProcessCommandTransfer, process_command_effect_id
from lash_store.records.effect_envelope import RuntimeEffectEnvelope
from lash_store.records.process import ProcessScope
from tests.golden import vectors

E1 = (
    '{"invocation":{"scope":{"session_id":"effect-session","turn_id":"effect-turn","turn_index":1,'
    '"protocol_iteration":0},"subject":{"type":"effect","effect_id":"exec-replay","kind":"exec_code"},'
    '"replay":{"key":"exec-replay"}},"command":{"type":"exec_code","code":"first"}}'
)
E2 = (
    '{"invocation":{"scope":{"session_id":"session","turn_id":"turn","turn_index":1,"protocol_iteration":0},'
    '"subject":{"type":"effect","effect_id":"sleep","kind":"sleep"},"replay":{"key":"sleep-key"}},'
    '"command":{"type":"sleep","duration_ms":120}}'
)
E3 = (
    '{"invocation":{"scope":{"session_id":"deleted"},"subject":{"type":"effect",'
    '"effect_id":"process:delete-session:deleted","kind":"process"},"caused_by":{"type":"effect","session_id":"s",'
    '"effect_id":"e"},"replay":{"key":"deleted:delete-session"}},'
    '"command":{"type":"process","command":{"op":"delete_session","session_id":"deleted"}}}'
)
E4 = E1.replace("exec-replay", "same-key")
E5 = E4.replace("first", "changed")
E6 = (
    '{"invocation":{"scope":{"session_id":"effect-conformance-session","turn_id":"effect-conformance-turn",'
    '"turn_index":7,"protocol_iteration":0},"subject":{"type":"effect","effect_id":"effect-slow","kind":"exec_code"},'
    '"replay":{"key":"effect-conformance:effect-conformance-turn:effect-slow"}},'
    '"command":{"type":"exec_code","code":"emit effect-slow"}}'
)
E7 = vectors.text("effect_e7.json")
E8 = vectors.text("effect_e8.json")

EXAMPLES = {
    "E1": (E1, "d6b6c4d17025bd1ba201dccdedea1f3bba168a405e0c771fa9b23899a4adb1bc"),
    "E2": (E2, "462582db46715459c57b0f3e0d5eb9ebbfacf7665b3038fe466f473bb6395e18"),
    "E3": (E3, "0f94380bf73ba5a04d0ca9358050088a5eccafecfc06582a14ab7799eeb8728f"),
    "E4": (E4, "aafb26d9cad20de3d10f47917e002d49290c1620016eab68f07f19de56af0784"),
    "E5": (E5, "62db66e7535edc5a89c32383441597a147de99998c0247d4a4cf26527d79a63d"),
    "E6": (E6, "e56cb199b8965f45770475c8e1b8013bf1f9d33069cba67b65579c14cd767539"),
    "E7": (E7, "ec15067a1176267a5eecf013cfec45cd1f588f34c088b8e437b521f5f4d69022"),
    "E8": (E8, "cd5c0a47808cd60b77263eb76db7859d414a3eef5c73f0f1705bb533fc11b361"),
}


@pytest.mark.parametrize(("text", "expected"), EXAMPLES.values(), ids=EXAMPLES)
def test_an_envelope(text: str, expected: str) -> None:
    envelope = RuntimeEffectEnvelope.from_json(text)
    assert hashlib.sha256(text.encode()).hexdigest() == expected  # the example was copied right
    assert envelope.stable_hash() == expected
    assert envelope.to_json().decode() == text


def shuffled(value: object) -> object:
    """The same value with the keys of every object the other way round."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("text", "expected"), EXAMPLES.values(), ids=EXAMPLES)
def test_the_order_in_which_keys_are_given_does_not_count(text: str, expected: str) -> None:
    envelope = RuntimeEffectEnvelope.from_json(json.dumps(shuffled(json.loads(text))))
    assert envelope.stable_hash() == expected


def test_the_defaults_of_a_request_are_written() -> None:
    plain = json.loads(E7)
    del plain["command"]["request"]["model_variant"]
    del plain["command"]["request"]["tools"][0]["output_schema_projections"]
    text = plain["command"]["request"]["messages"][0]["blocks"][0]["Text"]
    del text["response_meta"]
    del text["cache_breakpoint"]
    assert RuntimeEffectEnvelope.from_json(json.dumps(plain)).stable_hash() == EXAMPLES["E7"][1]


def test_what_a_request_does_not_know_is_not_hashed() -> None:
    plain = json.loads(E7)
    plain["command"]["request"]["stream_events"] = "live"
    plain["command"]["request"]["attachments"][0]["data"] = [1, 2, 3, 4]
    assert RuntimeEffectEnvelope.from_json(json.dumps(plain)).stable_hash() == EXAMPLES["E7"][1]


def test_the_ids_of_a_transfer() -> None:
    command = ProcessCommandTransfer(ProcessScope("a"), ProcessScope("b", "f"), ["x"])
    ids = "cd65ea2c2ad99e94a85b1b6df72efef9cb2ed0ae933a60c32ce16317f7d7d6aa"
    assert process_command_effect_id(command) == f"process:transfer:session:a:session:b/frame:f:{ids}"
