"""Identifiers beyond the golden vectors."""

import hashlib

import pytest

from lash_store.codecs import ids
from lash_store.errors import InvalidJsonValue


def test_the_parts_of_queue_ids() -> None:
    assert ids.item_id("qwb:1", 2) == "qwb:1:item:2"
    assert ids.claim_id(7, 3) == "qwc:7:3"
    assert ids.wake_source_key("p", 4) == "process:p:event:4:wake"


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("", ""),
        ('a"b\\', 'a\\"b\\\\'),
        ("\n\r\t\0", "\\n\\r\\t\\0"),
        ("\x01\x7f", "\\u{1}\\u{7f}"),
        ("\u00e9", "\u00e9"),
    ],
)
def test_a_source_key_is_escaped(key: str, shown: str) -> None:
    text = f'root:Some("{shown}"):5:n'
    assert ids.batch_id("root", key, 5, "n") == "qwb:" + hashlib.sha256(text.encode()).hexdigest()


def test_only_underscores_are_stripped_from_a_file_name() -> None:
    assert ids.session_file_name("_x-\u00e9").startswith("x--")
    assert ids.session_file_name("a" * 79 + "/").startswith("a" * 79 + "-")


def test_lone_surrogates_have_no_name() -> None:
    with pytest.raises(InvalidJsonValue):
        ids.session_file_name("\ud800")
