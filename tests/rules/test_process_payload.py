"""The schema subset of process specification 4.5, rule by rule."""

from typing import Any

import pytest

from lash_store.rules.process_payload import misfit

OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (None, 1),
        (True, 1),
        ("string", 1),
        ([], 1),
        ({}, None),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None),
        ({"anyOf": [{}], "type": "string"}, 1),
        ({"oneOf": [{"type": "integer"}, {"type": "number"}]}, 1),
        ({"anyOf": {}, "oneOf": [{"type": "string"}]}, 1),
        ({"enum": [1, "a"]}, "a"),
        ({"enum": [0.0]}, -0.0),
        ({"enum": [[1, {"a": None}]]}, [1, {"a": None}]),
        ({"enum": "a"}, "b"),
        ({"type": "null"}, None),
        ({"type": "boolean"}, False),
        ({"type": "string"}, ""),
        ({"type": "number"}, 1),
        ({"type": "number"}, 1.5),
        ({"type": "integer"}, 2**64 - 1),
        ({"type": "array"}, []),
        ({"type": "object"}, {}),
        ({"type": "unheard-of"}, 1),
        ({"type": ["string", "integer"]}, 1),
        ({"type": ["string", "unheard-of"]}, 1),
        ({"type": 5}, 1),
        ({"type": None}, 1),
        ({"maximum": 2, "minimum": 2.0}, 2),
        ({"maximum": 1}, True),
        ({"maximum": "1"}, 2),
        ({"maximum": 1}, "long"),
        ({"maxLength": 2, "minLength": 2}, "\U0001f600\u00e9"),
        ({"maxLength": -1}, "abc"),
        ({"maxLength": 1.0}, "abc"),
        ({"maxLength": 1}, [1, 2]),
        ({"maxItems": 1, "minItems": 1, "items": {"type": "string"}}, ["a"]),
        ({"items": True}, [1]),
        ({"required": ["a"]}, {"a": None, "b": 1}),
        ({"required": ["a", 5]}, {"a": 1}),
        ({"required": "a"}, {}),
        (OBJECT, {"a": "x", "__session_id__": 5}),
        ({**OBJECT, "additionalProperties": True}, {"b": 5}),
        ({**OBJECT, "additionalProperties": {"type": "integer"}}, {"b": 5}),
        ({"properties": 5}, {"b": 5}),
        ({"type": "object", "additionalProperties": False}, {"b": 5}),
    ],
)
def test_what_fits(schema: Any, value: Any) -> None:
    assert misfit(schema, value) is None


@pytest.mark.parametrize(
    ("schema", "value", "location"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, "arguments"),
        ({"anyOf": []}, 1, "arguments"),
        ({"oneOf": [{"type": "string"}]}, 1, "arguments"),
        ({"enum": [1]}, 1.0, "arguments"),
        ({"enum": [1]}, True, "arguments"),
        ({"enum": [1.0, "1"]}, 1, "arguments"),
        ({"enum": [[1.0]]}, [1], "arguments"),
        ({"enum": [{"a": 1}]}, {"a": 1, "b": 2}, "arguments"),
        ({"type": "integer"}, 1.0, "arguments"),
        ({"type": "integer"}, True, "arguments"),
        ({"type": "number"}, True, "arguments"),
        ({"type": "boolean"}, 0, "arguments"),
        ({"type": "null"}, 0, "arguments"),
        ({"type": []}, 0, "arguments"),
        ({"type": ["string", 5]}, 5, "arguments"),
        ({"maximum": 1}, 1.5, "arguments"),
        ({"minimum": 1}, 0, "arguments"),
        ({"maxLength": 1}, "ab", "arguments"),
        ({"minLength": 2}, "\U0001f600", "arguments"),
        ({"maxItems": 0}, [1], "arguments"),
        ({"minItems": 1}, [], "arguments"),
        ({"items": {"type": "string"}}, ["a", 1], "[1]"),
        ({"required": ["a", "b"]}, {"a": 1}, "b"),
        (OBJECT, {"a": 1}, "a"),
        (OBJECT, {"b": 1}, "b"),
        ({**OBJECT, "additionalProperties": False}, {"b": 1}, "b"),
        ({**OBJECT, "additionalProperties": None}, {"b": 1}, "b"),
        ({**OBJECT, "additionalProperties": {"type": "string"}}, {"b": 1}, "b"),
        ({"properties": {"a": {"properties": {"b": {"items": OBJECT}}}}}, {"a": {"b": [{}, {"c": 1}]}}, "a.b[1].c"),
        ({"properties": {"a": {"required": ["b"]}}}, {"a": {}}, "a.b"),
    ],
)
def test_what_does_not_fit(schema: Any, value: Any, location: str) -> None:
    found = misfit(schema, value)
    assert found is not None
    assert found.location == location
    assert found.reason


def test_the_first_of_two_misfits_is_told() -> None:
    schema = {"type": "object", "required": ["z"], "properties": {"b": {"type": "string"}, "a": {"type": "string"}}}
    missing = misfit(schema, {"b": 1, "a": 1})
    assert missing is not None
    assert missing.location == "z"
    first = misfit(schema, {"b": 1, "a": 1, "z": 1})
    assert first is not None
    assert first.location == "a"
