"""How the ledger is merged (session store specification 4.21; weakness 32)."""

import pytest

from lash_store.records.usage import TokenLedgerEntry, TokenUsage
from lash_store.rules.usage import merge


def entry(source: str, *counters: int) -> TokenLedgerEntry:
    return TokenLedgerEntry(source, "m", TokenUsage(*counters))


@pytest.mark.parametrize("counters", [(0, 0, 0, 0), (5, -5, 0, 0), (5, 0, 0, -5), (-2, 5, 0, -3)])
def test_an_entry_whose_total_is_nothing_is_left_out(counters: tuple[int, ...]) -> None:
    assert merge([entry("idle", *counters), entry("turn", 1, 0, 0, 0)]) == [entry("turn", 1, 0, 0, 0)]


def test_an_entry_of_cached_tokens_alone_was_used() -> None:
    assert merge([entry("turn", 5, -5, 3, 0)]) == [entry("turn", 5, -5, 3, 0)]


def test_a_sum_that_comes_to_nothing_stays() -> None:
    both = [entry("b", 1, 0, 0, 0), entry("a", 5, 0, 0, 0), entry("b", -1, 0, 0, 0)]
    assert merge(both) == [entry("b", 0, 0, 0, 0), entry("a", 5, 0, 0, 0)]
