"""Loads: head, graph, checkpoint and ledger of one snapshot (specification 4.5, 4.27)."""

from typing import TYPE_CHECKING

from lash_store.records.graph import SessionGraph
from lash_store.records.head import ActivePath, FullGraph, PersistedSessionRead, ReadScope, SessionHead
from lash_store.sqlite.ops import checkpoints, graph, head, usage

if TYPE_CHECKING:
    import apsw


def load_session(connection: "apsw.Connection", scope: ReadScope) -> PersistedSessionRead | None:
    """The session as `scope` asks for it; None if it was never committed. Raises StoreCorrupt."""
    found = head.read_head(connection)
    if found is None:
        return None
    leaf = found.leaf_node_id
    if isinstance(scope, ActivePath):
        leaf = scope.leaf_node_id if scope.leaf_node_id is not None else leaf
        nodes = graph.read_path(connection, leaf) if leaf is not None else []
    else:
        nodes = graph.read_nodes(connection)
    ref = found.checkpoint_ref
    return PersistedSessionRead(
        session_id=found.session_id,
        head_revision=found.head_revision,
        config=found.config,
        agent_frames=found.agent_frames,
        current_agent_frame_id=found.current_agent_frame_id,
        graph=SessionGraph(nodes, leaf),
        checkpoint_ref=ref,
        checkpoint=checkpoints.read_checkpoint(connection, ref) if ref is not None else None,
        token_ledger=usage.read_ledger(connection),
    )


def load_head(connection: "apsw.Connection") -> SessionHead | None:
    """The head with the full graph and the merged ledger; None if there is no head. Raises StoreCorrupt."""
    read = load_session(connection, FullGraph())
    if read is None:
        return None
    return SessionHead(
        session_id=read.session_id,
        head_revision=read.head_revision,
        config=read.config,
        agent_frames=read.agent_frames,
        current_agent_frame_id=read.current_agent_frame_id,
        checkpoint_ref=read.checkpoint_ref,
        graph=read.graph,
        token_ledger=read.token_ledger,
    )
