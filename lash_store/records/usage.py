"""Token counts and the state of a turn (specification 3.9)."""

import msgspec

from lash_store.records.record import Record
from lash_store.records.shape import Int, Opaque, Uint


class TokenUsage(Record, frozen=True):
    """Token counts; signed 64-bit. Cached input tokens are a part of the input tokens, not counted again."""

    input_tokens: Int
    output_tokens: Int
    cached_input_tokens: Int
    reasoning_tokens: Int = 0

    @property
    def total(self) -> int:
        """Input, output and reasoning tokens together."""
        return self.input_tokens + self.output_tokens + self.reasoning_tokens


NO_USAGE = TokenUsage(0, 0, 0, 0)


class TokenLedgerEntry(Record, frozen=True):
    """What one `source` (`turn`, `subagent`, `compaction`, ...) used of one model."""

    source: str
    model: str
    usage: TokenUsage


class PromptUsage(Record, frozen=True):
    """How full the last prompt was, in tokens."""

    prompt_context_tokens: Uint
    input_tokens: Uint
    cached_input_tokens: Uint
    context_budget_tokens: Uint = 0


class ProtocolTurnOptions(Record, frozen=True):
    """Options of the turn protocol; the payload is opaque, for example `{"temperature": 0.2}`."""

    payload: Opaque = msgspec.field(default_factory=dict)


class PersistedTurnState(Record, frozen=True, kw_only=True):
    """The part of a checkpoint that is not in blobs of its own."""

    turn_index: Uint
    token_usage: TokenUsage = NO_USAGE
    last_prompt_usage: PromptUsage | None = None
    protocol_turn_options: ProtocolTurnOptions = msgspec.field(default_factory=ProtocolTurnOptions)


def first_turn_state() -> PersistedTurnState:
    """The state before the first turn: index 0, nothing used, no options."""
    return PersistedTurnState(turn_index=0)
