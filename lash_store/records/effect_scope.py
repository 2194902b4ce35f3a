"""Effect scopes: whose history an effect belongs to (effects specification 2.2).

The file knows a scope by its `scope_id` alone, without kind and session.
"""

from typing import Any, TypeAlias

from lash_store.errors import EffectRefused, InvalidRecord
from lash_store.records.record import Record
from lash_store.records.text import trimmed


class _EffectScope(Record, frozen=True):
    """A scope; its last key is its id."""

    @property
    def scope_id(self) -> str:
        """The id under which the scope's effects are stored."""
        return str(getattr(self, self._keys()[-1]))

    def require_ids(self) -> None:
        """Raise EffectRefused (`missing_effect_scope_id`) if one of the keys is blank.

        Raises InvalidRecord or InvalidJsonValue for keys that are no texts, or have no stored form.
        """
        self.to_json()
        for key in self._keys():
            if not trimmed(getattr(self, key)):
                raise EffectRefused(
                    "missing_effect_scope_id",
                    f"the {key} of a {self.__struct_config__.tag} scope is blank; give it one",
                )

    def _keys(self) -> list[str]:
        return [field for field in self.__struct_fields__ if field != "other_keys"]


class EffectScopeTurn(_EffectScope, frozen=True, tag_field="type", tag="turn"):
    """A turn of a session."""

    session_id: str
    turn_id: str


class EffectScopeProcess(_EffectScope, frozen=True, tag_field="type", tag="process"):
    """A process."""

    process_id: str


class EffectScopeQueueDrain(_EffectScope, frozen=True, tag_field="type", tag="queue_drain"):
    """One draining of a session's queue."""

    session_id: str
    drain_id: str


class EffectScopeSessionDelete(_EffectScope, frozen=True, tag_field="type", tag="session_delete"):
    """The deletion of a session."""

    session_id: str


class EffectScopeRuntimeOperation(_EffectScope, frozen=True, tag_field="type", tag="runtime_operation"):
    """An operation of the runtime, outside of any session."""

    operation_id: str


EffectScope: TypeAlias = (
    EffectScopeTurn
    | EffectScopeProcess
    | EffectScopeQueueDrain
    | EffectScopeSessionDelete
    | EffectScopeRuntimeOperation
)
"""Whose history an effect belongs to, tagged by `type`."""


def require_scope(scope: Any) -> None:
    """Raise InvalidRecord if this is no effect scope at all, and what its `require_ids` raises."""
    if not isinstance(scope, _EffectScope):
        raise InvalidRecord("EffectScope", "$", f"expected an effect scope, got a {type(scope).__name__}")
    scope.require_ids()
