"""Texts as other writers may spell them: a key dropped, added or out of order, another value in its place.

What both programs read must be the same to alpha.40 after we have rewritten it, and hash the same; and of what alpha.40
reads nothing may be unreadable to us.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import pytest

from lash_store import (
    HostEventOccurrenceRequest,
    InvalidJsonValue,
    InvalidRecord,
    ProviderInPolicy,
    Record,
    RuntimeCommit,
    RuntimeEffectCommand,
    RuntimeEffectEnvelope,
    RuntimeEffectKind,
    RuntimeInvocation,
    RuntimeScope,
    host_event_occurrence_request_hash,
)
from tests.interop.driver import Alpha40, Alpha40Refused
from tests.interop.examples import EVERYTHING, RECORDS, TOOL_STATE, kind_of
from tests.interop.test_records import upstream_type

SCALARS: Final[tuple[Any, ...]] = (None, True, -1, 1.5, 2**64, "x", {})
"""What is put in the place of every value. Arrays are not: upstream reads them as records, we need not (3.1)."""
Path = tuple[str | int, ...]


def paths_of(value: Any, at: Path = ()) -> Iterator[Path]:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths_of(item, (*at, key))


def changed(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], change)
    return copy


def without(key: Any) -> Callable[[Any], Any]:
    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: item for name, item in value.items() if name != key}
        return [item for number, item in enumerate(value) if number != key]

    return change


def instead(item: Any) -> Callable[[Any], Any]:
    return lambda _: item


def with_novelty(value: Any) -> Any:
    return {"novelty": {"b": 1, "a": 2}, **value} if isinstance(value, dict) else value


def out_of_order(value: Any) -> Any:
    return dict(reversed(value.items())) if isinstance(value, dict) else value


def spellings(value: Any) -> Iterator[str]:
    """The texts to try."""
    for path in paths_of(value):
        changes = [*map(instead, SCALARS), with_novelty, out_of_order]
        for change in changes:
            yield json.dumps(changed(value, path, change), ensure_ascii=False)
        if path:
            yield json.dumps(changed(value, path[:-1], without(path[-1])), ensure_ascii=False)


def in_envelopes() -> list[Record]:
    """An envelope around every command."""
    envelopes: list[Record] = []
    for command in RECORDS:
        if isinstance(command, RuntimeEffectCommand):
            kind = RuntimeEffectKind(command.kind)
            invocation = RuntimeInvocation.effect(RuntimeScope.for_turn("s", "t", 1, 0), "e", kind, "k")
            envelopes.append(RuntimeEffectEnvelope(invocation, command))
    return envelopes


async def hash_there(record: Record, text: str, alpha: Alpha40) -> tuple[str, str] | None:
    """Our hash of a record and alpha.40's of the text, if it has one."""
    if isinstance(record, RuntimeCommit):
        return record.turn_commit_hash(), await alpha("turn_commit_hash", text=text)
    if isinstance(record, RuntimeEffectEnvelope):
        return record.stable_hash(), await alpha("envelope_hash", text=text)
    if isinstance(record, HostEventOccurrenceRequest):
        return host_event_occurrence_request_hash(record), await alpha("request_hash", text=text)
    return None


WITHOUT_A_TOOL_STATE: Final = msgspec.structs.replace(
    EVERYTHING, checkpoint=msgspec.structs.replace(EVERYTHING.checkpoint, tool_state={"generation": 1, "tools": {}})
)


@pytest.mark.parametrize("record", [*RECORDS, *in_envelopes(), WITHOUT_A_TOOL_STATE], ids=kind_of)
async def test_what_both_read_stays_what_it_is(record: Record, records: Alpha40) -> None:
    kind, tried = upstream_type(record), 0
    for text in spellings(json.loads(record.to_json())):
        try:
            theirs = await records("echo", type=kind, text=text)
        except Alpha40Refused:
            continue  # we may read more: what is opaque to us has a shape there
        try:
            ours = type(record).from_json(text)
        except (InvalidRecord, InvalidJsonValue, ProviderInPolicy) as refused:
            pytest.fail(f"alpha.40 reads it, and we do not ({refused}): {text}")
        assert await records("echo", type=kind, text=ours.to_json().decode()) == theirs, text
        hashes = await hash_there(ours, text, records)
        assert hashes is None or hashes[0] == hashes[1], text
        tried += 1
    assert tried > 1


TOOL: Final = TOOL_STATE["tools"]["a"]["manifest"]


@pytest.mark.parametrize(
    "inside",
    [
        {"agent_surface": {"module_path": ["m"], "aliases": []}},
        {"agent_surface": {"operation": None}},
        {"compact_contract": {**TOOL["compact_contract"], "examples": []}},
        {"compact_contract": {**TOOL["compact_contract"], "parameters": []}},
        {"retry_policy": {"type": "never", "novelty": 1}},
    ],
    ids=repr,
)
async def test_a_tool_spelt_otherwise_hashes_the_same(inside: Any, records: Alpha40) -> None:
    state = {"generation": 1, "tools": {"a": {"manifest": {**TOOL, **inside}}}}
    checkpoint = msgspec.structs.replace(EVERYTHING.checkpoint, tool_state=state)
    commit = msgspec.structs.replace(EVERYTHING, checkpoint=checkpoint)
    assert commit.turn_commit_hash() == await records("turn_commit_hash", text=commit.to_json().decode())


@pytest.mark.parametrize(
    "inside",
    [
        {"compact_contract": {**TOOL["compact_contract"], "parameters": [{"z": 1, "a": 2}]}},
        {"agent_surface": {"operation": "a", "module_path": ["m"]}},
    ],
    ids=repr,
)
async def test_a_tool_with_keys_in_another_order_is_the_same_text(inside: Any, records: Alpha40) -> None:
    """So it is the same blob."""
    state = {"generation": 1, "tools": {"a": {"manifest": {**TOOL, **inside}}}}
    text = msgspec.structs.replace(EVERYTHING.checkpoint, tool_state=state).to_json().decode()
    assert await records("echo", type="HydratedSessionCheckpoint", text=text) == text
