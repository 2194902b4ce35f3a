"""The C encoder against the writers in Python: the same bytes, or the same error, for usual and for odd records."""

import datetime as dt
import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lash_store.codecs import messagepack
from lash_store.codecs.checkpoint import encode_plugin_snapshot, encode_tool_state
from lash_store.errors import InvalidRecord
from lash_store.records import commit, encoder, json_text
from lash_store.records import config as con
from lash_store.records import conversation as cnv
from lash_store.records import frames as fra
from lash_store.records.attachments import AttachmentIntent
from lash_store.records.checkpoint import PLUGIN_SNAPSHOT_LAYOUT, TOOL_STATE_LAYOUT
from lash_store.records.commit import Append, RuntimeCommit
from lash_store.records.layout import Layout, Unfit, stored_form
from lash_store.records.record import Record
from lash_store.records.usage import ProtocolTurnOptions
from tests.records import examples
from tests.records.effect_examples import EFFECT_RECORDS
from tests.records.test_plain_copies import LAYOUTS, ODD, USUAL, Text, json_values

needs_c = pytest.mark.skipif(encoder.IMPLEMENTATION != "c", reason="the C encoder is not in use")
EVERY_RECORD: Final = [*examples.RECORDS, *examples.NODES, *examples.PARTS, *EFFECT_RECORDS]
FAST: Final = [
    examples.COMMIT,
    examples.MANIFEST,
    examples.LEDGER,
    examples.COMPLETION,
    examples.FRAME,
    *examples.NODES,
]


@pytest.fixture(autouse=True)
def _fresh_writers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "_writers", {})


def name(value: object) -> str:
    return type(value).__name__


def in_python(write: Callable[[], Any]) -> Any:
    """Return what `write` gives without the C encoder."""
    with pytest.MonkeyPatch.context() as patch:
        for function in ("compact", "hashed", "packed"):
            patch.setattr(encoder, function, lambda record: None)
        return outcome(write)


def outcome(write: Callable[[], Any]) -> Any:
    """Return the bytes, or the error as a text."""
    try:
        return write()
    except Exception as error:  # noqa: BLE001 - whatever it is, it must be the same
        return type(error), str(error)


def writes_of(record: Any) -> Iterator[Callable[[], Any]]:
    yield record.to_json
    yield lambda: messagepack.pack_record(record)
    if isinstance(record, RuntimeCommit):
        yield record.hashed_text


def scrubbed(plain: Any) -> bytes:
    """Return the canonical text of a plain value without what never counts (4.8 step 3)."""
    if isinstance(plain, (dict, list)):
        commit._scrub(plain)
    return json_text.canonical(plain)


@pytest.mark.parametrize("record", EVERY_RECORD, ids=name)
def test_the_examples(record: Any) -> None:
    for write in writes_of(record):
        assert outcome(write) == in_python(write)
    hashed = encoder.hashed(record)
    assert hashed is None or hashed == scrubbed(record.write_plain(True))


@needs_c
@pytest.mark.parametrize("record", FAST, ids=name)
def test_what_a_turn_brings_is_written_in_c(record: Any) -> None:
    """Or nobody would notice how slow it has become."""
    assert encoder.compact(record) is not None
    assert encoder.hashed(record) is not None
    assert encoder.packed(record) is not None


ODD_VALUES: Final = [
    None, True, False, 0, -1, 255, 256, 2**32, 2**63, 2**64 - 1, 2**64, -(2**63), 0.5, -0.0, 1e-5, 1e16, math.nan, "",
    "x", " x", "x\x1f", "\u2003x", "é\"\\\n\x00\x7f", "\ud800", Text("x"), b"", b"\x00\xff", bytearray(b"x"),
    memoryview(b"x"), [], [0, 255], [256], ["b", "a"], ["a", "a"], ["a", "b"], ["\ud800"], (), ("a",), {}, {"a": 1},
    {1: 1}, {"\ud800": 1}, {"id": 1, "role": 2, "parts": []}, {"id": 1, "kind": 2, "content": 3, "prune_state": 4},
    {"id": 1, "timestamp": 2, "deep": {"node_id": [], "parent_node_id": 1, "leaf_node_id": {}}}, {"template": None},
    {"slots": {}}, {"slots": []}, {"template": {}}, {"novelty": 1}, {"tools": [], "generation": 1.5}, "Intact",
    cnv.MessageRole.USER, cnv.PartKind.TEXT, fra.PluginSource.CURRENT_HOST_FRESH, object(), SimpleNamespace(id=1), dict,
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC), *examples.CAUSES, *examples.DELTAS, *examples.PARTS, *examples.NODES,
    examples.MESSAGE, examples.EVENT, examples.POLICY, examples.USAGE, examples.MODEL, examples.HYDRATED,
    cnv.PruneStateIntact(other_keys={"a": 1}), msgspec.structs.replace(examples.USAGE, other_keys={"z": [1], "a": 2}),
    msgspec.structs.replace(examples.USAGE, other_keys={}), msgspec.structs.replace(examples.USAGE, other_keys=[]),
    msgspec.structs.replace(examples.NODES[0], other_keys={"novelty": 1}),
]  # fmt: skip


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """Return `value` with something in it, or itself, replaced: most often deep inside."""
    if isinstance(value, Record) and draw(st.integers(0, 5)):
        field = draw(st.sampled_from(value.__struct_fields__))
        return msgspec.structs.replace(value, **{field: draw(changed(getattr(value, field)))})
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        at = draw(st.integers(0, len(value) - 1))
        items = [*value[:at], draw(changed(value[at])), *value[at + 1 :]]
        return tuple(items) if draw(st.integers(0, 9)) == 0 else items
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: draw(changed(value[key]))}
    return draw(st.sampled_from(ODD_VALUES) | json_values(USUAL | ODD))


