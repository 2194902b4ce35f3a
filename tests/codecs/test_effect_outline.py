"""Outlines: they say where two envelopes differ, hold nothing of them, and stay short."""

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from lash_store.codecs.effect_outline import differing_paths, envelope_outline

SCOPE = b'{"type":"process","process_id":"p"}'
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


def text(value: Any) -> bytes:
    return json.dumps({"command": value}).encode()


def paths(before: Any, after: Any) -> list[str]:
    return differing_paths(envelope_outline(SCOPE, text(before)), SCOPE, text(after))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"code": "a"}, {"code": "b"}, ["$.command.code"]),
        ({"a": 1, "b": 2}, {"b": 2, "c": 3}, ["$.command.a", "$.command.c"]),
        ([1, 2], [1, 3, 4], ["$.command[1]", "$.command[2]"]),
        ([1, 2], [1], ["$.command[1]"]),
        ({"a": [{"b": None}]}, {"a": [{"b": False}]}, ["$.command.a[0].b"]),
        ({"a": {}}, {"a": []}, ["$.command.a"]),
        ({"a": "x"}, {"a": {"x": 1}}, ["$.command.a"]),
        ({"a": {"x": 1}}, {"a": "x"}, ["$.command.a"]),
        (1, 1.0, ["$.command"]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
    ],
)
def test_where_two_differ(before: Any, after: Any, expected: list[str]) -> None:
    assert paths(before, after) == expected


def test_the_scope_is_part_of_it() -> None:
    outline = envelope_outline(SCOPE, text(1))
    other = b'{"type":"process","process_id":"q"}'
    assert differing_paths(outline, other, text(1)) == ["$.scope.process_id"]


def exactly(value: Any) -> Any:
    """So that True, 1 and 1.0 are three values, and the order of keys does not count."""
    return json.dumps(value, sort_keys=True)


@given(VALUES, VALUES)
def test_paths_are_named_if_and_only_if_two_differ(before: Any, after: Any) -> None:
    assert (paths(before, after) == []) == (exactly(before) == exactly(after))


def conversation(messages: int, changed: int = -1) -> dict[str, Any]:
    blocks = [[{"Text": {"text": f"message {number}" * 50}}] for number in range(messages)]
    if changed >= 0:
        blocks[changed] = [{"Text": {"text": "another"}}]
    return {"request": {"messages": [{"role": "User", "blocks": each} for each in blocks]}}


@pytest.mark.parametrize("messages", [1, 10, 100, 300])
def test_a_conversation_of_any_length_has_a_short_outline(messages: int) -> None:
    assert len(envelope_outline(SCOPE, text(conversation(messages)))) <= 4096
    (path,) = paths(conversation(messages), conversation(messages, changed=messages // 2))
    assert path.startswith(f"$.command.request.messages[{messages // 2}]")


def test_beyond_that_it_names_less() -> None:
    assert len(envelope_outline(SCOPE, text(conversation(10_000)))) <= 4096
    (path,) = paths(conversation(10_000), conversation(10_000, changed=5))
    assert path == "$.command.request.messages"


def test_nothing_of_an_envelope_is_in_its_outline() -> None:
    outline = envelope_outline(SCOPE, text({"code": "secret", "number": 1234567}))
    assert "secret" not in outline
    assert "1234567" not in outline
