"""Values that may break something, and the oracle: what is refused leaves the database as it was."""

import json
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import apsw
import msgspec
import pytest

from lash_store import (
    DeliveryPolicy,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkPayloadTurnInput,
    RuntimeCommit,
    RuntimeSessionState,
    SlotPolicy,
    Store,
    StoreError,
    TokenLedgerEntry,
    TokenUsage,
)
from tests.sqlite.session_store.samples import appending, commit, message_node, used

UINT_MAX: Final = 2**64 - 1
INT_MAX: Final = 2**63 - 1
INT_MIN: Final = -(2**63)

TEXTS: Final = {
    "empty": "",
    "NUL": "a\0b",
    "only NUL": "\0",
    "separators": "a/b:c|d;e,f\n\t\\\"'%_*?",
    "JSON": '{"a":[1]}',
    "SQL": "'); DROP TABLE graph_nodes; --",
    "long": "x" * 10_000,
    "astral": "\U0001f600é日本\u2028",
    "white space": " \x85\x1c ",
    "control": "".join(map(chr, range(1, 32))),
}
SURROGATES: Final = ["\ud800", "a\udfffb"]


Operation: TypeAlias = Callable[[Store, Any], Awaitable[object]]
"""Something that is done to a store with one value."""


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def in_itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


STORED: Final[dict[str, Any]] = {
    "null": None,
    "true": True,
    "one": 1,
    "one as a double": 1.0,
    "largest integer": UINT_MAX,
    "smallest integer": INT_MIN,
    "minus zero": -0.0,
    "smallest double": 5e-324,
    "largest double": 1.7976931348623157e308,
    "wide double": 1.2345678901234568e17,
    "empty keys": {"": {"": ""}},
    "keys unsorted": {"b": 1, "a": {"d": 1, "c": 2}, "\U0001f600": 1, "\uffff": 2},
    "deep": nested(100),
    **{f"text {name}": text for name, text in TEXTS.items()},
    **{f"key {name}": {text: 1} for name, text in TEXTS.items()},
}
"""Free JSON values that are stored exactly, wherever such a value may stand."""

REFUSED: Final[dict[str, Any]] = {
    "NaN": math.nan,
    "infinity": -math.inf,
    "too large": UINT_MAX + 1,
    "too small": INT_MIN - 1,
    "huge": 10**5000,
    "surrogate": "\ud800",
    "key with surrogate": {"\udfff": 1},
    "key that is no text": {1: 2},
    "bytes": b"x",
    "set": {1},
    "object": object(),
    "too deep": nested(2_000),
    "far too deep": nested(200_000),
    "in itself": in_itself(),
}
"""Values that have no form as JSON: none of them may be stored."""


def same(one: Any, other: Any) -> bool:
    """Whether two free JSON values are equal in every type and digit; the order of keys does not count."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


async def content(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every value of every table with its type, as bytes: what is stored need not be readable. And the schema."""

    def rows(connection: apsw.Connection, table: str) -> list[tuple[Any, ...]]:
        columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
        values = ", ".join(f'typeof("{column}"), CAST("{column}" AS BLOB)' for column in columns)
        return connection.execute(f'SELECT {values} FROM "{table}" ORDER BY 1, 2').fetchall()

    def read(connection: apsw.Connection) -> dict[str, list[tuple[Any, ...]]]:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: rows(connection, name) for name in ["sqlite_schema", *tables]}

    return await store._read(read)


async def refused(store: Store, operation: Callable[[], Awaitable[object]]) -> StoreError:
    """The typed error of an operation, which has left every table as it was."""
    before = await content(store)
    with pytest.raises(StoreError) as caught:
        await operation()
    assert await content(store) == before
    return caught.value


async def fill(store: Store) -> RuntimeSessionState:
    """Put something into the tables of head, graph, usage and blobs; return the state that goes on from there."""
    state = RuntimeSessionState.new()
    state.tool_state = {"generation": 1, "tools": {}}
    state.execution_state = b"\x01\xff"
    await commit(store, state, message_node("first", "text"))
    await store.append_usage_deltas([used(1)])
    return state


def commit_of(**changes: Any) -> RuntimeCommit:
    """A commit of a state that is changed, and appends a node."""
    state = RuntimeSessionState.new()
    for name, value in changes.items():
        setattr(state, name, value)
    return appending(state, [message_node("second", "text", parent="first")])


IDLE = QueuedWorkClaimBoundary.IDLE
TURN_INPUT = QueuedWorkPayloadTurnInput({"items": [], "image_blobs": {}})


def draft(**changes: Any) -> QueuedWorkBatchDraft:
    whole: dict[str, Any] = {
        "session_id": "root",
        "delivery_policy": DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        "slot_policy": SlotPolicy.JOIN,
        "payloads": [TURN_INPUT],
    }
    return QueuedWorkBatchDraft(**{**whole, **changes})


def changed(**changes: Any) -> RuntimeCommit:
    return msgspec.structs.replace(commit_of(), **changes)


def usage_of(tokens: Any) -> TokenLedgerEntry:
    return TokenLedgerEntry("turn", "m", TokenUsage(1, 2, 3, tokens))


def claim_of(**changes: Any) -> QueuedWorkClaim:
    whole: dict[str, Any] = {
        "session_id": "root",
        "claim_id": "qwc:1:1",
        "owner_id": "o",
        "lease_token": "t",
        "fencing_token": 1,
        "claimed_at_epoch_ms": 1,
        "expires_at_epoch_ms": 2,
        "batches": [],
    }
    return QueuedWorkClaim(**{**whole, **changes})
