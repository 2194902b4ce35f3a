"""A small agent loop that survives `kill -9` in the middle of a turn, and neither loses nor doubles anything.

    python docs/agent_loop.py            # runs two agents, kills them again and again, checks what is left
    python docs/agent_loop.py work DIR   # one agent, until the queue is empty

What makes it safe:

1. A question waits in the queue until the very commit that stores its answer.
2. An agent holds a question by a lease, which it renews while it works; a dead agent's question is soon free again.
3. The turn is named after the question. Its receipt says that the question has been answered, to whoever asks it again
   and to whoever meets it in the queue once more.
4. A commit names the revision that it was made from. If another agent has committed since, it is made anew from what
   is stored then; the answer is kept, the model is not asked twice.
"""

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lash_store import (
    ConversationRecord,
    DeliveryPolicy,
    HeadRevisionConflict,
    MessageRole,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkClaimExpired,
    QueuedWorkPayloadTurnInput,
    RuntimeCommit,
    RuntimeSessionState,
    RuntimeTurnCommitConflict,
    SlotPolicy,
    SqliteSessionStoreFactory,
    Store,
    TokenLedgerEntry,
    TokenUsage,
    active_read_model,
    append_to_graph,
    load_persisted_session_state,
)

SESSION = "demo"
QUESTIONS = [f"What is {n} times {n}?" for n in range(1, 31)]
LEASE_MS = 600
USAGE = TokenLedgerEntry("turn", "demo-model", TokenUsage(input_tokens=11, output_tokens=7, cached_input_tokens=0))


async def ask(store: Store) -> None:
    """Queue every question that has no answer yet; doing so again, after a crash for example, changes nothing.

    The source key protects a question while it is queued, the receipt of its turn when it is not any more. So receipts
    must not be pruned as long as a question may be asked again.
    """
    for number, question in enumerate(QUESTIONS):
        key = f"host:{number}"
        if await store.load_turn_commit(SESSION, key) is not None:
            continue
        draft = QueuedWorkBatchDraft(
            session_id=SESSION,
            source_key=key,
            delivery_policy=DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT,
            slot_policy=SlotPolicy.EXCLUSIVE,
            payloads=[QueuedWorkPayloadTurnInput({"items": [{"type": "text", "text": question}]})],
        )
        await store.enqueue_queued_work(draft)


async def work(folder: Path) -> None:
    """Answer what is queued, one turn at a time, until nothing is left."""
    owner = f"agent {os.getpid()}"
    async with await SqliteSessionStoreFactory(folder).create_store(SESSION) as store:
        state = await loaded(store)
        while await store.list_queued_work(SESSION):
            claim = await store.claim_ready_queued_work(SESSION, owner, QueuedWorkClaimBoundary.IDLE, LEASE_MS, 1)
            if claim is None:
                await asyncio.sleep(0.02)  # others hold what is left; one of them may be dead
            else:
                state = await turn(store, state, claim)


async def loaded(store: Store) -> RuntimeSessionState:
    """The session as it is stored, or a new one."""
    return await load_persisted_session_state(store) or RuntimeSessionState.new(SESSION)


