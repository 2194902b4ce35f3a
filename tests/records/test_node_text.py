"""The fast reader of nodes against the exact one: the same record or the same error, whatever the text."""

import re
import tracemalloc
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lash_store.errors import InvalidRecord, StoreCorrupt
from lash_store.records import causal as cau
from lash_store.records import conversation as cnv
from lash_store.records import graph as gra
from lash_store.records.graph import SessionNodeRecord
from lash_store.records.node_text import read_nodes
from tests.records.examples import CAUSES, MESSAGE, NODES, ORIGINS

PART = '{"id":"p","kind":"Text","content":"c","prune_state":"Intact"}'
MESSAGE_NODE = (
    '{"node_id":"n","timestamp":"t","kind":"event",'
    f'"event":{{"Conversation":{{"id":"m","role":"User","parts":[{PART}]}}}}}}'
)
PROTOCOL_NODE = (
    '{"node_id":"n","timestamp":"t","kind":"event","event":{"Protocol":{"plugin_id":"x","payload":{"a":[2.5],"b":1}}}}'
)
PLUGIN_NODE = '{"node_id":"n","timestamp":"t","kind":"plugin","plugin_type":"x","body":null}'
USUAL = [MESSAGE_NODE, PROTOCOL_NODE, PLUGIN_NODE]

TEXTS = st.text(max_size=8)
MAYBE = st.none() | TEXTS
SEQUENCES = st.integers(0, 2**63 - 1)
OPAQUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e15, 1e15) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
REFERENCES = st.builds(
    cnv.AttachmentRef,
    TEXTS,
    st.builds(cnv.MediaTypeImage, st.sampled_from(cnv.ImageMediaType)),
    SEQUENCES,
    st.none() | st.integers(0, 2**32 - 1),
    st.none() | st.integers(0, 2**32 - 1),
    MAYBE,
)
PARTS = st.builds(
    cnv.MessagePart,
    id=TEXTS,
    kind=st.sampled_from(cnv.PartKind),
    content=TEXTS,
    attachment=st.none() | st.builds(cnv.PartAttachment, REFERENCES),
    tool_call_id=MAYBE,
    tool_name=MAYBE,
    tool_replay=st.none() | st.builds(cnv.ToolReplay, MAYBE, MAYBE),
    prune_state=st.sampled_from([cnv.PruneStateIntact(), cnv.PruneStateCleared()])
    | st.builds(cnv.PruneStateDeleted, TEXTS, TEXTS)
    | st.builds(cnv.PruneStateSummarized, TEXTS, TEXTS),
    reasoning_meta=st.none()
    | st.builds(cnv.ReasoningMeta, MAYBE, MAYBE, MAYBE, st.booleans(), st.lists(TEXTS, max_size=2)),
    response_meta=st.none() | st.builds(cnv.ResponseMeta, MAYBE, MAYBE, MAYBE),
)
ORIGIN = (
    st.builds(cnv.MessageOriginPlugin, TEXTS, st.booleans())
    | st.builds(cnv.MessageOriginProcess, TEXTS, TEXTS, SEQUENCES, MAYBE, st.none() | st.sampled_from(CAUSES))
    | st.sampled_from(ORIGINS)
)
MESSAGES = st.builds(
    cnv.ConversationRecord,
    TEXTS,
    st.sampled_from(cnv.MessageRole),
    st.lists(PARTS, max_size=3),
    st.none() | ORIGIN,
)
VALID = st.builds(
    gra.SessionNodeRecord,
    node_id=TEXTS,
    parent_node_id=MAYBE,
    caused_by=st.none() | st.sampled_from(CAUSES) | st.builds(cau.CausalRefProcessEvent, TEXTS, SEQUENCES),
    agent_frame_id=MAYBE,
    timestamp=TEXTS,
    payload=st.builds(gra.SessionNodePayloadEvent, MESSAGES | st.builds(gra.ProtocolEvent, TEXTS, OPAQUE))
    | st.builds(gra.SessionNodePayloadPlugin, TEXTS, OPAQUE),
)

Outcome = SessionNodeRecord | tuple[str, str, str]


def exactly(text: str) -> Outcome:
    try:
        return SessionNodeRecord.from_json(text)
    except InvalidRecord as error:
        return (error.kind, error.path, error.reason)