@settings(max_examples=300)
@given(st.data())
def test_one_change_anywhere(data: st.DataObject) -> None:
    record = data.draw(st.sampled_from(EVERY_RECORD))
    if isinstance(record := data.draw(changed(record)), Record):
        for write in writes_of(record):
            assert outcome(write) == in_python(write)


DELTA: Final = examples.DELTAS[1]


@settings(max_examples=300)
@given(changed(examples.COMMIT))
@example(examples.COMMIT)
@example(msgspec.structs.replace(examples.COMMIT, expected_head_revision=-1))
@example(msgspec.structs.replace(examples.COMMIT, turn_commit=1))
@example(msgspec.structs.replace(examples.COMMIT, graph=msgspec.structs.replace(DELTA, leaf_node_id=5)))
def test_the_hashed_text(changed_commit: Any) -> None:
    """Also of what is not hashed it is seen whether it is in order."""
    if isinstance(changed_commit, RuntimeCommit):
        assert outcome(changed_commit.hashed_text) == in_python(changed_commit.hashed_text)


def free_forms(value: Any, layout: Layout) -> dict[str, Any]:
    """Return what Python makes of a value in each wording, None where it has no stored form."""

    def text(make: Callable[[Any], bytes], *, hashed: bool = False) -> bytes | None:
        try:
            return make(stored_form(value, layout, hashed=hashed))
        except Unfit:
            return None

    return {
        "compact": text(json_text.compact),
        "hashed": text(scrubbed, hashed=True),
        "packed": text(messagepack.pack),
    }


@needs_c
@settings(max_examples=300)
@given(json_values(USUAL | ODD), st.sampled_from(LAYOUTS))
def test_uninterpreted_values(value: Any, layout: Layout) -> None:
    writer = encoder.free_writer(layout)
    assert writer is not None
    for wording, expected in free_forms(value, layout).items():
        assert getattr(writer, wording)(value) in (None, expected)


@needs_c
@settings(max_examples=100)
@given(st.dictionaries(st.text(), json_values(USUAL.filter(lambda v: type(v) is not float or not 0 < abs(v) < 1e-4))))
def test_usual_values_are_written_in_c(value: dict[str, Any]) -> None:
    for layout in (LAYOUTS[0], LAYOUTS[1], con.PROMPT_LAYER):
        writer = encoder.free_writer(layout)
        assert writer is not None
        try:
            stored_form(value, layout)
        except Unfit:
            continue
        expected = free_forms(value, layout)
        assert (writer.compact(value), writer.packed(value)) == (expected["compact"], expected["packed"])


def options(payload: Any) -> ProtocolTurnOptions:
    return ProtocolTurnOptions(payload)


EDGES: Final = [2**bits + off for bits in (0, 5, 7, 8, 15, 16, 31, 32, 53, 63) for off in (-1, 0, 1)]
SCALARS: Final[list[Any]] = [
    *EDGES, *(-edge for edge in EDGES), 2**64 - 1, 2**64, 10**20,
    *(sign * number for sign in (1, -1) for number in (0.0, 0.1, 1e-4, 9.9e-5, 5e-324, 1e15, 1e16)),
    123456789012345.6, 9999999999999998.0, 1e22, 1.7976931348623157e308, math.inf, math.nan,
]  # fmt: skip


@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_numbers(value: Any) -> None:
    for write in writes_of(options({"n": value})):
        assert outcome(write) == in_python(write)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 255, 256, 65535, 65536])
