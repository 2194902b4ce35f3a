"""Control effects of an await output, and the tool values in them (process specification 2.5, effects 2.4).

The registry never acts on a control effect. It only has to know whether upstream could read it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import msgspec

from lash_store.records.conversation import AttachmentRef
from lash_store.records.layout import Plain, Unfit, stored_form
from lash_store.records.process_shaped import ShapedRecord, choice, optional, plain_form_of
from lash_store.records.record import Record
from lash_store.records.scalars import Codec
from lash_store.records.shape import OMIT_EMPTY, U32, Opaque, Uint

FAILURE_CLASS: Final = choice(
    "invalid_request",
    "unavailable",
    "permission_denied",
    "timeout",
    "execution",
    "external",
    "resource_limit",
    "internal",
)
_FAILURE_SOURCE: Final = choice("runtime", "tool", "plugin", "policy", "cancellation")
_RESERVED: Final = "$lash_tool_value"
_ATTACHMENT: Final = plain_form_of(AttachmentRef)


def _read_tool_value(value: Any) -> Any:
    _write_tool_value(value, False)
    return value


def _write_tool_value(value: Any, hashed: bool) -> Any:
    return _tool_value(stored_form(value, Plain.SORTED), hashed)


def _tool_value(value: Any, hashed: bool) -> Any:
    """A value in stored form, its reserved objects checked, and unwrapped where nothing needs the wrapping."""
    if isinstance(value, list):
        return [_tool_value(item, hashed) for item in value]
    if not isinstance(value, Mapping):
        return value
    if _RESERVED not in value:
        return {key: _tool_value(item, hashed) for key, item in value.items()}
    kind = value[_RESERVED]
    if kind == "attachment" and value.keys() == {_RESERVED, "ref"}:
        return {_RESERVED: kind, "ref": _ATTACHMENT.write(value["ref"], hashed)}
    if kind == "object" and value.keys() == {_RESERVED, "entries"} and isinstance(value["entries"], Mapping):
        entries = {key: _tool_value(item, hashed) for key, item in value["entries"].items()}
        return {_RESERVED: kind, "entries": entries} if _RESERVED in entries else entries
    raise Unfit(f"an object with the key {_RESERVED} is neither an attachment nor a wrapped object")


TOOL_VALUE: Final = Codec(_read_tool_value, _write_tool_value)


class _SwitchAgentFrame(Record, frozen=True, tag_field="type", tag="switch_agent_frame"):
    frame_id: str
    initial_nodes: Annotated[list[Opaque], OMIT_EMPTY] = msgspec.field(default_factory=list)
    task: str | None = None


class _Finish(ShapedRecord, frozen=True, tag_field="type", tag="finish"):
    SHAPES: ClassVar = {"value": TOOL_VALUE}

    value: Annotated[Any, Plain.AS_GIVEN]


class _Never(Record, frozen=True, tag_field="type", tag="never"):
    pass


class _Safe(Record, frozen=True, tag_field="type", tag="safe"):
    after_ms: Uint | None = None


class _Exhausted(Record, frozen=True, tag_field="type", tag="exhausted"):
    attempts: U32


class _ToolFailure(ShapedRecord, frozen=True, kw_only=True):
    SHAPES: ClassVar = {"class_": FAILURE_CLASS, "source": _FAILURE_SOURCE, "raw": optional(TOOL_VALUE)}
    RENAMED: ClassVar = {"class": "class_"}

    class_: str
    code: str
    message: str
    source: str
    retry: _Never | _Safe | _Exhausted
    raw: Annotated[Any, Plain.AS_GIVEN] = None


class _Fail(Record, frozen=True, tag_field="type", tag="fail"):
    failure: _ToolFailure


CONTROL: Final = plain_form_of(_SwitchAgentFrame | _Finish | _Fail)
"""The shape of a control effect."""
