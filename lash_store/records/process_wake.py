"""What a wake is to the session that it wakes (process specification 4.12)."""

from lash_store.records.conversation import MessageOrigin
from lash_store.records.record import Record


class TurnCause(Record, frozen=True):
    """Why a turn begins: what happened, where it comes from, and the text for the model."""

    id: str
    event_type: str
    origin: MessageOrigin
    text: str
