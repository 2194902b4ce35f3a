"""The session head, and what a load gives back (specification 3.2, 4.5)."""

from typing import Annotated, TypeAlias

import msgspec

from lash_store.records.checkpoint import HydratedSessionCheckpoint
from lash_store.records.config import PersistedSessionConfig
from lash_store.records.frames import AgentFrameRecord
from lash_store.records.graph import SessionGraph
from lash_store.records.record import Record
from lash_store.records.shape import OMIT_EMPTY, Uint
from lash_store.records.usage import TokenLedgerEntry


class SessionHeadMeta(Record, frozen=True, kw_only=True):
    """The head's record. Its revision counts in the column beside it; `token_ledger` is always stored empty."""

    session_id: str = "root"
    head_revision: Uint = 0
    config: PersistedSessionConfig
    agent_frames: list[AgentFrameRecord] = msgspec.field(default_factory=list)
    current_agent_frame_id: Annotated[str, OMIT_EMPTY] = ""
    checkpoint_ref: str | None = None
    leaf_node_id: str | None = None
    graph_node_count: Uint = 0
    token_ledger: Annotated[list[TokenLedgerEntry], OMIT_EMPTY] = msgspec.field(default_factory=list)


class PersistedSessionRead(Record, frozen=True, kw_only=True):
    """A session as a load found it, in one snapshot."""

    session_id: str
    head_revision: Uint
    config: PersistedSessionConfig
    agent_frames: list[AgentFrameRecord]
    current_agent_frame_id: str
    graph: SessionGraph
    checkpoint_ref: str | None = None
    checkpoint: HydratedSessionCheckpoint | None = None
    token_ledger: list[TokenLedgerEntry] = msgspec.field(default_factory=list)


class SessionHead(Record, frozen=True, kw_only=True):
    """The head together with the whole graph and the merged ledger (4.27); its leaf is the graph's."""

    session_id: str = "root"
    head_revision: Uint = 0
    agent_frames: list[AgentFrameRecord] = msgspec.field(default_factory=list)
    current_agent_frame_id: Annotated[str, OMIT_EMPTY] = ""
    graph: SessionGraph = msgspec.field(default_factory=SessionGraph)
    config: PersistedSessionConfig
    checkpoint_ref: str | None = None
    token_ledger: Annotated[list[TokenLedgerEntry], OMIT_EMPTY] = msgspec.field(default_factory=list)


class FullGraph(msgspec.Struct, frozen=True):
    """Read scope: every node."""


class ActivePath(msgspec.Struct, frozen=True):
    """Read scope: the path from the root to a leaf, by default the head's."""

    leaf_node_id: str | None = None


ReadScope: TypeAlias = FullGraph | ActivePath
"""Which nodes a load gives back."""
