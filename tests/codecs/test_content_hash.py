"""Canonical JSON text: equal values have equal texts, and the text reads back as the value."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_store.codecs.content_hash import canonical_hash, canonical_json
from lash_store.errors import InvalidJsonValue
from tests.codecs.test_messagepack import VALUES


@given(VALUES)
def test_the_text_is_that_of_another_writer(value: Any) -> None:
    """Only doubles look different: they are left out by writing them as their exact texts."""
    without = json.loads(json.dumps(value), parse_float=lambda digits: float(digits).hex())
    expected = json.dumps(without, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical_json(without).decode() == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_has_the_shortest_digits(value: float) -> None:
    text = canonical_json(value).decode()
    digits, _, exponent = text.partition("e")
    assert float(text) == value
    assert math.copysign(1.0, float(text)) == math.copysign(1.0, value)
    significant = digits.lstrip("-0.").replace(".", "")
    assert significant.rstrip("0") == repr(value).partition("e")[0].lstrip("-0.").replace(".", "").rstrip("0")
    if value == 0 or 1e-5 <= abs(value) < 1e16:
        assert not exponent
        assert "." in digits
    else:
        assert exponent[0] in "+-"
        assert exponent[1] != "0"
        assert len(digits.lstrip("-").partition(".")[0]) == 1


def test_true_one_and_one_point_nought_are_three_values() -> None:
    texts = [canonical_json(value) for value in (True, 1, 1.0)]
    assert texts == [b"true", b"1", b"1.0"]
    assert len({canonical_hash(value) for value in (True, 1, 1.0)}) == 3


def test_keys_are_sorted_by_code_point() -> None:
    value = {"\U00010000": 1, "\ue000": 2, "b": 3, "a": {"d": 4, "c": 5}}
    assert canonical_json(value).decode() == '{"a":{"c":5,"d":4},"b":3,"\ue000":2,"\U00010000":1}'


@pytest.mark.parametrize("value", [math.nan, -math.inf, 2**64, "\udfff", {"\udfff": 1}, b"", {1: 1}, 1j, {1}])
def test_what_has_no_json_form_is_refused(value: Any) -> None:
    with pytest.raises(InvalidJsonValue):
        canonical_json(value)


def test_nesting_is_bounded() -> None:
    deep: Any = 0
    for _ in range(127):
        deep = {"x": deep}
    assert canonical_json(deep).count(b"{") == 127
    for value in ([deep], {"x": deep}):
        with pytest.raises(InvalidJsonValue, match="nested too deeply"):
            canonical_json(value)
