"""Opaque values: what has a stored form, in which order, and in which form it is hashed."""

import enum
import json
from collections import OrderedDict
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest

from lash_store.records.checkpoint import PLUGIN_SNAPSHOT_LAYOUT, TOOL_STATE_LAYOUT
from lash_store.records.config import PROMPT_LAYER, TOOL_DEFINITION
from lash_store.records.layout import Fields, Key, MapOf, Plain, Unfit, stored_form


class Colour(str, enum.Enum):
    """A text that is more than a text."""

    RED = "red"


def order(value: Any) -> list[str]:
    return list(value)


def test_plain_types_are_copied() -> None:
    inner: dict[str, Any] = {"b": (1, 2), "a": [True, None]}
    form = stored_form({"x": inner})
    assert form == {"x": {"a": [True, None], "b": [1, 2]}}
    assert order(form["x"]) == ["a", "b"]
    inner["a"].append(3)
    assert form["x"]["a"] == [True, None]


@pytest.mark.parametrize("value", [OrderedDict(b=1, a=2), MappingProxyType({"b": 1, "a": 2})])
def test_other_mappings_are_objects(value: Any) -> None:
    form = stored_form(value)
    assert (type(form), order(form)) == (dict, ["a", "b"])


def test_subclasses_become_what_they_are() -> None:
    form = stored_form({Colour.RED: Colour.RED, "n": enum.IntEnum("N", "ONE").ONE})  # type: ignore[attr-defined]
    assert [(type(key), type(item)) for key, item in form.items()] == [(str, int), (str, str)]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [0, {"b": float("nan")}]}, "$.a[1].b"),
        ({"a": [0, {"b": 2**64}]}, "$.a[1].b"),
        ({"a": {1: 2}}, "$.a.1"),
        ({"a": ("x\ud800",)}, "$.a[0]"),
        ({"a": Decimal(1)}, "$.a"),
        ([b"x"], "$[0]"),
    ],
)
def test_the_error_says_where(value: Any, path: str) -> None:
    with pytest.raises(Unfit) as caught:
        stored_form(value)
    assert (caught.value.path, caught.value.free) == (path, True)


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(Unfit, match="nested too deeply"):
        stored_form(loop)
    with pytest.raises(Unfit, match="nested too deeply"):
        stored_form(loop, levels=10**9)


LAYOUT = Fields(z=Key(), a=Key(MapOf(Fields(y=Key(), b=Key()))), kept=Key(Plain.AS_GIVEN), data=Key(Plain.BYTES))


def test_structs_keep_their_order() -> None:
    given = {
        "new": {"2": 1, "1": 1},
        "data": b"\x01",
        "kept": {"d": {"f": 1, "e": 1}, "c": 1},
        "a": {"n": {"b": 1, "y": {"4": 1, "3": 1}}, "m": {}},
        "z": {"6": 1, "5": 1},
    }
    form = stored_form(given, LAYOUT)
    assert order(form) == ["z", "a", "kept", "data", "new"]
    assert order(form["z"]) == ["5", "6"]
    assert order(form["a"]) == ["m", "n"]
    assert order(form["a"]["n"]) == ["y", "b"]
    assert order(form["a"]["n"]["y"]) == ["3", "4"]
    assert order(form["kept"]) == ["d", "c"]
    assert order(form["kept"]["d"]) == ["f", "e"]
    assert order(form["new"]) == ["2", "1"]
    assert form["data"] == [1]


def test_a_prompt_layer_is_hashed_as_its_owner_writes_it() -> None:
    layer = {
        "x": 1,
        "template": None,
        "slots": {
            "intro": {},
            "guidance": {
                "contributions": [
                    {"slot": "guidance", "content": "c", "gate": {"tools": []}},
                    {"slot": "guidance", "content": "d", "priority": 3, "gate": {"tools": ["t"]}, "title": None},
                ]
            },
        },
    }
    assert stored_form(layer, PROMPT_LAYER, hashed=True) == {
        "slots": {
            "intro": {"reset": False},
            "guidance": {
                "reset": False,
                "contributions": [
                    {"slot": "guidance", "priority": 0, "content": "c"},
                    {
                        "slot": "guidance",
                        "priority": 3,
                        "gate": {"tools": ["t"], "minimum_availability": "off"},
                        "content": "d",
                    },
                ],
            },
        }
    }
    assert stored_form(layer, PROMPT_LAYER) == layer


