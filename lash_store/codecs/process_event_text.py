"""The stored text of a process event, made before its sequence and time are known (process specification 2.6).

Both are given under the write lock, and everything that takes time lies before it. So a text is made as parts with
gaps, which the inserting statement fills: sequence, sequence, perhaps the sequence again, seconds, nanoseconds.
"""

from typing import NamedTuple

from lash_store.records import json_text
from lash_store.records.layout import text_form
from lash_store.records.process_event import ProcessEventSemantics

NO_SEMANTICS = ProcessEventSemantics()

_IN_QUOTES = 3
"""Characters behind the dedupe key in the text of semantics that end with it: the quote and two braces."""


class EventText(NamedTuple):
    """The parts of a text. The sequence stands before `type_and_payload`, `rest` and, if there is one, `behind_key`."""

    process: str
    type_and_payload: str
    rest: str
    behind_key: str | None

    @property
    def all(self) -> str:
        """The parts without what stands between them: as deep as the text, and as valid."""
        return f"{self.process}{self.type_and_payload}{self.rest}{self.behind_key or ''}"


class EventFrame:
    """What all events of a process have in common."""

    __slots__ = ("_cause", "_process", "_scope")

    def __init__(self, process_id: str, owner_session_id: str) -> None:
        """Raises Unfit if one of them has no stored form."""
        process, session = text_of(process_id), text_of(owner_session_id)
        subject = f'{{"type":"process_event","process_id":{process},"sequence":'
        self._process = f'{{"process_id":{process},"sequence":'
        self._scope = f',"invocation":{{"scope":{{"session_id":{session}}},"subject":{subject}'
        self._cause = f'}},"caused_by":{{"type":"process","process_id":{process}}}'

    def event(
        self,
        event_type: str,
        payload: str,
        replay_key: str | None,
        semantics: ProcessEventSemantics,
        *,
        ends_with_sequence: bool,
    ) -> EventText:
        """The parts of one event; `event_type` and `payload` are JSON texts already.

        `ends_with_sequence`: the dedupe key of the semantics' wake is to be followed by the event's sequence. Raises
        Unfit if the key has no stored form.
        """
        replay = "" if replay_key is None else f',"replay":{{"key":{text_of(replay_key)}}}'
        before = f',"event_type":{event_type}{self._cause}{replay}}},"semantics":'
        behind = ',"occurred_at":{"secs_since_epoch":'
        type_and_payload = f',"event_type":{event_type},"payload":{payload}{self._scope}'
        if semantics is NO_SEMANTICS:
            return EventText(self._process, type_and_payload, f"{before}{{}}{behind}", None)
        meant = json_text.compact(semantics.write_plain(hashed=False)).decode()
        if not ends_with_sequence:
            return EventText(self._process, type_and_payload, f"{before}{meant}{behind}", None)
        opened, closing = meant[:-_IN_QUOTES], meant[-_IN_QUOTES:]
        return EventText(self._process, type_and_payload, f"{before}{opened}", f"{closing}{behind}")


def text_of(text: str) -> str:
    """A string as JSON. Raises Unfit if it holds lone surrogates."""
    return json_text.compact(text_form(text)).decode()
