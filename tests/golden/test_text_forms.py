"""Specification A.7: numbers and strings in the text that is hashed."""

import pytest

from lash_store.codecs.content_hash import canonical_json


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1e15, "1000000000000000.0"),
        (1e16, "1e+16"),
        (1.2345678901234568e17, "1.2345678901234568e+17"),
        (1e-4, "0.0001"),
        (1e-5, "0.00001"),
        (1.23e-5, "0.0000123"),
        (1e-6, "1e-6"),
        (9.5e-7, "9.5e-7"),
        (1.5e300, "1.5e+300"),
        (5e-324, "5e-324"),
        (-0.0, "-0.0"),
        (100.0, "100.0"),
    ],
)
def test_a_double_has_this_text(number: float, text: str) -> None:
    assert canonical_json(number).decode() == text


def test_a_string_has_these_bytes() -> None:
    value = 'a"\\/\b\f\n\r\t\x01\x7f\u00e9'
    assert canonical_json(value) == rb'"a\"\\/\b\f\n\r\t\u0001' + b'\x7f\xc3\xa9"'