def test_a_tool_definition_is_hashed_as_its_owner_writes_it() -> None:
    definition = {"id": "i", "name": "n", "description": "", "scheduling": "parallel", "examples": [], "new": 1}
    assert stored_form(definition, TOOL_DEFINITION, hashed=True) == {
        "id": "i",
        "name": "n",
        "input_schema": {"type": "object", "properties": {}, "additionalProperties": True},
        "output_schema": None,
    }
    assert stored_form(definition, TOOL_DEFINITION) == definition


MANIFEST_DEFAULTS = {
    "description": "",
    "compact_contract": None,
    "availability": {"base": "showcased"},
    "activation": "always",
    "availability_override": None,
    "agent_surface": {},
    "argument_projection": {"kind": "materialize_projected_values"},
    "scheduling": "parallel",
    "retry_policy": {"type": "never"},
}
DEFINITION_DEFAULTS = {
    "input_schema_projections": [],
    "output_schema_projections": [],
    "output_contract": {"kind": "static"},
    "examples": [],
}


def test_defaults_of_a_manifest_and_of_a_definition_are_not_hashed() -> None:
    """The lists are those of specification 3.11 and 3.4.1, in declared order."""
    names = {"id": "i", "name": "n"}
    manifest = {**names, **MANIFEST_DEFAULTS}
    state = {"generation": 1, "tools": {"n": {"manifest": manifest}}}
    assert stored_form(state, TOOL_STATE_LAYOUT, hashed=True) == {"generation": 1, "tools": {"n": {"manifest": names}}}
    definition = {**manifest, "input_schema": {"type": "object"}, "output_schema": None, **DEFINITION_DEFAULTS}
    kept = {**names, "input_schema": {"type": "object"}, "output_schema": None}
    assert stored_form(definition, TOOL_DEFINITION, hashed=True) == kept
    for given in (manifest, definition):
        shuffled = dict(sorted(given.items()))
        assert order(stored_form(shuffled, TOOL_DEFINITION)) == order(given)


def test_the_keys_of_a_prompt_layer_are_in_declared_order() -> None:
    gate = {"tools": ["t"], "minimum_availability": "on"}
    contribution = {"slot": "intro", "title": "t", "priority": 1, "gate": gate, "content": "c"}
    entries = [{"kind": "text", "content": "c"}, {"kind": "builtin", "builtin": "b"}, {"kind": "slot", "slot": "s"}]
    layer = {
        "template": {"sections": [{"title": "t", "entries": entries}]},
        "slots": {"guidance": {"reset": True, "contributions": [contribution]}, "intro": {"reset": False}},
    }
    shuffled = json.loads(json.dumps(layer, sort_keys=True))
    for hashed in (False, True):
        assert json.dumps(stored_form(shuffled, PROMPT_LAYER, hashed=hashed)) == json.dumps(layer)


def test_the_keys_of_a_plugin_snapshot_are_in_declared_order() -> None:
    meta = {"plugin_id": "p", "plugin_version": "1", "revision": 2, "state": {"a": 1, "b": 2}}
    snapshot = {"plugins": {"p": {"meta": meta, "artifacts": [{"name": "n", "data": [1]}]}}}
    shuffled = json.loads(json.dumps(snapshot, sort_keys=True))
    assert json.dumps(stored_form(shuffled, PLUGIN_SNAPSHOT_LAYOUT)) == json.dumps(snapshot)
    bare: dict[str, Any] = {"plugins": {"p": {"meta": {"plugin_id": "p", "plugin_version": "1", "state": None}}}}
    assert stored_form(bare, PLUGIN_SNAPSHOT_LAYOUT, hashed=True) == {
        "plugins": {"p": {"meta": {"plugin_id": "p", "plugin_version": "1", "revision": 0}, "artifacts": []}}
    }
    assert stored_form({}, PLUGIN_SNAPSHOT_LAYOUT, hashed=True) == {"plugins": {}}


def test_one_is_not_true() -> None:
    layout = Fields(flag=Key(absent=False), number=Key(absent=0))
    assert stored_form({"flag": 0, "number": False}, layout, hashed=True) == {"flag": 0, "number": False}
    assert stored_form({"flag": False, "number": 0}, layout, hashed=True) == {}
