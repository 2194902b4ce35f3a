"""What the scenarios are made of (process registry specification, section 6)."""

from typing import Any

from lash_store.records.causal import CausalRefSessionNode
from lash_store.records.invocation import RuntimeReplay
from lash_store.records.process import ProcessProvenance, ProcessRecord, ProcessRegistration, ProcessScope
from lash_store.records.process_event import ProcessEventAppendRequest, ProcessEventAppendResult
from lash_store.records.process_event_type import (
    LashSchema,
    ProcessEventSemanticsSpec,
    ProcessEventType,
    ProcessWakeSpec,
    default_process_event_types,
)
from lash_store.records.process_grant import ProcessHandleDescriptor
from lash_store.records.process_input import ProcessInputExternal
from lash_store.records.process_output import ProcessAwaitOutputSuccess
from lash_store.sqlite.process_registry.store import SqliteProcessRegistry

DESCRIPTOR = ProcessHandleDescriptor("test", "external ref")
OK = ProcessAwaitOutputSuccess({"ok": True})


def plain_type(name: str, schema: Any = None) -> ProcessEventType:
    """A declared type without semantics."""
    return ProcessEventType(name, LashSchema({} if schema is None else schema), ProcessEventSemanticsSpec())


def wake_type(name: str, schema: Any = None, **wake: Any) -> ProcessEventType:
    """The "wake type N": wakes when `/wake_input` is present, with what stands there."""
    if not wake:
        wake = {"when": {"present": "/wake_input"}, "input": {"pointer": "/wake_input"}}
    semantics = ProcessEventSemanticsSpec(wake=ProcessWakeSpec(**wake))
    return ProcessEventType(name, LashSchema({} if schema is None else schema), semantics)


def registration(process_id: str, *event_types: ProcessEventType) -> ProcessRegistration:
    """The "register X": external input, null metadata, default provenance, core types and those given."""
    return ProcessRegistration(process_id, ProcessInputExternal(), [*default_process_event_types(), *event_types])


async def register(registry: SqliteProcessRegistry, process_id: str, *event_types: ProcessEventType) -> ProcessRecord:
    """Register it."""
    return await registry.register_process(registration(process_id, *event_types))


async def append(
    registry: SqliteProcessRegistry,
    process_id: str,
    event_type: str,
    payload: Any,
    *,
    key: str | None = None,
    target: ProcessScope | None = None,
) -> ProcessEventAppendResult:
    """Append an event."""
    replay = None if key is None else RuntimeReplay(key)
    return await registry.append_event(process_id, ProcessEventAppendRequest(event_type, payload, replay, target))


PROVENANCE_CAUSE = CausalRefSessionNode("target-session", "host-event:button")
PROVENANCE_TARGET = ProcessScope("target-session", "target-frame")


async def register_provenance(registry: SqliteProcessRegistry) -> None:
    """Scenario 10, up to the event."""
    provenance = ProcessProvenance(ProcessScope("owner-session"), "host-profile", PROVENANCE_CAUSE)
    types = [*default_process_event_types(), wake_type("producer.custom_wake")]
    await registry.register_process(ProcessRegistration("proc-provenance", ProcessInputExternal(), types, provenance))


async def append_provenance(registry: SqliteProcessRegistry) -> ProcessEventAppendResult:
    """The event of scenario 10."""
    return await append(
        registry,
        "proc-provenance",
        "producer.custom_wake",
        {"line": "build failed", "wake_input": "custom wake: build failed"},
        key="custom-wake:build-failed",
        target=PROVENANCE_TARGET,
    )


async def fill_stream(registry: SqliteProcessRegistry) -> None:
    """Scenario 15, up to the reads."""
    types = plain_type("producer.line"), wake_type("producer.wake"), plain_type("producer.future")
    await register(registry, "proc-stream", *types)
    await append(registry, "proc-stream", "producer.line", {"line": 1})
    await append(registry, "proc-stream", "producer.wake", {"wake_input": "w"}, target=ProcessScope("root"))
    await append(registry, "proc-stream", "producer.line", {"line": 2})
