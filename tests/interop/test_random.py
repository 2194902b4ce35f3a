"""Random sequences of operations, each performed by one of the two programs.

Every sequence is played on two files, with the programs exchanged: what lash_store does on the one alpha.40 does on the
other. After each step both programs must read the same from each file, and the two files must hold the same.

Left out is where lash_store is meant to behave otherwise (docs/compatibility.md); test_differences.py has that.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from lash_store import (
    Append,
    AttachmentManifestEntry,
    ConstraintViolation,
    GraphCommitDelta,
    HeadRevisionConflict,
    HydratedSessionCheckpoint,
    PersistedSessionRead,
    PersistedTurnState,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkClaimExpired,
    ReplaceFull,
    RuntimeCommit,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    SessionMeta,
    SessionNodeRecord,
    SessionPickerInfo,
    Unchanged,
)
from tests.conformance.session_store.examples import (
    EARLIEST,
    EXCLUSIVE,
    JOIN,
    draft,
    intent,
    message,
    plugin,
    root_commit,
    used,
)
from tests.interop.conftest import Opener
from tests.interop.driver import Alpha40Refused
from tests.interop.examples import PLUGIN_SNAPSHOT, TOOL_STATE
from tests.interop.stores import Session, same_loads
from tests.interop.test_upkeep import collected, vacuumed

STEPS: Final = 120
TYPED: Final = (
    HeadRevisionConflict,
    RuntimeTurnCommitConflict,
    QueuedWorkClaimExpired,
    SessionBindingMismatch,
)
SESSIONS: Final = ("root", "root", "root", "other")
POLICIES: Final = (EARLIEST, EARLIEST, EARLIEST, *(policy for policy in type(EARLIEST) if policy is not EARLIEST))


@dataclass
class File:
    """A file that both programs have open, and what was given out of it."""

    sides: list[Session]
    claims: list[QueuedWorkClaim] = field(default_factory=list)


def told(outcome: Any) -> Any:
    """What two files must have in common in what an operation returned: all but random ids and times."""
    if isinstance(outcome, QueuedWorkBatch):
        return outcome.enqueue_seq, outcome.source_key, outcome.merge_key, [item.payload for item in outcome.items]
    if isinstance(outcome, QueuedWorkClaim):
        return outcome.claim_id, outcome.fencing_token, [told(batch) for batch in outcome.batches]
    if isinstance(outcome, list):
        return [told(item) for item in outcome]
    if isinstance(outcome, TYPED):
        return type(outcome), [vars(outcome).get(name) for name in ("expected", "actual", "turn_id", "claim_id")]
    if isinstance(outcome, (ConstraintViolation, Alpha40Refused)):
        assert "UNIQUE" in str(outcome), outcome
        return "taken"
    return outcome


Held = tuple[
    PersistedSessionRead | None,
    list[Any],
    list[Any],
    SessionMeta | None,
    SessionPickerInfo | None,
    list[AttachmentManifestEntry],
]


async def held(file: File) -> Held:
    """What both programs read from a file."""
    one, other = file.sides
    read = None
    if await one.load_session() is not None or await other.load_session() is not None:
        read = await same_loads(one, other)
    queues: list[list[Any]] = []
    for session in ("root", "other"):
        for listing in ("list_queued_work", "list_pending_queued_work"):
            listed = await getattr(one, listing)(session)
            assert listed == await getattr(other, listing)(session)
            queues.append([told(batch) for batch in listed])
    meta, picker, uncommitted = [
        (await getattr(one, what)(*arguments), await getattr(other, what)(*arguments))
        for what, arguments in (("load_session_meta", ()), ("load_picker_info", ()), ("list_uncommitted", (2**40,)))
    ]
    assert meta[0] == meta[1]
    assert picker[0] == picker[1]
    assert sorted(uncommitted[0], key=repr) == sorted(uncommitted[1], key=repr)
    return read, queues[:2], queues[2:], meta[0], picker[0], sorted(uncommitted[0], key=repr)


class Dice(random.Random):
    """Makes steps of what is known to be there, the same for both files."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.made = 0
        self.visible: list[str] = []
        self.leaf: str | None = None
        self.revision = 0
        self.sent: list[RuntimeCommit] = []

    def node(self) -> SessionNodeRecord:
        self.made += 1
        parent = self.choice([*self.visible[-3:], None])
        if self.random() < 0.3:
            return plugin(f"n{self.made}", parent, {"z": [self.made, 1.5], "a": None})
        return message(f"n{self.made}", parent, text=f" text {self.made} ")

    def graph(self) -> GraphCommitDelta:
        kind = self.choice(["unchanged", "append", "append", "append", "replace"])
        if kind == "unchanged":
            return Unchanged(self.choice([None, self.leaf, *self.visible[-3:]]))
        nodes = [self.node() for _ in range(self.randrange(1, 4))]
        if kind == "append":
            if self.visible and self.random() < 0.1:
                nodes.append(message(self.choice(self.visible)))  # that id is taken
            return Append(nodes, nodes[0].node_id)
        return ReplaceFull(nodes, self.choice([None, nodes[-1].node_id]))

    def checkpoint(self) -> HydratedSessionCheckpoint:
        return HydratedSessionCheckpoint(
            PersistedTurnState(turn_index=self.randrange(3)),
            tool_state=self.choice([None, TOOL_STATE, {"generation": self.randrange(2), "tools": {}}]),
            plugin_snapshot=self.choice([None, PLUGIN_SNAPSHOT, {"plugins": {}}]),
            plugin_snapshot_revision=self.choice([None, 7]),
            execution_state=self.choice([None, b"", b"\x00\xff", bytes(5000)]),
        )

    def commit(self) -> RuntimeCommit:
        if self.sent and self.random() < 0.15:
            return self.choice(self.sent)
        counts = [self.randint(1, 9) for _ in range(4)]
        commit = root_commit(
            session_id=self.choice(["root"] * 15 + ["other" if self.revision else "root"]),
            expected_head_revision=self.choice([None, None, *[self.revision] * 4, self.revision + 1]),
            graph=self.graph(),
            checkpoint=self.checkpoint(),
            usage_deltas=[used(self.choice(["turn", "x"]), "m", *counts) for _ in range(self.randrange(3))],
            committed_attachment_ids=self.sample("abcd", self.randrange(3)),
        )
        if self.random() < 0.5:
            commit = commit.with_turn_commit(f"turn-{self.randrange(40)}")
            self.sent.append(commit)
        return commit

    def note(self, read: PersistedSessionRead | None) -> None:
        """Look at what is there now."""
        if read is not None:
            self.visible = [node.node_id for node in read.graph.nodes]
            self.leaf, self.revision = read.graph.leaf_node_id, read.head_revision


