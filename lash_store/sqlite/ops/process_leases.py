"""Leases on processes (process specification 1.2, 4.10): every claim has a fencing token that none had before.

The row stays for ever, and its fencing token only grows, whatever the clock does. Expiries of alpha.40 may lie beyond
2^63, which a column shows as a negative number: those are far off.
"""

import secrets
from collections.abc import Mapping
from typing import Final

from lash_store.errors import (
    GuardFailed,
    InvalidRecord,
    ProcessLeaseConflict,
    ProcessLeaseLost,
    StoreCorrupt,
    StoreError,
)
from lash_store.records.process_lease import ProcessLease, ProcessLeaseCompletion
from lash_store.sqlite.ops import processes
from lash_store.sqlite.ops.arguments import record_of
from lash_store.sqlite.ops.integers import COLUMN_MAX, column_integer
from lash_store.sqlite.ops.texts import column_text
from lash_store.sqlite.plan import Expect, Plan, PlanResult, Step

TABLES: Final[Mapping[str, str]] = {
    "process_leases": """
CREATE TABLE IF NOT EXISTS process_leases (
    process_id TEXT PRIMARY KEY,
    lease_owner_id TEXT,
    lease_token TEXT,
    lease_fencing_token INTEGER NOT NULL DEFAULT 0,
    lease_claimed_at_ms INTEGER NOT NULL DEFAULT 0,
    lease_expires_at_ms INTEGER NOT NULL DEFAULT 0,
    FOREIGN KEY (process_id) REFERENCES processes (process_id) ON DELETE CASCADE
)
""",
}

_HELD_BY_OTHER: Final = """
SELECT lease_owner_id, lease_expires_at_ms FROM process_leases
WHERE process_id = ?1 AND lease_owner_id <> ?2 AND lease_token IS NOT NULL
    AND (lease_expires_at_ms < 0 OR lease_expires_at_ms > lash_now_ms())
"""
# There is no token larger than 2^64 - 1, which the column shows as -1; no number of claims leads there, nor to a text.
_CLAIM: Final = """
WITH now (ms) AS MATERIALIZED (SELECT lash_now_ms())
INSERT INTO process_leases (
    process_id, lease_owner_id, lease_token, lease_fencing_token, lease_claimed_at_ms, lease_expires_at_ms
)
SELECT ?1, ?2, ?3, 1, now.ms, min(now.ms, 9223372036854775807 - ?4) + ?4 FROM now WHERE true
ON CONFLICT (process_id) DO UPDATE
SET lease_owner_id = excluded.lease_owner_id,
    lease_token = excluded.lease_token,
    lease_fencing_token = CASE lease_fencing_token
        WHEN 9223372036854775807 THEN -9223372036854775807 - 1 ELSE lease_fencing_token + 1
    END,
    lease_claimed_at_ms = excluded.lease_claimed_at_ms,
    lease_expires_at_ms = excluded.lease_expires_at_ms
WHERE typeof(lease_fencing_token) = 'integer' AND lease_fencing_token <> -1
RETURNING lease_fencing_token, lease_claimed_at_ms, lease_expires_at_ms
"""
_RENEW: Final = """
UPDATE process_leases SET lease_expires_at_ms = min(lash_now_ms(), 9223372036854775807 - ?5) + ?5
WHERE process_id = ?1 AND lease_token = ?2 AND lease_owner_id = ?3 AND lease_fencing_token = ?4
    AND (lease_expires_at_ms < 0 OR lease_expires_at_ms > lash_now_ms())
RETURNING lease_expires_at_ms
"""
_STILL_HELD: Final = """
SELECT 1 FROM process_leases
WHERE process_id = ?1 AND lease_token = ?2 AND lease_owner_id = ?3 AND lease_fencing_token = ?4
    AND (lease_expires_at_ms < 0 OR lease_expires_at_ms > lash_now_ms())
"""
_COMPLETE: Final = """
UPDATE process_leases
SET lease_owner_id = NULL, lease_token = NULL, lease_claimed_at_ms = 0, lease_expires_at_ms = 0
WHERE process_id = ?1 AND lease_token = ?2
"""

_KIND: Final = ProcessLease.__name__
_LEASE: Final = "process lease"
_FREE: Final = "free process"
_COUNTED: Final = "fencing token"
_UNSIGNED: Final = 2**64


