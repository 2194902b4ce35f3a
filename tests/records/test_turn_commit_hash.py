"""What counts in the turn-commit hash, and what does not (specification 4.8)."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lash_store.errors import InvalidJsonValue
from lash_store.records import json_text
from lash_store.records.commit import Append, RuntimeCommit
from lash_store.records.config import SessionPolicy
from lash_store.records.conversation import MessageRole
from lash_store.records.frames import AgentFrameAssignment
from lash_store.records.graph import SessionNodePayloadPlugin
from lash_store.records.usage import ProtocolTurnOptions
from tests.records.examples import COMMIT as EXAMPLE
from tests.records.examples import FRAME
from tests.records.examples import NODES as EXAMPLE_NODES

PLAIN_FRAME = msgspec.structs.replace(FRAME, assignment=AgentFrameAssignment(SessionPolicy()))
COMMIT = msgspec.structs.replace(EXAMPLE, agent_frames=[*EXAMPLE.agent_frames, PLAIN_FRAME])
TEXT = json.loads(COMMIT.to_json())
NODES = TEXT["graph"]["Append"]["nodes"]
HASH = COMMIT.turn_commit_hash()


def hash_with(change: Any) -> str:
    """Return the hash of the example after `change` has changed its plain form in place."""
    plain = json.loads(json.dumps(TEXT))
    change(plain)
    return RuntimeCommit.from_json(plain).turn_commit_hash()


def node(plain: Any, index: int = 0) -> Any:
    return plain["graph"]["Append"]["nodes"][index]


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(expected_head_revision=None),
        lambda c: c.update(turn_commit=None),
        lambda c: node(c).update(node_id="other", parent_node_id=None, timestamp="other"),
        lambda c: node(c)["event"]["Conversation"].update(id="other"),
        lambda c: node(c)["event"]["Conversation"]["parts"][0].update(id="other"),
        lambda c: c["graph"]["Append"].update(leaf_node_id=None),
        lambda c: c.update(novelty=1),
        lambda c: node(c).update(novelty=1),
        lambda c: node(c)["event"]["Conversation"]["parts"][0].update(novelty={"deep": 1}),
        lambda c: c["agent_frames"][0]["assignment"]["policy"]["prompt"].update(novelty=1),
        lambda c: c["agent_frames"][0]["assignment"]["tool_access"]["tools"][0].update(description="", novelty=1),
        lambda c: c["checkpoint"]["tool_state"].update(novelty=1),
        lambda c: c["agent_frames"][1]["assignment"]["policy"].update(prompt={"novelty": 1}),
        lambda c: c["agent_frames"][0]["assignment"]["policy"].update(provider_id="\u2003p "),
        lambda c: c["agent_frames"][0]["assignment"]["tool_access"].update(hidden_tools=["z", "a", "a"]),
        lambda c: node(c, 2)["body"].update(timestamp=1, node_id=[2], parent_node_id={}, leaf_node_id="x"),
    ],
)
def test_this_does_not_count(change: Any) -> None:
    assert hash_with(change) == HASH


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(session_id="other"),
        lambda c: c["checkpoint"]["turn_state"].update(turn_index=2),
        lambda c: c["agent_frames"][0].update(created_at="other"),
        lambda c: c["agent_frames"][0].update(frame_id="other"),
        lambda c: c["usage_deltas"][0]["usage"].update(input_tokens=9),
        lambda c: c["completed_queue_claims"][0].update({"lease_token": "other"}),
        lambda c: c.update(committed_attachment_ids=[]),
        lambda c: node(c)["event"]["Conversation"]["parts"][0].update(content="other"),
        lambda c: node(c)["event"]["Conversation"]["parts"][0]["attachment"]["reference"].update(id="other"),
        lambda c: node(c, 2).update(body={"id": 1}),
        lambda c: c["agent_frames"][0]["assignment"]["tool_access"]["tools"][0].update(description="x"),
        lambda c: c["checkpoint"].update(execution_state=[1]),
    ],
)
def test_this_counts(change: Any) -> None:
    assert hash_with(change) != HASH


def test_the_example_has_what_the_changes_change() -> None:
    assert NODES[0]["event"]["Conversation"]["role"] == MessageRole.USER.value
    assert NODES[2]["body"] == {"b": None}


@pytest.mark.parametrize(
    ("body", "scrubbed"),
    [
        ({"role": 1, "parts": 2, "id": 3}, {"parts": 2, "role": 1}),
        ([{"kind": 1, "content": 2, "prune_state": 3, "id": 4}], [{"content": 2, "kind": 1, "prune_state": 3}]),
        ({"a": {"timestamp": 1, "b": [{"node_id": 2, "id": 3}]}}, {"a": {"b": [{"id": 3}]}}),
    ],
)
def test_the_scrub_reaches_into_opaque_values(body: Any, scrubbed: Any) -> None:
    def change(plain: Any) -> None:
        node(plain, 2)["body"] = body

    plain = json.loads(json.dumps(TEXT))
    change(plain)
    text = RuntimeCommit.from_json(plain).hashed_text().decode()
    assert json.dumps({"body": scrubbed}, separators=(",", ":"))[1:-1] in text


@pytest.mark.parametrize(
    "body", [{}, {"role": 1}, {"parts": 1}, {"kind": 1, "content": 1}, {"content": 1, "prune_state": 1}]
)
def test_an_id_counts_where_nothing_says_that_it_is_a_messages(body: dict[str, Any]) -> None:
    one, two = (hash_with(lambda c, name=name: node(c, 2).update(body={**body, "id": name})) for name in "ab")
    assert one != two


def test_hashing_changes_nothing() -> None:
    before = COMMIT.to_json()
    assert COMMIT.turn_commit_hash() == HASH
    assert COMMIT.to_json() == before


def test_what_cannot_be_stored_cannot_be_hashed() -> None:
    bad = msgspec.structs.replace(COMMIT.agent_frames[0], reason="\ud800")
    with pytest.raises(InvalidJsonValue):
        msgspec.structs.replace(COMMIT, agent_frames=[bad]).turn_commit_hash()


def test_one_and_one_point_nought_hash_differently() -> None:
    def body(value: Any) -> str:
        return hash_with(lambda plain: node(plain, 2).update(body=value))

    assert len({body(value) for value in (1, 1.0, True, "1")}) == 4
    assert SessionNodePayloadPlugin("x", 1) == SessionNodePayloadPlugin("x", 1.0)


VOLATILE = ["node_id", "parent_node_id", "leaf_node_id", "timestamp"]
FREE = st.recursive(
    st.none() | st.integers(0, 9) | st.sampled_from(['"node_id":', "timestamp", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*VOLATILE, "id", "role", "parts", "kind", "content", "prune_state", "x"]),
            inner,
            max_size=7,
        )
    ),
    max_leaves=20,
)


def without_volatile(value: Any) -> Any:
    """Step 3 of the recipe in 4.8, word for word."""
    if isinstance(value, list):
        return [without_volatile(item) for item in value]
    if not isinstance(value, dict):
        return value
    message = "role" in value and "parts" in value
    part = "kind" in value and "content" in value and "prune_state" in value
    dropped = {*VOLATILE, "id"} if message or part else set(VOLATILE)
    return {key: without_volatile(item) for key, item in value.items() if key not in dropped}


@given(FREE, FREE)
@example(None, [{"role": 1, "parts": 1, "id": 1}])
@example(None, {"x": {"kind": 1, "content": 1, "prune_state": 1, "id": 1}})
def test_volatile_keys_are_removed_wherever_they_are(body: Any, options: Any) -> None:
    nodes = [msgspec.structs.replace(EXAMPLE_NODES[0], payload=SessionNodePayloadPlugin("x", body))]
    frame = msgspec.structs.replace(FRAME, protocol_turn_options=ProtocolTurnOptions(options))
    commit = msgspec.structs.replace(EXAMPLE, graph=Append(nodes, "l"), agent_frames=[frame])
    plain = json.loads(json_text.compact(commit.write_plain(True)))
    plain["expected_head_revision"] = plain["turn_commit"] = None
    wanted = json.dumps(without_volatile(plain), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert commit.hashed_text().decode() == wanted