def test_texts_of_every_length(length: int) -> None:
    for mark in ("x", "é", '"', "\\", "\x00", "\x1f", "\x20", "\x7f", "\U0001f600"):
        for text in {mark * length, "x" * (length - 1) + mark, mark + "x" * (length - 1)}:
            for write in writes_of(options([text, {text: 1}])):
                assert outcome(write) == in_python(write)


def test_every_character_of_ascii() -> None:
    record = options("".join(map(chr, range(256))))
    for write in writes_of(record):
        assert outcome(write) == in_python(write)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 23, 24, 25, 300, 70_000])
def test_objects_and_lists_of_every_size(size: int) -> None:
    backwards = {f"{number:x}": number for number in range(size, 0, -1)}
    forwards = dict(sorted(backwards.items()))
    prefixes = {"a" * (number % 40): number for number in range(size)}
    for payload in (backwards, forwards, prefixes, list(range(size))):
        for write in writes_of(options(payload)):
            assert outcome(write) == in_python(write)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 256, 70_000])
def test_byte_strings_of_every_size(size: int) -> None:
    state = bytes(number % 256 for number in range(size))
    record = msgspec.structs.replace(examples.HYDRATED, execution_state=state)
    for write in (*writes_of(record), msgspec.structs.replace(examples.COMMIT, checkpoint=record).hashed_text):
        assert outcome(write) == in_python(write)


@pytest.mark.parametrize("levels", [120, 124, 125, 126, 127, 128, 129, 1021, 1024])
def test_nesting(levels: int) -> None:
    payload: Any = []
    for _ in range(levels - 1):
        payload = {"a": payload} if levels % 2 else [payload]
    frame = msgspec.structs.replace(examples.FRAME, protocol_turn_options=options(payload))
    for write in (
        *writes_of(options(payload)),
        msgspec.structs.replace(examples.COMMIT, agent_frames=[frame]).hashed_text,
    ):
        assert outcome(write) == in_python(write)


@pytest.mark.parametrize(
    "state", [{"generation": 1, "tools": {}, "z": 1, "a": {"d": 1, "c": 2}}, {"tools": {}}, None, 5]
)
def test_parts_of_a_checkpoint(state: Any) -> None:
    def written(encode: Callable[[Any], bytes]) -> Any:
        return outcome(lambda: encode(state))

    found = written(encode_tool_state), written(encode_plugin_snapshot)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "IMPLEMENTATION", "python")
        for part, layout in (("tool_state", TOOL_STATE_LAYOUT), ("plugin_snapshot", PLUGIN_SNAPSHOT_LAYOUT)):
            patch.setattr(f"lash_store.codecs.checkpoint._pack_{part}", messagepack.packer(layout))
        assert found == (written(encode_tool_state), written(encode_plugin_snapshot))


LIMITS: Final = [
    (fra.SubagentContext("p", "c", 1, 1), "depth", 0, 255),
    (examples.REFERENCE, "width", 0, 2**32 - 1),
    (examples.REFERENCE, "byte_len", 0, 2**64 - 1),
    (examples.MODEL.limits, "context_window_tokens", 1, 2**64 - 1),
    (examples.USAGE, "input_tokens", -(2**63), 2**63 - 1),
    (AttachmentIntent("a", "s", "u", 0), "intent_at_epoch_ms", 0, 2**63 - 1),
]


@pytest.mark.parametrize(("record", "field", "low", "high"), LIMITS, ids=str)
def test_limits(record: Any, field: str, low: int, high: int) -> None:
    for number in (low, high):
        assert f'"{field}":{number}' in msgspec.structs.replace(record, **{field: number}).to_json().decode()
    for other in (low - 1, high + 1, True, float(low)):
        for write in writes_of(msgspec.structs.replace(record, **{field: other})):
            with pytest.raises(InvalidRecord):
                write()


def test_keys_of_a_later_version_are_kept() -> None:
    """Wherever they came from, a node's payload too; but they are not hashed."""
    new = {"novelty": {"b": 1, "a": 2}}
    node = examples.NODES[2]
    inside = msgspec.structs.replace(node, payload=msgspec.structs.replace(node.payload, other_keys=new))
    for changed_node in (inside, msgspec.structs.replace(node, other_keys=new)):
        assert changed_node.to_json() == node.to_json()[:-1] + b',"novelty":{"b":1,"a":2}}'
        texts = [
            msgspec.structs.replace(examples.COMMIT, graph=Append([its], "l")).hashed_text()
            for its in (node, changed_node)
        ]
        assert texts[0] == texts[1]


