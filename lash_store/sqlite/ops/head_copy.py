"""Heads written outside a commit, and the copy of one into another store (specification 4.27)."""

from typing import TYPE_CHECKING, Final, NamedTuple

from lash_store.codecs.envelope import Blob, open_blob
from lash_store.errors import GuardFailed, StoreCorrupt
from lash_store.records.graph import SessionGraph
from lash_store.records.head import SessionHead, SessionHeadMeta
from lash_store.rules.reachability import refs_of
from lash_store.sqlite.ops import blobs, checkpoints, gc, graph, head, load, usage
from lash_store.sqlite.ops.arguments import record_of
from lash_store.sqlite.plan import Plan

if TYPE_CHECKING:
    import apsw

LEDGER_IN_USE: Final = usage.EMPTY
"""The guard of a copy into a store that has a ledger of its own by now."""


class CopiedHead(NamedTuple):
    """What a copy takes along: the head with its graph and merged ledger, and the blobs that these need."""

    head: SessionHead
    blobs: list[Blob]


def save_plan(saved: SessionHead) -> Plan:
    """Replaces the graph and the head; ledger and blobs stay. See `refusal`.

    Raises InvalidRecord or InvalidJsonValue.
    """
    nodes = record_of(SessionGraph, saved.graph).nodes
    return Plan([*graph.replace_steps(nodes), *head.place_steps(_meta_of(saved))])


def refusal(failed: GuardFailed) -> StoreCorrupt | GuardFailed:
    """The error for a guard of `save_plan` or `copy_plan`; the failure itself for LEDGER_IN_USE."""
    return head.no_next(failed) or failed


def read_copy(connection: "apsw.Connection") -> CopiedHead | None:
    """What is to be copied; None without a head. Blobs that are not stored are left out. Raises StoreCorrupt."""
    found = load.load_head(connection)
    if found is None:
        return None
    ref = found.checkpoint_ref
    manifest = checkpoints.read_manifest(connection, ref) if ref is not None else None
    # Just what a collection would keep for this head (reachability.mark), but for artifacts, which are no part of it.
    needed = {frame.execution_state_ref for frame in found.agent_frames} | gc.read_archived(connection)
    if manifest is not None:
        needed |= {ref, *refs_of(manifest)}
    stored = (_blob(connection, ref) for ref in sorted(ref for ref in needed if ref is not None))
    return CopiedHead(found, [blob for blob in stored if blob is not None])


def copy_plan(copied: CopiedHead, *, with_ledger: bool) -> Plan:
    """Puts the copy into another store; `with_ledger` for one without a ledger, which the guard LEDGER_IN_USE holds."""
    ledger = [usage.empty_step(), *usage.insert_steps(copied.head.token_ledger)] if with_ledger else []
    return Plan([*ledger, *blobs.blob_steps(copied.blobs), *save_plan(copied.head).steps])


def _meta_of(saved: SessionHead) -> SessionHeadMeta:
    return SessionHeadMeta(
        session_id=saved.session_id,
        config=saved.config,
        agent_frames=saved.agent_frames,
        current_agent_frame_id=saved.current_agent_frame_id,
        checkpoint_ref=saved.checkpoint_ref,
        leaf_node_id=saved.graph.leaf_node_id,
    )


def _blob(connection: "apsw.Connection", ref: str) -> Blob | None:
    stored = blobs.read_stored(connection, ref)
    if stored is None:
        return None
    open_blob(ref, stored)  # damage must not be handed on
    return Blob(ref, stored)
