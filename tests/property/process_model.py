"""The process registry in plain Python: what a caller must see, whatever lies beneath (process specification 4)."""

import dataclasses
from typing import Any

CORE = ("process.cancel_requested", "process.completed", "process.failed", "process.cancelled")
DECLARED = (*CORE, "line", "wakes", "ends")


class Refused(Exception):
    """The operation ends with the error of this name."""


@dataclasses.dataclass
class Event:
    """An event: what was asked for, when, and whether it woke."""

    sequence: int
    event_type: str
    payload: Any
    key: str | None
    at_ms: int
    woke: bool


@dataclasses.dataclass
class Lease:
    """The lease row of a process."""

    owner: str | None = None
    fencing: int = 0
    expires_ms: int = 0


@dataclasses.dataclass
class Process:
    """A process."""

    variant: str
    created_ms: int
    updated_ms: int
    reference: str | None = None
    state: str = "running"
    output: Any = None
    events: list[Event] = dataclasses.field(default_factory=list)
    acks: set[int] = dataclasses.field(default_factory=set)
    lease: Lease = dataclasses.field(default_factory=Lease)


class Model:
    """All processes and handles."""

    def __init__(self) -> None:
        self.processes: dict[str, Process] = {}
        self.handles: dict[tuple[str, str], tuple[str, str]] = {}

    def known(self, process_id: str) -> Process:
        """The process. Raises Refused."""
        if process_id not in self.processes:
            raise Refused("UnknownProcess")
        return self.processes[process_id]

    def register(self, process_id: str, variant: str, now: int) -> None:
        """Register it."""
        process = self.processes.setdefault(process_id, Process(variant, now, now))
        if process.variant != variant:
            raise Refused("ProcessRegistrationConflict")

    def refer(self, process_id: str, reference: str, now: int) -> None:
        """Set its external reference."""
        process = self.known(process_id)
        process.reference, process.updated_ms = reference, now

    def append(
        self, process_id: str, event_type: str, payload: Any, *, key: str | None, targeted: bool, now: int
    ) -> Event:
        """Append an event, or find it."""
        process = self.known(process_id)
        wakes = event_type == "wakes" and "w" in payload
        for event in process.events:
            if key is not None and event.key == key:
                if (event.event_type, event.payload) != (event_type, payload):
                    raise Refused("ProcessReplayKeyConflict")
                if event.woke and not targeted:
                    raise Refused("MissingWakeTarget")
                return event
        ends = event_type in CORE[1:] or event_type == "ends"
        self._check(process, event_type, payload, key)
        if wakes and not targeted:
            raise Refused("MissingWakeTarget")
        event = Event(len(process.events) + 1, event_type, payload, key, now, wakes)
        process.events.append(event)
        process.updated_ms = now
        if ends:
            process.state = "completed" if event_type == "ends" else event_type.removeprefix("process.")
            process.output = payload["out"] if event_type == "ends" else payload["await_output"]
        return event

    def _check(self, process: Process, event_type: str, payload: Any, key: str | None) -> None:
        ends = event_type in CORE[1:] or event_type == "ends"
        if event_type not in DECLARED:
            raise Refused("UndeclaredProcessEvent")
        if (ends or event_type == CORE[0]) and not key:
            raise Refused("ProcessReplayKeyRequired")
        if event_type == "ends" and "out" not in payload:
            raise Refused("SelectorMismatch")
        if ends and process.state != "running":
            raise Refused("ProcessAlreadyTerminal")

    def complete(self, process_id: str, value: int, now: int) -> None:
        """Complete it with success."""
        self.append(
            process_id,
            "process.completed",
            {"await_output": {"type": "success", "value": value}},
            key=f"process:{process_id}:terminal:process.completed",
            targeted=False,
            now=now,
        )

    def cancel(self, process_id: str, key: str, reason: str, now: int) -> Event:
        """Ask it to end."""
        return self.append(process_id, CORE[0], {"reason": reason}, key=key, targeted=False, now=now)

    def wakes(self, process_id: str) -> list[int]:
        """The sequences of wakes that nobody has acknowledged."""
        process = self.known(process_id)
        return [event.sequence for event in process.events if event.woke and event.sequence not in process.acks]

    def grant(self, scope: str, session: str, process_id: str, label: str) -> None:
        """Grant a handle."""
        self.known(process_id)
        self.handles[scope, process_id] = (session, label)

    def transfer(self, source: str, target: tuple[str, str], process_ids: list[str]) -> None:
        """Move handles, all or none."""
        handles = dict(self.handles)
        scope, session = target
        for process_id in process_ids:
            if (source, process_id) not in handles:
                raise Refused("HandleNotGranted")
            _, label = handles.pop((source, process_id))
            handles[scope, process_id] = (session, label)
        self.handles = handles

    def delete_session(self, session: str) -> tuple[int, list[str], list[str]]:
        """Delete its handles: how many, what is left behind, what is not."""
        gone = [key for key, (owner, _) in self.handles.items() if owner == session]
        for key in gone:
            del self.handles[key]
        running = sorted({process_id for _, process_id in gone if self.processes[process_id].state == "running"})
        held = {process_id for _, process_id in self.handles}
        return len(gone), [one for one in running if one not in held], [one for one in running if one in held]

    def claim(self, process_id: str, owner: str, ttl_ms: int, now: int) -> int:
        """Claim a lease: its fencing token."""
        lease = self.known(process_id).lease
        if lease.owner not in (None, owner) and lease.expires_ms > now:
            raise Refused("ProcessLeaseConflict")
        lease.owner, lease.fencing, lease.expires_ms = owner, lease.fencing + 1, now + ttl_ms
        return lease.fencing

    def renew(self, process_id: str, fencing: int, ttl_ms: int, now: int) -> int:
        """Renew it: its expiry."""
        lease = self.processes[process_id].lease
        if lease.owner is None or lease.fencing != fencing or lease.expires_ms <= now:
            raise Refused("ProcessLeaseLost")
        lease.expires_ms = now + ttl_ms
        return lease.expires_ms

    def release(self, process_id: str, fencing: int) -> None:
        """Complete it."""
        lease = self.processes[process_id].lease
        if lease.fencing == fencing:
            lease.owner, lease.expires_ms = None, 0
