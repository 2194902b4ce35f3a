"""Effect records: what is read, what is refused, and in which order keys are written (effects specification 2)."""

import json
from typing import Any

import pytest

from lash_store.errors import InvalidRecord
from lash_store.records import effect_command, effect_envelope, effect_history, effect_outcome, effect_scope, invocation
from lash_store.records.effect_command import RuntimeEffectCommand, process_command_effect_id
from lash_store.records.effect_outcome import (
    ProcessEffectOutcomeList,
    RuntimeEffectOutcome,
    RuntimeEffectOutcomeExecCode,
    RuntimeEffectOutcomeLlmCall,
    RuntimeEffectOutcomeSleep,
)
from lash_store.records.invocation import RuntimeEffectKind
from lash_store.records.record import Record, read_json
from tests.records.effect_examples import COMMANDS, EFFECT_RECORDS, OUTCOMES, PROCESS_COMMANDS, PROCESS_OUTCOMES

MODULES = [effect_command, effect_envelope, effect_history, effect_outcome, effect_scope, invocation]


def name(value: object) -> str:
    return type(value).__name__


def test_there_is_an_example_of_every_class() -> None:
    classes = {
        each
        for module in MODULES
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, Record) and each.__module__ == module.__name__
    }
    public = {each.__name__ for each in classes if not each.__name__.startswith("_")}
    assert public == {name(record) for record in EFFECT_RECORDS}


@pytest.mark.parametrize("record", EFFECT_RECORDS, ids=name)
def test_it_comes_back(record: Record) -> None:
    text = record.to_json()
    assert type(record).from_json(text) == record
    assert type(record).from_json(json.loads(text)).to_json() == text


@pytest.mark.parametrize("record", EFFECT_RECORDS, ids=name)
def test_an_unknown_key_is_kept_behind_the_known_ones(record: Record) -> None:
    text = json.dumps({**json.loads(record.to_json()), "novelty": [1]}, separators=(",", ":"), ensure_ascii=False)
    assert type(record).from_json(text).to_json().decode() == text


@pytest.mark.parametrize("text", ["", "[]", "1", "null", '"sleep"', "{"])
@pytest.mark.parametrize("record", EFFECT_RECORDS, ids=name)
def test_other_texts_are_refused(record: Record, text: str) -> None:
    with pytest.raises(InvalidRecord):
        type(record).from_json(text)


@pytest.mark.parametrize("family", [COMMANDS, OUTCOMES])
def test_there_is_one_of_every_kind(family: list[Any]) -> None:
    assert [each.kind for each in family] == list(RuntimeEffectKind)
    assert [json.loads(each.to_json())["type"] for each in family] == [kind.value for kind in RuntimeEffectKind]


def test_families_are_read_by_their_tags() -> None:
    for command in COMMANDS:
        assert read_json(RuntimeEffectCommand, command.to_json()) == command
    for outcome in OUTCOMES:
        assert read_json(RuntimeEffectOutcome, outcome.to_json()) == outcome


def test_the_effect_ids_of_process_commands() -> None:
    ids = [process_command_effect_id(command) for command in PROCESS_COMMANDS]
    assert ids[0] == "process:start:p"
    assert ids[1] == "process:list:session:s/frame:f:all"
    assert ids[2].startswith("process:transfer:session:s/frame:f:session:r:")
    assert ids[3:] == ["process:delete-session:s", "process:await:p", "process:cancel:p", "process:signal:p:1"]


def test_a_sleep_is_exactly_this() -> None:
    assert RuntimeEffectOutcomeSleep().to_json() == b'{"type":"sleep"}'


def test_pairs_are_arrays_of_two() -> None:
    outcome = PROCESS_OUTCOMES[1]
    plain = json.loads(outcome.to_json())
    ((grant, process),) = plain["entries"]
    assert (grant["session_id"], process["id"]) == ("s", "p")
    assert isinstance(ProcessEffectOutcomeList.from_json(plain).entries[0], tuple)


@pytest.mark.parametrize("entries", [None, {}, [[]], [[1, 2]], [[{}, {}]], ["ab"]])
def test_other_entries_are_refused(entries: Any) -> None:
    with pytest.raises(InvalidRecord, match="entries"):
        ProcessEffectOutcomeList.from_json({"op": "list", "entries": entries})
    with pytest.raises(InvalidRecord, match="entries"):
        ProcessEffectOutcomeList(entries).to_json()


@pytest.mark.parametrize("result", [None, 1, "Ok", {}, {"Ok": 1, "Err": 2}, {"ok": 1}])
def test_a_result_is_ok_or_err(result: Any) -> None:
    with pytest.raises(InvalidRecord, match="result"):
        RuntimeEffectOutcomeExecCode.from_json({"type": "exec_code", "result": result})
    with pytest.raises(InvalidRecord, match="result"):
        RuntimeEffectOutcomeExecCode(result).to_json()


def test_the_keys_of_a_result_are_put_in_order() -> None:
    """Structs in table order, free JSON sorted, what is not known behind it."""
    response = {
        "novelty": 1,
        "provider_usage": {"b": 1, "a": 2},
        "usage": {"output_tokens": 2, "input_tokens": 1},
        "full_text": "hi",
        "parts": [{"ToolCall": {"tool_name": "t", "call_id": "c", "replay": None, "input_json": "{}"}}],
    }
    text = RuntimeEffectOutcomeLlmCall({"Ok": response}, text_streamed=False).to_json().decode()
    assert text == (
        '{"type":"llm_call","result":{"Ok":{"full_text":"hi","parts":[{"ToolCall":{"call_id":"c","tool_name":"t",'
        '"input_json":"{}","replay":null}}],"usage":{"input_tokens":1,"output_tokens":2},"provider_usage":{"a":2,"b":1},'
        '"novelty":1}},"text_streamed":false}'
    )
