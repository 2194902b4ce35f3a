"""What the process registry refuses (process registry specification, section 5)."""

from collections.abc import Mapping

from lash_store.errors.root import StoreError


class ProcessRegistryError(StoreError):
    """The root of what only the process registry raises."""


class UnknownProcess(ProcessRegistryError):
    """No process `process_id` is registered in this database."""

    def __init__(self, process_id: str) -> None:
        super().__init__(f"the process {process_id!r} is not registered; register it first, or check the id")
        self.process_id = process_id


class InvalidProcessRegistration(ProcessRegistryError):
    """The registration of `process_id` breaks a rule, for the `reason` given."""

    def __init__(self, process_id: str, reason: str) -> None:
        super().__init__(f"the process {process_id!r} cannot be registered: {reason}")
        self.process_id = process_id
        self.reason = reason


class ProcessRegistrationConflict(ProcessRegistryError):
    """`process_id` is registered with the content `existing_hash`, and was to be registered with `new_hash`."""

    def __init__(self, process_id: str, existing_hash: str, new_hash: str) -> None:
        super().__init__(
            f"the process {process_id!r} is registered with other content (hash {existing_hash}, not {new_hash}); "
            "register the same content again, or use another id"
        )
        self.process_id = process_id
        self.existing_hash = existing_hash
        self.new_hash = new_hash


class UndeclaredProcessEvent(ProcessRegistryError):
    """The process `process_id` has not declared the event type `event_type`."""

    def __init__(self, process_id: str, event_type: str) -> None:
        super().__init__(
            f"the process {process_id!r} has not declared the event type {event_type!r}; declare it at registration"
        )
        self.process_id = process_id
        self.event_type = event_type


class ProcessReplayKeyRequired(ProcessRegistryError):
    """An event of type `event_type` needs a replay key that is not empty: it must not happen twice."""

    def __init__(self, process_id: str, event_type: str) -> None:
        super().__init__(
            f"the event {event_type!r} of process {process_id!r} needs a replay key; append it again with one"
        )
        self.process_id = process_id
        self.event_type = event_type


class ProcessReplayKeyConflict(ProcessRegistryError):
    """The process `process_id` has an event of another type or payload under the key `replay_key`."""

    def __init__(self, process_id: str, replay_key: str) -> None:
        super().__init__(
            f"the process {process_id!r} has another event under the replay key {replay_key!r}; "
            "repeat that one exactly, or use another key"
        )
        self.process_id = process_id
        self.replay_key = replay_key


class InvalidProcessPayload(ProcessRegistryError):
    """The payload of an event of type `event_type` does not fit its schema: at `location`, for the `reason` given."""

    def __init__(self, event_type: str, location: str, reason: str) -> None:
        super().__init__(f"the payload of the event {event_type!r} does not fit its schema: {location}: {reason}")
        self.event_type = event_type
        self.location = location
        self.reason = reason


class SelectorMismatch(ProcessRegistryError):
    """The JSON pointer `pointer` of a declared selector finds nothing in the payload."""

    def __init__(self, pointer: str) -> None:
        super().__init__(f"the pointer {pointer!r} finds nothing in the payload; send what the declaration selects")
        self.pointer = pointer


class ProcessAlreadyTerminal(ProcessRegistryError):
    """The process `process_id` has ended; it cannot end a second time, nor in another way."""

    def __init__(self, process_id: str) -> None:
        super().__init__(f"the process {process_id!r} has already ended; read its record for how")
        self.process_id = process_id


class MissingWakeTarget(ProcessRegistryError):
    """The event `event_type` of process `process_id` wakes somebody, and the request does not say whom."""

    def __init__(self, process_id: str, event_type: str) -> None:
        super().__init__(
            f"the event {event_type!r} of process {process_id!r} wakes, and was appended without a wake target scope"
        )
        self.process_id = process_id
        self.event_type = event_type


class HandleNotGranted(ProcessRegistryError):
    """The process `process_id` is not granted to the scope of session `session_id` that it was to be moved from."""

    def __init__(self, process_id: str, session_id: str) -> None:
        super().__init__(
            f"the process {process_id!r} is not granted to the scope of session {session_id!r}; nothing was transferred"
        )
        self.process_id = process_id
        self.session_id = session_id


class ProcessLeaseConflict(ProcessRegistryError):
    """The process `process_id` is held by `owner_id` until `expires_at_epoch_ms`."""

    def __init__(self, process_id: str, owner_id: str, expires_at_epoch_ms: int) -> None:
        super().__init__(
            f"the process {process_id!r} is already leased by {owner_id!r} until {expires_at_epoch_ms} (epoch ms); "
            "leave it alone until then"
        )
        self.process_id = process_id
        self.owner_id = owner_id
        self.expires_at_epoch_ms = expires_at_epoch_ms


class ProcessLeaseLost(ProcessRegistryError):
    """The lease on `process_id` does not hold any more: expired, completed or taken over."""

    def __init__(self, process_id: str) -> None:
        super().__init__(
            f"the lease on process {process_id!r} is missing or expired; stop its work, write nothing and claim again"
        )
        self.process_id = process_id


class ProcessCancelRefused(ProcessRegistryError):
    """Processes of the session `session_id` refuse the cancel request by their own declarations, and run on.

    `refusals` says why, by process id; the first of them is the cause. All else was done: `done` is what the call would
    have returned.
    """

    def __init__(self, session_id: str, refusals: Mapping[str, str], done: object) -> None:
        reasons = "; ".join(f"{process_id!r}: {reason}" for process_id, reason in refusals.items())
        super().__init__(
            f"processes of session {session_id!r} refuse the cancel request and run on, all others were asked; "
            f"end these yourself: {reasons}"
        )
        self.session_id = session_id
        self.refusals = dict(refusals)
        self.done = done


class ProcessNotVisible(ProcessRegistryError):
    """The session `session_id` has no handle on the process `process_id`; nothing was asked of it."""

    def __init__(self, process_id: str, session_id: str) -> None:
        super().__init__(
            f"the process {process_id!r} is not visible to session {session_id!r}; grant it a handle, or check the id"
        )
        self.process_id = process_id
        self.session_id = session_id
