"""What can be told of an effect without its outcome."""

from lash_store.records.record import Record
from lash_store.records.shape import EpochMs, Uint


class EffectHistoryEntry(Record, frozen=True, kw_only=True):
    """A stored effect; times in epoch milliseconds.

    `status` is `in_progress`, `completed` or `failed`. `attempts` counts the claims by this package, None if there was
    none. `lease_owner_id` holds it until `lease_expires_at_ms`, longer if the lease is renewed. `due_at_ms` is when a
    sleep ends; it is recorded as completed from its beginning.
    """

    scope_id: str
    replay_key: str
    envelope_hash: str
    status: str
    attempts: Uint | None = None
    lease_owner_id: str | None = None
    lease_expires_at_ms: EpochMs
    due_at_ms: EpochMs | None = None
    created_at_ms: EpochMs
    updated_at_ms: EpochMs
