"""Host-event records as their rows hold them; made before number and time are known, which the statement fills in."""

from typing import NamedTuple

from lash_store.errors import InvalidRecord, StoreCorrupt
from lash_store.records import json_text
from lash_store.records.host_event import HostEventOccurrenceRecord, HostEventOccurrenceRequest
from lash_store.records.host_event_trigger import TriggerSubscriptionDraft, TriggerSubscriptionRecord
from lash_store.records.layout import Unfit
from lash_store.records.record import Record, raise_public


class SubscriptionText(NamedTuple):
    """A subscription's text but for its number n, which stands before `owner` and before `rest`, and its times."""

    owner: str
    rest: str


def subscription_text(draft: TriggerSubscriptionDraft) -> SubscriptionText:
    """The parts of a subscription's text. Raises InvalidRecord, InvalidJsonValue."""
    text = _text_of(draft)
    session = '{"session_id":' + json_text.compact(draft.session_id).decode()
    return SubscriptionText(f'","{session[2:]},"handle":"trigger:', f'"{text[len(session) : -1]}')


def occurrence_text(occurrence_id: str, request: HostEventOccurrenceRequest) -> str:
    """An occurrence's text up to its time. Raises InvalidRecord, InvalidJsonValue."""
    return f'{{"occurrence_id":"{occurrence_id}",{_text_of(request)[1:-1]},"occurred_at_ms":'


def stored_subscription(subscription_id: str, text: str) -> TriggerSubscriptionRecord:
    """The subscription of a row. Raises StoreCorrupt."""
    try:
        return TriggerSubscriptionRecord.from_json(text)
    except InvalidRecord as damage:
        raise StoreCorrupt("trigger subscription", subscription_id) from damage


def stored_occurrence(occurrence_id: str, text: str) -> HostEventOccurrenceRecord:
    """The occurrence of a row. Raises StoreCorrupt."""
    try:
        return HostEventOccurrenceRecord.from_json(text)
    except InvalidRecord as damage:
        raise StoreCorrupt("host event occurrence", occurrence_id) from damage


def _text_of(record: Record) -> str:
    try:
        text = json_text.compact(record.write_plain(hashed=True))  # without keys that no reader would know
        json_text.require_depth(text)
    except Unfit as unfit:
        raise_public(type(record).__name__, unfit)
    return text.decode()
