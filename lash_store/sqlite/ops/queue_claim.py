"""Claiming queued work, and what is done with a claim besides completing it (specification 4.10 to 4.13).

Which batches a claim takes is decided by SQL, inside the lock, in two steps: the first takes the head of the queue,
the second walks on from there and takes what may be joined. Both find the next ready row by an index, so that the cost
depends on neither the length of the queue nor on how many rows are claimed, wait for their time, or belong to others.
"""

import secrets
from collections.abc import Sequence
from typing import Final

import msgspec

from lash_store.errors import GuardFailed, InvalidRecord, QueuedWorkClaimExpired
from lash_store.records.queue import QueuedWorkBatch, QueuedWorkClaim, QueuedWorkClaimBoundary
from lash_store.sqlite.ops.arguments import records_of
from lash_store.sqlite.ops.integers import column_integer
from lash_store.sqlite.ops.queue_rows import BATCH_COLUMNS, ITEM_COLUMNS, read_batches
from lash_store.sqlite.ops.texts import column_text, column_texts
from lash_store.sqlite.plan import Expect, Otherwise, Plan, PlanResult, Step

# Since when a row is ready, to be looked up in lash_queued_work_due. None: since it was enqueued, as most rows are, and
# these lie in queue order. Otherwise the time at which the row becomes available, or its claim expires.
DUE: Final = """
CASE WHEN claim_token IS NOT NULL THEN max(available_at_ms, claim_expires_at_ms)
    WHEN available_at_ms > enqueued_at_ms THEN available_at_ms END"""

# The first ready row of session ?1 behind {after}: the first of those that were ready from the start, or of those that
# have become so. The latter are in no useful order, but they are few. Where they are many (the claims of a whole fleet
# have expired) the rows are walked in queue order, because then a ready one is near; only many such rows behind
# a long stretch of others cost more.
_NEXT: Final = """
SELECT CASE WHEN count(*) < 512
    THEN min(
        coalesce(min(seq) FILTER (WHERE seq > {after}), 9223372036854775807),
        coalesce((
            SELECT enqueue_seq FROM queued_work_batches INDEXED BY lash_queued_work_due
            WHERE session_id = ?1 AND {due} IS NULL AND enqueue_seq > {after} AND available_at_ms <= {now}
            ORDER BY enqueue_seq LIMIT 1
        ), 9223372036854775807))
    ELSE (
        SELECT enqueue_seq FROM queued_work_batches NOT INDEXED
        WHERE session_id = ?1 AND enqueue_seq > {after} AND coalesce({due}, available_at_ms) <= {now}
        ORDER BY enqueue_seq LIMIT 1)
    END
FROM (
    SELECT enqueue_seq AS seq FROM queued_work_batches INDEXED BY lash_queued_work_due
    WHERE session_id = ?1 AND {due} <= {now} LIMIT 512)
""".replace("{due}", DUE)

# `now` stands once in the statement, because the clock may go on from one reading to the next.
_LEASE: Final = """
SELECT now, CASE WHEN now > 9223372036854775807 - ?4 THEN 9223372036854775807 ELSE now + ?4 END AS expires
FROM (SELECT lash_now_ms() AS now LIMIT 1)
"""

# The boundary asks the head alone. One whose policy is unknown is taken, and then found to be unreadable.
_CLAIM_HEAD: Final = """
UPDATE queued_work_batches SET
    claim_id = 'qwc:' || enqueue_seq || ':' || (claim_fencing_token + 1),
    claim_owner_id = ?2,
    claim_token = ?3,
    claim_fencing_token = claim_fencing_token + 1,
    (claim_claimed_at_ms, claim_expires_at_ms) = ({lease})
WHERE enqueue_seq = ({next})
    AND NOT (?5 = 'active_turn_checkpoint' AND delivery_policy = 'after_current_turn_commit')
""".replace("{lease}", _LEASE).replace(
    "{next}", _NEXT.replace("{now}", "(SELECT lash_now_ms())").replace("{after}", "0")
)

