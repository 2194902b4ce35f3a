"""Checkpoints: the manifest, and the manifest together with what it refers to (specification 3.11, 3.12)."""

from typing import Annotated, Any, Final

import msgspec

from lash_store.records.config import MANIFEST_KEYS
from lash_store.records.layout import Fields, Key, MapOf, Plain
from lash_store.records.record import Record
from lash_store.records.shape import ALWAYS, Uint
from lash_store.records.usage import PersistedTurnState, first_turn_state

TOOL_STATE_LAYOUT: Final = Fields(generation=Key(), tools=Key(MapOf(Fields(manifest=Key(Fields(**MANIFEST_KEYS))))))
"""A tool state is opaque; callers rely on `generation` only."""
_META: Final = Fields(
    plugin_id=Key(), plugin_version=Key(), revision=Key(absent=0, always=True), state=Key(Plain.SORTED)
)
_ARTIFACT: Final = Fields(name=Key(), data=Key(Plain.BYTES))
PLUGIN_SNAPSHOT_LAYOUT: Final = Fields(
    plugins=Key(
        MapOf(Fields(meta=Key(_META), artifacts=Key(_ARTIFACT, absent=[], always=True))), absent={}, always=True
    )
)
"""A plugin snapshot is opaque; the bytes of its artifacts are lists of integers."""


class SessionCheckpoint(Record, frozen=True):
    """The manifest of a checkpoint; the refs are `blobs.hash` values."""

    turn_state: PersistedTurnState = msgspec.field(default_factory=first_turn_state)
    tool_state_ref: str | None = None
    plugin_snapshot_ref: str | None = None
    plugin_snapshot_revision: Uint | None = None
    execution_state_ref: str | None = None


class HydratedSessionCheckpoint(Record, frozen=True):
    """A checkpoint with its parts. None is no part; an empty `execution_state` is one, and not the same.

    `tool_state` is `{"generation": 3, "tools": {name: {"manifest": {"id": ..., "name": ...}}}}`, both keys required,
    `plugin_snapshot` is `{"plugins": {plugin_id: {"meta": {...}, "artifacts": [...]}}}` (docs/shapes.md has all keys).
    """

    turn_state: PersistedTurnState = msgspec.field(default_factory=first_turn_state)
    tool_state_ref: Annotated[str | None, ALWAYS] = None
    tool_state: Annotated[Annotated[Any, TOOL_STATE_LAYOUT] | None, ALWAYS] = None
    plugin_snapshot_ref: Annotated[str | None, ALWAYS] = None
    plugin_snapshot: Annotated[Annotated[Any, PLUGIN_SNAPSHOT_LAYOUT] | None, ALWAYS] = None
    plugin_snapshot_revision: Annotated[Uint | None, ALWAYS] = None
    execution_state_ref: Annotated[str | None, ALWAYS] = None
    execution_state: Annotated[bytes | None, ALWAYS] = None
