"""How the usage ledger is merged (session store specification 4.21)."""

from collections.abc import Iterable

from lash_store.records.usage import TokenLedgerEntry, TokenUsage


def merge(entries: Iterable[TokenLedgerEntry], merged: Iterable[TokenLedgerEntry] = ()) -> list[TokenLedgerEntry]:
    """One entry for each source and model, in order of first appearance, the four counters added up.

    `merged` is the merge of what came before `entries`. Entries whose total is 0 are left out, but not sums that come
    to nothing, nor an entry that has only cached tokens: it was used.
    """
    sums = {(entry.source, entry.model): entry.usage for entry in merged}
    for entry in entries:
        if entry.usage.total or entry.usage.cached_input_tokens:
            key = (entry.source, entry.model)
            sums[key] = _sum(sums[key], entry.usage) if key in sums else entry.usage
    return [TokenLedgerEntry(source, model, usage) for (source, model), usage in sums.items()]


def _sum(one: TokenUsage, two: TokenUsage) -> TokenUsage:
    return TokenUsage(
        one.input_tokens + two.input_tokens,
        one.output_tokens + two.output_tokens,
        one.cached_input_tokens + two.cached_input_tokens,
        one.reasoning_tokens + two.reasoning_tokens,
    )