def quickly(text: str, node_id: str) -> Outcome:
    try:
        return read_nodes([(node_id, text)])[0]
    except StoreCorrupt as error:
        damage = error
    assert (damage.kind, damage.key) == ("graph node", node_id)
    cause = damage.__cause__
    assert isinstance(cause, InvalidRecord)
    return (cause.kind, cause.path, cause.reason)


def assert_same(text: str) -> None:
    wanted = exactly(text)
    found = quickly(text, wanted.node_id if isinstance(wanted, SessionNodeRecord) else "n")
    assert found == wanted
    assert repr(found) == repr(wanted), "1, 1.0 and True are equal, and not the same"


@pytest.fixture
def only_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test if a text goes to the exact reader."""

    def refuse(source: Any) -> SessionNodeRecord:
        pytest.fail(f"not read the fast way: {source}")

    monkeypatch.setattr(SessionNodeRecord, "from_json", refuse)


@pytest.mark.parametrize("node", NODES)
def test_what_this_package_writes_is_read_fast(node: SessionNodeRecord, only_usual: None) -> None:
    assert read_nodes([(node.node_id, node.to_json().decode())]) == [node]


@pytest.mark.parametrize("text", USUAL)
def test_what_upstream_writes_is_read_fast(text: str, only_usual: None) -> None:
    assert read_nodes([("n", text)])[0].to_json().decode() == text


@given(VALID)
def test_every_node_comes_back(node: SessionNodeRecord) -> None:
    text = node.to_json().decode()
    assert read_nodes([(node.node_id, text)]) == [node]
    assert_same(text)


TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"{}\[\]:,]+|[{}\[\]:,]|\s+')
ODD = [
    "null", "true", "0", "-0", "3.0", "1e2", "-1", "NaN", "1e999", "18446744073709551615", "18446744073709551616",
    "1e16", '""', '"\\ud800"', '"\\u0061"', '"x\\/y"', '"Intact"', '"event"', '"plugin"', "[]", "{}",
    " ", ",", '{"a":1,"a":2}', '"other_keys":{"a":1},', '"other_keys":null,', '"body":1,',
    '"event":{},', '"plugin_type":"x",', '"new":1,',
    '{"Deleted":{"breadcrumb":"b","archive_hash":"h"},"Summarized":{"summary":"s","archive_hash":"h"}}',
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A valid text in which tokens are dropped, doubled, moved or replaced."""
    tokens = TOKEN.findall(draw(VALID).to_json().decode())
    for _ in range(draw(st.integers(1, 3))):
        first = draw(st.integers(0, len(tokens) - 1))
        last = min(len(tokens), first + draw(st.integers(0, 6)))
        taken = tokens[first:last]
        at = draw(st.integers(0, len(tokens) - 1))
        change = draw(st.integers(0, 4))
        if change == 0:
            del tokens[first:last]
        elif change == 1:
            tokens[at:at] = taken
        elif change == 2:
            tokens[first : first + 1] = [draw(st.sampled_from(ODD))]
        elif change == 3:
            tokens.insert(at, draw(st.sampled_from(ODD)))
        else:
            del tokens[first:last]
            tokens[at:at] = taken
        assume(tokens)
    return "".join(tokens)


@settings(max_examples=400)
@given(mutated())
def test_a_mutated_text_is_read_alike(text: str) -> None:
    assert_same(text)


def in_message(old: str, new: str) -> str:
    assert old in MESSAGE_NODE
    return MESSAGE_NODE.replace(old, new, 1)


def with_body(body: str) -> str:
    return PLUGIN_NODE.replace("null", body)


