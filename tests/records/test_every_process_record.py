"""What holds for every record of the process registry: it comes back, keeps unknown keys, and refuses wrong ones."""

import json
from typing import Any

import msgspec
import pytest

from lash_store.errors import InvalidJsonValue, InvalidRecord
from lash_store.records.process_shaped import ShapedRecord
from lash_store.records.record import Record
from tests.records.process_examples import FREE, RECORDS

each = pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)


def public_classes() -> set[type[Record]]:
    found: set[type[Record]] = set()
    new: set[type[Record]] = {Record}
    while new:
        new = {cls for base in new for cls in base.__subclasses__()}
        found |= {cls for cls in new if cls.__module__.startswith("lash_store.records.process")}
    return {cls for cls in found if not cls.__name__.startswith("_")} - {ShapedRecord}


def test_there_is_an_example_of_every_class() -> None:
    assert public_classes() == {type(record) for record in RECORDS}


@each
def test_it_comes_back(record: Any) -> None:
    text = record.to_json()
    again = type(record).from_json(text)
    assert again == record
    assert again.to_json() == text
    assert type(record).from_json(json.loads(text)) == record


@each
def test_it_is_frozen(record: Any) -> None:
    for field in (*record.__struct_fields__, "novelty"):
        with pytest.raises(AttributeError):
            setattr(record, field, None)


@each
def test_an_unknown_key_is_kept_or_refused(record: Any) -> None:
    text = json.dumps({**json.loads(record.to_json()), "novelty": {"b": 1, "a": [None]}}, separators=(",", ":"))
    if record.__struct_config__.forbid_unknown_fields:
        with pytest.raises(InvalidRecord, match="closed"):
            type(record).from_json(text)
    else:
        assert type(record).from_json(text).to_json().decode() == text


@each
def test_a_key_given_twice_makes_it_unreadable(record: Any) -> None:
    text = record.to_json().decode()
    for key, value in json.loads(text).items():
        with pytest.raises(InvalidRecord):
            type(record).from_json(f"{{{json.dumps(key)}:{json.dumps(value)},{text[1:]}")


@each
def test_a_wrong_type_makes_it_unreadable(record: Any) -> None:
    plain = json.loads(record.to_json())
    for key in plain.keys() - FREE:
        wrongs: list[Any] = [1.5, [[]], [1.5]]
        for wrong in wrongs:
            with pytest.raises(InvalidRecord) as caught:
                type(record).from_json({**plain, key: wrong})
            assert caught.value.path.startswith("$")


@each
def test_what_a_field_cannot_hold_is_not_written(record: Any) -> None:
    for field in record.__struct_fields__:
        with pytest.raises((InvalidRecord, InvalidJsonValue), match=r"at \$"):
            msgspec.structs.replace(record, **{field: object()}).to_json()


@each
@pytest.mark.parametrize("text", ["", "[]", "1", "null", '"x"', "{", "{} {}", "[{}]", "\x00"])
def test_other_texts_are_refused(record: Any, text: str) -> None:
    with pytest.raises(InvalidRecord):
        type(record).from_json(text)