def new_token() -> str:
    """A lease token. It cannot be guessed, unlike upstream's."""
    return secrets.token_hex(32)


def prepare_claim(process_id: str, owner_id: str, token: str, ttl_ms: int) -> Plan:
    """The plan that claims a process. Raises InvalidRecord for an owner, or time to live in ms, that no lease has."""
    column_integer(_KIND, "lease_ttl_ms", ttl_ms)
    column_text(_KIND, "owner_id", owner_id)
    return Plan(
        [
            processes.exists_step(process_id),
            Step(_HELD_BY_OTHER, (process_id, owner_id), expect=Expect.NO_ROW, name=_FREE),
            Step(_CLAIM, (process_id, owner_id, token, ttl_ms), expect=1, rows=True, name=_COUNTED),
        ]
    )


def claimed(process_id: str, owner_id: str, token: str, result: PlanResult) -> ProcessLease:
    """The lease that a plan of `prepare_claim` made."""
    ((fencing_token, claimed_at_ms, expires_at_ms),) = result.rows[-1]
    return ProcessLease(
        process_id=process_id,
        owner_id=owner_id,
        lease_token=token,
        fencing_token=_unsigned(fencing_token),
        claimed_at_epoch_ms=claimed_at_ms,
        expires_at_epoch_ms=expires_at_ms,
    )


def prepare_renewal(lease: ProcessLease, ttl_ms: int) -> Plan:
    """The plan that renews a lease. Raises InvalidRecord for what no lease holds."""
    column_integer(_KIND, "lease_ttl_ms", ttl_ms)
    process_id = record_of(ProcessLease, lease).process_id
    return Plan([Step(_RENEW, (*_held(process_id, lease), ttl_ms), expect=1, rows=True, name=_LEASE)])


def renewed_until(result: PlanResult) -> int:
    """The new expiry in epoch ms."""
    ((expires_at_ms,),) = result.rows[-1]
    return int(expires_at_ms)


def held_step(process_id: str, lease: ProcessLease) -> Step:
    """The guard that `lease` is the live lease on the process; see `refusal`."""
    return Step(_STILL_HELD, _held(process_id, lease), expect=Expect.ROW, name=_LEASE)


def prepare_completion(completion: ProcessLeaseCompletion) -> Plan:
    """The plan that releases a lease, if it is still that one. Raises InvalidRecord for what no lease holds."""
    process_id = processes.process_key(record_of(ProcessLeaseCompletion, completion).process_id)
    return Plan([Step(_COMPLETE, (process_id, column_text(_KIND, "lease_token", completion.lease_token)))])


def refusal(process_id: str, failed: GuardFailed) -> StoreError | None:
    """What a failed guard of this module means; None if it is not one of them."""
    if failed.name == _LEASE:
        return ProcessLeaseLost(process_id)
    if failed.name == _FREE and failed.row is not None:
        owner_id, expires_at_ms = failed.row
        if type(owner_id) is not str or type(expires_at_ms) is not int:
            return StoreCorrupt(_LEASE, process_id)
        return ProcessLeaseConflict(process_id, owner_id, _unsigned(expires_at_ms))
    if failed.name == _COUNTED:
        return StoreCorrupt(_LEASE, process_id)
    return None


def _held(process_id: str, lease: ProcessLease) -> tuple[str, str, str, int]:
    """The values of `_HELD`. Raises InvalidRecord for what no lease holds."""
    fencing_token = record_of(ProcessLease, lease).fencing_token
    if type(fencing_token) is not int or not 0 <= fencing_token < _UNSIGNED:
        raise InvalidRecord(_KIND, "$.fencing_token", f"expected an integer 0 ... 2^64-1, got {fencing_token!r}")
    token, owner = column_text(_KIND, "lease_token", lease.lease_token), column_text(_KIND, "owner_id", lease.owner_id)
    signed = fencing_token if fencing_token <= COLUMN_MAX else fencing_token - _UNSIGNED
    return processes.process_key(process_id), token, owner, signed


def _unsigned(value: int) -> int:
    """A column's value as the unsigned number that it stands for."""
    return value if value >= 0 else value + _UNSIGNED
