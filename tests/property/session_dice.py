"""Random steps on a session store. One number makes one step, so that a failing sequence can be cut down step by step.

Numbers that name something (a node, a claim, a ref) count from what there is when the step is taken.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from hypothesis import strategies as st

from lash_store import (
    DeliveryPolicy,
    MergeKey,
    MergeKeyGroup,
    MergeKeyNever,
    MessageRole,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    QueuedWorkPayloadTurnInput,
    SlotPolicy,
    TokenLedgerEntry,
    TokenUsage,
)
from tests.property import session_steps as steps
from tests.property.session_steps import ClaimSpec
from tests.property.session_world import CommitSpec, NodeSpec, World

T = TypeVar("T")
SESSIONS: Final = ("root", "root", "root", "root", "other")
MERGE_KEYS: Final[tuple[MergeKey, ...]] = (MergeKeyNever(), MergeKeyGroup("g"), MergeKeyGroup("g"))
TTLS: Final = (0, 1, 50, 50, 1000)


@dataclass(frozen=True)
class Step:
    """One operation with its arguments, on the handle `handle` modulo the number of handles."""

    operation: Callable[..., Awaitable[None]]
    handle: int
    arguments: dict[str, Any]

    async def run(self, world: World) -> None:
        await self.operation(world, self.handle % len(world.stores), **self.arguments)


class Dice(random.Random):
    """The choices that steps are made of."""

    def small(self) -> int:
        """Mostly 0 or 1: the latest of its kind."""
        return min(self.randrange(8), self.randrange(8), self.randrange(8))

    def maybe(self, value: T, chance: float = 0.5) -> T | None:
        return value if self.random() < chance else None

    def nodes(self) -> list[NodeSpec]:
        return [self.node() for _ in range(self.randrange(4))]

    def node(self) -> NodeSpec:
        return NodeSpec(
            taken=self.maybe(self.randrange(20), 0.1),
            parent=self.maybe(self.small(), 0.8),
            role=self.choice([None, MessageRole.USER, MessageRole.ASSISTANT]),
            archive=self.maybe(self.randrange(20), 0.3),
        )

    def usage(self) -> list[TokenLedgerEntry]:
        def entry() -> TokenLedgerEntry:
            counts = TokenUsage(*(self.randint(1, 9) for _ in range(4)))
            return TokenLedgerEntry(self.choice(["turn", "subagent"]), self.choice(["m", "n"]), counts)

        return [entry() for _ in range(self.randrange(3))]

    def part(self) -> int | None:
        return self.maybe(self.randrange(20), 0.2)

    def commit(self) -> CommitSpec:
        return CommitSpec(
            session=self.choice(["root"] * 19 + ["other"]),
            expected=self.choice([None, 0, 0, 0, 1]),
            delta=self.choice(["unchanged", "append", "append", "append", "replace"]),
            nodes=self.nodes(),
            leaf=self.maybe(self.small(), 0.9),
            turn_index=self.randrange(4),
            generation=self.maybe(self.randrange(3)),
            plugins=self.maybe(self.randrange(2)),
            execution=self.choice([None, b"", b"\x00\xff", bytes(5000)]),
            given=(self.part(), self.part(), self.part()),
            frame_state=self.maybe(self.randrange(20), 0.3),
            usage=self.usage(),
            turn=self.maybe(self.randrange(4), 0.4),
            again=self.random() < 0.1,
            completes=self.maybe(self.small(), 0.4),
            spoilt=self.choice(["", "", "", "", "", "token", "fewer", "session"]),
            attachments=[self.choice("abcd") for _ in range(self.randrange(3))],
        )

    def draft(self) -> QueuedWorkBatchDraft:
        def payload() -> QueuedWorkPayloadTurnInput:
            items = [{"type": "text", "text": self.choice("abc")}]
            return QueuedWorkPayloadTurnInput({"items": items, "image_blobs": {}})

        return QueuedWorkBatchDraft(
            session_id=self.choice(SESSIONS),
            source_key=self.choice([None, None, None, "", "k"]),
            delivery_policy=self.choice([*DeliveryPolicy, DeliveryPolicy.EARLIEST_SAFE_BOUNDARY]),
            slot_policy=self.choice([SlotPolicy.JOIN, SlotPolicy.JOIN, SlotPolicy.JOIN, SlotPolicy.EXCLUSIVE]),
            merge_key=self.choice(MERGE_KEYS),
            available_at_ms=self.choice([0, 0, 0, 60]),
            payloads=[payload() for _ in range(self.randrange(3))],
        )

    def claim(self) -> ClaimSpec:
        boundary = self.choice(list(QueuedWorkClaimBoundary))
        return ClaimSpec(
            self.choice(SESSIONS), boundary, self.choice(TTLS), self.randrange(4), self.random() < 0.3, self.small()
        )


def _arguments(dice: Dice, operation: Callable[..., Awaitable[None]]) -> dict[str, Any]:
    made: dict[Callable[..., Awaitable[None]], Callable[[], dict[str, Any]]] = {
        steps.commit: lambda: {"spec": dice.commit()},
        steps.put_checkpoint: lambda: {"spec": dice.commit()},
        steps.save_head: lambda: {"nodes": dice.nodes(), "leaf": dice.small()},
        steps.change_nodes: lambda: {"nodes": dice.nodes(), "whole": dice.random() < 0.2},
        steps.tombstone: lambda: {"numbers": [dice.randrange(20) for _ in range(dice.randrange(4))]},
        steps.append_usage: lambda: {"entries": dice.usage()},
        steps.save_meta: lambda: {"name": dice.choice("ab")},
        steps.put: lambda: {"content": dice.randrange(len(steps.CONTENTS)), "raw": dice.random() < 0.5},
        steps.put_artifact: lambda: {"name": dice.choice("ab"), "more": dice.randrange(2)},
        steps.enqueue: lambda: {"draft": dice.draft()},
        steps.claim: lambda: {"spec": dice.claim()},
        steps.with_claim: lambda: {"number": dice.small(), "ttl": dice.maybe(dice.choice(TTLS))},
        steps.cancel: lambda: {"session": dice.choice(SESSIONS), "number": dice.small()},
        steps.attach: lambda: {
            "name": dice.choice("abcd"),
            "session": dice.choice(SESSIONS),
            "what": dice.choice(["intend", "intend", "commit", "forget"]),
        },
        steps.wait: lambda: {"milliseconds": dice.choice([1, 10, 50, 1000])},
    }
    return made[operation]() if operation in made else {}


WEIGHTS: Final[dict[Callable[..., Awaitable[None]], int]] = {
    steps.commit: 10,
    steps.put_checkpoint: 1,
    steps.save_head: 1,
    steps.change_nodes: 1,
    steps.tombstone: 2,
    steps.vacuum: 1,
    steps.collect: 3,
    steps.append_usage: 1,
    steps.save_meta: 1,
    steps.put: 2,
    steps.put_artifact: 1,
    steps.enqueue: 6,
    steps.claim: 6,
    steps.with_claim: 3,
    steps.cancel: 1,
    steps.attach: 2,
    steps.wait: 2,
}


def step_of(number: int) -> Step:
    """The step that a number makes; 0, towards which a failing sequence is shrunk, makes none."""
    if number == 0:
        return Step(steps.wait, 0, {"milliseconds": 0})
    dice = Dice(number)
    (operation,) = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
    return Step(operation, dice.randrange(2), _arguments(dice, operation))


STEPS: Final = st.lists(st.integers(0, 2**32 - 1).map(step_of), min_size=30, max_size=70)
