"""Which payloads fit a type, and what becomes of arguments (host events specification 4.7)."""

import json
import math
from typing import Any

import pytest

from lash_store.records.host_event_trigger import (
    TriggerInputBinding,
    TriggerInputBindingEvent,
    TriggerInputBindingFixed,
)
from lash_store.rules.host_event_payload import argument, fits, is_type, process_args

BUTTON = {"name": "button", "ty": "Str", "optional": False}
MAYBE = {"name": "times", "ty": "Int", "optional": True}


@pytest.mark.parametrize(
    ("ty", "fitting", "others"),
    [
        ("Any", [None, 1, "x", [], {}], []),
        ({"Ref": "T"}, [], [None, 1, "x", [], {}]),
        ("Str", ["", "x"], [1, None, []]),
        ("Bool", [True, False], [0, 1, "true"]),
        ("Null", [None], [False, 0, ""]),
        ("Dict", [{}, {"a": 1}], [[], "x", None]),
        ("Int", [0, -1, 2**64 - 1], [1.0, True, "1"]),
        ("Float", [0, 1.5, -1], [True, "1.5", None]),
        ({"Enum": ["a", "b"]}, ["a"], ["c", 1, None]),
        ({"List": "Int"}, [[], [1, 2]], [[1, "x"], {}, 1]),
        ({"Object": [BUTTON]}, [{"button": "x"}, {"button": "x", "more": 1}], [{}, {"button": 1}, [], None]),
        ({"Object": [MAYBE]}, [{}, {"times": 1}], [{"times": "x"}, {"times": None}]),
        ({"Object": []}, [{}, {"a": 1}], [[], None]),
        ({"Union": ["Str", {"List": "Str"}]}, ["x", ["x"]], [1, [1]]),
        ({"Union": []}, [], [None, 1]),
        ({"Process": {"input": "Any", "output": "Any", "input_count": 1}}, [{}, {"a": 1}], [[], "x"]),
        ({"TriggerHandle": "Any"}, [{}], [[], "x"]),
        ("Other", [], [None, {}]),
        ({"Str": 1, "Int": 2}, [], ["x", 1]),
    ],
    ids=str,
)
def test_payloads_and_types(ty: Any, fitting: list[Any], others: list[Any]) -> None:
    assert [value for value in fitting if not fits(ty, value)] == []
    assert [value for value in others if fits(ty, value)] == []


WELL_FORMED: list[Any] = [
    *("Any", "Str", "Int", "Float", "Bool", "Dict", "Null"),
    {"Enum": ["a"]},
    {"List": {"List": "Int"}},
    {"Object": [BUTTON, MAYBE]},
    {"Ref": "T"},
    {"Process": {"input": "Any", "output": "Null", "input_count": 1}},
    {"TriggerHandle": "Str"},
    {"Union": ["Str", {"Enum": []}]},
]
MALFORMED: list[Any] = [
    *(None, 5, [], {}, "", "Enum", {"Str": None}, {"Other": "Str"}, {"List": "Str", "Enum": []}),
    *({"Enum": None}, {"Enum": "Blue"}, {"Enum": 5}, {"Enum": [["x"]]}),
    *({"Object": None}, {"Object": 5}, {"Object": [None]}, {"Object": ["a"]}, {"Object": {"name": "a"}}),
    *({"Object": [{"name": "a"}]}, {"Object": [{"ty": "Str"}]}, {"Object": [{"name": ["a"], "ty": "Str"}]}),
    *({"Object": [{"name": "a", "ty": None, "optional": True}]}, {"Union": 5}, {"Union": "Str"}, {"Union": [None]}),
]


def test_what_a_type_expression_is() -> None:
    assert [ty for ty in WELL_FORMED if not is_type(ty)] == []
    assert [
        ty for ty in [*MALFORMED, {"List": None}, {"Ref": 1}, {"Process": 1}, {"TriggerHandle": 1}] if is_type(ty)
    ] == []


@pytest.mark.parametrize("ty", MALFORMED, ids=str)
def test_nothing_fits_what_is_no_type(ty: Any) -> None:
    values: list[Any] = [None, 1, "Blue", "a", ["x"], {}, {"a": "b"}, {"a": None}]
    assert [value for value in values if fits(ty, value) or fits({"List": ty}, [value])] == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (9007199254740993, "9007199254740992"),
        (2**63 - 1, "9223372036854775807"),
        (2**63, "9223372036854775807"),
        (2.0**63, "9223372036854775807"),
        (2**64 - 1, "18446744073709551615"),
        (2.0**64, "18446744073709551615"),
        (-(2**63), "-9223372036854775808"),
        (2**63 + 2048, "9223372036854777856"),
        (1.5, "1.5"),
        (1e20, "1e+20"),
        (True, "true"),
        (None, "null"),
        ("1.0", '"1.0"'),
        ((1.0, [2.0]), "[1, [2]]"),
    ],
    ids=repr,
)
def test_numbers_pass_through_doubles(value: Any, expected: str) -> None:
    assert json.dumps(argument(value)) == expected


def test_what_is_no_number_stays_what_it_is() -> None:
    assert math.isnan(argument(float("nan")))  # refused later, where it would be stored


def test_the_example_of_the_specification() -> None:
    payload = {"n": 1.0, "big": 9007199254740993, "r": {"__resource__": True, "type": "T", "alias": "a", "x": 1}}
    template: dict[str, TriggerInputBinding] = {
        "event": TriggerInputBindingEvent(),
        "fixed": TriggerInputBindingFixed([2.0]),
    }
    assert process_args(template, payload) == {
        "event": {"big": 9007199254740992, "n": 1, "r": {"__resource__": True, "alias": "a", "type": "T"}},
        "fixed": [2],
    }


IMAGE = {"type": "image", "id": "i", "label": "l", "size": 3, "width": None, "height": 7}


def test_images_keep_six_keys() -> None:
    assert argument({**IMAGE, "other": 1.0}) == IMAGE
    assert argument([{**IMAGE, "width": 2**32 - 1, "x": 1}]) == [{**IMAGE, "width": 2**32 - 1}]


@pytest.mark.parametrize(
    "changed",
    [{"type": "picture"}, {"id": 1}, {"size": -1}, {"size": 1.5}, {"width": 2**32}, {"height": True}, {"label": None}],
    ids=str,
)
def test_what_only_looks_like_an_image_keeps_all_keys(changed: dict[str, Any]) -> None:
    value = {**IMAGE, **changed, "other": 1.0}
    assert argument(value) == {**value, "other": 1}
    without = {key: item for key, item in value.items() if key != "width"}
    assert argument(without) == {**without, "other": 1}


@pytest.mark.parametrize("mark", [1, "true", False, None])
def test_what_only_looks_like_a_resource_keeps_all_keys(mark: object) -> None:
    value = {"__resource__": mark, "type": "T", "alias": "a", "x": 1}
    assert argument(value) == value