async def turn(store: Store, state: RuntimeSessionState, claim: QueuedWorkClaim) -> RuntimeSessionState:
    """Answer the claimed question in one commit; returns the state to go on from."""
    batch = claim.batches[0]
    payload, turn_id = batch.items[0].payload, batch.source_key
    assert isinstance(payload, QueuedWorkPayloadTurnInput)
    assert turn_id is not None
    if await store.load_turn_commit(SESSION, turn_id) is not None:
        # It was asked again in the moment in which it was answered.
        await store.abandon_queued_work_claim(claim)
        await store.cancel_queued_work_batch(SESSION, batch.batch_id)
        return state
    question = payload.input["items"][0]["text"]
    answer = await answered(store, claim, question)
    while answer is not None:
        state.graph, added = append_to_graph(
            state.graph,
            [
                ConversationRecord.text(MessageRole.USER, question),
                ConversationRecord.text(MessageRole.ASSISTANT, answer),
            ],
        )
        state.turn_index += 1
        state.execution_state = f"answered {state.turn_index}".encode()
        commit = (
            RuntimeCommit.persisted_state(state, [USAGE])
            .with_expected_head_revision(state.head_revision or 0)  # 0: the first commit of the session
            .with_appended_nodes(added)
            .with_turn_commit(turn_id)
            .completing_queue_claims([claim.completion()])
        )
        try:
            return state.apply_commit(await store.commit_runtime_state(commit))
        except HeadRevisionConflict:
            state = await loaded(store)  # another agent was faster: append the same answer to what is there now
        except (QueuedWorkClaimExpired, RuntimeTurnCommitConflict):
            break  # another agent has taken the question over, or even answered it
    return await loaded(store)


async def answered(store: Store, claim: QueuedWorkClaim, question: str) -> str | None:
    """The model's answer; None if the claim was lost meanwhile. Then the model is not waited for any longer."""
    answer = None
    try:
        async with asyncio.TaskGroup() as beside:
            renewing = beside.create_task(renew(store, claim))
            answer = await model(question)
            renewing.cancel()
    except* QueuedWorkClaimExpired:
        answer = None
    return answer


async def renew(store: Store, claim: QueuedWorkClaim) -> None:
    """Keep the claim until cancelled."""
    while True:
        await asyncio.sleep(LEASE_MS / 3 / 1000)
        await store.renew_queued_work_claim(claim, LEASE_MS)


async def model(question: str) -> str:
    """Stands for a language model: slow, and costly enough that nobody wants to ask twice."""
    await asyncio.sleep(random.choice([0.02, 0.02, 0.02, 0.02, 0.4]))
    return str(int(question.split()[2]) ** 2)


async def check(folder: Path) -> tuple[int, int]:
    """Every question was answered once, right after it, and paid for once. Returns the answers and the revision."""
    async with await SqliteSessionStoreFactory(folder).open_readonly(SESSION) as store:
        read = await store.load_session()
        assert read is not None
        texts = [message.text_content for message in active_read_model(read.graph).messages]
        answers = dict(zip(texts[::2], texts[1::2], strict=True))
        assert len(texts) == 2 * len(answers) == len(read.graph.nodes)
        assert answers == {question: str(n * n) for n, question in enumerate(QUESTIONS, 1)}
        assert read.token_ledger[0].usage.input_tokens == 11 * len(QUESTIONS)
        assert await store.list_queued_work(SESSION) == []
        return len(answers), read.head_revision


async def prepare(folder: Path) -> None:
    """Make the session, if it is not there, and queue its questions."""
    async with await SqliteSessionStoreFactory(folder).create_store(SESSION) as store:
        await ask(store)


def demonstrate(folder: Path, kills: int = 12, agents: int = 2) -> str:
    """Run `agents` at once and kill one of them `kills` times, each time asking everything again; let them finish."""
    asyncio.run(prepare(folder))
    command = [sys.executable, __file__, "work", str(folder)]
    running = [subprocess.Popen(command) for _ in range(agents)]
    for _ in range(kills):
        time.sleep(random.uniform(0.2, 0.5))
        victim = random.randrange(agents)
        running[victim].kill()  # SIGKILL: no handler, no finally, no goodbye
        running[victim].wait()
        asyncio.run(prepare(folder))
        running[victim] = subprocess.Popen(command)
    failed = [agent.returncode for agent in running if agent.wait() != 0]
    assert not failed, failed
    answers, revision = asyncio.run(check(folder))
    return f"{agents} agents, killed {kills} times; {answers} questions, each answered once, in {revision} commits"


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        asyncio.run(work(Path(sys.argv[2])))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            print(demonstrate(Path(scratch)))
