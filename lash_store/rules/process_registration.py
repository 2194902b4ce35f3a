"""What a registration must be, and by which hash it is known (process specification 3.2, 4.1)."""

import hashlib
from typing import Any, Final, NoReturn

import msgspec

from lash_store.errors import InvalidProcessRegistration
from lash_store.records import json_text
from lash_store.records.layout import Unfit
from lash_store.records.process import ProcessRegistration
from lash_store.records.process_event_type import COMPLETED, ProcessEventType, default_process_event_types
from lash_store.records.record import raise_public
from lash_store.records.shape import codec_of
from lash_store.records.text import trimmed

_REGISTRATION: Final = codec_of(ProcessRegistration)


def prepare_process_registration(registration: ProcessRegistration) -> tuple[ProcessRegistration, str]:
    """The registration with the core event types added behind its own, and its hash.

    Raises InvalidProcessRegistration for the first rule it breaks, InvalidRecord or InvalidJsonValue if it has no
    stored form.
    """
    plain = _plain_form(registration)  # first: what it is made of must be what it should be
    declared = {event_type.name for event_type in registration.event_types}
    core = [event_type for event_type in default_process_event_types() if event_type.name not in declared]
    complete = msgspec.structs.replace(registration, event_types=[*registration.event_types, *core])
    _validate(complete)
    plain["event_types"] += [event_type.write_plain(hashed=True) for event_type in core]
    return complete, hashlib.sha256(json_text.compact(plain)).hexdigest()


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


def _plain_form(registration: ProcessRegistration) -> dict[str, Any]:
    """The registration as upstream would write it, which is what is hashed: unknown keys do not count."""
    try:
        plain: dict[str, Any] = _REGISTRATION.write(registration, True)
    except Unfit as unfit:
        raise_public(ProcessRegistration.__name__, unfit)
    return plain
