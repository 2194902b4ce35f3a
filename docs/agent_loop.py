"""A small agent loop that survives `kill -9` in the middle of a turn, and neither loses nor doubles anything.

    python docs/agent_loop.py            # runs the agent, kills it again and again, checks what is left
    python docs/agent_loop.py work DIR   # the agent itself, until its queue is empty

What makes it safe are three rules. A question waits in the queue until the very commit that stores its answer. The
agent holds it by a lease, so that a dead agent's question is free again soon. And the turn is named after the question,
so that a commit which is sent a second time, because its answer got lost, is known to be the same.
"""

import asyncio
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lash_store import (
    ConversationRecord,
    DeliveryPolicy,
    MessagePart,
    MessageRole,
    PartKind,
    PruneStateIntact,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    QueuedWorkPayloadTurnInput,
    RuntimeCommit,
    RuntimeSessionState,
    SessionNodePayloadEvent,
    SessionNodeRecord,
    SlotPolicy,
    SqliteSessionStoreFactory,
    Store,
    TokenLedgerEntry,
    TokenUsage,
    append_to_graph,
    load_persisted_session_state,
)

SESSION = "demo"
QUESTIONS = [f"What is {n} times {n}?" for n in range(1, 31)]
LEASE_MS = 300


async def ask(store: Store) -> None:
    """Queue every question. The source key makes it harmless to ask again after a crash."""
    for number, question in enumerate(QUESTIONS):
        draft = QueuedWorkBatchDraft(
            session_id=SESSION,
            source_key=f"host:{number}",
            delivery_policy=DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT,
            slot_policy=SlotPolicy.EXCLUSIVE,
            payloads=[QueuedWorkPayloadTurnInput({"items": [{"type": "text", "text": question}]})],
        )
        await store.enqueue_queued_work(draft)


async def work(folder: Path) -> None:
    """Answer what is queued, one turn at a time, until nothing is left."""
    async with await SqliteSessionStoreFactory(folder).create_store(SESSION) as store:
        state = await load_persisted_session_state(store) or RuntimeSessionState.new(SESSION)
        while await store.list_queued_work(SESSION):
            claim = await store.claim_ready_queued_work(SESSION, "agent", QueuedWorkClaimBoundary.IDLE, LEASE_MS, 1)
            if claim is None:
                await asyncio.sleep(0.02)  # an agent that was killed still holds it
                continue
            commit = await turn(state, claim.batches[0])
            result = await store.commit_runtime_state(commit.completing_queue_claims([claim.completion()]))
            state.apply_commit(result)


async def turn(state: RuntimeSessionState, batch: QueuedWorkBatch) -> RuntimeCommit:
    """Ask the model; the commit holds question and answer, and is stamped with a name made from the question's id."""
    payload = batch.items[0].payload
    assert isinstance(payload, QueuedWorkPayloadTurnInput)
    question = payload.input["items"][0]["text"]
    answer = await model(question)
    messages = [message(MessageRole.USER, question), message(MessageRole.ASSISTANT, answer)]
    state.graph, added = append_to_graph(state.graph, messages)
    state.turn_index += 1
    state.execution_state = f"answered {state.turn_index}".encode()
    commit = RuntimeCommit.persisted_state(state, [TokenLedgerEntry("turn", "demo-model", TokenUsage(11, 7, 0))])
    return commit.with_appended_nodes(added).with_turn_commit(batch.batch_id)


def message(role: MessageRole, text: str) -> ConversationRecord:
    """A message of one text; the graph gives it its id."""
    part = MessagePart(id="", kind=PartKind.TEXT, content=text, prune_state=PruneStateIntact())
    return ConversationRecord("", role, [part])


def text_of(node: SessionNodeRecord) -> str:
    """The text of a message node."""
    assert isinstance(node.payload, SessionNodePayloadEvent)
    assert isinstance(node.payload.event, ConversationRecord)
    return node.payload.event.parts[0].content


async def model(question: str) -> str:
    """Stands for a language model: slow, and costly enough that nobody wants to ask twice."""
    await asyncio.sleep(0.02)
    return str(int(question.split()[2]) ** 2)


async def check(folder: Path) -> tuple[int, int]:
    """Every question was answered once, right after it, and paid for once. Returns the answers and the revision."""
    async with await SqliteSessionStoreFactory(folder).create_store(SESSION) as store:
        read = await store.load_session()
        assert read is not None
        texts = [text_of(node) for node in read.graph.nodes]
        answers = dict(zip(texts[::2], texts[1::2], strict=True))
        assert len(texts) == 2 * len(answers)
        assert answers == {question: str(n * n) for n, question in enumerate(QUESTIONS, 1)}
        assert read.token_ledger[0].usage.input_tokens == 11 * len(QUESTIONS)
        assert await store.list_queued_work(SESSION) == []
        return len(answers), read.head_revision


async def prepare(folder: Path) -> None:
    """Make the session and queue its questions."""
    async with await SqliteSessionStoreFactory(folder).create_store(SESSION) as store:
        await ask(store)


def demonstrate(folder: Path, kills: int = 12) -> str:
    """Run the agent and kill it `kills` times, then let it finish."""
    asyncio.run(prepare(folder))
    command = [sys.executable, __file__, "work", str(folder)]
    for _ in range(kills):
        agent = subprocess.Popen(command)
        time.sleep(random.uniform(0.3, 0.7))
        agent.kill()  # SIGKILL: no handler, no finally, no goodbye
        agent.wait()
    subprocess.run(command, check=True)
    answers, revision = asyncio.run(check(folder))
    return f"killed {kills} times; {answers} questions, each answered once, in {revision} commits"


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        asyncio.run(work(Path(sys.argv[2])))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            print(demonstrate(Path(scratch)))