Operation = Callable[[File, Session], Awaitable[Any]]


def commit_step(dice: Dice) -> Operation:
    commit, completes, spoilt = dice.commit(), dice.random() < 0.3, dice.random() < 0.2

    async def step(file: File, side: Session) -> Any:
        if not completes or not file.claims:
            return await side.commit_runtime_state(commit)
        completion = file.claims[-1].completion()
        if spoilt:
            completion = msgspec.structs.replace(completion, lease_token="stale")  # noqa: S106  of a claim
        return await side.commit_runtime_state(commit.completing_queue_claims([completion]))

    return step


def enqueue_step(dice: Dice) -> Operation:
    texts = [str(dice.randrange(100)) for _ in range(dice.randrange(1, 3))]
    wanted = draft(
        *texts,
        session=dice.choice(SESSIONS),
        policy=dice.choice(POLICIES),
        slot=dice.choice([JOIN, JOIN, EXCLUSIVE]),
        group=dice.choice([None, "g"]),
        key=dice.choice([None, None, "", "k", 'k"ä']),
        available=dice.choice([0, 0, 0, 2**50]),
    )
    return lambda _, side: side.enqueue_queued_work(wanted)


def claim_step(dice: Dice) -> Operation:
    how = dice.choice(SESSIONS), dice.choice(list(QueuedWorkClaimBoundary)), dice.choice([0, 10**9]), dice.randrange(4)

    async def step(file: File, side: Session) -> Any:
        session, boundary, ttl, limit = how
        claim = await side.claim_ready_queued_work(session, "owner", boundary, ttl, limit)
        file.claims += [] if claim is None else [claim]
        return claim

    return step


