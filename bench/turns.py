"""The turns that bench.commit commits, and the claims that they complete.

A turn: config, one frame, two appended message nodes of 1 KiB, a tool state of 16 KiB that changes every tenth turn, an
execution state of 4 KiB that changes every turn, one usage entry, the stamp, and one completed claim.
"""

import random
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from lash_store import (
    ConversationRecord,
    MessagePart,
    MessageRole,
    PartKind,
    Plan,
    PruneStateIntact,
    QueuedWorkCompletion,
    SessionNodePayloadEvent,
    SessionNodeRecord,
    Step,
    TokenLedgerEntry,
    TokenUsage,
)

TOOLS_CHANGE_EVERY: Final = 10
TEXT_BYTES: Final = 1024
EXECUTION_BYTES: Final = 4096
USAGE: Final = TokenLedgerEntry("turn", "mock-model", TokenUsage(1200, 340, 800, 60))
FRAME_ID: Final = "root:frame:initial"
"""The frame of a new session's state, whatever its id."""
_TOOLS: Final = 64
ROLES: Final = (MessageRole.USER, MessageRole.ASSISTANT)
_TIME: Final = "2026-06-02T00:00:00+00:00"
_WORDS: Final = ("quick", "brown", "foxes", "jump", "over", "lazy", "dogs", "while", "wizards", "measure", "light")

_BATCH: Final = """
INSERT INTO queued_work_batches (batch_id, session_id, delivery_policy, slot_policy, merge_key_json, available_at_ms,
    enqueued_at_ms, claim_id, claim_owner_id, claim_token, claim_fencing_token, claim_claimed_at_ms,
    claim_expires_at_ms)
VALUES (?1, ?2, 'earliest_safe_boundary', 'exclusive', '"never"', 0, 0, ?3, 'bench', ?4, 1, 0, 9000000000000000)
"""
_ITEM: Final = "INSERT INTO queued_work_items (batch_id, item_index, item_id, payload_json) VALUES (?1, 0, ?2, ?3)"
_PAYLOAD: Final = '{"type":"turn_input","input":{"items":[{"type":"text","text":"go"}],"image_blobs":{}}}'


class Turn(NamedTuple):
    """What one turn brings. `tool_state` is None if it has not changed; `messages` are the nodes' as (role, text)."""

    turn_id: str
    number: int
    nodes: list[SessionNodeRecord]
    messages: list[tuple[str, str]]
    tool_state: dict[str, Any] | None
    execution_state: bytes
    claim: QueuedWorkCompletion


def make_turns(session_id: str, writer: str, count: int) -> list[Turn]:
    """The turns of one writer, all made beforehand: to think up what is said must cost the run no time."""
    source = random.Random(writer)
    texts = [prose(source, TEXT_BYTES) for _ in range(16)]
    phase = source.randrange(TOOLS_CHANGE_EVERY)  # the tools of many writers do not all change at the same moment
    leaf: str | None = None
    turns = []
    for number in range(count):
        turn_id = f"{writer}-{number}"
        said = [f"{turn_id} {text}"[:TEXT_BYTES] for text in source.choices(texts, k=2)]
        nodes = []
        for role, text in zip(ROLES, said, strict=True):
            nodes.append(message_node(f"{turn_id}{role.value[0]}", leaf, role, text))
            leaf = nodes[-1].node_id
        changed = number == 0 or (number + phase) % TOOLS_CHANGE_EVERY == 0
        turns.append(
            Turn(
                turn_id,
                number,
                nodes,
                [(role.value.lower(), text) for role, text in zip(ROLES, said, strict=True)],
                tool_state(number, texts) if changed else None,
                source.randbytes(EXECUTION_BYTES),
                claim_of(session_id, writer, number),
            )
        )
    return turns


def prose(source: random.Random, size: int) -> str:
    """Words, `size` characters of them, that compress as prose does."""
    return " ".join(source.choices(_WORDS, k=size // 5))[:size].ljust(size, ".")


def tool_state(generation: int, texts: Sequence[str]) -> dict[str, Any]:
    """A tool state of about 16 KiB."""
    tools = {
        f"tool_{number:03}": {
            "manifest": {
                "id": f"tool-{number}",
                "name": f"tool_{number:03}",
                "description": f"{generation} {texts[number % len(texts)][number : number + 178]}",
            }
        }
        for number in range(_TOOLS)
    }
    return {"generation": generation, "tools": tools}


def message_node(node_id: str, parent: str | None, role: MessageRole, text: str) -> SessionNodeRecord:
    """A node that holds one message of one part."""
    part = MessagePart(id=f"{node_id}.p0", kind=PartKind.TEXT, content=text, prune_state=PruneStateIntact())
    return SessionNodeRecord(
        node_id=node_id,
        parent_node_id=parent,
        agent_frame_id=FRAME_ID,
        timestamp=_TIME,
        payload=SessionNodePayloadEvent(ConversationRecord(node_id, role, [part])),
    )


def claim_of(session_id: str, writer: str, number: int) -> QueuedWorkCompletion:
    """The completion of the claim that `claim_plan` makes for a turn of a writer."""
    # The number first: of the queue's indexes, as of a queue that is short, few pages are in use at a time.
    name = f"{number:06}-{writer}"
    return QueuedWorkCompletion(session_id, f"qwc:{name}", f"token-{name}", [f"qwb:{name}"])


def claim_plan(claims: Iterable[QueuedWorkCompletion]) -> Plan:
    """Puts a claimed batch of one item into a file for each of the claims, so that there is something to complete."""
    batches, items = [], []
    for claim in claims:
        (batch_id,) = claim.batch_ids
        batches.append((batch_id, claim.session_id, claim.claim_id, claim.lease_token))
        items.append((batch_id, f"{batch_id}:item:0", _PAYLOAD))
    return Plan([Step(_BATCH, batches, many=True), Step(_ITEM, items, many=True)])