DELETED = '{"breadcrumb":"b","archive_hash":"h"}'
SUMMARIZED = '{"summary":"s","archive_hash":"h"}'
PROCESS = '"origin":{"kind":"process","process_id":"p","event_type":"e","sequence":'
TRAPS = [
    *(in_message('"Intact"', state) for state in (
        "{}", '{"Deleted":null}', '"Deleted"', '"intact"', '{"Intact":null}', '{"Intact":{}}', "null", "1",
        f'{{"Deleted":{DELETED}}}', f'{{"Deleted":{DELETED},"Summarized":{SUMMARIZED}}}', f'{{"Deleted":{SUMMARIZED}}}',
        f'{{"Deleted":{DELETED},"Deleted":{DELETED}}}', f'{{"Deleted":{DELETED},"other_keys":{{}}}}',
    )),
    *(in_message('"node_id"', f'{key},"node_id"') for key in (
        '"other_keys":{"a":1}', '"other_keys":null', '"other\\u005fkeys":{"a":1}', '"new":1', '"node_id":"n"',
        '"plugin_type":"x"', '"body":1', '"parent_node_id":null', '"caused_by":null', '"caused_by":{"type":"turn"}',
        '"caused_by":{"type":"process","process_id":"p","process_id":"p"}', '"caused_by":{"type":"x"}',
        '"caused_by":{"process_id":"p","type":"process"}',
        '"caused_by":{"type":"process","process_id":"p","other_keys":{}}',
    )),
    *(in_message('"parts"', f'{PROCESS}{number}}},"parts"') for number in (
        "0", "1", "-0", "3.0", "3e0", "true", '"1"', "-1", "null", "9223372036854775808", "18446744073709551615",
        "18446744073709551616", "1" + "0" * 40,
    )),
    *(in_message(f'"parts":[{PART}]', f'"parts":[{PART}],{PROCESS}{number}}}') for number in (
        "1", "-0", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616",
    )),
    *(in_message('"content":"c"', f'"content":"c",{key}') for key in (
        '"attachment":{"reference":{}}', '"tool_replay":{}', '"reasoning_meta":{"redacted":false}', '"tool_name":1',
        '"reasoning_meta":{"redacted":true,"summary":[]}', '"reasoning_meta":{"summary":null}', '"response_meta":{}',
        '"other_keys":{"a":1}', '"reasoning_meta":{"other_keys":{"a":1}}',
    )),
    *(in_message('"Intact"', f'"Intact","response_meta":{meta}') for meta in (
        "{}", "null", '{"other_keys":{"a":1}}', '{"other_keys":null}', '{"phase":"p","other_keys":{}}', '{"new":1}',
    )),
    *(in_message('"Intact"', f'"Intact","reasoning_meta":{meta}') for meta in (
        '{"redacted":false}', '{"summary":[]}', '{"redacted":true,"summary":["s"]}',
        '{"summary":["s"],"other_keys":{}}',
    )),
    in_message('"content":"c"', '"content":"\\ud800"'),
    in_message('"content":"c"', '"content":"\\ud83d\\ude00"'),
    in_message('"content":"c"', '"content":"\\u001f\\u007f\\b\\f\x7f\u2028é😀"'),
    in_message('"content":"c"', '"content":"\\"other_keys\\""'),
    in_message('"content":"c"', '"content":"\x01"'),
    in_message('"content":"c"', '"content":"\ud800"'),
    in_message('"content":"c"', '"content":null'),
    in_message('"role":"User"', '"role":"user"'),
    in_message('"role":"User"', '"role":"USER"'),
    in_message('"event":{', '"event":{"Protocol":{"plugin_id":"x","payload":1},'),
    in_message("}]}}}", '}]},"Protocol":{"plugin_id":"x","payload":1}}}'),
    in_message("}]}}}", '}]}},"plugin_type":"x"}'),
    in_message("}]}}}", '}]}},"body":1}'),
    in_message("}]}}}", '}]}},"plugin_type":"x","body":1}'),
    PLUGIN_NODE.replace(',"plugin_type"', ',"event":{},"plugin_type"'),
    PLUGIN_NODE.replace(',"plugin_type"', ',"event":{"Protocol":{"plugin_id":"x","payload":1}},"plugin_type"'),
    PLUGIN_NODE.replace('"plugin_type":"x",', ""),
    PROTOCOL_NODE.replace('{"Protocol":{"plugin_id":"x","payload":{"a":[2.5],"b":1}}}', "{}"),
    PROTOCOL_NODE.replace('"b":1}', '"b":1},"other_keys":{"a":1}'),
    in_message('"Conversation"', '"Protocol"'),
    in_message('"Conversation"', '"conversation"'),
    in_message('"kind":"event"', '"kind":"plugin"'),
    in_message('"kind":"event"', '"kind":"plugin","plugin_type":"x","body":1'),
    in_message('"kind":"event",', ""),
    '{"node_id":"n","timestamp":"t","kind":"event"}',
    PROTOCOL_NODE.replace('{"a":[2.5],"b":1}', "null"),
    PROTOCOL_NODE.replace(',"payload":{"a":[2.5],"b":1}', ""),
    PROTOCOL_NODE.replace('"plugin_id":"x"', '"plugin_id":"y","plugin_id":"x"'),
    PROTOCOL_NODE.replace('"payload"', '"other_keys":{},"payload"'),
    PLUGIN_NODE.replace(',"body":null', ""),
    PLUGIN_NODE.replace("}", ',"event":{}}'),
    PLUGIN_NODE.replace("}", ',"body":2}'),
    PLUGIN_NODE + " ", PLUGIN_NODE + "\n", PLUGIN_NODE + "x", PLUGIN_NODE + PLUGIN_NODE, "\ufeff" + PLUGIN_NODE,
    "", " ", "null", "[]", "{}", '"n"', "n", "[" + PLUGIN_NODE + "]",
    *map(with_body, (
        "NaN", "Infinity", "-Infinity", "1e999", "1e16", "1e+16", "1E5", "1.0", "-0", "-0.0", "01", "2.50", "1e-7",
        "1e-07",
        "18446744073709551615", "18446744073709551616", "-9223372036854775808", "-9223372036854775809",
        "100000000000000000000000000000", '{"a":1,"a":2}', '{"b":1,"a":2}', '{"a":[{"b":{"c":1,"c":1}}]}', '{"":{}}',
        '{"other_keys":{"other_keys":1}}', '"\\ud800"', '"\\udc00\\ud800"', '{"\\ud800":1}', "[1,]", "[1 ,2]", '"\\/"',
        "[" * 126 + "]" * 126, "[" * 127 + "]" * 127, "[" * 128 + "]" * 128, '{"a":' * 127 + "1" + "}" * 127,
        "[" + "[]," * 200 + "[]]", '"' + "[" * 200 + '"', "[" * 5000 + "]" * 5000, "[" * 100000,
    )),
]  # fmt: skip


