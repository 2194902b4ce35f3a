"""What a session is called and where it comes from (specification 2.5, 3.15, 4.26)."""

from typing import TypeAlias

import msgspec

from lash_store.records.causal import CausalRef
from lash_store.records.record import Record
from lash_store.records.shape import Uint


class SessionRelationRoot(Record, frozen=True, tag_field="kind", tag="root"):
    """A session of its own."""


class SessionRelationChild(Record, frozen=True, tag_field="kind", tag="child"):
    """A session that another one started."""

    parent_session_id: str
    caused_by: CausalRef | None = None


SessionRelation: TypeAlias = SessionRelationRoot | SessionRelationChild
"""How a session came to be, tagged by `kind`."""


def parent_session_id(relation: SessionRelation) -> str | None:
    """The session that a relation names as parent."""
    return relation.parent_session_id if isinstance(relation, SessionRelationChild) else None


class SessionMeta(Record, frozen=True):
    """A session's row of names. `created_at` is free text: an RFC 3339 time, or `unix:<seconds>`."""

    session_id: str
    session_name: str
    created_at: str
    model: str
    cwd: str | None = None
    relation: SessionRelation = msgspec.field(default_factory=SessionRelationRoot)

    @property
    def parent_session_id(self) -> str | None:
        """The parent's id, derived from the relation."""
        return parent_session_id(self.relation)


class SessionPickerInfo(Record, frozen=True):
    """What a list of sessions shows of one."""

    session_id: str
    cwd: str | None
    relation: SessionRelation
    user_message_count: Uint
    first_user_message: str

    @property
    def parent_session_id(self) -> str | None:
        """The parent's id, derived from the relation."""
        return parent_session_id(self.relation)
