"""A store with something in every table, for those who damage it."""

from typing import Any, Final

from lash_store import (
    AttachmentIntent,
    DeliveryPolicy,
    QueuedWorkBatchDraft,
    QueuedWorkPayloadTurnInput,
    RuntimeCommit,
    RuntimeSessionState,
    SessionMeta,
    SessionRelationChild,
    SlotPolicy,
    Store,
)
from tests.sqlite.session_store.samples import appending, message_node, plugin_node, used

TOOL_STATE: Final[dict[str, Any]] = {"generation": 7, "tools": {}}
PLUGINS: Final[dict[str, Any]] = {"plugins": {"p": {"meta": {"state": "x" * 5000}}}}
EXECUTION: Final = b"\x01\xff" * 100
MODULE: Final = b'{"module_ref":"lashlang:v1:sha256:ab"}'
MODULE_REF: Final = "lashlang:v1:sha256:ab"
TURN_INPUT: Final = QueuedWorkPayloadTurnInput({"items": [], "image_blobs": {}})


async def fill(store: Store) -> None:
    await store.save_session_meta(SessionMeta("root", "n", "t", "m", "/", SessionRelationChild("p")))
    await store.commit_runtime_state(first_commit())
    for key in ("one", "two"):
        await store.enqueue_queued_work(draft(key))
    await store.record_intent(AttachmentIntent("a", "root", "u", 100))
    await store.put_module_artifact(MODULE)


def first_commit() -> RuntimeCommit:
    state = RuntimeSessionState.new(clock=Epoch())
    state.tool_state, state.plugin_snapshot, state.execution_state = TOOL_STATE, PLUGINS, EXECUTION
    nodes = [message_node("root-node", "hello"), plugin_node("middle", "root-node"), plugin_node("leaf", "middle")]
    return appending(state, [*nodes], [used(1), used(2)]).with_turn_commit("turn")


def next_commit(revision: int | None = None) -> RuntimeCommit:
    state = RuntimeSessionState.new(clock=Epoch())
    state.head_revision = revision
    return appending(state, [plugin_node("next", "leaf")], [used(1)])


class Epoch:
    """A clock that stands at 0."""

    def now_ms(self) -> int:
        return 0


def draft(key: str) -> QueuedWorkBatchDraft:
    return QueuedWorkBatchDraft(
        session_id="root",
        source_key=key,
        delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot_policy=SlotPolicy.JOIN,
        payloads=[TURN_INPUT, TURN_INPUT],
    )
