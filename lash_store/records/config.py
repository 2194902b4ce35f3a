"""Models, the session's configuration and the policy of a frame (specification 3.3 and 3.4.2)."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Self

import msgspec

from lash_store.errors import ProviderInPolicy
from lash_store.records import json_text
from lash_store.records.layout import Fields, Key, MapOf, Plain
from lash_store.records.record import Record
from lash_store.records.shape import ALWAYS, TRIMMED, Omit, PositiveUint, Uint


class ModelLimits(Record, frozen=True, forbid_unknown_fields=True):
    """Sizes in tokens, each at least 1."""

    context_window_tokens: PositiveUint
    output_token_capacity: PositiveUint | None = None


class ModelSpec(Record, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model, its variant and its limits."""

    id: str
    variant: str | None = None
    limits: ModelLimits


UNKNOWN_MODEL: Final = ModelSpec(id="", limits=ModelLimits(context_window_tokens=1))
"""The default model: no id, and the smallest window."""


class PersistedSessionConfig(Record, frozen=True):
    """Which provider and model the session used last."""

    provider_id: str
    model: ModelSpec


_ENTRY: Final = Fields(kind=Key(), content=Key(), builtin=Key(), slot=Key())
_TEMPLATE: Final = Fields(sections=Key(Fields(title=Key(), entries=Key(_ENTRY, absent=[]))))
_GATE: Final = Fields(tools=Key(absent=[]), minimum_availability=Key(absent="off", always=True))
_CONTRIBUTION: Final = Fields(
    slot=Key(),
    title=Key(),
    priority=Key(absent=0, always=True),
    gate=Key(_GATE, needs="tools"),
    content=Key(),
)
_SLOT: Final = Fields(reset=Key(absent=False, always=True), contributions=Key(_CONTRIBUTION, absent=[]))
PROMPT_LAYER: Final = Fields(template=Key(_TEMPLATE), slots=Key(MapOf(_SLOT), absent={}))


def _no_prompt(layer: Any, hashed: bool) -> bool:
    """A layer without template and slots is not written, unless it holds a key that only its owner understands."""
    if not isinstance(layer, Mapping):
        return False
    empty = layer.get("template") is None and not layer.get("slots")
    return empty and (hashed or layer.keys() <= PROMPT_LAYER.keys.keys())


class SessionPolicy(Record, frozen=True, forbid_unknown_fields=True):
    """What a frame runs with. `provider_id` is written without surrounding white space.

    `prompt` is opaque, for example `{"slots": {"intro": {"reset": False, "entries": []}}}`.
    """

    LAST_KEY_WINS: ClassVar[bool] = True

    model: ModelSpec = UNKNOWN_MODEL
    provider_id: Annotated[str, TRIMMED] = ""
    session_id: Annotated[str | None, ALWAYS] = None
    autonomous: bool = False
    max_turns: Annotated[Uint | None, ALWAYS] = None
    prompt: Annotated[Any, PROMPT_LAYER, Omit(_no_prompt, "hollow")] = msgspec.field(default_factory=dict)

    @classmethod
    def read_plain(cls, value: Any) -> Self:
        """As `Record.read_plain`. Raises ProviderInPolicy if there is a key `provider`."""
        if isinstance(value, Mapping) and "provider" in value:
            raise ProviderInPolicy
        return super().read_plain(json_text.last_wins(value))


_OPEN_SCHEMA: Final = {"type": "object", "properties": {}, "additionalProperties": True}
_COMPACT_CONTRACT: Final = Fields(
    name=Key(),
    signature=Key(),
    returns=Key(),
    parameters=Key(absent=[]),
    return_fields=Key(absent=[]),
    description=Key(absent=""),
    examples=Key(absent=[]),
)
_AGENT_SURFACE: Final = Fields(
    module_path=Key(absent=[]), operation=Key(), authority_type=Key(), aliases=Key(absent=[])
)
_RETRY_POLICY: Final = Fields(type=Key(), max_attempts=Key(), base_delay_ms=Key(), max_delay_ms=Key())
MANIFEST_KEYS: Final = {
    "id": Key(),
    "name": Key(),
    "description": Key(absent=""),
    "compact_contract": Key(_COMPACT_CONTRACT),
    "availability": Key(Fields(base=Key()), absent={"base": "showcased"}),
    "activation": Key(Plain.AS_GIVEN, absent="always"),
    "availability_override": Key(Plain.AS_GIVEN),
    "agent_surface": Key(_AGENT_SURFACE, absent={}),
    "argument_projection": Key(Fields(kind=Key(), field=Key()), absent={"kind": "materialize_projected_values"}),
    "scheduling": Key(Plain.AS_GIVEN, absent="parallel"),
    "retry_policy": Key(_RETRY_POLICY, absent={"type": "never"}),
}
"""The keys of a tool manifest (specification 3.11), in declared order."""
_PROJECTION: Final = Fields(profile=Key(), schema=Key())
TOOL_DEFINITION: Final = Fields(
    **MANIFEST_KEYS,
    input_schema=Key(absent=_OPEN_SCHEMA, always=True),
    output_schema=Key(absent=None, always=True),
    input_schema_projections=Key(_PROJECTION, absent=[]),
    output_schema_projections=Key(_PROJECTION, absent=[]),
    output_contract=Key(Fields(kind=Key(), input_field=Key(), default_schema=Key()), absent={"kind": "static"}),
    examples=Key(absent=[]),
)
