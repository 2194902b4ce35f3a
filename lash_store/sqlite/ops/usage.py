"""The usage ledger: rows in order of arrival, merged when they are read (specification 2.4, 4.21).

`lash_usage_totals` is an addition of this package: the merge of all rows up to one `seq`, so that a load reads only
what came after it. Rows of the ledger are never changed or removed, by lash neither: what was merged once stays true.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from lash_store.errors import StoreCorrupt
from lash_store.records.usage import TokenLedgerEntry, TokenUsage
from lash_store.rules.usage import merge
from lash_store.sqlite.ops.arguments import records_of
from lash_store.sqlite.plan import Expect, Otherwise, Step

if TYPE_CHECKING:
    import apsw

TABLES: Final = {
    "usage_deltas": """
CREATE TABLE IF NOT EXISTS usage_deltas (
    seq INTEGER PRIMARY KEY,
    source TEXT NOT NULL,
    model TEXT NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL
)""",
    "lash_usage_totals": """
CREATE TABLE IF NOT EXISTS lash_usage_totals (
    source TEXT NOT NULL,
    model TEXT NOT NULL,
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cached_input_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    PRIMARY KEY (source, model)
) WITHOUT ROWID""",
}

MERGE_EVERY: Final = 256
"""At every so manieth head revision the rows that came since are merged into the totals."""

_INSERT: Final = """
INSERT INTO usage_deltas (source, model, input_tokens, output_tokens, cached_input_tokens, reasoning_tokens)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
"""
_COUNTERS: Final = "input_tokens, output_tokens, cached_input_tokens, reasoning_tokens"
_READ_ALL: Final = f"SELECT source, model, {_COUNTERS} FROM usage_deltas ORDER BY seq"
_READ_TOTALS: Final = f"SELECT source, model, {_COUNTERS} FROM lash_usage_totals ORDER BY first_seq"
_READ_SINCE: Final = f"""
SELECT source, model, {_COUNTERS} FROM usage_deltas
WHERE seq > coalesce((SELECT max(last_seq) FROM lash_usage_totals), 0) ORDER BY seq
"""
_HAS_TOTALS: Final = "SELECT 1 FROM sqlite_schema WHERE name = 'lash_usage_totals'"
_ANY: Final = "SELECT 1 FROM usage_deltas LIMIT 1"
_IS_DUE: Final = f"SELECT 1 FROM session_head WHERE head_revision % {MERGE_EVERY} = 0"
# Sums beyond 64 bits cannot be merged: SQLite would fail the commit for it. (abs() of the lowest integer fails, too.)
# Nor may a damaged row be: nobody would meet it any more. Both are left to the reader.
_LOWEST: Final = "-9223372036854775807"
_IS_TOO_MUCH: Final = f"""
SELECT 1 FROM (
    SELECT total(abs(max(input_tokens, {_LOWEST}))) AS input, total(abs(max(output_tokens, {_LOWEST}))) AS output,
        total(abs(max(cached_input_tokens, {_LOWEST}))) AS cached,
        total(abs(max(reasoning_tokens, {_LOWEST}))) AS reasoning
    FROM (
        SELECT {_COUNTERS} FROM lash_usage_totals
        UNION ALL
        SELECT {_COUNTERS} FROM usage_deltas
        WHERE seq > coalesce((SELECT max(last_seq) FROM lash_usage_totals), 0)
    )
) WHERE max(input, output, cached, reasoning) > 4e18
UNION ALL
SELECT 1 FROM usage_deltas
WHERE seq > coalesce((SELECT max(last_seq) FROM lash_usage_totals), 0) AND NOT (
    typeof(source) = 'text' AND typeof(model) = 'text'
    AND typeof(input_tokens) = 'integer' AND typeof(output_tokens) = 'integer'
    AND typeof(cached_input_tokens) = 'integer' AND typeof(reasoning_tokens) = 'integer')
"""
# As `lash_store.rules.usage` merges. (No sum of two counters overflows: see _IS_TOO_MUCH.)
_MERGE: Final = f"""
INSERT INTO lash_usage_totals (source, model, first_seq, last_seq, {_COUNTERS})
SELECT source, model, min(seq), (SELECT max(seq) FROM usage_deltas),
    sum(input_tokens), sum(output_tokens), sum(cached_input_tokens), sum(reasoning_tokens)
FROM usage_deltas
WHERE seq > coalesce((SELECT max(last_seq) FROM lash_usage_totals), 0)
    AND (input_tokens + output_tokens <> -reasoning_tokens OR cached_input_tokens <> 0)
GROUP BY source, model
ON CONFLICT (source, model) DO UPDATE SET
    last_seq = excluded.last_seq,
    input_tokens = input_tokens + excluded.input_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    cached_input_tokens = cached_input_tokens + excluded.cached_input_tokens,
    reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens
"""
_MERGE_STEPS: Final = (
    Step(_IS_DUE, expect=Expect.ROW, otherwise=Otherwise.STOP),
    Step(_IS_TOO_MUCH, expect=Expect.NO_ROW, otherwise=Otherwise.STOP),
    Step(_MERGE),
)

EMPTY: Final = "empty ledger"


def empty_step() -> Step:
    """The guard EMPTY: no row was ever appended."""
    return Step(_ANY, expect=Expect.NO_ROW, name=EMPTY)


def insert_steps(entries: Sequence[TokenLedgerEntry]) -> list[Step]:
    """Appends one row for each entry. Raises InvalidRecord for an entry that has no stored form."""
    rows: list[Sequence[Any]] = []
    for entry in records_of(TokenLedgerEntry, entries):
        entry.to_json()  # checks every field
        usage = entry.usage
        counters = (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.reasoning_tokens)
        rows.append((entry.source, entry.model, *counters))
    return [Step(_INSERT, rows, many=True)] if rows else []


def merge_steps() -> list[Step]:
    """For the end of a commit: at every MERGE_EVERYth revision, merge what came since. Ends the plan with success."""
    return [*_MERGE_STEPS]


def read_entries(connection: "apsw.Connection") -> list[TokenLedgerEntry]:
    """Every row in order of arrival, unmerged."""
    return [_entry(row) for row in connection.execute(_READ_ALL)]


def read_ledger(connection: "apsw.Connection") -> list[TokenLedgerEntry]:
    """The merged ledger, one entry for each source and model in order of first appearance."""
    if not connection.execute(_HAS_TOTALS).fetchall():
        return merge(read_entries(connection))  # a read-only handle on a file that only lash has written
    totals = [_entry(row) for row in connection.execute(_READ_TOTALS)]
    return merge((_entry(row) for row in connection.execute(_READ_SINCE)), totals)


def _entry(row: tuple[Any, ...]) -> TokenLedgerEntry:
    source, model, *counters = row
    if not (type(source) is type(model) is str and set(map(type, counters)) == {int}):
        raise StoreCorrupt("usage row", f"{source} {model}")
    return TokenLedgerEntry(source, model, TokenUsage(*counters))
