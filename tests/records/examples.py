"""A record of every class, with every key given, to try rules on."""

from typing import Any, Final

from lash_store.records import artifacts as art
from lash_store.records import attachments as att
from lash_store.records import causal as cau
from lash_store.records import checkpoint as che
from lash_store.records import commit as com
from lash_store.records import config as con
from lash_store.records import conversation as cnv
from lash_store.records import frames as fra
from lash_store.records import graph as gra
from lash_store.records import head as hea
from lash_store.records import queue as que
from lash_store.records import session_meta as met
from lash_store.records import usage as usa
from lash_store.records.commit_result import RuntimeCommitResult

USAGE: Final = usa.TokenUsage(1, 2, 3, 4)
PROMPT: Final = usa.PromptUsage(1, 2, 3, 4)
LEDGER: Final = usa.TokenLedgerEntry("turn", "m", USAGE)
OPTIONS: Final = usa.ProtocolTurnOptions({"a": [1.5]})
TURN: Final = usa.PersistedTurnState(
    turn_index=1, token_usage=USAGE, last_prompt_usage=PROMPT, protocol_turn_options=OPTIONS
)
MODEL: Final = con.ModelSpec(id="m", variant="v", limits=con.ModelLimits(8000, 1000))
CONFIG: Final = con.PersistedSessionConfig("p", MODEL)
POLICY: Final = con.SessionPolicy(MODEL, "p", "root", True, 3, {"slots": {"intro": {"reset": False}}})
CAUSES: Final[list[cau.CausalRef]] = [
    cau.CausalRefTurn("s", "t"),
    cau.CausalRefEffect(session_id="s", turn_id="t", effect_id="e"),
    cau.CausalRefToolCall("s", "c"),
    cau.CausalRefProcess("p"),
    cau.CausalRefProcessEvent("p", 7),
    cau.CausalRefHostEvent("o"),
    cau.CausalRefSessionNode("s", "n"),
]
ASSIGNMENT: Final = fra.AgentFrameAssignment(
    POLICY,
    fra.PluginOptions({"x": {"b": [None]}}),
    fra.PluginSource.CURRENT_HOST_FRESH,
    fra.ToolAccess([{"id": "i", "name": "n", "input_schema": {}, "output_schema": None}], ["a", "z"]),
    fra.SubagentContext("q", "c", 1, 2),
    "subagent",
)
FRAME: Final = fra.AgentFrameRecord(
    frame_id="f",
    session_id="root",
    previous_frame_id="e",
    status=fra.AgentFrameStatus.SUPERSEDED,
    reason="plan_mode",
    caused_by=CAUSES[0],
    created_at="2026-06-02T00:00:00+00:00",
    assignment=ASSIGNMENT,
    protocol_turn_options=OPTIONS,
    execution_state_ref="ee",
    execution_state_snapshot=b"\x00\xff",
)
REFERENCE: Final = cnv.AttachmentRef("ab", cnv.MediaTypeImage(cnv.ImageMediaType.PNG), 4, 1, 2, "l")
PARTS: Final = [
    cnv.MessagePart(
        id="p0",
        kind=cnv.PartKind.REASONING,
        content="c",
        attachment=cnv.PartAttachment(REFERENCE),
        tool_call_id="i",
        tool_name="n",
        tool_replay=cnv.ToolReplay("i", "o"),
        prune_state=cnv.PruneStateSummarized("s", "h"),
        reasoning_meta=cnv.ReasoningMeta("i", "e", "s", True, ["s"]),
        response_meta=cnv.ResponseMeta("i", "s", "p"),
    ),
    *(
        cnv.MessagePart(id="p", kind=cnv.PartKind.TEXT, content="", prune_state=state)
        for state in (cnv.PruneStateIntact(), cnv.PruneStateCleared(), cnv.PruneStateDeleted("b", "h"))
    ),
]
ORIGINS: Final[list[cnv.MessageOrigin]] = [
    cnv.MessageOriginPlugin("x", True),
    cnv.MessageOriginProcess("p", "e", 7, "w", CAUSES[3]),
]
MESSAGE: Final = cnv.ConversationRecord("m1", cnv.MessageRole.USER, PARTS, ORIGINS[1])
EVENT: Final = gra.ProtocolEvent("x", {"k": 1})
NODES: Final = [
    gra.SessionNodeRecord(
        node_id="m1",
        parent_node_id="m0",
        caused_by=CAUSES[1],
        agent_frame_id="f",
        timestamp="1970-01-01T00:00:00Z",
        payload=payload,
    )
    for payload in (
        gra.SessionNodePayloadEvent(MESSAGE),
        gra.SessionNodePayloadEvent(EVENT),
        gra.SessionNodePayloadPlugin("x", {"b": None}),
    )
]
GRAPH: Final = gra.SessionGraph(NODES, "m1")
MANIFEST: Final = che.SessionCheckpoint(TURN, "a", "b", 12, "c")
HYDRATED: Final = che.HydratedSessionCheckpoint(
    TURN, "a", {"generation": 1, "tools": {}}, "b", {"plugins": {}}, 12, "c", b"\x01\xff"
)
COMPLETION: Final = que.QueuedWorkCompletion("root", "qwc:1:1", "t", ["qwb:1"])
DELTAS: Final[list[com.GraphCommitDelta]] = [com.Unchanged("l"), com.Append(NODES, "l"), com.ReplaceFull(NODES, "l")]
COMMIT: Final = com.RuntimeCommit(
    session_id="root",
    expected_head_revision=4,
    config=CONFIG,
    agent_frames=[FRAME],
    current_agent_frame_id="f",
    graph=DELTAS[1],
    checkpoint=HYDRATED,
    usage_deltas=[LEDGER],
    turn_commit=com.RuntimeTurnCommitStamp("root", "t", "h"),
    completed_queue_claims=[COMPLETION],
    committed_attachment_ids=["ab"],
)
PAYLOADS: Final[list[que.QueuedWorkPayload]] = [
    que.QueuedWorkPayloadTurnInput({"items": [{"type": "text", "text": "x"}], "image_blobs": {"i": [1, 255]}}),
    que.QueuedWorkPayloadProcessWake({"wake_id": "w", "process_id": "p"}),
    que.QueuedWorkPayloadSessionCommand({"kind": "reset_session", "reason": "r"}),
]
MERGE_KEYS: Final[list[que.MergeKey]] = [que.MergeKeyNever(), que.MergeKeyPayloadDefault(), que.MergeKeyGroup("g")]
BATCH: Final = que.QueuedWorkBatch(
    batch_id="b",
    session_id="s",
    enqueue_seq=1,
    source_key="k",
    delivery_policy=que.DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
    slot_policy=que.SlotPolicy.JOIN,
    merge_key=MERGE_KEYS[2],
    available_at_ms=5,
    enqueued_at_ms=6,
    items=[que.QueuedWorkItem("i", payload) for payload in PAYLOADS],
)
RELATIONS: Final[list[met.SessionRelation]] = [met.SessionRelationRoot(), met.SessionRelationChild("p", CAUSES[2])]
RECORDS: Final[list[Any]] = [
    *CAUSES,
    *DELTAS,
    *MERGE_KEYS,
    *NODES,
    *ORIGINS,
    *PARTS,
    *(part.prune_state for part in PARTS),
    *PAYLOADS,
    *RELATIONS,
    ASSIGNMENT,
    BATCH,
    COMMIT,
    COMPLETION,
    CONFIG,
    EVENT,
    FRAME,
    GRAPH,
    HYDRATED,
    LEDGER,
    MANIFEST,
    MESSAGE,
    OPTIONS,
    POLICY,
    PROMPT,
    REFERENCE,
    TURN,
    USAGE,
    RuntimeCommitResult(1, "cc", MANIFEST),
    art.GcReport(1, 2, 3, art.GcOutcome.ABORTED_UNREADABLE_HEAD, 4, "session_head"),
    art.MODULE_ARTIFACT,
    art.TombstoneReport(3, 1),
    art.VacuumReport(3, 4096),
    att.AttachmentIntent("a", "s", "sha256:a", 100),
    att.AttachmentManifestEntry("a", "s", "sha256:a", 100, 200),
    hea.PersistedSessionRead(
        session_id="root",
        head_revision=1,
        config=CONFIG,
        agent_frames=[FRAME],
        current_agent_frame_id="f",
        graph=GRAPH,
        checkpoint_ref="cc",
        checkpoint=HYDRATED,
        token_ledger=[LEDGER],
    ),
    hea.SessionHead(
        session_id="root",
        head_revision=1,
        config=CONFIG,
        agent_frames=[FRAME],
        current_agent_frame_id="f",
        checkpoint_ref="cc",
        graph=GRAPH,
        token_ledger=[LEDGER],
    ),
    hea.SessionHeadMeta(
        session_id="root",
        head_revision=1,
        config=CONFIG,
        agent_frames=[FRAME],
        current_agent_frame_id="f",
        checkpoint_ref="cc",
        leaf_node_id="m1",
        graph_node_count=3,
        token_ledger=[LEDGER],
    ),
    met.SessionMeta("s", "n", "unix:1", "m", "/srv/app", RELATIONS[1]),
    met.SessionPickerInfo("s", "/", RELATIONS[0], 1, "hello"),
    que.QueuedWorkBatchDraft(
        session_id="s",
        source_key="k",
        delivery_policy=que.DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT,
        slot_policy=que.SlotPolicy.EXCLUSIVE,
        merge_key=MERGE_KEYS[1],
        available_at_ms=9,
        payloads=PAYLOADS,
    ),
    que.QueuedWorkClaim(
        session_id="s",
        claim_id="qwc:1:1",
        owner_id="o",
        lease_token="t",  # noqa: S106 - an example
        fencing_token=1,
        claimed_at_epoch_ms=1,
        expires_at_epoch_ms=2,
        batches=[BATCH],
    ),
]
