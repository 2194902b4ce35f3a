"""What a process runs (process specification 2.2).

The registry stores and returns it, and hashes it at registration.
"""

from typing import Annotated, Any, ClassVar, TypeAlias

import msgspec

from lash_store.records.layout import Plain
from lash_store.records.process_input_shapes import CREATE_REQUEST, OUTPUT_CONTRACT, TOOL_CALL, TURN_INPUT
from lash_store.records.process_shaped import ShapedRecord
from lash_store.records.record import Record
from lash_store.records.shape import ALWAYS, U32, Opaque

_Plain = Annotated[Any, Plain.AS_GIVEN]


class ProcessRef(Record, frozen=True):
    """A process of a lashlang module: the hash of its component, and its place there."""

    component: str
    pos: U32


class ProcessInputToolCall(ShapedRecord, frozen=True, tag_field="type", tag="tool_call"):
    """A tool call: a mapping with `call_id`, `tool_name`, `args` and so on."""

    SHAPES: ClassVar = {"call": TOOL_CALL}

    call: _Plain


class ProcessInputLashlangProcess(Record, frozen=True, tag_field="type", tag="lashlang_process"):
    """A process of a lashlang module; `args` is free JSON by name."""

    module_ref: str
    process_ref: ProcessRef
    required_surface_ref: str
    process_name: str
    args: dict[str, Opaque] = msgspec.field(default_factory=dict)


class ProcessInputSessionTurn(ShapedRecord, frozen=True, tag_field="type", tag="session_turn"):
    """A turn of a session that is made for it: three mappings, as the runtime has them."""

    SHAPES: ClassVar = {
        "create_request": CREATE_REQUEST,
        "turn_input": TURN_INPUT,
        "output_contract": OUTPUT_CONTRACT,
    }

    create_request: _Plain
    turn_input: _Plain
    output_contract: _Plain


class ProcessInputExternal(Record, frozen=True, tag_field="type", tag="external"):
    """Something that runs elsewhere; free JSON `metadata`."""

    metadata: Annotated[Any, Plain.SORTED, ALWAYS] = None


ProcessInput: TypeAlias = (
    ProcessInputToolCall | ProcessInputLashlangProcess | ProcessInputSessionTurn | ProcessInputExternal
)
"""What a process runs, tagged by `type`."""
