"""What a registration must be, and by which hash it is known (process specification 3.2, 4.1)."""

import hashlib
from typing import NoReturn

import msgspec

from lash_store.errors import InvalidProcessRegistration
from lash_store.records import json_text
from lash_store.records.layout import Unfit
from lash_store.records.process import ProcessRegistration
from lash_store.records.process_event_type import COMPLETED, ProcessEventType, default_process_event_types
from lash_store.records.record import raise_public
from lash_store.records.text import trimmed


def prepare_process_registration(registration: ProcessRegistration) -> tuple[ProcessRegistration, str]:
    """The registration with the core event types added behind its own, and its hash.

    Raises InvalidProcessRegistration for the first rule it breaks, InvalidRecord or InvalidJsonValue if it has no
    stored form.
    """
    declared = {event_type.name for event_type in registration.event_types}
    core = [event_type for event_type in default_process_event_types() if event_type.name not in declared]
    complete = msgspec.structs.replace(registration, event_types=[*registration.event_types, *core])
    _validate(complete)
    return complete, _hash(complete)


def _validate(registration: ProcessRegistration) -> None:
    def refuse(reason: str) -> NoReturn:
        raise InvalidProcessRegistration(registration.id, reason)

    if not trimmed(registration.id):
        refuse("its id is blank")
    if not registration.provenance.owner_scope.session_id:
        refuse("its owner scope names no session")
    if not trimmed(registration.provenance.host_profile_id):
        refuse("its host profile id is blank")
    seen: set[str] = set()
    for event_type in registration.event_types:
        if not trimmed(event_type.name):
            refuse("the name of an event type is blank")
        if event_type.name in seen:
            refuse(f"the event type {event_type.name!r} is declared twice")
        seen.add(event_type.name)
        if _lacks_output(event_type):
            refuse(f"the event type {event_type.name!r} ends the process and selects no await output")


def _lacks_output(event_type: ProcessEventType) -> bool:
    """Only a completion can do without: its whole payload is the result then."""
    terminal = event_type.semantics.terminal
    return terminal is not None and terminal.state != COMPLETED and terminal.await_output is None


def _hash(registration: ProcessRegistration) -> str:
    """Over the record as upstream would write it: unknown keys do not count."""
    try:
        text = json_text.compact(registration.write_plain(hashed=True))
    except Unfit as unfit:
        raise_public(type(registration).__name__, unfit)
    return hashlib.sha256(text).hexdigest()
