"""Strict reading of JSON text."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given

from lash_store.records import json_text
from lash_store.records.json_text import RepeatedKeys, parse
from lash_store.records.layout import Unfit, stored_form
from tests.codecs.test_messagepack import VALUES


@given(VALUES)
def test_a_value_comes_back(value: Any) -> None:
    text = json_text.compact(stored_form(value))
    assert parse(text) == parse(text.decode()) == value
    assert json_text.compact(stored_form(parse(text))) == text


@given(VALUES)
def test_foreign_spellings_are_read_as_other_readers_do(value: Any) -> None:
    text = json.dumps(value, indent=1, ensure_ascii=True)
    assert parse(text) == json.loads(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-0", -0.0),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2.0**64),
        ("-9223372036854775808", -(2**63)),
        ("-9223372036854775809", -(2.0**63)),
        ("1" + "0" * 300, 1e300),
        ("1E2", 100.0),
        ("1.0", 1.0),
        ("1", 1),
        (' \t\n\r"\\u00e9\\ud83d\\ude00\\/" ', "\u00e9\U0001f600/"),
    ],
)
def test_numbers_and_escapes(text: str, value: Any) -> None:
    found = parse(text)
    assert (found, type(found)) == (value, type(value))
    if value == 0:
        assert math.copysign(1, found) == math.copysign(1, value)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" + "0" * 400, "1" * 5000, "01", "1.", ".5"),
        *("+1", "[1,]", '{"a":1,}', "{1:2}", "'a'", '"a\x01b"', '"\\x"', "1 1", "null null", "nul", "[", '"'),
        *("\ufeff1", "[1]\xa0"),
    ],
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(Unfit, match="not JSON"):
        parse(text)


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\udc00\\ud800"', '{"\\ud800":1}', '[{"a":"x\\udfff"}]', '"\ud800"'])
def test_lone_surrogates_are_refused(text: str) -> None:
    with pytest.raises(Unfit, match="lone surrogate"):
        parse(text)


@pytest.mark.parametrize("data", [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b"\xfe"])
def test_what_is_not_utf8_is_refused(data: bytes) -> None:
    with pytest.raises(Unfit, match="not JSON"):
        parse(data)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_127_levels_are_read_and_128_refused(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    assert parse(opening * 127 + "1" + closing * 127) is not None
    for levels in (128, 1_000, 100_000):
        with pytest.raises(Unfit, match="127 levels"):
            parse(opening * levels + "1" + closing * levels)


def test_brackets_in_strings_and_side_by_side_do_not_count() -> None:
    wide = [["[{" * 200 + '\\"'], *([[]] * 300)]
    assert parse(json.dumps(wide)) == wide
    with pytest.raises(Unfit, match="127 levels"):
        parse("[" + "[]," * 200 + "[" * 127 + "]" * 128)


def test_repeated_keys_are_seen_and_the_last_one_wins() -> None:
    value = parse('{"a":1,"b":{"c":1,"c":2},"a":3}')
    assert value == {"a": 3, "b": {"c": 2}}
    assert isinstance(value, RepeatedKeys)
    assert value.repeated == {"a"}
    assert isinstance(value["b"], RepeatedKeys)
    settled = json_text.last_wins(value)
    assert type(settled) is type(settled["b"]) is dict


def test_only_plain_values_are_written() -> None:
    with pytest.raises(TypeError, match="object"):
        json_text.compact(object())


def test_upstreams_own_texts_take_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(data: bytes) -> Any:
        raise AssertionError(data)

    monkeypatch.setattr(json_text, "_parse_strictly", fail)
    text = msgspec.json.encode({"a": [1, -2.5, None, True, "\u00e9\x7f\n"], "b": {}})
    assert parse(text) == msgspec.json.decode(text)
