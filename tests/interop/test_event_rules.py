"""Schemas and selectors of process events: both programs accept the same payloads, and make the same of them."""

from typing import Any, Final

import pytest

from lash_store import (
    LashSchema,
    ProcessEventAppendRequest,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessScope,
    ProcessTerminalSpec,
    ProcessWakeSpec,
    RuntimeReplay,
)
from tests.interop.registries import REFUSED, BothRegistries
from tests.process_examples import registration

PAYLOADS: Final[list[Any]] = [
    None,
    True,
    0,
    -1,
    1.0,
    1.5,
    "",
    "a",
    "äö",
    [],
    [1, "x"],
    {},
    {"a": 1},
    {"a": "text"},
    {"a": None},
    {"a": [1.5, {"b": "deep"}]},
    {"a": {"type": "success", "value": 1}},
    {"a": {"type": "failure", "class": "timeout", "code": "c", "message": "m"}},
    {"a": {"type": "nothing"}},
    {"x/y": {"~": "tilde"}, "": "empty", "a": {"0": "zero"}},
]
SCHEMAS: Final[list[Any]] = [
    {},
    True,
    False,
    None,
    {"type": "object"},
    {"type": "object", "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
    {"type": ["object", "null"]},
    {"type": "integer"},
    {"type": "number", "minimum": 0},
    {"type": "string", "minLength": 1},
    {"type": "array", "items": {"type": "integer"}},
    {"type": "boolean"},
    {"enum": ["a", 0, None]},
    {"const": {"a": 1}},
    {"anyOf": [{"type": "string"}, {"type": "object"}]},
    {"oneOf": [{"type": "integer"}, {"type": "number"}]},
    {"allOf": [{"type": "object"}, {"required": ["a"]}]},
    {"type": "no such type"},
]
SELECTORS: Final[list[Any]] = [
    "payload",
    {"const": "fixed"},
    {"const": {"b": 1, "a": [None]}},
    {"pointer": ""},
    {"pointer": "/a"},
    {"pointer": "/a/1/b"},
    {"pointer": "/a/01"},
    {"pointer": "/x~1y/~0"},
    {"pointer": "/"},
    {"pointer": "/a/0"},
    {"pointer": "a"},
    {"present": "/a"},
    {"template": {"template": "line"}},
    {"template": {"template": "{a} and {{b}} {c}", "fields": {"a": {"pointer": "/a"}, "b": "payload"}}},
    {"template": {"template": "{p}{p}", "fields": {"p": "payload"}}},
]
ROOT: Final = ProcessScope("root")


def spec(schema: Any = None, **semantics: Any) -> ProcessEventType:
    return ProcessEventType("e", LashSchema({} if schema is None else schema), ProcessEventSemanticsSpec(**semantics))


async def assert_same(registries: BothRegistries, event_type: ProcessEventType) -> None:
    """Append every payload with each program, each time to a process of its own."""
    for number, payload in enumerate(PAYLOADS):
        made: list[Any] = []
        for side in (0, 1):
            process_id = f"p{number}-{side}"
            await registries.one.register_process(registration(process_id, event_type))
            request = ProcessEventAppendRequest("e", payload, RuntimeReplay("k"), ROOT)
            try:
                result = await registries[side].append_event(process_id, request)
            except REFUSED:
                made.append("refused")
            else:
                wake, record = result.wake_delivery, await registries.same_process(process_id)
                semantics = result.event.semantics
                made.append(
                    (
                        semantics.terminal,
                        wake and wake.input,
                        semantics.wake and (semantics.wake.input, semantics.wake.dedupe_key.replace(process_id, "")),
                        record.status,
                    )
                )
        assert made[0] == made[1], (event_type, payload)


@pytest.mark.parametrize("schema", SCHEMAS, ids=repr)
async def test_schemas(schema: Any, registries: BothRegistries) -> None:
    await assert_same(registries, ProcessEventType("e", LashSchema(schema), ProcessEventSemanticsSpec()))


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
@pytest.mark.parametrize("selector", SELECTORS, ids=repr)
async def test_what_an_event_ends_with(selector: Any, state: str, registries: BothRegistries) -> None:
    await assert_same(registries, spec(terminal=ProcessTerminalSpec(state, selector)))


async def test_an_end_without_a_selector(registries: BothRegistries) -> None:
    await assert_same(registries, spec(terminal=ProcessTerminalSpec("completed", None)))
    for state in ("failed", "cancelled"):
        for registry in (registries.one, registries.other):
            with pytest.raises(REFUSED):
                await registry.register_process(registration("p", spec(terminal=ProcessTerminalSpec(state, None))))


@pytest.mark.parametrize("selector", SELECTORS, ids=repr)
async def test_what_a_wake_says(selector: Any, registries: BothRegistries) -> None:
    wake = ProcessWakeSpec(input=selector, when={"present": "/a"}, dedupe_key={"selector": {"pointer": "/a"}})
    await assert_same(registries, spec(wake=wake))


@pytest.mark.parametrize("selector", SELECTORS, ids=repr)
async def test_when_an_event_wakes(selector: Any, registries: BothRegistries) -> None:
    await assert_same(registries, spec(wake=ProcessWakeSpec(input={"const": "in"}, when=selector)))
