"""What holds for every record class: it comes back, it is frozen, it keeps unknown keys or refuses them."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from lash_store import records
from lash_store.errors import InvalidRecord
from lash_store.records.record import Record
from tests import host_event_examples
from tests.records import process_examples
from tests.records.effect_examples import EFFECT_RECORDS
from tests.records.examples import RECORDS

TEXT_ONLY = {"MergeKeyNever", "MergeKeyPayloadDefault", "MergeKeyGroup", "PruneStateIntact", "PruneStateCleared"}
OBJECTS = [record for record in RECORDS if type(record).__name__ not in TEXT_ONLY]


def name(value: object) -> str:
    return type(value).__name__


def body(record: Any, plain: Any) -> dict[str, Any]:
    """Return the object in which the record's own keys lie."""
    found = plain[record.VARIANT] if record.VARIANT else plain
    assert isinstance(found, dict)
    return found


def all_classes() -> set[type[Record]]:
    for module in pkgutil.iter_modules(records.__path__):
        importlib.import_module(f"lash_store.records.{module.name}")
    found: set[type[Record]] = set()
    new: set[type[Record]] = {Record}
    while new:
        new = {cls for base in new for cls in base.__subclasses__()}
        found |= {cls for cls in new if cls.__module__.startswith("lash_store.records.")}
    return found


def test_every_class_is_frozen() -> None:
    assert [cls for cls in all_classes() if not cls.__struct_config__.frozen] == []


def named_within(value: Any) -> Iterator[str]:
    """Yield the names of the record classes of a value and of all that lies in it."""
    if isinstance(value, Record):
        yield name(value)
        for field in value.__struct_fields__:
            yield from named_within(getattr(value, field))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from named_within(item)
    elif isinstance(value, dict):
        yield from named_within(list(value.values()))


def test_there_is_an_example_of_every_class() -> None:
    """The families of the other databases have tests of their own, with these examples."""
    examples = [*RECORDS, *process_examples.RECORDS, *EFFECT_RECORDS, *host_event_examples.RECORDS]
    bases = {"ShapedRecord"}
    public = {cls.__name__ for cls in all_classes() if not cls.__name__.startswith("_")}
    assert public - bases - set(named_within(examples)) == set()


@pytest.mark.parametrize("record", RECORDS, ids=name)
def test_it_comes_back(record: Any) -> None:
    text = record.to_json()
    again = type(record).from_json(text)
    assert again == record
    assert again.to_json() == text
    assert type(record).from_json(text.decode()) == record
    if text.startswith(b"{"):
        assert type(record).from_json(json.loads(text)) == record


@pytest.mark.parametrize("record", RECORDS, ids=name)
def test_it_is_frozen(record: Any) -> None:
    for field in (*record.__struct_fields__, "novelty"):
        with pytest.raises(AttributeError):
            setattr(record, field, None)


@pytest.mark.parametrize("record", OBJECTS, ids=name)
def test_an_unknown_key_is_kept_or_refused(record: Any) -> None:
    plain = json.loads(record.to_json())
    body(record, plain)["novelty"] = {"b": 1, "a": [None]}
    text = json.dumps(plain, separators=(",", ":"))
    if record.__struct_config__.forbid_unknown_fields:
        with pytest.raises(InvalidRecord, match="closed"):
            type(record).from_json(text)
    else:
        read = type(record).from_json(text)
        assert read.to_json().decode() == text
        assert msgspec.structs.replace(read).to_json().decode() == text


@pytest.mark.parametrize("record", OBJECTS, ids=name)
def test_a_key_given_twice_makes_it_unreadable(record: Any) -> None:
    plain = json.loads(record.to_json())
    for key, value in body(record, plain).items():
        text = record.to_json().decode()
        twice = text.replace("{", f"{{{json.dumps(key)}:{json.dumps(value)},", 2 if record.VARIANT else 1)
        if record.VARIANT:
            twice = twice.replace(f"{{{json.dumps(key)}:{json.dumps(value)},", "{", 1)
        if record.LAST_KEY_WINS:
            assert type(record).from_json(twice) == record
        else:
            with pytest.raises(InvalidRecord):
                type(record).from_json(twice)


@pytest.mark.parametrize("record", OBJECTS, ids=name)
def test_a_wrong_type_makes_it_unreadable(record: Any) -> None:
    free = {"payload", "body"}
    for key in body(record, json.loads(record.to_json())):
        wrongs: list[Any] = [1.5, [[]], [1.5]]
        for wrong in wrongs:
            plain = json.loads(record.to_json())
            body(record, plain)[key] = wrong
            if key in free:
                assert type(record).from_json(plain)
                continue
            with pytest.raises(InvalidRecord) as caught:
                type(record).from_json(plain)
            assert caught.value.path.startswith("$")


@pytest.mark.parametrize("text", ["", "[]", "1", "null", '"x"', "{", "{} {}", "[{}]", "\x00"])
@pytest.mark.parametrize("record", RECORDS, ids=name)
def test_other_texts_are_refused(record: Any, text: str) -> None:
    with pytest.raises(InvalidRecord):
        type(record).from_json(text)


@pytest.mark.parametrize("record", OBJECTS, ids=name)
def test_what_a_field_cannot_hold_is_not_written(record: Any) -> None:
    free = {"payload", "body", "other_keys"}
    for field in record.__struct_fields__:
        if field not in free:
            with pytest.raises(InvalidRecord) as caught:
                msgspec.structs.replace(record, **{field: object()}).to_json()
            assert (caught.value.kind, caught.value.path.split(".")[0][0]) == (name(record), "$")
