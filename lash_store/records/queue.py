"""Queued work: what is stored, and what is exchanged with callers (specification 3.16).

What lies inside a payload is the business of its owner. The store knows only its kind, and the declared order of its
keys, so that equal payloads are equal bytes.
"""

import enum
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias

import msgspec

from lash_store.records.layout import Fields, Key, MapOf, Plain, Unfit
from lash_store.records.record import Record
from lash_store.records.shape import EpochMs, Uint


class DeliveryPolicy(str, enum.Enum):
    """When a batch may be delivered."""

    EARLIEST_SAFE_BOUNDARY = "earliest_safe_boundary"
    AFTER_CURRENT_TURN_COMMIT = "after_current_turn_commit"


class SlotPolicy(str, enum.Enum):
    """Whether a batch may be delivered together with others, in one claim.

    Neither keeps the session for one owner: while one holds an exclusive batch, another may claim the next.
    """

    JOIN = "join"
    EXCLUSIVE = "exclusive"


class QueuedWorkClaimBoundary(str, enum.Enum):
    """Where the caller of a claim stands."""

    ACTIVE_TURN_CHECKPOINT = "active_turn_checkpoint"
    IDLE = "idle"


class MergeKeyNever(Record, frozen=True):
    """No grouping of its own. Two of these are equal."""

    VARIANT: ClassVar[str] = "never"


class MergeKeyPayloadDefault(Record, frozen=True):
    """The grouping of the payload's kind."""

    VARIANT: ClassVar[str] = "payload_default"


class MergeKeyGroup(Record, frozen=True):
    """A named group."""

    VARIANT: ClassVar[str] = "group"

    name: str

    @classmethod
    def read_plain(cls, value: Any) -> Self:
        """As `Record.read_plain`; the name is the value of the one key. Raises Unfit."""
        if not isinstance(value, Mapping) or len(value) != 1 or not isinstance(value.get(cls.VARIANT), str):
            raise Unfit("expected an object with the name of a group").at(cls.VARIANT)
        return cls(value[cls.VARIANT])

    def write_plain(self, hashed: bool) -> Any:
        """As `Record.write_plain`."""
        return {self.VARIANT: super().write_plain(hashed)[self.VARIANT]["name"]}


MergeKey: TypeAlias = MergeKeyNever | MergeKeyPayloadDefault | MergeKeyGroup
"""Which batches may be joined: equal keys may."""

_OPTIONS: Final = Fields(payload=Key())
_CAUSE: Final = Fields(
    type=Key(),
    session_id=Key(),
    turn_id=Key(),
    effect_id=Key(),
    call_id=Key(),
    process_id=Key(),
    sequence=Key(),
    occurrence_id=Key(),
    node_id=Key(),
)
_SCOPE: Final = Fields(session_id=Key(), turn_id=Key(), turn_index=Key(), protocol_iteration=Key())
_SUBJECT: Final = Fields(
    type=Key(),
    effect_id=Key(),
    kind=Key(),
    process_id=Key(),
    sequence=Key(),
    event_type=Key(),
    occurrence_id=Key(),
    node_id=Key(),
)
_INVOCATION: Final = Fields(
    scope=Key(_SCOPE), subject=Key(_SUBJECT), caused_by=Key(_CAUSE), replay=Key(Fields(key=Key()))
)
_WAKE: Final = Fields(
    wake_id=Key(),
    target_session_id=Key(),
    target_scope_id=Key(),
    process_id=Key(),
    sequence=Key(),
    event_type=Key(),
    event_invocation=Key(_INVOCATION),
    process_caused_by=Key(_CAUSE),
    dedupe_key=Key(),
    input=Key(),
    created_at_ms=Key(),
)
_TURN_INPUT: Final = Fields(
    items=Key(Fields(type=Key(), text=Key(), id=Key())),
    image_blobs=Key(MapOf(Plain.BYTES)),
    protocol_turn_options=Key(_OPTIONS),
    trace_turn_id=Key(),
)
_COMMAND: Final = Fields(kind=Key(), reason=Key(), expected_generation=Key())


class QueuedWorkPayloadTurnInput(Record, frozen=True, tag_field="type", tag="turn_input"):
    """Input of a turn, as a mapping: `{"items": [{"type": "text", "text": "hello"}]}` is the least (docs/shapes.md)."""

    input: Annotated[Any, _TURN_INPUT]


class QueuedWorkPayloadProcessWake(Record, frozen=True, tag_field="type", tag="process_wake"):
    """The wake of a process, a delivery as a mapping; `process_wake_batch_draft` makes the draft that holds it."""

    wake: Annotated[Any, _WAKE]


class QueuedWorkPayloadSessionCommand(Record, frozen=True, tag_field="type", tag="session_command"):
    """A command, as a mapping: `{"kind": "reset_session", "reason": "asked for"}` (docs/shapes.md)."""

    command: Annotated[Any, _COMMAND]


QueuedWorkPayload: TypeAlias = (
    QueuedWorkPayloadTurnInput | QueuedWorkPayloadProcessWake | QueuedWorkPayloadSessionCommand
)
"""What is queued, tagged by `type`."""


class QueuedWorkBatchDraft(Record, frozen=True, kw_only=True):
    """A batch to be enqueued; of two drafts with one source key the first stands. Not claimable before its time."""

    session_id: str
    source_key: str | None = None
    delivery_policy: DeliveryPolicy
    slot_policy: SlotPolicy
    merge_key: MergeKey = msgspec.field(default_factory=MergeKeyNever)
    available_at_ms: EpochMs = 0
    payloads: list[QueuedWorkPayload] = msgspec.field(default_factory=list)


class QueuedWorkItem(Record, frozen=True):
    """One payload of a batch."""

    item_id: str
    payload: QueuedWorkPayload


class QueuedWorkBatch(Record, frozen=True, kw_only=True):
    """A stored batch; times in epoch milliseconds."""

    batch_id: str
    session_id: str
    enqueue_seq: Uint
    source_key: str | None = None
    delivery_policy: DeliveryPolicy
    slot_policy: SlotPolicy
    merge_key: MergeKey
    available_at_ms: EpochMs
    enqueued_at_ms: EpochMs
    items: list[QueuedWorkItem]


class QueuedWorkCompletion(Record, frozen=True):
    """Says in a commit that the batches of a claim are done."""

    session_id: str
    claim_id: str
    lease_token: str
    batch_ids: list[str]


class QueuedWorkClaim(Record, frozen=True, kw_only=True):
    """Batches held by an owner until the claim expires; times in epoch milliseconds."""

    session_id: str
    claim_id: str
    owner_id: str
    lease_token: str
    fencing_token: Uint
    claimed_at_epoch_ms: EpochMs
    expires_at_epoch_ms: EpochMs
    batches: list[QueuedWorkBatch]

    def completion(self) -> QueuedWorkCompletion:
        """What a commit needs to complete this claim."""
        return QueuedWorkCompletion(
            self.session_id, self.claim_id, self.lease_token, [batch.batch_id for batch in self.batches]
        )
