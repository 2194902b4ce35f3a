"""The stored form made by the codec in C against the one made piece by piece: the same bytes, or the same error."""

import datetime as dt
import enum
from collections import OrderedDict
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lash_store.records import json_text, layout
from lash_store.records.checkpoint import PLUGIN_SNAPSHOT_LAYOUT, TOOL_STATE_LAYOUT
from lash_store.records.config import PROMPT_LAYER, TOOL_DEFINITION
from lash_store.records.graph import ProtocolEvent
from lash_store.records.layout import Fields, Key, Layout, MapOf, Plain, Unfit, stored_form
from tests.records.test_layout import Colour

EVERY_KIND: Final = Fields(
    z=Key(),
    a=Key(MapOf(Fields(y=Key(absent=0), b=Key(absent=[], always=True)))),
    kept=Key(Plain.AS_GIVEN, absent={}),
    data=Key(Plain.BYTES, absent=[]),
    gate=Key(Fields(tools=Key()), needs="tools"),
)
LAYOUTS: Final[list[Layout]] = [
    *Plain,
    MapOf(Plain.AS_GIVEN),
    EVERY_KIND,
    TOOL_STATE_LAYOUT,
    PLUGIN_SNAPSHOT_LAYOUT,
    PROMPT_LAYER,
    TOOL_DEFINITION,
]
NAMES: Final = [
    "z", "a", "kept", "data", "gate", "y", "b", "generation", "tools", "manifest", "id", "name", "description",
    "activation", "agent_surface", "scheduling", "slots", "template", "sections", "entries", "reset",
    "contributions", "priority", "plugins", "meta", "artifacts", "state", "revision", "input_schema", "examples",
]  # fmt: skip


class Count(enum.IntEnum):
    """A number that is more than a number."""

    ONE = 1


class Text(str):
    """A text of its own class."""

    __slots__ = ()


USUAL = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4)
    | st.lists(st.integers(0, 255), max_size=4)
)
ODD = st.sampled_from(
    [
        float("nan"), float("inf"), -float("inf"), 2**64, -(2**63) - 1, 10**40, 1e16, -1e300, -0.0, b"\x00\xff",
        bytearray(b"x"), "\ud800", Colour.RED, Count.ONE, Text("x"), (), (1, "a"), OrderedDict(b=1, a=2), {1: 2},
        {None: 1}, {"1": 1, 1: 2}, {Colour.RED: 1}, {"\ud800": 1}, MappingProxyType({"b": 1, "a": 2}), Decimal("1.5"),
        {1, 2}, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), ProtocolEvent("x", None), [0, 256], [1, True], object(),
        layout.WideFloat(1e17),
    ]
)  # fmt: skip


def json_values(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(NAMES) | st.text(max_size=2)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5), max_leaves=15
    )


def outcome(value: Any, *args: Any, **kwargs: Any) -> Any:
    """Return the bytes of the stored form, or what is wrong with the value."""
    try:
        form = stored_form(value, *args, **kwargs)
    except Unfit as unfit:
        return (unfit.path, unfit.reason, unfit.free)
    return json_text.compact(form)


def piecewise(value: Any, *args: Any, **kwargs: Any) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "_plain_copy", lambda *_: None)
        return outcome(value, *args, **kwargs)


@settings(max_examples=300)
@given(json_values(USUAL), st.sampled_from(LAYOUTS), st.booleans())
def test_usual_values(value: Any, laid_out: Layout, hashed: bool) -> None:
    assert outcome(value, laid_out, hashed=hashed) == piecewise(value, laid_out, hashed=hashed)


@settings(max_examples=300)
@example([Count.ONE], Plain.BYTES, False)
@given(json_values(USUAL | ODD), st.sampled_from(LAYOUTS), st.booleans())
def test_odd_values(value: Any, laid_out: Layout, hashed: bool) -> None:
    assert outcome(value, laid_out, hashed=hashed) == piecewise(value, laid_out, hashed=hashed)


@pytest.mark.parametrize("laid_out", [Plain.SORTED, Plain.AS_GIVEN, EVERY_KIND])
@pytest.mark.parametrize("deep", [2, 3, 4, 5])
@pytest.mark.parametrize("wide", [0, 3])
def test_levels_are_counted_alike(laid_out: Layout, deep: int, wide: int) -> None:
    """An object, and in it lists in lists: `deep` levels in all. Only four are allowed."""
    value: Any = []
    for _ in range(deep - 2):
        value = [value, *([[]] * wide if deep > 3 else [])]
    value = {"new": value, "text": "[[[[[[{{{{"}
    found = outcome(value, laid_out, levels=4)
    assert isinstance(found, bytes) == (deep <= 4)
    assert found == piecewise(value, laid_out, levels=4)


@pytest.mark.parametrize("laid_out", LAYOUTS)
def test_nothing_of_the_given_value_is_shared(laid_out: Layout) -> None:
    """Whoever hashes a commit removes keys from its stored form."""

    def containers(value: Any) -> list[Any]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return [] if inner is None else [value, *(found for item in inner for found in containers(item))]

    value = {
        name: {"manifest": {"id": ["x"], "agent_surface": {"b": [1]}}, "meta": {"state": {"b": [1]}}, "reset": [1]}
        for name in ("tools", "plugins", "slots", "a", "kept", "new", "agent_surface")
    }
    form = stored_form({**value, "generation": 1, "tools": value}, laid_out)
    given_ids = set(map(id, containers(value)))
    found = containers(form)
    assert given_ids.isdisjoint(map(id, found))
    assert len(found) == len(set(map(id, found)))


def test_a_value_of_the_usual_kind_is_copied_by_the_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_form", lambda *_: pytest.fail("made piece by piece"))
    state = {"tools": {"b": {"manifest": {"new": {"z": 1, "y": [1.5, None]}, "name": "b", "id": "i"}}}, "generation": 1}
    assert json_text.compact(stored_form(state, TOOL_STATE_LAYOUT)) == (
        b'{"generation":1,"tools":{"b":{"manifest":{"id":"i","name":"b","new":{"z":1,"y":[1.5,null]}}}}}'
    )
    assert json_text.compact(stored_form({"b": 1, "a": {"d": 2e20, "c": [True]}})) == (
        b'{"a":{"c":[true],"d":2e+20},"b":1}'
    )
