"""Hashes and keys of process events that readers of the file recognise (process specification 3.3, 3.4)."""

import hashlib
from typing import Any

from lash_store.errors import InvalidJsonValue
from lash_store.records import json_text
from lash_store.records.layout import Unfit, stored_form
from lash_store.records.process_event_type import CANCEL_REQUESTED


def process_event_payload_hash(event_type: str, payload: Any) -> str:
    """The hash of an event's type and payload: of a replay key's two events it says whether they are one.

    Raises InvalidJsonValue if the payload has no stored form.
    """
    return hash_of_texts(_text(event_type), _text(payload))


def hash_of_texts(event_type: bytes, payload: bytes) -> str:
    """The same of JSON texts that are there already."""
    return hashlib.sha256(b"[%b,%b]" % (event_type, payload)).hexdigest()


def cancel_replay_key(process_id: str, reason: str | None) -> str:
    """The replay key of a cancel request: one for each reason."""
    digest = process_event_payload_hash(CANCEL_REQUESTED, {"reason": reason})
    return f"process:{process_id}:cancel_requested:{digest}"


def terminal_replay_key(process_id: str, event_type: str) -> str:
    """The replay key of the terminal event that completing a process appends."""
    return f"process:{process_id}:terminal:{event_type}"


def wake_id(target_scope_id: str, dedupe_key: str) -> str:
    """By which the target knows a wake again."""
    return f"wake:{_hash([target_scope_id, dedupe_key])}"


def event_identity(process_id: str, sequence: int) -> str:
    """The dedupe key of a wake that stands for its event alone."""
    return f"{process_id}:{sequence}"


def scope_id(session_id: str, agent_frame_id: str | None) -> str:
    """The text of a scope. An empty frame id is none."""
    return f"session:{session_id}/frame:{agent_frame_id}" if agent_frame_id else f"session:{session_id}"


def _hash(value: Any) -> str:
    return hashlib.sha256(_text(value)).hexdigest()


def _text(value: Any) -> bytes:
    try:
        return json_text.compact(stored_form(value))
    except Unfit as unfit:
        raise InvalidJsonValue(unfit.path, unfit.reason) from None