POLICIES: Final[dict[str, list[Any]]] = {
    "provider_id": ["", "p", "p q", " p", "p ", "\u2003p", "p\u3000", "\x1fp", "p\x1c", "\x85", "\x7f", "é", "~"],
    "max_turns": [0, 2**64 - 1, 2**64, -1, True],
    "prompt": [
        {}, {"template": None}, {"slots": {}}, {"template": None, "slots": {}}, {"novelty": 1}, {"slots": None},
        {"slots": [], "template": None}, {"slots": 0}, {"template": {}}, {"slots": {}, "novelty": 1}, {"template": 0},
        *({"slots": {"s": {"contributions": [{"gate": gate, "content": "c"}]}}} for gate in (
            {}, {"tools": []}, {"tools": None}, {"tools": ["t"]}, {"tools": ["t"], "minimum_availability": "on"},
            {"minimum_availability": "on"}, {"tools": 0}, {"tools": object()}, {1: 2}, None, "", [], 5, object(),
        )),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in POLICIES for value in POLICIES[field]])
def test_policies(field: str, value: Any) -> None:
    policy = msgspec.structs.replace(examples.POLICY, **{field: value})
    frame = msgspec.structs.replace(examples.FRAME, assignment=fra.AgentFrameAssignment(policy))
    for write in (*writes_of(policy), msgspec.structs.replace(examples.COMMIT, agent_frames=[frame]).hashed_text):
        assert outcome(write) == in_python(write)


@pytest.mark.parametrize(
    "value",
    [[], [""], ["a", "b"], ["b", "a"], ["a", "a"], ["a", "ab"], ["ab", "a"], ["\uffff", "\U00010000"], ("a",), [1], 5],
    ids=repr,
)
def test_hidden_tools(value: Any) -> None:
    for write in writes_of(fra.ToolAccess([], value)):
        assert outcome(write) == in_python(write)


@needs_c
@pytest.mark.parametrize(("value", "fast"), [(["a", "b"], True), (["b", "a"], False), (["a", "a"], False)])
def test_hidden_tools_in_order_are_written_in_c(value: Any, fast: bool) -> None:
    assert (encoder.compact(fra.ToolAccess([], value)) is not None) == fast


class OwnPolicy(con.SessionPolicy, frozen=True):
    """A policy with one key more."""

    extra: str = "e"


class OwnWriter(con.SessionPolicy, frozen=True):
    """A policy that writes itself."""

    def write_fields(self, plain: dict[str, Any], hashed: bool) -> None:
        super().write_fields(plain, hashed)
        plain["max_turns"] = 7


class OwnReader(con.SessionPolicy, frozen=True):
    """A policy whose attribute is made up when it is asked for, by code of its own."""

    @property  # type: ignore[misc]
    def max_turns(self) -> int:
        READ.append(self)
        return 7


READ: Final[list[Record]] = []


@pytest.mark.parametrize("cls", [OwnPolicy, OwnWriter, OwnReader])
def test_classes_of_a_callers_own(cls: Any) -> None:
    policy = cls(provider_id=" p ")
    frame = msgspec.structs.replace(examples.FRAME, assignment=fra.AgentFrameAssignment(policy))
    for record in (policy, frame, msgspec.structs.replace(examples.COMMIT, agent_frames=[frame])):
        for write in writes_of(record):
            assert outcome(write) == in_python(write)


def test_known_texts() -> None:
    """Expected values written by hand, so that both ways cannot be wrong together."""
    assert examples.LEDGER.to_json() == (
        b'{"source":"turn","model":"m","usage":{"input_tokens":1,"output_tokens":2,'
        b'"cached_input_tokens":3,"reasoning_tokens":4}}'
    )
    assert messagepack.pack_record(examples.USAGE) == (
        b"\x84\xacinput_tokens\x01\xadoutput_tokens\x02\xb3cached_input_tokens\x03\xb0reasoning_tokens\x04"
    )
    assert (
        options({"b": [1.5, -0.0], "a": {"é": None}}).to_json()
        == '{"payload":{"a":{"é":null},"b":[1.5,-0.0]}}'.encode()
    )
    frame = msgspec.structs.replace(examples.FRAME, assignment=fra.AgentFrameAssignment(con.SessionPolicy()))
    text = msgspec.structs.replace(
        examples.COMMIT, agent_frames=[frame], graph=Append(examples.NODES[1:2], "m1"), checkpoint=examples.HYDRATED
    ).hashed_text()
    assert b'"graph":{"Append":{"nodes":[{"agent_frame_id":"f","caused_by":{"effect_id":"e","session_id":"s",' in text
    assert b'"event":{"Protocol":{"payload":{"k":1},"plugin_id":"x"}},"kind":"event"}]}}' in text
    assert b'"expected_head_revision":null' in text
    assert b'"turn_commit":null' in text
    assert b'"execution_state":[1,255]' in text