# From the head, held by token ?2, from one ready row to the next while they may be joined, up to ?3 rows in all. Groups
# are compared by name: other writers may spell the same key in other JSON. Without its plus sign `now` would have a
# column's affinity, and the index on an expression, which has none, could not be searched for it.
_CLAIM_FOLLOWERS: Final = """
UPDATE queued_work_batches SET
    (claim_id, claim_owner_id, claim_token, claim_claimed_at_ms, claim_expires_at_ms) = (
        SELECT claim_id, claim_owner_id, claim_token, claim_claimed_at_ms, claim_expires_at_ms
        FROM queued_work_batches INDEXED BY lash_queued_work_token WHERE claim_token = ?2),
    claim_fencing_token = claim_fencing_token + 1
WHERE enqueue_seq IN (
    WITH RECURSIVE taken (seq, size, now, policy, merge_key) AS (
        SELECT enqueue_seq, 1, claim_claimed_at_ms, delivery_policy, merge_key_json
        FROM queued_work_batches INDEXED BY lash_queued_work_token
        WHERE claim_token = ?2 AND slot_policy = 'join'
        UNION ALL
        SELECT enqueue_seq, size + 1, now, policy, merge_key
        FROM taken CROSS JOIN queued_work_batches
        WHERE size < ?3 AND enqueue_seq = ({next})
            AND slot_policy = 'join' AND delivery_policy = policy
            AND CASE WHEN merge_key_json = merge_key THEN 1
                WHEN json_valid(merge_key_json) AND json_valid(merge_key)
                THEN merge_key_json ->> '$.group' = merge_key ->> '$.group' END
    )
    SELECT seq FROM taken WHERE size > 1)
""".replace("{next}", _NEXT.replace("{now}", "+taken.now").replace("{after}", "taken.seq"))

# No more rows than were listed are ever taken; so if as many of them are listed, they are the same.
_OTHER_THAN_LISTED: Final = """
SELECT count(*) FROM queued_work_batches INDEXED BY lash_queued_work_token WHERE claim_token = ?1
HAVING total(batch_id IN (SELECT value FROM json_each(?3))) <> ?2
"""
_CLAIMED_BATCHES: Final = """
SELECT {columns}, claim_id, claim_owner_id, claim_token, claim_fencing_token, claim_claimed_at_ms, claim_expires_at_ms
FROM queued_work_batches INDEXED BY lash_queued_work_token WHERE claim_token = ?1 ORDER BY enqueue_seq
""".replace("{columns}", BATCH_COLUMNS)
_CLAIMED_ITEMS: Final = """
SELECT {columns} FROM queued_work_batches AS batch INDEXED BY lash_queued_work_token
CROSS JOIN queued_work_items AS item ON item.batch_id = batch.batch_id
WHERE batch.claim_token = ?1 ORDER BY batch.enqueue_seq, item.item_index
""".replace("{columns}", ITEM_COLUMNS)

_HELD: Final = "session_id = ?1 AND claim_id = ?2 AND claim_token = ?3"
_HELD_TOO_LONG: Final = """
SELECT batch_id FROM queued_work_batches WHERE {held} AND claim_expires_at_ms <= lash_now_ms() LIMIT 1
""".replace("{held}", _HELD)
_RENEW: Final = """
UPDATE queued_work_batches SET claim_expires_at_ms = (SELECT expires FROM ({lease})) WHERE {held}
RETURNING claim_expires_at_ms
""".replace("{held}", _HELD).replace("{lease}", _LEASE)
_ABANDON: Final = """
UPDATE queued_work_batches SET claim_id = NULL, claim_owner_id = NULL, claim_token = NULL,
    claim_claimed_at_ms = 0, claim_expires_at_ms = 0
WHERE {held}
""".replace("{held}", _HELD)
# Nobody has seen this claim, so its fencing token can be given out again. An expired claim that it took over is gone,
# as if the rows had been claimed and given back: what it held is not known any more.
_UNDO: Final = """
UPDATE queued_work_batches SET claim_id = NULL, claim_owner_id = NULL, claim_token = NULL,
    claim_claimed_at_ms = 0, claim_expires_at_ms = 0, claim_fencing_token = claim_fencing_token - 1
WHERE claim_token = ?1
"""

_LISTED: Final = "the claim holds what was listed"
_KIND: Final = "QueuedWorkClaim"


class PreparedClaim(msgspec.Struct, frozen=True):
    """A claim about to be made: the plan, and the token by which its rows are known."""

    lease_token: str
    plan: Plan


def prepare_claim(
    session_id: str, owner_id: str, boundary: QueuedWorkClaimBoundary, lease_ttl_ms: int, max_batches: int
) -> PreparedClaim:
    """The claim of up to `max_batches` (1 or more) ready batches. Raises InvalidRecord."""
    token, head = _head(session_id, owner_id, boundary, lease_ttl_ms)
    return PreparedClaim(token, Plan([head, *_followers(session_id, token, max_batches), *_taken(token)]))


def prepare_exact_claim(
    session_id: str, owner_id: str, boundary: QueuedWorkClaimBoundary, lease_ttl_ms: int, batch_ids: Sequence[str]
) -> PreparedClaim:
    """The claim of these batches (1 or more), or of none: see `not_what_was_listed`. Raises InvalidRecord."""
    if isinstance(batch_ids, str):
        raise InvalidRecord(_KIND, "$.batch_ids", "expected a list, got a str")
    listed = column_texts(_KIND, "batch_ids", batch_ids)
    token, head = _head(session_id, owner_id, boundary, lease_ttl_ms)
    values = (token, len(listed), msgspec.json.encode(listed).decode())
    exact = Step(_OTHER_THAN_LISTED, values, expect=Expect.NO_ROW, name=_LISTED)
    return PreparedClaim(token, Plan([head, *_followers(session_id, token, len(listed)), exact, *_taken(token)]))