def claimed_step(dice: Dice) -> Operation:
    """Renew a claim that has not run out, or give any back."""
    back, renews = dice.randrange(3), dice.random() < 0.5

    async def step(file: File, side: Session) -> Any:
        if not file.claims:
            return None
        claim = file.claims[-1 - back % len(file.claims)]
        if renews and claim.expires_at_epoch_ms > claim.claimed_at_epoch_ms:
            return await side.renew_queued_work_claim(claim, 10**9)
        return await side.abandon_queued_work_claim(claim)

    return step


def cancel_step(dice: Dice) -> Operation:
    session, number = dice.choice(SESSIONS), dice.randrange(5)

    async def step(_: File, side: Session) -> Any:
        listed = await side.list_queued_work(session)
        return await side.cancel_queued_work_batch(session, listed[number % len(listed)].batch_id if listed else "x")

    return step


def nodes_step(dice: Dice) -> Operation:
    ids = [*dice.sample(dice.visible, min(len(dice.visible), dice.randrange(3))), "unknown"]
    tombstones = dice.random() < 0.6

    async def step(_: File, side: Session) -> Any:
        if not tombstones:
            return await vacuumed(side)
        await side.tombstone_nodes(ids)
        return None

    return step


def attachment_step(dice: Dice) -> Operation:
    wanted = intent(dice.choice("abcd"), dice.randrange(9), dice.choice(SESSIONS))
    what = dice.choice(["intend", "intend", "commit", "forget"])

    async def step(_: File, side: Session) -> None:
        if what == "intend":
            await side.record_intent(wanted)
        elif what == "commit":
            await side.commit_refs(wanted.session_id, [wanted.attachment_id])
        else:
            await side.forget(wanted.attachment_id)

    return step


def name_step(dice: Dice) -> Operation:
    meta = SessionMeta("root", dice.choice("ab"), "unix:1", "m", dice.choice([None, "/srv"]))
    return lambda _, side: side.save_session_meta(meta)


def blob_step(dice: Dice) -> Operation:
    """Put one that nobody needs, or collect."""
    data, puts = bytes([dice.randrange(256)]) * 2000, dice.random() < 0.5
    return lambda _, side: side.put_blob(data) if puts else collected(side)


KINDS: Final[dict[Callable[[Dice], Operation], int]] = {
    commit_step: 8,
    enqueue_step: 5,
    claim_step: 5,
    claimed_step: 2,
    cancel_step: 1,
    nodes_step: 2,
    attachment_step: 2,
    name_step: 1,
    blob_step: 2,
}


async def performed(operation: Operation, file: File, side: Session) -> Any:
    try:
        return told(await operation(file, side))
    except (*TYPED, ConstraintViolation, Alpha40Refused) as refused:
        return told(refused)


@pytest.mark.parametrize("seed", range(12))
async def test_two_files_with_the_programs_exchanged(seed: int, opener: Opener, tmp_path: Path) -> None:
    dice = Dice(seed)
    files = [
        File([await opener.ours(tmp_path / name), await opener.theirs(tmp_path / name)]) for name in ("a.db", "b.db")
    ]
    for number in range(STEPS):
        (kind,) = dice.choices(list(KINDS), list(KINDS.values()))
        operation, side = kind(dice), dice.randrange(2)
        outcomes = [await performed(operation, file, file.sides[side ^ which]) for which, file in enumerate(files)]
        assert outcomes[0] == outcomes[1], (number, kind.__name__, side)
        there = [await held(file) for file in files]
        assert there[0] == there[1], (number, kind.__name__, side)
        dice.note(there[0][0])
    assert dice.revision > STEPS // 20
