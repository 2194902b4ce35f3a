"""Selectors, truth and texts (process specification 4.4)."""

from typing import Any

import pytest

from lash_store.errors import SelectorMismatch
from lash_store.rules.process_selection import is_truthy, select, text_of

DOCUMENT = {"": 0, "a/b": 1, "c~d": 2, "~1": 3, "list": [10, [11]], "null": None, "0": "zero"}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DOCUMENT),
        ("/", 0),
        ("/a~1b", 1),
        ("/c~0d", 2),
        ("/~01", 3),
        ("/list/0", 10),
        ("/list/1/0", 11),
        ("/null", None),
        ("/0", "zero"),
    ],
)
def test_a_pointer_finds(pointer: str, value: Any) -> None:
    assert select({"pointer": pointer}, DOCUMENT) == value
    assert select({"present": pointer}, DOCUMENT) is True


@pytest.mark.parametrize(
    "pointer",
    [
        "a",
        "/missing",
        "/list/2",
        "/list/-",
        "/list/01",
        "/list/+1",
        "/list/-1",
        "/list/",
        "/list/\N{ARABIC-INDIC DIGIT ONE}",
        "/list/" + "9" * 5000,
        "/list/1/0/0",
        "/0/0",
        "/null/x",
        "//x",
    ],
)
def test_a_pointer_does_not_find(pointer: str) -> None:
    with pytest.raises(SelectorMismatch) as refused:
        select({"pointer": pointer}, DOCUMENT)
    assert refused.value.pointer == pointer
    assert select({"present": pointer}, DOCUMENT) is False


def test_a_template_is_filled_field_by_field() -> None:
    """Weakness 14 is the rule: what one field puts in, the next one sees."""
    fields = {"b": {"const": "B"}, "a": {"const": "{b} {a}"}, "n": {"const": None}}
    template = {"template": {"template": "{a} {b} {n} {x} {}", "fields": fields}}
    assert select(template, {}) == "B {a} B null {x} {}"


def test_every_field_of_a_template_is_selected() -> None:
    with pytest.raises(SelectorMismatch):
        select({"template": {"template": "nothing", "fields": {"x": {"pointer": "/x"}}}}, {})
    assert select({"template": {"template": "{x}"}}, {}) == "{x}"


@pytest.mark.parametrize("value", [True, 0, 0.0, -1, "0", [0], {"": None}])
def test_what_is_truthy(value: Any) -> None:
    assert is_truthy(value)


@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_what_is_not(value: Any) -> None:
    assert not is_truthy(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\n", "a\n"),
        (None, "null"),
        (True, "true"),
        (1, "1"),
        (1e16, "1e+16"),
        (-0.0, "-0.0"),
        ({"b": [1.0, "\u00e9"], "a": {}}, '{"a":{},"b":[1.0,"\u00e9"]}'),
    ],
)
def test_texts(value: Any, text: str) -> None:
    assert text_of(value) == text