def not_what_was_listed(failed: GuardFailed) -> bool:
    """Whether an exact claim was refused because what is ready is something else than what was listed."""
    return failed.name == _LISTED


def claimed(result: PlanResult) -> QueuedWorkClaim | None:
    """The claim that was made; None if nothing was ready. Raises StoreCorrupt: then it has to be undone."""
    if result.stopped is not None:
        return None
    rows, item_rows = result.rows
    claim_id, owner_id, token, fencing_token, claimed_at_ms, expires_at_ms = rows[0][-6:]
    return QueuedWorkClaim(
        session_id=rows[0][1],
        claim_id=claim_id,
        owner_id=owner_id,
        lease_token=token,
        fencing_token=fencing_token,
        claimed_at_epoch_ms=claimed_at_ms,
        expires_at_epoch_ms=expires_at_ms,
        batches=read_batches([row[:-6] for row in rows], item_rows),
    )


def prepare_undo(prepared: PreparedClaim) -> Plan:
    """Makes a claim that could not be read undone: its rows are free again, and their fencing tokens as before."""
    return Plan([Step(_UNDO, (prepared.lease_token,))])


def prepare_renewal(claim: QueuedWorkClaim, lease_ttl_ms: int) -> Plan:
    """Renews a claim that holds all its batches and has not expired; see `renewal_error`.

    Raises InvalidRecord, and QueuedWorkClaimExpired for a claim without batches, which there never was.
    """
    held = _held(claim)
    records_of(QueuedWorkBatch, claim.batches)
    ttl = column_integer(_KIND, "lease_ttl_ms", lease_ttl_ms)
    if not claim.batches:
        raise renewal_error(claim)
    live = Step(_HELD_TOO_LONG, held, expect=Expect.NO_ROW, name="the claim has not expired")
    renew = Step(_RENEW, (*held, ttl), expect=len(claim.batches), rows=True, name="the claim holds its batches")
    return Plan([live, renew])


def renewal_error(claim: QueuedWorkClaim) -> QueuedWorkClaimExpired:
    """What the caller is told if a guard of `prepare_renewal` failed."""
    return QueuedWorkClaimExpired(claim.session_id, claim.claim_id)


def renewed(claim: QueuedWorkClaim, result: PlanResult) -> QueuedWorkClaim:
    """The claim with its new expiry."""
    return msgspec.structs.replace(claim, expires_at_epoch_ms=result.rows[0][0][0])


def prepare_abandonment(claim: QueuedWorkClaim) -> Plan:
    """Gives a claim back; its fencing tokens stay. Raises InvalidRecord."""
    return Plan([Step(_ABANDON, _held(claim))])


def _head(session_id: str, owner_id: str, boundary: QueuedWorkClaimBoundary, lease_ttl_ms: int) -> tuple[str, Step]:
    if not isinstance(boundary, QueuedWorkClaimBoundary):
        raise InvalidRecord(_KIND, "$.boundary", f"expected a QueuedWorkClaimBoundary, got {boundary!r}")
    session = column_text(_KIND, "session_id", session_id)
    owner = column_text(_KIND, "owner_id", owner_id)
    ttl = column_integer(_KIND, "lease_ttl_ms", lease_ttl_ms)
    token = secrets.token_hex(32)
    values = (session, owner, token, ttl, boundary.value)
    return token, Step(_CLAIM_HEAD, values, expect=1, otherwise=Otherwise.STOP, name="a batch is ready")


def _followers(session_id: str, token: str, max_batches: int) -> list[Step]:
    return [] if max_batches == 1 else [Step(_CLAIM_FOLLOWERS, (session_id, token, max_batches))]


def _taken(token: str) -> list[Step]:
    return [Step(_CLAIMED_BATCHES, (token,), rows=True), Step(_CLAIMED_ITEMS, (token,), rows=True)]


def _held(claim: QueuedWorkClaim) -> tuple[str, str, str]:
    if not isinstance(claim, QueuedWorkClaim):
        raise InvalidRecord(_KIND, "$", f"expected a QueuedWorkClaim, got a {type(claim).__name__}")
    return (
        column_text(_KIND, "session_id", claim.session_id),
        column_text(_KIND, "claim_id", claim.claim_id),
        column_text(_KIND, "lease_token", claim.lease_token),
    )