@pytest.mark.parametrize("text", TRAPS, ids=range(len(TRAPS)))
def test_traps(text: str) -> None:
    assert_same(text)


def test_a_row_that_holds_another_node_is_corrupt() -> None:
    with pytest.raises(StoreCorrupt) as caught:
        read_nodes([("n", PLUGIN_NODE), ("m", PLUGIN_NODE)])
    assert (caught.value.kind, caught.value.key) == ("graph node", "m")


def test_a_text_stored_as_bytes_is_read_too() -> None:
    """SQLite does not hold a column to its declared type."""
    text: Any = PLUGIN_NODE.encode()
    assert read_nodes([("n", text)]) == [SessionNodeRecord.from_json(PLUGIN_NODE)]


def test_rows_are_taken_one_by_one() -> None:
    """So that the texts of a long history need never be in memory together."""

    def rows() -> Any:
        yield ("n", PLUGIN_NODE)
        yield ("bad", "{}")
        pytest.fail("read on behind an unreadable row")

    with pytest.raises(StoreCorrupt) as caught:
        read_nodes(rows())
    assert caught.value.key == "bad"


def test_states_without_content_are_shared() -> None:
    """A long history has millions of parts, nearly all intact."""
    first, second = read_nodes([("n", MESSAGE_NODE)] * 2)
    parts = [node.payload.event.parts[0] for node in (first, second)]  # type: ignore[union-attr]
    assert parts[0].prune_state is parts[1].prune_state
    assert MESSAGE.parts[1].prune_state == parts[0].prune_state


def test_a_long_history_takes_little_more_memory_than_its_texts() -> None:
    """Three times the texts is the most that a load may need; the rows come one by one, as from SQLite."""
    text = in_message('"content":"c"', f'"content":"{"c" * 900}"')
    tracemalloc.start()
    try:
        nodes = read_nodes(("n", text) for _ in range(2000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(nodes) == 2000
    assert peak <= 3 * 2000 * len(text)
